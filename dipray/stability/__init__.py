"""Minima stability: how sharp a minimum is, and how sharp the optimizer lets it be."""

from dipray.stability.lanczos import Spectrum, largest_eigenvalues
from dipray.stability.probe import PROBE_COLUMNS, Probe
from dipray.stability.product import HessianProduct
from dipray.stability.threshold import preconditioner, threshold

__all__ = [
    "PROBE_COLUMNS",
    "HessianProduct",
    "Probe",
    "Spectrum",
    "largest_eigenvalues",
    "preconditioner",
    "threshold",
]
