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
from dipray.sweep.relay import RelayedStore, open_desk, reachable

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


def test_a_desk_is_the_drivers_disk_to_whoever_asks(two_nodes, tmp_path):
    ray.init(address=two_nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    local = Store(tmp_path / "local")
    local.write_json("sweep.json", {"call": "this"})
    desk = open_desk(local)
    assert reachable(local, "this", desk) is local
    assert reachable(local, "this", None) is local
    # a node that shares no disk has no such folder, or an earlier one of that name
    elsewhere = Store(tmp_path / "other")
    assert isinstance(reachable(elsewhere, "this", desk), RelayedStore)
    relayed = reachable(local, "another", desk)
    assert isinstance(relayed, RelayedStore) and str(relayed) == str(local)
    there = relayed.child("trials").child("one")
    there.write("a/b.txt", b"bytes")
    there.write_json("c.json", {"x": 1})
    one = tmp_path / "local" / "trials" / "one"
    assert (one / "a" / "b.txt").read_bytes() == b"bytes"
    assert there.read_json("c.json") == {"x": 1} and there.read("a/b.txt") == b"bytes"
    assert (there.names(), there.names("a"), there.names("no")) == (["a", "c.json"], ["b.txt"], [])
    assert there.exists("a") and not there.exists("d")
    with there.open("a/b.txt") as file:
        assert file.read() == b"bytes"
    there.remove("a")
    assert not (one / "a").exists()
    with pytest.raises(FolderError, match=r"one/no\.txt: cannot be read \(No such file"):
        there.read("no.txt")
    with pytest.raises(FolderError, match="is no name for a folder"):
        there.child("..")
