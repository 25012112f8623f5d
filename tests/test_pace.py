import numpy as np
import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from dipray.store import Store
from dipray.sweep.pace import Pace, Pacer, places
from dipray.sweep.schedulers import make_scheduler, pace
from dipray.sweep_config import SweepConfig


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


def reported(pace, iterations, seconds_an_iteration):
    """Where a fit of that speed reports, and when."""
    clock = Clock()
    pacer, found = Pacer(pace, clock=clock), []
    for iteration in range(1, iterations + 1):
        clock.now = 1000.0 + iteration * seconds_an_iteration
        if pacer.is_due(iteration):
            found.append((iteration, clock.now - 1000.0))
    return found


@pytest.mark.parametrize("at_once", [1, 4, 100])
@pytest.mark.parametrize("seconds", [1e-4, 1e-3, 0.05])
def test_all_fits_together_report_20_times_a_second_at_most(at_once, seconds):
    paced = pace(SweepConfig(scheduler="none"), at_once)
    times = [at for _, at in reported(paced, 20_000, seconds)]
    # no two of one trial are nearer than its share allows, so no second holds more than 20 of all
    gaps = np.diff([0.0, *times])
    assert (gaps * 20 >= at_once * (1 - 1e-9)).all()
    assert len(times) <= paced.most(20_000, 20_000 * seconds)


@pytest.mark.parametrize("scheduler", ["asha", "hyperband"])
@pytest.mark.parametrize("report_every", [1, 25, 40])
@pytest.mark.parametrize("reduction_factor", [3.0, 2.5, 1.3, 1.05])
def test_rungs_are_reported_where_they_would_be_without_a_limit(
    scheduler, report_every, reduction_factor
):
    config = SweepConfig(
        scheduler=scheduler, report_every=report_every, reduction_factor=reduction_factor
    )
    paced, all_places = pace(config, 50), range(report_every, 5001, report_every)
    for seconds in (1e-6, 1e-2):
        where = [at for at, _ in reported(paced, 5000, seconds)]
        assert set(where) <= set(all_places)
        assert recorded(config, where) == recorded(config, all_places)


def recorded(config, iterations):
    """For each bracket, rung -> the iteration that a trial with such reports stands there with."""
    found = []
    for bracket in AsyncHyperBandScheduler(
        grace_period=config.grace_period,
        max_t=10**9,
        reduction_factor=config.reduction_factor,
        brackets=1 if config.scheduler == "asha" else 3,
    )._brackets:
        trial = type("Trial", (), {"trial_id": "t"})()
        for at in iterations:
            bracket.on_result(trial, at, at)
        found.append([(rung, seen.get("t")) for rung, seen in bracket._rungs])
    return found


def test_what_the_clock_says_changes_no_decision(tmp_path):
    config = SweepConfig(grace_period=100, reduction_factor=2.0)
    ends = []
    for speeds in [(1e-6, 1e-6, 1e-6), (1e-2, 1e-4, 3e-3)]:
        scheduler = make_scheduler(config, Store(tmp_path))
        paced = pace(config, 3)
        trials = [
            type("Trial", (), {"trial_id": n, "config": {"trial": n, "problem": "p"}})()
            for n in "abc"
        ]
        made = {
            (at, trial.trial_id): trial
            for trial, seconds in zip(trials, speeds, strict=True)
            for at, _ in reported(paced, 1000, seconds)
        }
        ended = {}
        for trial in trials:
            scheduler.on_trial_add(None, trial)
        for (at, name), trial in sorted(made.items(), key=lambda item: item[0]):
            value = {"a": 20.0, "b": 30.0, "c": 10.0}[name] + at / 100
            if name in ended:
                continue
            row = {"iteration": at, "psnr_peak": value}
            if scheduler.on_trial_result(None, trial, row) == "STOP":
                ended[name] = at
        ends.append(ended)
    assert ends[0] == ends[1] and ends[0]


def test_median_stopping_is_told_everything():
    paced = pace(SweepConfig(scheduler="median"), 8)
    assert [at for at, _ in reported(paced, 200, 1e-6)] == list(range(25, 201, 25))


def test_a_report_at_a_rung_counts_for_the_pause():
    paced = Pace(10, awaited=places([21.5], 10), pause_s=0.4)
    assert [at for at, _ in reported(paced, 100, 0.01)] == [30, 70]
    assert paced.most(100, 1.0) == 3


def test_two_rungs_need_two_reports():
    assert places([100.0, 105.0, 110.0, 300.0, 2.0], 25) == {25, 100, 125, 150, 300}


def test_a_sweep_may_ask_for_more():
    paced = pace(SweepConfig(scheduler="none", report_every=1, reports_per_s=None), 2)
    assert len(reported(paced, 50, 1e-3)) == 50
