"""A cluster of two nodes, and an operator that lies beside the program that drives the sweep."""

import logging
import shutil
import subprocess
import sys
import tempfile

import pytest
import ray
from ray.cluster_utils import Cluster

from analysis import load_sweep

pytestmark = pytest.mark.ray

OPERATOR = """
import os
from pathlib import Path

import ray
from torch import nn


class Halved(nn.Module):
    def forward(self, image):
        if ray.is_initialized():
            node = ray.get_runtime_context().get_node_id()
            Path(__file__).with_name(f"{node}.{os.getpid()}").touch()
        return image / 2
"""

DRIVER = """
import sys

import own_operator
from dipray import FitConfig, Problem, read_picture
from dipray.sweep import SweepConfig, run_sweep

address, picture, folder = sys.argv[1:]
truth = read_picture(picture).pixels
problem = Problem(truth / 2, operator=own_operator.Halved(), reference=truth, name="halved")
base = FitConfig(depth=2, features=4, input_channels=4, iterations=20, device="cpu")
config = SweepConfig(address=address, scheduler="none", report_every=10)
result = run_sweep([problem], {"seed": [0, 1]}, folder, base=base, config=config)
print(result.run, result.failed)
"""


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


def test_workers_import_from_the_drivers_folder(two_nodes, clean_file, tmp_path):
    (tmp_path / "own_operator.py").write_text(OPERATOR)
    (tmp_path / "drive.py").write_text(DRIVER)
    results = tmp_path / "sweep"
    done = subprocess.run(
        [sys.executable, "-m", "drive", two_nodes.address, clean_file, results],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, "2 0\n"), done.stderr
    assert list(load_sweep(results).trials["outcome"]) == ["BUDGET"] * 2
    ray.init(address=two_nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    nodes = {node["NodeID"] for node in ray.nodes()}
    assert len(nodes) == 2
    called_on = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    assert nodes <= called_on  # on both, by what the driver's folder holds
