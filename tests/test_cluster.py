"""How a cluster is divided, on paper: no Ray is started here."""

import os

import pytest

from dipray.errors import ConfigError
from dipray.sweep.cluster import quiet_tune, running_ray, share_out
from dipray.sweep_config import SweepConfig

CPUS = [{"CPU": 2.0}]
GPUS = [{"CPU": 16.0, "GPU": 2.0}, {"CPU": 4.0, "GPU": 1.0}]


@pytest.mark.parametrize(
    ("settings", "device", "nodes", "gpus", "slots"),
    [
        ({}, "auto", CPUS, 0, 2),
        ({"cpus_per_trial": 2.0}, "auto", CPUS, 0, 1),
        ({"cpus_per_trial": 0.5}, "cpu", CPUS, 0, 4),
        ({"cpus_per_trial": 2.0}, "cpu", [{"CPU": 3.0}, {"CPU": 3.0}], 0, 2),
        ({}, "auto", GPUS, 1, 3),
        ({}, "cpu", GPUS, 0, 20),
        ({"gpus_per_trial": 0.25}, "cuda", GPUS, 0.25, 12),
        ({"gpus_per_trial": 2.0}, "auto", GPUS, 2, 1),
        ({"gpus_per_trial": 0.0}, "auto", GPUS, 0, 20),
    ],
)
def test_nodes_are_divided_among_trials(settings, device, nodes, gpus, slots):
    share = share_out(SweepConfig(**settings), device, nodes)
    assert (share.gpus, share.slots) == (gpus, slots)


@pytest.mark.parametrize(
    ("settings", "nodes"),
    [
        ({"gpus_per_trial": 1.0}, CPUS),
        ({"cpus_per_trial": 4.0}, [{"CPU": 3.0}, {"CPU": 3.0}]),
        ({}, []),
    ],
)
def test_a_trial_that_no_node_can_hold_is_refused(settings, nodes):
    with pytest.raises(ConfigError, match="no node can hold a trial"):
        share_out(SweepConfig(**settings), "auto", nodes)


def test_a_certain_gpu_is_refused():
    with pytest.raises(ConfigError, match="Ray deals out the GPUs"):
        share_out(SweepConfig(), "cuda:1", GPUS)


def test_a_part_above_one_gpu_is_refused():
    with pytest.raises(ConfigError, match=r"gpus_per_trial=1\.5"):
        SweepConfig(gpus_per_trial=1.5)


def test_ray_client_is_refused():
    with pytest.raises(ConfigError, match="Ray Client cannot"), running_ray("ray://host:10001"):
        pass


def test_quiet_leaves_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "1")
    monkeypatch.delenv("TUNE_PRINT_ALL_TRIAL_ERRORS", raising=False)
    with quiet_tune():
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
    assert os.environ["RAY_AIR_NEW_OUTPUT"] == "1"
    assert "TUNE_PRINT_ALL_TRIAL_ERRORS" not in os.environ
