"""Network, input, optimizer and regularisation together, with fields that depend on others."""

from typing import Any

import optuna

from search_spaces.named import NamedSpace


def everything(trial: optuna.Trial) -> dict[str, Any]:
    """A configuration; a field is drawn only where it has an effect."""
    # few values of each category, since a search of a hundred samples cannot tell many apart
    net = trial.suggest_categorical("net", ["skip", "unet", "encdec", "resunet", "convnext"])
    point: dict[str, Any] = {
        "net": net,
        "depth": trial.suggest_int("depth", 2, 5),
        "features": trial.suggest_categorical("features", [16, 32, 64, 128]),
        "upsampling": trial.suggest_categorical("upsampling", ["nearest", "bilinear"]),
        "ema_decay": trial.suggest_categorical("ema_decay", [0.98, 0.99, 0.995]),
        "tv_weight": trial.suggest_categorical("tv_weight", [0.0, 0.001, 0.003, 0.01]),
    }
    if net != "encdec":
        point["skip_channels"] = trial.suggest_categorical("skip_channels", [0, 4, 16])
    return point | _input(trial) | _optimizer(trial)


def _input(trial: optuna.Trial) -> dict[str, Any]:
    kind = trial.suggest_categorical("input_kind", ["noise", "meshgrid", "fourier"])
    point: dict[str, Any] = {
        "input_kind": kind,
        "input_jitter": trial.suggest_float("input_jitter", 0.0, 0.1),
    }
    if kind != "meshgrid":  # which has 2 always
        point["input_channels"] = trial.suggest_categorical("input_channels", [8, 16, 32])
    if kind == "fourier":
        point["fourier_scale"] = trial.suggest_float("fourier_scale", 1.0, 30.0, log=True)
    return point


# optimizer -> range of learning rates, searched on a logarithmic scale; SGD's holds what suits it
# with and without momentum. L-BFGS is left out: it does not go with jitter
_LEARNING_RATES = {
    "sgd": (0.01, 10.0),
    "adam": (3e-4, 3e-2),
    "adamw": (3e-4, 3e-2),
    "rmsprop": (1e-4, 1e-2),
}


def _optimizer(trial: optuna.Trial) -> dict[str, Any]:
    name = trial.suggest_categorical("optimizer", list(_LEARNING_RATES))
    low, high = _LEARNING_RATES[name]
    point: dict[str, Any] = {
        "optimizer": name,
        # a name for each range, since Optuna ties one distribution to one name
        "lr": trial.suggest_float(f"lr of {name}", low, high, log=True),
    }
    if name == "sgd":
        point["momentum"] = trial.suggest_categorical("momentum", [0.0, 0.9])
    return point


SPACE = NamedSpace(
    question="what is the best configuration of all, whatever its parts?",
    # a coarse screening, two or three of each kind and far apart, before a search draws the rest
    grid={
        "net": ["skip", "unet", "encdec", "resunet", "convnext"],
        "depth": [3, 5],
        "features": 32,
        "input_kind": [
            {"input_kind": "noise"},
            {"input_kind": "fourier", "fourier_scale": 3.0},
        ],
        "optimizer": [
            {"optimizer": "adam", "lr": 0.01},
            {"optimizer": "sgd", "momentum": 0.9, "lr": 0.3},
        ],
        "tv_weight": [0.0, 0.01],
    },
    ranges=everything,
)
