"""The fits of the stability studies: networks, optimizers, learning rates and sizes.

All descend the mean squared error over the values of y, all of them at once, with an input that
stays as it is, in fp32: gradient descent itself, as the theory has it.
"""

from typing import Any

from experiments.studies.arms import Arm

# smooth, and without norms, which would make the curvature depend on the size of the weights alone.
# torch's own initial weights stay at a gray picture then, and so does the weak noise of the paper
NO_NORM = {
    "norm": "none",
    "activation": "gelu",
    "init": "kaiming",
    "input_kind": "gaussian",
    "linearised": False,
}
STANDARD = {
    "norm": "batch",
    "activation": "leaky_relu",
    "init": "torch",
    "input_kind": "noise",
    "linearised": False,
}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam", "momentum": 0.0},
}
# from rates that do not come to the edge, or late, to some that are there at once, by a pilot on
# one picture with one seed
LRS: dict[str, dict[str, tuple[float, ...]]] = {
    "no norm": {
        "sgd": (0.06, 0.15, 0.35, 1.0, 2.5),
        "momentum": (0.05, 0.1, 0.2, 0.4, 0.8),
        "adam": (0.00025, 0.0005, 0.001, 0.002, 0.004),
    },
    "standard": {
        "sgd": (0.1, 0.25, 0.5, 1.0, 2.0),
        "momentum": (0.025, 0.05, 0.1, 0.2, 0.4),
        "adam": (0.0005, 0.001, 0.002, 0.005, 0.01),
    },
}


def arms(network: str, settings: dict[str, Any], *, optimizers: tuple[str, ...]) -> list[Arm]:
    """An arm for each optimizer: `no norm, sgd`; network: whose learning rates it takes."""
    return [
        Arm(f"{network}, {name}", {**settings, **OPTIMIZERS[name]}, LRS[network][name])
        for name in optimizers
    ]


EDGE_ARMS = [
    *arms("no norm", NO_NORM, optimizers=("sgd", "momentum", "adam")),
    *arms("standard", STANDARD, optimizers=("sgd", "momentum", "adam")),
]
# the lazy regime: linear in the weights, all rates below what is stable with any of the seeds
LAZY = Arm(
    "no norm, lazy, sgd",
    {**NO_NORM, **OPTIMIZERS["sgd"], "linearised": True},
    (0.05, 0.1, 0.2, 0.35, 0.6),
)
