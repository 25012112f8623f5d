"""A sweep that broke off goes on: from checkpoints, with a scheduler that knows what was."""

import dataclasses
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ray import tune

from analysis import load_sweep
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import STOPPED
from dipray.loop import fit
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.resumption import resume
from dipray.store import Store
from dipray.sweep import Request, SweepConfig, forecast, run_sweep
from dipray.sweep.lock import held
from dipray.sweep.recall import recall
from dipray.sweep.schedulers import make_scheduler
from dipray.tasks.truth import add_noise
from tests.ray_local import local_ray  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

BASE = FitConfig(depth=2, features=4, input_channels=4, iterations=60, snapshots=0, device="cpu")
NONE = SweepConfig(scheduler="none", report_every=20, checkpoint_every_s=0.0)


def die_once(marker):
    """The identity, but the first process that learns through it for long dies."""

    class DieOnce(torch.nn.Module):
        left = 50

        def forward(self, x):
            if x.requires_grad:
                self.left -= 1
                if not self.left and not marker.exists():
                    marker.touch()
                    os._exit(1)
            return x

    return DieOnce()


def fail_once(marker):
    """The identity, but it fails once."""

    class FailOnce(torch.nn.Module):
        left = 50

        def forward(self, x):
            if x.requires_grad:
                self.left -= 1
                if not self.left and not marker.exists():
                    marker.touch()
                    raise ValueError("a passing fault")
            return x

    return FailOnce()


def hungry_operator():
    """Asks for more memory than there is once something learns through it."""

    class Hungry(torch.nn.Module):
        left = 15

        def forward(self, x):
            if x.requires_grad:
                self.left -= 1
                if not self.left:
                    torch.empty(2**60, dtype=torch.uint8)
            return x

    return Hungry()


def assert_as_never_interrupted(store, trial, problem, config):
    trace, whole = load_sweep(store).traces(trials=trial), fit(problem, config).trace
    assert trace["iteration"].tolist() == list(range(1, config.iterations + 1))
    for name in ("loss", "psnr_ema", "wmv", "grad_norm"):
        found = trace[name].to_numpy().astype(np.float32)
        np.testing.assert_array_equal(found, whole[name].astype(np.float32))


def test_a_trial_whose_worker_dies_goes_on_from_its_checkpoint(problem, tmp_path):
    harmed = dataclasses.replace(problem, operator=die_once(tmp_path / "marker"))
    store = Store(tmp_path / "sweep")
    result = run_sweep([harmed], {"net": "skip"}, store, base=BASE, config=NONE)
    assert (result.run, result.failed) == (1, 0)
    assert (tmp_path / "marker").exists()
    (trial,) = result.trials
    (entry,) = store.child("trials", trial).read_json("provenance.json")["resumed"]
    assert entry["after"] == 40
    assert_as_never_interrupted(store, trial, problem, BASE)


class KillsWhatEnds(tune.Callback):
    """Kills a worker right after its trial, when it is about to be given the next."""

    def __init__(self, times):
        self.left = times

    def on_trial_complete(self, iteration, trials, trial, **info):
        if self.left:
            self.left -= 1
            os.kill(trial.last_result["pid"], signal.SIGKILL)


@pytest.mark.parametrize(("max_failures", "failed"), [(3, 0), (0, 1)])
def test_a_worker_that_dies_between_two_trials_costs_nothing(
    problem, tmp_path, max_failures, failed
):
    store = Store(tmp_path / "sweep")
    config = NONE.replace(max_concurrent=1, max_failures=max_failures)
    kills = KillsWhatEnds(1)
    result = run_sweep(
        [problem], {"seed": [0, 1, 2]}, store, base=BASE, config=config, callbacks=[kills]
    )
    assert kills.left == 0
    assert (result.run, result.failed) == (3, failed)
    outcomes = load_sweep(store).trials["outcome"]
    assert (outcomes == "BUDGET").sum() == 3 - failed
    assert len(store.names("tune")) == 2 - failed  # those that were dropped are one more search


def test_failures_end_when_they_are_too_many(problem, tmp_path):
    harmed = dataclasses.replace(problem, operator=fail_once(tmp_path / "marker"))
    config = NONE.replace(max_failures=0)
    store = Store(tmp_path / "sweep")
    first = run_sweep([harmed], {"net": "skip"}, store, base=BASE, config=config)
    assert (first.run, first.failed) == (1, 1)
    again = run_sweep([harmed], {"net": "skip"}, store, base=BASE, config=config)
    assert (again.run, again.failed) == (1, 0)
    assert_as_never_interrupted(store, first.trials[0], problem, BASE)


def test_a_lack_of_memory_says_what_would_fit(problem, tmp_path):
    hungry = dataclasses.replace(problem, operator=hungry_operator(), name="hungry")
    config = NONE.replace(max_failures=0)
    result = run_sweep([hungry], {"net": "skip"}, str(tmp_path), base=BASE, config=config)
    assert result.failed == 1
    (reason,) = load_sweep(tmp_path).trials["reason"]
    assert "out of memory: net skip, depth 2, 4 features at 32x32 pixels needs about" in reason


def test_an_interrupted_sweep_goes_on_and_runs_nothing_twice(problem, tmp_path):
    store = Store(tmp_path / "sweep")
    space = {"seed": [0, 1, 2]}
    request = Request.of([problem], space, store, base=BASE, config=NONE)
    interrupted, stopped, new = request.plan().search.waiting
    # as a driver leaves it that was killed: one trial under way, one that ASHA had just ended
    for planned, at in ((interrupted, 40), (stopped, 20)):
        folder = store.child("trials", planned.trial)
        run, found = resume(folder, problem, BASE.replace(**planned.point))
        recorder = Recorder(folder, run, checkpoint_every_s=0.0, resumption=found)
        for block in run.blocks(10):
            recorder.add(block)
            if run.iteration >= at:
                break
        folder.remove("outcome.json")
    note = {"stopped_by": "asha", "stopped_at": 40}
    store.child("trials", stopped.trial).write_json(STOPPED, note)
    store.write_json("sweep.json", {})
    result = run_sweep([problem], space, store, base=BASE, config=NONE)
    assert (result.run, result.kept) == (3, 0)
    trials = load_sweep(store).trials
    assert trials.loc[stopped.trial, ["outcome", "stopped_by"]].tolist() == ["STOPPED", "asha"]
    assert trials.loc[stopped.trial, "iterations_run"] == 40
    for planned in (interrupted, new):
        config = BASE.replace(**planned.point)
        assert_as_never_interrupted(store, planned.trial, problem, config)
    resumed = [store.child("trials", each.trial) for each in (interrupted, stopped)]
    assert [each.read_json("provenance.json")["resumed"][0]["after"] for each in resumed] == [
        40,
        20,
    ]
    assert all(not store.child("trials", each).exists("checkpoint") for each in trials.index)
    assert run_sweep([problem], space, store, base=BASE, config=NONE).kept == 3


def test_rungs_are_what_they_would_be_had_the_sweep_never_ended(problem, tmp_path):
    config = SweepConfig(
        scheduler="asha", metric="psnr_peak", grace_period=20, report_every=20, max_concurrent=1
    )
    store = Store(tmp_path / "sweep")
    good, bad = {"lr": 0.01}, {"optimizer": "sgd", "lr": 1e-5}
    base = BASE.replace(stop="psnr")
    first = {"runs": [good, {**good, "seed": 1}, {**good, "seed": 2}]}
    run_sweep([problem], first, store, base=base, config=config)
    # alone in a folder of its own a bad fit is the first at its rung, and lives
    alone = run_sweep([problem], {"runs": [bad]}, str(tmp_path / "x"), base=base, config=config)
    assert load_sweep(alone.store).trials["outcome"].tolist() == ["BUDGET"]
    after = run_sweep([problem], {"runs": [bad]}, store, base=base, config=config)
    row = load_sweep(store).trials.loc[after.trials[0]]
    assert (row["outcome"], row["stopped_by"], row["iterations_run"]) == ("STOPPED", "asha", 20)


@pytest.fixture(scope="module")
def eight(local_ray, _astronaut, tmp_path_factory):  # noqa: F811
    """The trials of a sweep in which every fit ran to its end."""
    noisy = add_noise(_astronaut, noise_sigma=25, seed=0)
    problem = Problem(noisy, reference=_astronaut, name="astronaut")
    store = Store(tmp_path_factory.mktemp("eight") / "sweep")
    space = {"lr": [0.001, 0.01, 0.03, 0.1], "seed": [0, 1]}
    base = BASE.replace(stop="psnr", patience=1000)
    run_sweep([problem], space, store, base=base, config=NONE.replace(metric="psnr_peak"))
    return store.child("trials")


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_scheduler_that_is_told_equals_one_that_saw(name, eight):
    trials = eight
    config = SweepConfig(scheduler=name, metric="psnr_peak", grace_period=20, report_every=20)
    told, saw = make_scheduler(config, trials), make_scheduler(config, trials)
    known = list(recall(trials, {"astronaut": {}}, metric="psnr_peak", report_every=20))
    assert len(known) == 8 and all(len(each.reports) == 3 for each in known)
    for each in known:
        told.recall(each)
        trial = SimpleNamespace(config={"trial": each.trial, "problem": "astronaut"})
        saw.on_trial_add(None, trial)
        for result in each.reports:
            if saw.on_trial_result(None, trial, result) == "STOP" and name == "median":
                break
        saw.on_trial_complete(None, trial, each.reports[-1])
    new = SimpleNamespace(config={"trial": "astronaut-new", "problem": "astronaut"})
    decisions = []
    for scheduler in (told, saw):
        scheduler.write_notes = lambda: None
        scheduler.on_trial_add(None, new)
        rows = [{"iteration": at, "psnr_peak": 1.0 if at > 20 else 30.0} for at in (20, 40, 60)]
        decisions.append([scheduler.on_trial_result(None, new, row) for row in rows])
        # what a trial reports once more after a restart counts once
        assert scheduler.on_trial_result(None, new, rows[0]) == "CONTINUE"
    assert decisions[0] == decisions[1]
    assert told.debug_string() == saw.debug_string()


def test_fits_that_held_out_other_pixels_are_not_recalled(problem, tmp_path):
    store = Store(tmp_path / "sweep")
    config = NONE.replace(metric="val_psnr_ema_peak", stop_past_peak=False)
    for seed in (0, 1):
        base = BASE.replace(holdout=0.1, holdout_seed=seed)
        run_sweep([problem], {"net": "skip"}, store, base=base, config=config)
    asked = {"astronaut": {"holdout": 0.1, "holdout_seed": 1}}
    found = list(recall(store.child("trials"), asked, metric="val_psnr_ema_peak", report_every=20))
    assert len(found) == 1
    assert not list(recall(store.child("trials"), {}, metric="loss", report_every=20))


def test_more_iterations_go_on_where_the_state_was_kept(problem, tmp_path):
    store, space = Store(tmp_path / "sweep"), {"seed": [0, 1]}
    config = NONE.replace(keep_states=True)
    first = run_sweep([problem], space, store, base=BASE, config=config)
    more = BASE.replace(iterations=90)
    result = run_sweep([problem], {"seed": [0, 1, 2]}, store, base=more, config=config)
    assert (result.run, result.kept) == (3, 0)
    begun = []
    for trial in result.trials:
        said = store.child("trials", trial).read_json("provenance.json").get("resumed")
        begun.append(said and (said[0]["trial"], said[0]["after"]))
    assert begun == [*((trial, 50) for trial in first.trials), None]
    for seed, trial in enumerate(result.trials):
        assert_as_never_interrupted(store, trial, problem, more.replace(seed=seed))
    assert len(load_sweep(store).trials) == 5


def test_one_driver_a_folder(problem, tmp_path):
    store = Store(tmp_path / "sweep")
    run_sweep([problem], {"net": "skip"}, store, base=BASE.replace(iterations=5), config=NONE)
    with held(store), pytest.raises(FolderError, match=f"process {os.getpid()} is running a sweep"):
        run_sweep([problem], {"net": "unet"}, store, base=BASE, config=NONE)
    short = BASE.replace(iterations=5)
    assert run_sweep([problem], {"net": "skip"}, store, base=short, config=NONE).kept == 1


def test_a_forecast_starts_nothing(problem, tmp_path):
    store = Store(tmp_path / "none")
    space = {"net": ["skip", "encdec"], "lr": [0.1, 0.01], "seed": [0, 1]}
    request = Request.of([problem], space, store, base=BASE, config=SweepConfig())
    found = forecast(request)
    assert len(found.trials) == 8 and found.kept == 0
    assert (found.kinds, found.measured, found.at_once) == (2, 2, 2)
    assert found.iterations == 8 * 60
    assert 0 < found.fastest <= found.slowest
    assert 8 * 60 * found.fastest / 2 <= found.seconds <= 8 * 60 * found.slowest / 2 * 1.01
    assert found.disk > 100_000 and found.disk_checkpoints > 100_000 and found.memory > 2**20
    assert not store.exists("sweep.json") and store.names() == []


def test_a_forecast_knows_what_is_finished(problem, tmp_path):
    store, base = Store(tmp_path / "some"), BASE.replace(iterations=5)
    run_sweep([problem], {"seed": [0]}, store, base=base, config=NONE)
    request = Request.of([problem], {"seed": [0, 1]}, store, base=base, config=NONE)
    found = forecast(request)
    assert (len(found.trials), found.kept) == (1, 1)


def test_an_optuna_search_is_forecast_by_what_it_might_draw(problem, tmp_path):
    config = NONE.replace(search="optuna", num_samples=3)
    request = Request.of([problem], {"seed": [0, 1, 2, 3]}, str(tmp_path), base=BASE, config=config)
    assert len(forecast(request).trials) == 3


def test_a_problem_of_another_shape_is_measured_too(problem, tmp_path):
    small = Problem(problem.y[..., :16, :16], reference=problem.reference[..., :16, :16], name="s")
    request = Request.of([problem, small], {"net": "skip"}, str(tmp_path), base=BASE, config=NONE)
    assert forecast(request).kinds == 2
