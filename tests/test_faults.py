"""Real faults in real sweeps: the shorter part of `make faults`."""

import io
import os
import random
import shutil
import subprocess
import sys

import pyarrow.parquet
import pytest

from dipray.errors import FolderError
from dipray.folder import OUTCOME, TRACE, TRIALS
from dipray.store import Store
from experiments.faults.damage import Damage, damage
from experiments.faults.endurance import endurance
from experiments.faults.processes import descendants, workers
from experiments.faults.scenarios import Bench, disk_full, driver_killed, nodes_lost, workers_killed
from experiments.faults.workload import Run, Workload
from tests.ray_local import local_ray  # noqa: F401

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc"),
]

GRID = {
    "net": ["skip", "encdec"],
    "optimizer": [{"optimizer": "adam", "lr": 0.01}, {"optimizer": "lbfgs", "lr": 0.1}],
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    work = Workload(tmp_path_factory.mktemp("faults"), iterations=300, side=32, grid=GRID)
    work.prepare()
    store, log = work.folder / "whole", work.folder / "whole.log"
    run = Run.start(work.command(store), store, log)
    assert run.await_end() == 0, log.read_text()
    return Bench(work, run.store, times=1, draw=random.Random(0))


def assert_harmless(result, bench, least=1):
    log = bench.place(result.kind)[1].read_text()
    assert result.injected >= least, log
    assert result.damage == Damage(), log
    assert "Traceback" not in log


def test_a_killed_driver_costs_nothing(bench):
    result = driver_killed(bench)
    assert_harmless(result, bench)
    assert result.remarks == ["exit code 0 in the end"]


def test_killed_workers_cost_nothing(bench):
    assert_harmless(workers_killed(bench), bench)


def test_a_lost_node_without_a_shared_disk_costs_nothing(bench):
    try:
        result = nodes_lost(bench)
    except FolderError as error:
        pytest.skip(str(error))
    assert_harmless(result, bench)


def test_a_full_disk_costs_nothing_once_there_is_room(bench):
    try:
        result = disk_full(bench, kib=2000)
    except FolderError as error:
        pytest.skip(str(error))
    assert_harmless(result, bench)
    log = bench.place("disk full")[1].read_text()
    assert "the sweep broke off (the disk is full); what is finished is kept" in log


def test_damage_is_seen(bench, tmp_path):
    shutil.copytree(str(bench.reference), tmp_path / "harmed")
    harmed = Store(tmp_path / "harmed")
    assert damage(harmed, bench.reference) == Damage()
    trials = harmed.child(TRIALS)
    lost, doubled, changed, unfinished = trials.names()
    trials.remove(lost)
    parts = trials.names(f"{doubled}/{TRACE}")
    rows = trials.read(f"{doubled}/{TRACE}/{parts[0]}")
    trials.write(f"{doubled}/{TRACE}/part-99999.parquet", rows)
    trials.remove(f"{changed}/{TRACE}/{parts[-1]}")
    trials.write(f"{changed}/final.png", trials.read(f"{doubled}/ema.png"))
    trials.remove(f"{unfinished}/{OUTCOME}")
    other = trials.names(f"{doubled}/{TRACE}")[1]
    assert other != "part-99999.parquet"
    found = damage(harmed, bench.reference)
    assert found.trials_lost == 2
    assert found.rows_lost > 300
    assert found.rows_doubled == pyarrow.parquet.read_table(io.BytesIO(rows)).num_rows
    assert found.pictures_changed == 1
    assert not found.is_none


def test_processes_below_are_found():
    code = "import subprocess, sys; subprocess.run(['sleep', '60'])"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        while not descendants(parent.pid):
            assert parent.poll() is None
        (child,) = descendants(parent.pid)
        assert child in descendants(os.getpid())
        assert workers(parent.pid) == []
        os.kill(child, 9)


def test_nothing_grows_over_many_trials(local_ray, tmp_path):  # noqa: F811
    found = endurance(tmp_path / "many", trials=40)
    assert found.actors == 2
    assert found.worker_files_end <= found.worker_files_early + 2
    assert found.driver_files_end <= found.driver_files_early + 4
    assert found.worker_per_100 < 10 and found.driver_per_100 < 30
    assert "40 short trials" in found.lines()
