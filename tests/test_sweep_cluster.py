"""A sweep on a cluster that runs already, and one whose results go to object storage."""

import logging
import shutil
import tempfile

import pytest
import ray
from ray.cluster_utils import Cluster

from analysis import load_sweep
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.cluster import check_shared

pytestmark = pytest.mark.ray

BASE = FitConfig(depth=2, features=4, input_channels=4, iterations=20, device="cpu")
SWEEP = SweepConfig(grace_period=10, report_every=10)


@pytest.fixture
def two_nodes():
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    node = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": folder})
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_running_cluster_is_used_and_left_running(two_nodes, noisy, truth, tmp_path):
    problem = Problem(noisy, reference=truth, name="astronaut")
    config = SWEEP.replace(address=two_nodes.address)
    space = {"net": ["skip", "encdec"], "lr": [0.001, 0.01]}
    result = run_sweep([problem], space, str(tmp_path), base=BASE, config=config)
    assert (result.run, result.failed) == (4, 0)
    assert len(load_sweep(tmp_path).trials) == 4
    assert not ray.is_initialized()
    ray.init(address=two_nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    assert sum(node["Alive"] for node in ray.nodes()) == 2
    local = Store(tmp_path / "local")
    local.write("here.txt", b"")
    check_shared(local, "here.txt")
    with pytest.raises(FolderError, match="is not on the disk of"):
        check_shared(local, "elsewhere.txt")
