import dataclasses
import math
import os
import signal

import pandas as pd
import pytest
import torch
from ray import tune

from analysis import leaderboard, load_sweep
from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import trial_id
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.tasks.truth import add_noise
from tests.ray_local import local_ray  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

BASE = FitConfig(depth=2, features=4, input_channels=4, iterations=60, device="cpu")
SWEEP = SweepConfig(grace_period=20, reduction_factor=2.0, report_every=20)
SPACE = {
    "net": ["skip", "encdec"],
    "optimizer": [{"optimizer": "adam", "lr": 0.01}, {"optimizer": "sgd", "lr": 1e-4}],
}


@pytest.fixture(scope="module")
def pictures(_astronaut):
    truths = {"astronaut": _astronaut, "mirrored": _astronaut.flip(3)[:, :, :24].contiguous()}
    return [
        Problem(
            add_noise(truth, noise_sigma=25, seed=1),
            reference=truth,
            name=name,
            origin={"task": "denoise", "noise_sigma": 25.0},
        )
        for name, truth in truths.items()
    ]


@pytest.fixture(scope="module")
def swept(local_ray, pictures, tmp_path_factory):  # noqa: F811
    """Two pictures, two networks, two optimizers, ended early by ASHA."""
    store = Store(tmp_path_factory.mktemp("sweep") / "two")
    result = run_sweep(pictures, SPACE, store, base=BASE, config=SWEEP)
    return store, result


def test_every_configuration_of_every_picture_is_a_trial(swept, pictures):
    store, result = swept
    assert (result.run, result.kept, result.failed) == (8, 0, 0)
    trials = load_sweep(store).trials
    assert trials.groupby(["problem", "net", "optimizer"]).size().eq(1).all()
    # a sweep that compares running bests ends a fit past its own
    wanted = BASE.replace(net="encdec", optimizer="sgd", lr=1e-4, stop="psnr")
    assert trial_id("astronaut", pictures[0].fingerprint(), wanted) in trials.index


def test_outcomes_say_who_ended_a_fit(swept):
    trials = load_sweep(swept[0]).trials
    assert set(trials["outcome"]) == {"BUDGET", "STOPPED"}
    stopped = trials[trials["outcome"] == "STOPPED"]
    assert set(stopped["stopped_by"]) == {"asha"}
    assert (stopped["iterations_run"] < 60).all()
    assert (trials.loc[trials["outcome"] == "BUDGET", "iterations_run"] == 60).all()
    # one of each picture lives, whatever the other picture does
    assert set(trials.loc[trials["outcome"] == "BUDGET", "problem"]) == {"astronaut", "mirrored"}


def test_folders_are_whole_even_of_trials_that_were_ended(swept):
    store, _ = swept
    for name in store.names("trials"):
        assert {
            "config.json",
            "ema.png",
            "final.png",
            "outcome.json",
            "peak.png",
            "peak_ema.png",
            "problem.json",
            "provenance.json",
            "trace.parquet",
        } <= set(store.names(f"trials/{name}"))


def test_tables_and_traces_agree(swept):
    sweep = load_sweep(swept[0])
    trials, traces = sweep.trials, sweep.traces(columns=["psnr", "psnr_ema"])
    assert set(traces["trial"]) == set(trials.index)
    peaks = traces.groupby("trial", observed=True)["psnr"].max()
    for trial in trials.index:
        assert peaks[trial] == pytest.approx(trials.loc[trial, "psnr_peak"], abs=1e-5)
    assert sweep.left_out == []


def test_baselines_stand_in_the_leaderboard(swept):
    methods = set(leaderboard(load_sweep(swept[0]))["method"])
    assert {"non-local means", "noisy input"} <= methods


def test_a_second_call_keeps_what_is_finished(swept, pictures):
    store, _ = swept
    before = load_sweep(store).trials
    result = run_sweep(pictures, SPACE, store, base=BASE, config=SWEEP)
    assert (result.run, result.kept) == (0, 8)
    pd.testing.assert_frame_equal(load_sweep(store).trials, before)


def test_a_larger_grid_runs_only_what_is_new(swept, pictures):
    store, _ = swept
    larger = {**SPACE, "net": ["skip", "encdec", "unet"]}
    result = run_sweep(pictures[:1], larger, store, base=BASE, config=SWEEP)
    assert (result.run, result.kept) == (2, 4)


def test_tune_reads_its_own_files(swept):
    from ray.tune import ExperimentAnalysis

    store, _ = swept
    folder = store.names("tune")[0]
    analysis = ExperimentAnalysis(f"{store}/tune/{folder}")
    assert all(trial.run_metadata.metric_n_steps == {} for trial in analysis.trials)
    best = analysis.get_best_trial("psnr_peak", mode="max", scope="last-5-avg")
    assert best.metric_analysis["psnr_peak"]["last-5-avg"] > 0
    frame = analysis.dataframe()
    ours = load_sweep(store).trials
    assert len(frame) == 8
    for row in frame.to_dict("records"):
        trial = ours.loc[row["config/trial"]]
        assert row["psnr_peak"] == pytest.approx(trial["psnr_peak"], abs=1e-4)
        assert row["iteration"] == trial["iterations_run"]
        assert all(math.isfinite(row[name]) for name in ("loss", "psnr", "tv", "hf_energy"))


def test_tensorboard_reads_the_events(swept):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    store, _ = swept
    trials = load_sweep(store).trials
    call = f"tune/{store.names('tune')[0]}"
    ended = trials.index[trials["outcome"] == "BUDGET"]
    name = next(name for name in ended if store.exists(f"{call}/{name}"))
    events = EventAccumulator(f"{store}/{call}/{name}").Reload()
    scalars = events.Scalars("ray/tune/psnr_peak")
    assert len(scalars) == 3
    assert scalars[-1].value == pytest.approx(trials.loc[name, "psnr_peak"], abs=1e-4)


def test_another_picture_of_the_same_name_is_refused(swept, pictures):
    other = dataclasses.replace(pictures[0], y=pictures[0].y.flip(2))
    with pytest.raises(FolderError, match="another picture of this name"):
        run_sweep([other], SPACE, swept[0], base=BASE, config=SWEEP)


def test_a_trial_equals_the_fit_alone(swept, pictures):
    from dipray import fit

    sweep = load_sweep(swept[0])
    trials = sweep.trials
    chosen = trials[(trials["outcome"] == "BUDGET") & (trials["problem"] == "astronaut")]
    row = chosen.iloc[0]
    config = BASE.replace(net=row["net"], optimizer=row["optimizer"], lr=row["lr"])
    alone = fit(pictures[0], config)
    trace = sweep.traces(columns=["loss", "psnr"], trials=[chosen.index[0]])
    assert trace["loss"].tolist() == alone.trace["loss"].tolist()
    assert trace["psnr"].tolist() == alone.trace["psnr"].tolist()


def breaking_operator():
    """The identity until something learns through it often enough."""

    class Breaking(torch.nn.Module):  # local, so that it travels to the workers by value
        left = 30

        def forward(self, x):
            if x.requires_grad:
                self.left -= 1
                if not self.left:
                    raise ValueError("out of luck")
            return x

    return Breaking()


def missing_operator():
    """Cannot be unpickled."""

    class Missing:
        def __call__(self, x):
            return x

        def __reduce__(self):
            return (__import__, ("no_such_module",))

    return Missing()


def test_failures_and_divergence_are_rows(pictures, tmp_path):
    broken = dataclasses.replace(pictures[0], operator=breaking_operator(), name="broken")
    explosive = {"optimizer": "sgd", "norm": "none", "lr": 1e4, "weight_decay": 1.0}
    space = {"net": ["skip", "encdec"], "optimizer": [{"optimizer": "adam"}, explosive]}
    plain = {"scheduler": "none", "grace_period": 100, "reduction_factor": 3.0}
    config = SWEEP.replace(**plain, max_failures=0)
    result = run_sweep([broken, pictures[1]], space, str(tmp_path), base=BASE, config=config)
    trials = load_sweep(tmp_path).trials
    assert len(trials) == result.run == 8
    by_problem = trials.groupby("problem")["outcome"].agg(set)
    assert "FAILED" in by_problem["broken"]
    assert "FAILED" not in by_problem["mirrored"]
    assert result.failed == (trials["outcome"] == "FAILED").sum()
    assert "out of luck" in trials.loc[trials["outcome"] == "FAILED", "reason"].iloc[0]
    explosive_ones = (trials["optimizer"] == "sgd") & (trials["problem"] == "mirrored")
    assert set(trials.loc[explosive_ones, "outcome"]) == {"DIVERGED"}


def deadly_operator():
    """Ends the process that learns through it."""

    class Deadly(torch.nn.Module):
        left = 15  # more often than a problem tries its operator

        def forward(self, x):
            if x.requires_grad:
                self.left -= 1
                if not self.left:
                    os._exit(1)
            return x

    return Deadly()


def test_a_worker_that_dies_is_a_row(pictures, tmp_path):
    deadly = dataclasses.replace(pictures[0], operator=deadly_operator(), name="deadly")
    config = SWEEP.replace(max_failures=1)
    result = run_sweep([deadly], {"net": "skip"}, str(tmp_path), base=BASE, config=config)
    assert (result.run, result.failed) == (1, 1)
    (row,) = load_sweep(tmp_path).trials.to_dict("records")
    assert row["outcome"] == "FAILED"
    assert "ActorDied" in row["reason"]


def test_a_trial_that_cannot_begin_is_a_row(pictures, tmp_path):
    lost = dataclasses.replace(pictures[0], operator=missing_operator(), name="lost")
    config = SWEEP.replace(max_failures=0)
    result = run_sweep([lost], {"net": "skip"}, str(tmp_path), base=BASE, config=config)
    assert (result.run, result.failed) == (1, 1)
    (row,) = load_sweep(tmp_path).trials.to_dict("records")
    assert (row["problem"], row["outcome"]) == ("lost", "FAILED")
    assert "no_such_module" in row["reason"]


class CtrlC(tune.Callback):
    """Presses Ctrl-C once `count` trials have reported."""

    def __init__(self, count):
        self.count = count
        self.seen = set()

    def on_trial_result(self, iteration, trials, trial, result, **info):
        before = len(self.seen)
        self.seen.add(trial.trial_id)
        if before < len(self.seen) == self.count:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_trial_is_run_again(pictures, tmp_path):
    base = BASE.replace(iterations=100_000)
    config = SweepConfig(scheduler="none", report_every=20)
    space = {"net": ["skip", "encdec"]}
    result = run_sweep(
        pictures[:1], space, str(tmp_path), base=base, config=config, callbacks=[CtrlC(2)]
    )
    assert (result.run, result.interrupted) == (0, 2)
    first = load_sweep(tmp_path).trials
    assert set(first["outcome"]) == {"INTERRUPTED"}
    assert (first["iterations_run"] < 100_000).all()
    short = base.replace(iterations=20)
    done = run_sweep(pictures[:1], space, str(tmp_path), base=short, config=config)
    assert (done.run, done.kept, done.interrupted) == (2, 0, 0)


def test_a_time_budget_ends_a_sweep(pictures, tmp_path):
    base = BASE.replace(iterations=100_000)
    config = SweepConfig(scheduler="none", report_every=20, time_budget_s=6.0, max_concurrent=1)
    space = {"net": ["skip", "encdec", "unet"]}
    result = run_sweep(pictures[:1], space, str(tmp_path), base=base, config=config)
    assert (result.run, result.interrupted) == (0, 3)


def test_optuna_searches_each_picture_and_goes_on(pictures, tmp_path):
    from search_spaces import SPACES

    space = SPACES["everything"].ranges
    config = SWEEP.replace(search="optuna", num_samples=2)
    base = BASE.replace(iterations=20)

    def small(trial):
        wanted = ("net", "lr", "optimizer", "momentum", "input_kind", "skip_channels")
        return {name: value for name, value in space(trial).items() if name in wanted}

    base = base.replace(input_channels=None)
    first = run_sweep(pictures, small, str(tmp_path), base=base, config=config)
    assert first.run == 4
    again = run_sweep(pictures, small, str(tmp_path), base=base, config=config)
    assert (again.run, again.kept) == (0, 4)
    more = config.replace(num_samples=3)
    assert run_sweep(pictures, small, str(tmp_path), base=base, config=more).run == 2
    assert load_sweep(tmp_path).trials.groupby("problem").size().tolist() == [3, 3]


def test_a_sweep_without_the_truth_needs_another_metric(pictures, tmp_path):
    blind = dataclasses.replace(pictures[0], reference=None, name="blind")
    for metric in ("psnr_peak", "psnr_ema"):
        config = SWEEP.replace(metric=metric)
        with pytest.raises(ConfigError, match=r"needs the truth of blind; .* val_psnr_ema_peak"):
            run_sweep([blind], SPACE, str(tmp_path), base=BASE, config=config)
    config = SWEEP.replace(metric="loss")
    assert run_sweep([blind], SPACE, str(tmp_path), base=BASE, config=config).run == 4
    trials = load_sweep(tmp_path).trials
    assert trials["psnr_peak"].isna().all()
    assert trials["loss_final"].notna().all()


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        ({"depth": [2, 7]}, "depth=7: too deep"),
        ({"lr": [0.1, -1]}, r"lr\[1\]=-1: allowed is above 0 and at most 1,000,000"),
        ({"momentum": [0.9]}, "momentum=0.9: has no effect"),
        (lambda trial: {}, "this space has no grid"),
    ],
)
def test_a_bad_point_is_refused_before_anything_runs(pictures, tmp_path, space, complaint):
    folder = tmp_path / "none"
    with pytest.raises(ConfigError, match=complaint):
        run_sweep(pictures, space, str(folder), base=BASE, config=SWEEP)
    assert not folder.exists()


def test_every_iteration_may_be_reported(pictures, tmp_path):
    config = SWEEP.replace(report_every=1, reports_per_s=None)
    base = BASE.replace(iterations=7)
    run_sweep(pictures[:1], {"net": "skip"}, str(tmp_path), base=base, config=config)
    (progress,) = tmp_path.glob("tune/*/astronaut-*/progress.csv")
    reported = pd.read_csv(progress)
    assert reported["iteration"].tolist() == list(range(1, 8))
    assert (reported["psnr_peak"].diff().dropna() >= 0).all()


def test_a_folder_of_something_else_is_refused(pictures, tmp_path):
    (tmp_path / "trials.csv").write_text("mine")
    with pytest.raises(FolderError, match="is no sweep"):
        run_sweep(pictures, SPACE, str(tmp_path), base=BASE, config=SWEEP)
    assert (tmp_path / "trials.csv").read_text() == "mine"


def test_pictures_need_names_of_their_own(pictures, tmp_path):
    with pytest.raises(ConfigError, match="different names"):
        run_sweep([pictures[0]] * 2, SPACE, str(tmp_path), base=BASE, config=SWEEP)


def test_foreign_trial_folders_do_not_stop_a_sweep(pictures, tmp_path):
    for name, text in (("none", None), ("list", "[]"), ("broken", "{")):
        folder = Store(tmp_path / "sweep" / "trials" / name)
        folder.write_json("outcome.json", {"outcome": "BUDGET", "psnr_peak": 30.0})
        if text is not None:
            folder.write("problem.json", text.encode())
    Store(tmp_path / "sweep").write_json("sweep.json", {})
    base = BASE.replace(iterations=5)
    for config in (SWEEP, SWEEP.replace(search="optuna", num_samples=1)):
        location = str(tmp_path / "sweep")
        run_sweep(pictures[:1], {"net": ["skip"]}, location, base=base, config=config)
    trials = load_sweep(tmp_path / "sweep").trials
    assert trials["outcome"].tolist() == ["BUDGET"]
