"""Ensembles of several networks against ensembles of one, at the same number of fits."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.gain import mse_and_rho
from analysis.pictures import decibels

Products = NDArray[np.float64]


def error_products(errors: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """Mean product of the errors of a fit of one network and a different fit of another.

    errors: network -> (K, pixels), K fits each, two or more. Rows and columns are networks; off
    the diagonal over all K x K pairs of fits, on it over pairs of different fits.
    """
    names = list(errors)
    found = np.empty((len(names), len(names)))
    for i, j in itertools.product(range(len(names)), repeat=2):
        one, other = errors[names[i]], errors[names[j]]
        products = one @ other.T / one.shape[1]
        found[i, j] = math.prod(mse_and_rho(products)) if i == j else products.mean()
    return pd.DataFrame(found, index=names, columns=names)


def single_errors(errors: Mapping[str, NDArray[np.float64]]) -> pd.Series:
    """The mean squared error of one fit of each network, mean over its fits."""
    return pd.Series({name: float(np.square(each).mean()) for name, each in errors.items()})


def correlations(errors: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    """`error_products` over the root of both networks' mean squared errors: rho on the diagonal."""
    scale = np.sqrt(single_errors(errors).to_numpy())
    return error_products(errors).div(scale, axis="index").div(scale, axis="columns")


def mixture_data(errors: Mapping[str, NDArray[np.float64]], size: int) -> pd.DataFrame:
    """The expected PSNR of the mean of `size` fits, for each set of networks with equal shares.

    networks, count (of them), psnr (dB). Sets that `size` cannot be shared out among are left out.
    Expected over all choices of different fits, in closed form: with k_i fits of network i,
    size^2 MSE = sum k_i m_i + sum k_i (k_i - 1) C_ii + sum over i != j of k_i k_j C_ij, where m_i
    is one fit's error and C what `error_products` gives. So no luck of one choice is in it.
    """
    products, alone = error_products(errors), single_errors(errors)
    rows = []
    for chosen in _shared_out(list(errors), size):
        share = size // len(chosen)
        block = products.loc[chosen, chosen].to_numpy()
        own = float(alone[chosen].sum()) * share - float(np.trace(block)) * share
        mse = (own + float(block.sum()) * share**2) / size**2
        rows.append((" + ".join(chosen), len(chosen), decibels(mse)))
    return pd.DataFrame(rows, columns=["networks", "count", "psnr"])


def _shared_out(names: Sequence[str], size: int) -> list[list[str]]:
    return [
        list(chosen)
        for count in range(1, len(names) + 1)
        for chosen in itertools.combinations(names, count)
        if size % count == 0
    ]
