"""The Ray that a sweep runs on."""

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import optuna
import ray
from ray._private import ray_constants

from dipray.errors import ConfigError
from dipray.sweep_config import SweepConfig


@contextmanager
def running_ray(address: str | None) -> Iterator[None]:
    """The Ray that runs already, or the one at `address`, or a local one for the time.

    A local one listens on 127.0.0.1 only. Who wants a Ray that others can reach starts it
    (`ray start`, and what experiments/clusters has) and gives its address, here or in RAY_ADDRESS.
    """
    asked = address or os.environ.get("RAY_ADDRESS")
    if asked is not None and asked.startswith("ray://"):
        raise ConfigError(
            f"address={asked!r}: Ray Client cannot drive a sweep; run it on the cluster with "
            "address auto, or through ray job submit",
            field="address",
        )
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    try:
        if not asked:
            with _on_loopback():
                ray.init(
                    "local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        else:
            with _on_loopback() if _only_on_loopback(asked) else nullcontext():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except OSError as error:  # ConnectionError among them
        raise ConfigError(
            f"address={asked!r}: no Ray cluster answers ({error}); drop it to start a local one, "
            "or set RAY_AUTH_MODE=token if it wants a token",
            field="address",
        ) from None
    try:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and callable(on_sigterm):
            signal.signal(signal.SIGTERM, on_sigterm)
        yield
    finally:
        ray.shutdown()


def _only_on_loopback(address: str) -> bool:
    """Whether the Ray at host:port is reached from this machine alone; OSError if none is there.

    Ray itself would try for minutes, and fill the screen.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        return False
    host = host.strip("[]")
    socket.create_connection((host, int(port)), timeout=10).close()
    if host not in ("127.0.0.1", "::1", "localhost"):
        return False
    try:  # what Ray makes of such a host
        socket.create_connection((ray.util.get_node_ip_address(), int(port)), timeout=10).close()
    except OSError:
        return True
    return False


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A Ray that starts in here is one for this machine alone, as on macOS and Windows.

    Ray replaces `_node_ip_address="127.0.0.1"` by an address that others reach, and reads the
    variable that turns this off, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER, only when it is imported.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def quiet_tune() -> Iterator[None]:
    """Tune and Optuna without their own lines: a failed trial is a row with its reason.

    Tune also writes down its own state less often than by itself, since no sweep is restored from
    that, and copies its files to the sweep's folder at the same times.
    """
    settings = {
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "TUNE_GLOBAL_CHECKPOINT_S": os.environ.get("TUNE_GLOBAL_CHECKPOINT_S", "60"),
    }
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


@dataclass(frozen=True)
class Share:
    """What one trial takes of the cluster, and how many trials the cluster holds at once."""

    cpus: float
    gpus: float
    slots: int


def share_out(config: SweepConfig, device: str, nodes: Sequence[Mapping[str, float]]) -> Share:
    """Divide nodes, each with its CPU and GPU count, among trials; a trial lies on one node.

    Without `gpus_per_trial` a trial takes a whole GPU where there are any, unless the device is
    the CPU. Raises ConfigError if no node can hold a trial, or the device names one GPU of many.
    """
    if device.startswith("cuda:"):
        raise ConfigError(
            f"device={device!r}: Ray deals out the GPUs of a sweep; write cuda and gpus_per_trial",
            field="device",
        )
    gpus = config.gpus_per_trial
    if gpus is None:
        any_gpu = any(node.get("GPU", 0) > 0 for node in nodes)
        gpus = 1.0 if any_gpu and device != "cpu" else 0.0
    slots = 0
    for node in nodes:
        held = node.get("CPU", 0.0) / config.cpus_per_trial
        if gpus:
            held = min(held, node.get("GPU", 0.0) / gpus)
        slots += math.floor(held + 1e-6)
    if not slots:
        most = [f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes]
        raise ConfigError(
            f"cpus_per_trial={config.cpus_per_trial:g}, gpus_per_trial={gpus:g}: no node can hold "
            f"a trial; there are {', '.join(most) or 'no nodes'}"
        )
    return Share(config.cpus_per_trial, gpus, slots)


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes of the running Ray."""
    return [node for node in ray.nodes() if node["Alive"]]


def may_have_other_disks(address: str | None) -> bool:
    """Whether the running Ray has, or may come to have, nodes that do not see the driver's disk."""
    joined = address is not None or bool(os.environ.get("RAY_ADDRESS"))
    return joined or len(alive_nodes()) > 1
