"""The Ray that a sweep runs on."""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import ray

from dipray.errors import ConfigError
from dipray.sweep_config import SweepConfig


@contextmanager
def running_ray(address: str | None) -> Iterator[None]:
    """The Ray that runs already, or the one at `address`, or a local one for the time."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address is None:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ConfigError(
            f"address={address!r}: no Ray cluster answers ({error}); drop it to start a local one",
            field="address",
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def quiet_tune() -> Iterator[None]:
    """Tune and Optuna without their own lines: a failed trial is a row with its reason."""
    settings = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0"}
    before = {name: os.environ.get(name) for name in settings}
    tune_log = logging.getLogger("ray.tune")
    levels = tune_log.level, optuna.logging.get_verbosity()
    os.environ.update(settings)
    tune_log.setLevel(logging.CRITICAL)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        tune_log.setLevel(levels[0])
        optuna.logging.set_verbosity(levels[1])


def slots(config: SweepConfig) -> int:
    """How many trials the cluster's resources hold at once, at least one."""
    resources = ray.cluster_resources()
    slots = resources.get("CPU", 1.0) / config.cpus_per_trial
    if config.gpus_per_trial:
        slots = min(slots, resources.get("GPU", 0.0) / config.gpus_per_trial)
    return max(1, math.floor(slots + 1e-6))
