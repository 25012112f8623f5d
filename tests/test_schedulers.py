import pytest
from ray.tune.schedulers import TrialScheduler

from dipray.folder import STOPPED
from dipray.store import Store
from dipray.sweep.schedulers import make_scheduler
from dipray.sweep_config import SweepConfig


class StubTrial:
    """What schedulers read of a Tune trial."""

    status = "RUNNING"

    def __init__(self, name, problem):
        self.trial_id = name
        self.config = {"trial": name, "problem": problem}


def trial(name, problem):
    return StubTrial(name, problem)


class StubController:
    """Has a trial that waits, for which a scheduler might pause another."""

    def get_live_trials(self):
        waiting = StubTrial("waiting", "a")
        waiting.status = "PENDING"
        return [waiting]


def drive(scheduler, trials, values, iterations=(100, 200, 300)):
    """Report each trial's value, in turn, until it is stopped; trial -> where it was stopped."""
    ends = {}
    for each in trials:
        scheduler.on_trial_add(None, each)
    for iteration in iterations:
        for each in trials:
            if each.trial_id in ends:
                continue
            result = {
                "iteration": iteration,
                "training_iteration": iteration // 25,
                "psnr_peak": values[each.trial_id],
                "loss": values[each.trial_id],
                "time_total_s": float(iteration),
            }
            decision = scheduler.on_trial_result(StubController(), each, result)
            assert decision in (TrialScheduler.CONTINUE, TrialScheduler.STOP)
            if decision == TrialScheduler.STOP:
                ends[each.trial_id] = iteration
                scheduler.on_trial_complete(None, each, result)
    return ends


@pytest.mark.parametrize("name", ["asha", "median"])
def test_the_worst_of_a_picture_is_ended_and_noted(tmp_path, name):
    config = SweepConfig(scheduler=name, grace_period=100)
    scheduler = make_scheduler(config, Store(tmp_path))
    trials = [trial(f"t{i}", "a") for i in range(6)]
    ends = drive(scheduler, trials, {f"t{i}": 30.0 - i for i in range(6)})
    assert "t0" not in ends
    assert "t5" in ends
    note = Store(tmp_path).child("t5").read_json(STOPPED)
    assert note == {"stopped_by": name, "stopped_at": ends["t5"]}
    assert not Store(tmp_path).child("t0").exists(STOPPED)


def test_a_hard_picture_is_not_compared_with_an_easy_one(tmp_path):
    scheduler = make_scheduler(SweepConfig(grace_period=100), Store(tmp_path))
    easy = [trial(f"easy{i}", "easy") for i in range(4)]
    hard = [trial(f"hard{i}", "hard") for i in range(4)]
    values = {f"easy{i}": 40.0 - i for i in range(4)} | {f"hard{i}": 20.0 - i for i in range(4)}
    ends = drive(scheduler, [*easy, *hard], values)
    assert "hard0" not in ends
    assert ("easy3" in ends) and ("hard3" in ends)


def test_loss_is_minimised(tmp_path):
    scheduler = make_scheduler(SweepConfig(metric="loss", grace_period=100), Store(tmp_path))
    trials = [trial(f"t{i}", "a") for i in range(4)]
    ends = drive(scheduler, trials, {f"t{i}": 1.0 + i for i in range(4)})
    assert "t0" not in ends and "t3" in ends


def test_a_long_fit_is_not_ended_for_its_length(tmp_path):
    scheduler = make_scheduler(SweepConfig(grace_period=100), Store(tmp_path))
    only = trial("t", "a")
    assert drive(scheduler, [only], {"t": 1.0}, iterations=(100, 10_000, 1_000_000)) == {}


def test_none_ends_nothing(tmp_path):
    scheduler = make_scheduler(SweepConfig(scheduler="none"), Store(tmp_path))
    trials = [trial(f"t{i}", "a") for i in range(6)]
    assert drive(scheduler, trials, {f"t{i}": 30.0 - i for i in range(6)}) == {}


def test_hyperband_has_several_brackets(tmp_path):
    scheduler = make_scheduler(SweepConfig(scheduler="hyperband"), Store(tmp_path))
    scheduler.on_trial_add(None, trial("t", "a"))
    assert scheduler.debug_string().count("Bracket") == 3
