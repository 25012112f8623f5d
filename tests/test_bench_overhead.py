"""The benchmark of a sweep's overhead runs and counts; its seconds are nobody's business here."""

import sys
from types import SimpleNamespace

import pytest

from dipray.errors import FolderError
from experiments.bench import overhead
from experiments.bench.clock import Clock, Side
from experiments.bench.overhead import GOAL, measure
from tests.ray_local import local_ray  # noqa: F401

pytestmark = pytest.mark.ray

GROWN = SimpleNamespace(driver_per_100=0.5, driver_early=300.0, driver_end=301.0)


def test_overhead_is_wall_over_what_the_fits_alone_would_take():
    side = Side("r", wall=54.0, bare=100.0, fits=20)
    found = side.finding("w", GOAL)
    assert (found.ours, found.theirs, found.ratio) == (54.0, 50.0, 1.08)
    assert found.met
    assert found.remark == "a bare fit 5.00 s, a trial 0.40 s more; r"
    side.wall = 54.1
    assert not side.finding("w", GOAL).met


def test_a_sweep_that_was_interrupted_is_not_measured():
    clock, side = Clock(), Side("r")
    clock.on_trial_start(0, [], None)
    with pytest.raises(FolderError, match="only 0 of 2 trials"):
        clock.add_to(side, 2)
    assert side == Side("r")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
@pytest.mark.usefixtures("local_ray")
def test_the_section_measures_what_it_says(monkeypatch):
    asked = []  # which has a test of its own
    monkeypatch.setattr(overhead, "endurance", lambda folder, **size: asked.append(size) or GROWN)
    wall, cpu, textbook, reports, memory = measure(device="cpu", quick=True)
    assert "2 trials, 2 at a time" in wall.what and "2 trials" in textbook.what
    assert all(each.ratio > 0 for each in (wall, cpu, textbook))
    assert wall.goal == GOAL and str(reports.goal) == "at most 20"
    assert reports.met
    assert asked and (memory.ours, memory.remark) == (0.5, "300 to 301 MiB")
