import pickle

import numpy as np
import pytest
import torch
from torch import nn

from dipray.errors import ProblemError
from dipray.operators import Downsample
from dipray.problem import Problem

Y = torch.rand(1, 3, 16, 20, generator=torch.Generator().manual_seed(0))
SMALL = Y[..., ::2, ::2]


def average(x):
    """A user's own operator, a plain function: the mean of the channels."""
    return x.mean(dim=1, keepdim=True)


def spoilt(value: float) -> torch.Tensor:
    y = Y.clone()
    y[0, 0, 0, 0] = value
    return y


WRONG = {
    # what is wrong -> parts, words of the error
    "y of three axes": ({"y": Y[0]}, "y has shape (3, 16, 20); give (1, C, H, W)"),
    "two pictures": ({"y": torch.cat([Y, Y])}, "y has shape (2, 3, 16, 20)"),
    "weight of two axes": ({"y": Y, "weight": Y[0, 0]}, "weight has shape (16, 20)"),
    "NaN in y": ({"y": spoilt(torch.nan)}, "y holds NaN"),
    "infinity in y": ({"y": spoilt(torch.inf)}, "y holds NaN or infinite"),
    "NaN in the weight": ({"y": Y, "weight": spoilt(torch.nan)}, "weight holds NaN"),
    "NaN in the reference": ({"y": Y, "reference": spoilt(torch.nan)}, "reference holds NaN"),
    "y of bytes": ({"y": (Y * 255).byte()}, "y is torch.uint8; give floats"),
    "reference of bytes": ({"y": Y, "reference": Y.byte()}, "reference is torch.uint8"),
    "another size of reference": ({"y": Y, "reference": SMALL}, "the operator makes"),
    "another shape": (
        {"y": Y, "reference": Y, "shape": (3, 32, 40)},
        "the reference is 3x16x20 where the picture is 3x32x40",
    ),
    "gray reference": ({"y": Y, "reference": Y[:, :1]}, "the operator makes (1, 1, 16, 20)"),
    "operator of another size": (
        {"y": Y, "operator": Downsample(16, 20, 2), "reference": Y},
        "the operator makes (1, 3, 8, 10) of a picture of shape (1, 3, 16, 20)",
    ),
    "operator that fails": (
        {"y": Y, "operator": nn.Conv2d(1, 1, 3)},
        "the operator fails on a picture of shape (1, 3, 16, 20)",
    ),
    "weight of another size": ({"y": Y, "weight": SMALL}, "does not broadcast to y"),
    "negative weight": ({"y": Y, "weight": Y - 0.5}, "the weight must be at least 0"),
    "weight of zeros": ({"y": Y, "weight": Y * 0}, "above 0 somewhere"),
    "alpha of another size": ({"y": Y, "alpha": SMALL[:, :1]}, "the alpha is 1x8x10"),
    "alpha of three channels": ({"y": Y, "alpha": Y}, "the alpha is 3x16x20"),
    "12 bits": ({"y": Y, "bits": 12}, "bits is 12; give 8 or 16"),
}


@pytest.mark.parametrize("what", WRONG)
def test_parts_that_do_not_belong_together(what):
    parts, words = WRONG[what]
    with pytest.raises(ProblemError) as caught:
        Problem(**parts)
    assert words in str(caught.value)


def test_the_shape_comes_from_y_or_from_the_reference_or_is_given():
    assert Problem(Y).picture_shape == (3, 16, 20)
    assert Problem(Y[:, :1], average, reference=Y).picture_shape == (3, 16, 20)
    assert Problem(Y[:, :1], average, shape=(3, 16, 20)).picture_shape == (3, 16, 20)


def test_a_users_own_function():
    problem = Problem(average(Y), average, shape=(3, 16, 20))
    assert torch.equal(problem.operator(Y), problem.y)
    assert problem.reference is None
    assert problem.hole is None
    assert len(problem.fingerprint()) == 64


def test_all_floats_become_float32():
    problem = Problem(
        Y.double(), reference=Y.half(), weight=Y[:, :1] > 0.5, alpha=Y[:, :1].double()
    )
    for tensor in (problem.y, problem.reference, problem.weight, problem.alpha):
        assert tensor.dtype == torch.float32


def test_the_hole_is_where_the_weight_is_zero():
    weight = torch.ones(1, 1, 16, 20)
    weight[..., 2:5, 3:9] = 0
    hole = Problem(Y, weight=weight).hole
    assert hole.shape == (1, 3, 16, 20)
    assert hole.dtype == torch.bool
    assert torch.equal(hole, (weight == 0).expand(1, 3, 16, 20))
    assert Problem(Y).hole is None
    assert Problem(Y, weight=weight + 0.5).hole is None
    small = Problem(SMALL, Downsample(16, 20, 2), weight=SMALL, reference=Y)
    assert small.hole is None


FINGERPRINTS = {
    "y": {"y": spoilt(0.5)},
    "weight": {"weight": torch.ones(1, 1, 16, 20)},
    "another weight": {"weight": torch.ones(1, 1, 16, 20) * 2},
    "reference": {"reference": Y * 0.5},
    "another reference": {"reference": Y * 0.25},
    "operator": {"operator": nn.Sigmoid()},
    "function": {"operator": lambda x: x.flip(3)},
    "luma": {"luma": True},
    "trim": {"trim": 2},
}


def test_the_fingerprint_is_of_all_that_a_fit_sees():
    known = {Problem(Y).fingerprint()}
    for changes in FINGERPRINTS.values():
        known.add(Problem(**{"y": Y, **changes}).fingerprint())
    assert len(known) == 1 + len(FINGERPRINTS)


def test_the_fingerprint_is_not_of_names():
    first = Problem(Y, name="one", origin={"file": "a"})
    second = Problem(Y.clone(), name="other", origin={"file": "b"})
    assert first.fingerprint() == second.fingerprint()


def test_the_fingerprint_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Problem(Y).fingerprint()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "problem",
    [
        Problem(Y, reference=Y, alpha=Y[:, :1], bits=16, name="one", origin={"task": "denoise"}),
        Problem(SMALL, Downsample(16, 20, 2), reference=Y, luma=True, trim=2),
        Problem(Y, weight=Y[:, :1], shape=(3, 16, 20)),
        Problem(average(Y), average, shape=(3, 16, 20)),
    ],
    ids=["denoise", "superres", "inpaint", "own"],
)
def test_a_problem_pickles(problem):
    again = pickle.loads(pickle.dumps(problem))
    assert again.fingerprint() == problem.fingerprint()
    assert (again.name, again.bits, again.trim) == (problem.name, problem.bits, problem.trim)
    assert again.origin == problem.origin


def test_moving_leaves_the_original_alone():
    problem = Problem(SMALL, Downsample(16, 20, 2), reference=Y, alpha=Y[:, :1], name="one")
    moved = problem.to("cpu")
    assert moved.operator is not problem.operator
    assert moved.fingerprint() == problem.fingerprint()
    assert moved.name == "one"


def no_gradient(x):
    return x.detach()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"operator": no_gradient}, "no gradient comes through"),
        ({"reference": torch.full((1, 3, 16, 16), 255.0)}, "reference has values outside"),
        ({"trim": -1}, "trim is -1"),
        ({"trim": 8}, "trim is 8"),
        ({"y": np.zeros((1, 3, 16, 16))}, "y is a ndarray; give a torch tensor"),
        ({"y": torch.zeros(1, 4, 16, 16)}, "4 channels; allowed are 1 and 3"),
    ],
)
def test_own_problems_are_checked_before_anything_runs(changes, complaint):
    with pytest.raises(ProblemError, match=complaint):
        Problem(**{"y": torch.zeros(1, 3, 16, 16), **changes})


def test_the_fingerprint_knows_alpha_and_bits():
    y = torch.zeros(1, 3, 16, 16)
    prints = {
        Problem(y).fingerprint(),
        Problem(y, bits=16).fingerprint(),
        Problem(y, alpha=torch.ones(1, 1, 16, 16)).fingerprint(),
    }
    assert len(prints) == 3
