"""Sweeps of pictures without the truth: what they compare by, and what they refuse."""

import dataclasses
import json

import pandas as pd
import pytest
import torch

from analysis import leaderboard, load_sweep
from analysis.leaderboard import ranking_metric
from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.tasks.truth import add_noise
from tests.ray_local import local_ray  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

BASE = FitConfig(depth=1, features=4, input_channels=4, iterations=120, snapshots=0, device="cpu")
SPACE = {"lr": [0.03, 0.01, 1e-6, 1e-7]}


def blind(name: str, truth: torch.Tensor, *, sigma: float = 25) -> Problem:
    return Problem(add_noise(truth, noise_sigma=sigma, seed=1), name=name)


@pytest.fixture(scope="module")
def pictures(_astronaut) -> list[Problem]:
    """One that is easy to fit, and one that is nearly noise."""
    return [
        blind("easy", 0.5 + 0.1 * _astronaut, sigma=5),
        blind("hard", _astronaut.flip(3), sigma=120),
    ]


@pytest.fixture(scope="module")
def swept(local_ray, pictures, tmp_path_factory):  # noqa: F811
    """The default settings: whatever a sweep does of itself."""
    store = Store(tmp_path_factory.mktemp("blind") / "two")
    return store, run_sweep(pictures, SPACE, store, base=BASE)


def test_a_sweep_without_the_truth_goes_by_what_it_holds_out(swept):
    store, result = swept
    assert (result.run, result.failed) == (8, 0)
    asked = store.read_json("sweep.json")
    assert (asked["metric"], asked["scheduler"], asked["mode"]) == ("auto", "asha", "max")
    assert (asked["base"]["holdout"], asked["base"]["stop"]) == (None, "val")
    sweep = load_sweep(store)
    assert sweep.left_out == []
    trials = sweep.trials
    assert set(trials["holdout"]) == {0.1} and set(trials["stop"]) == {"val"}
    assert trials["psnr_peak"].isna().all()
    assert trials["val_psnr_ema_peak"].notna().all()
    assert ranking_metric(sweep) == "val_psnr_ema_peak"


def test_asha_ends_the_worst_of_each_picture(swept):
    trials = load_sweep(swept[0]).trials
    assert set(trials["outcome"]) == {"BUDGET", "STOPPED"}
    for problem, ours in trials.groupby("problem"):
        stopped = ours["outcome"] == "STOPPED"
        assert stopped.any() and (~stopped).any(), problem
        assert set(ours.loc[stopped, "stopped_by"]) == {"asha"}
        best = ours["val_psnr_ema_peak"].idxmax()
        assert ours.loc[best, "outcome"] == "BUDGET"
        assert ours.loc[best, "lr"] >= 0.01
    # every fit of the one is better than any of the other, which costs the other nothing
    values = trials.groupby("problem")["val_psnr_ema_peak"]
    assert values.min()["easy"] > values.max()["hard"]


def test_the_leaderboard_shows_what_was_held_out(swept):
    sweep = load_sweep(swept[0])
    board = leaderboard(sweep, metric=ranking_metric(sweep))
    assert list(board["val_psnr_ema_peak"]) == list(
        board.sort_values(["problem", "val_psnr_ema_peak"], ascending=[True, False])[
            "val_psnr_ema_peak"
        ]
    )
    assert {"val_psnr_ema_peak", "iteration_val_ema_peak"} < set(board.columns)
    assert set(board["method"]) == {"dip"}  # nothing else was asked what is held out
    assert board.groupby("problem")["rank"].apply(list).tolist() == [[1, 2, 3, 4]] * 2
    named = sweep.store.names(f"trials/{board['trial'].iloc[0]}")
    assert {"peak_val.png", "peak_val_ema.png", "ema.png", "pick_val.png"} <= set(named)
    assert "peak.png" not in named


def test_tune_is_told_what_was_held_out(swept):
    store, _ = swept
    (call,) = store.names("tune")
    trials = load_sweep(store).trials
    for name in trials.index:
        progress = pd.read_csv(f"{store}/tune/{call}/{name}/progress.csv")
        peak = trials.loc[name, "val_psnr_ema_peak"]
        assert progress["val_psnr_ema_peak"].iloc[-1] == pytest.approx(peak, abs=1e-4)
        assert (progress["val_psnr_ema_peak"].diff().dropna() >= 0).all()
        assert "psnr_peak" not in progress.columns


def test_the_same_sweep_again_is_done(swept, pictures):
    result = run_sweep(pictures, SPACE, swept[0], base=BASE)
    assert (result.run, result.kept) == (0, 8)


def test_a_fit_ends_past_its_peak(pictures, tmp_path):
    base = BASE.replace(lr=0.3, iterations=5000, patience=20)
    run_sweep(pictures[1:], {"seed": [0]}, str(tmp_path), base=base)
    (row,) = load_sweep(tmp_path).trials.to_dict("records")
    assert (row["outcome"], row["stopped_by"]) == ("STOPPED", "val")
    assert row["iterations_run"] == row["pick_val_fired"] < 5000
    assert row["iterations_run"] - row["iteration_val_ema_peak"] >= 20
    assert row["pick_val"] == row["iteration_val_ema_peak"]


def test_a_fit_goes_on_past_its_peak_if_it_is_told_to(pictures, tmp_path):
    base = BASE.replace(lr=0.3, iterations=100, patience=1, ema_decay=0.5)
    config = SweepConfig(stop_past_peak=False)
    run_sweep(pictures[1:], {"seed": [0]}, str(tmp_path), base=base, config=config)
    (row,) = load_sweep(tmp_path).trials.to_dict("records")
    assert (row["outcome"], row["iterations_run"]) == ("BUDGET", 100)
    assert row["pick_val_fired"] < 100


def test_optuna_learns_from_what_was_held_out(pictures, tmp_path):
    config = SweepConfig(search="optuna", num_samples=2, report_every=10, grace_period=30)
    base = BASE.replace(iterations=20)
    space = {"lr": [0.03, 0.01, 0.003, 0.001]}
    first = run_sweep(pictures, space, str(tmp_path), base=base, config=config)
    assert (first.run, first.failed) == (4, 0)
    again = run_sweep(pictures, space, str(tmp_path), base=base, config=config)
    assert (again.run, again.kept) == (0, 4)
    more = config.replace(num_samples=3)
    assert run_sweep(pictures, space, str(tmp_path), base=base, config=more).run == 2
    trials = load_sweep(tmp_path).trials
    assert trials.groupby("problem").size().tolist() == [3, 3]
    assert trials["val_psnr_ema_peak"].notna().all()


def test_one_picture_without_the_truth_makes_all_go_by_what_is_held_out(
    pictures, _astronaut, tmp_path
):
    known = dataclasses.replace(pictures[0], reference=0.5 + 0.1 * _astronaut, name="known")
    base = BASE.replace(iterations=20)
    run_sweep([known, pictures[1]], {"lr": [0.01]}, str(tmp_path), base=base)
    trials = load_sweep(tmp_path).trials.set_index("problem")
    assert trials["val_psnr_ema_peak"].notna().all()
    assert trials["psnr_ema_at_val_peak"].notna().to_dict() == {"known": True, "hard": False}


def test_with_the_truth_nothing_is_held_out_unless_it_is_compared(_astronaut, tmp_path):
    problem = dataclasses.replace(blind("known", _astronaut), reference=_astronaut)
    base = BASE.replace(iterations=10)
    run_sweep([problem], {"lr": [0.01]}, str(tmp_path / "a"), base=base)
    (row,) = load_sweep(tmp_path / "a").trials.to_dict("records")
    assert (row["holdout"], row["stop"]) == (0.0, "psnr")
    config = SweepConfig(metric="val_psnr_peak", scheduler="none")
    run_sweep([problem], {"lr": [0.01]}, str(tmp_path / "b"), base=base, config=config)
    sweep = load_sweep(tmp_path / "b")
    assert (sweep.trials["holdout"].item(), ranking_metric(sweep)) == (0.1, "val_psnr_peak")
    assert sweep.trials["psnr_at_val_peak"].notna().all()


@pytest.mark.parametrize("varied", [{"holdout": [0.05, 0.1]}, {"holdout_seed": [1, 2]}])
def test_what_is_held_out_may_vary_only_where_nobody_is_compared_by_it(
    varied, pictures, _astronaut, tmp_path
):
    (field,) = varied
    with pytest.raises(ConfigError, match=f"{field}: fits are compared by what they hold out"):
        run_sweep(pictures, varied, str(tmp_path / "a"), base=BASE)
    problem = dataclasses.replace(pictures[1], reference=_astronaut.flip(3))
    config = SweepConfig(metric="val_psnr_peak")
    with pytest.raises(ConfigError, match=f"{field}: fits are compared by what they hold out"):
        run_sweep([problem], varied, str(tmp_path / "a"), base=BASE, config=config)
    assert not (tmp_path / "a").exists()
    base = BASE.replace(iterations=10, holdout=None if field == "holdout" else 0.05)
    assert run_sweep([problem], varied, str(tmp_path / "b"), base=base).run == 2
    found = load_sweep(tmp_path / "b").trials
    assert sorted(found[field]) == varied[field]
    assert found["psnr_peak"].notna().all()


def torn(name: str) -> Problem:
    """A picture of which 60 pixels are known."""
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., :6, :10] = 1
    return Problem(torch.rand(1, 3, 32, 32) * weight, weight=weight, name=name)


@pytest.mark.parametrize(
    ("base", "space", "complaint"),
    [
        ({}, {"lr": [0.01]}, "holdout=0.1: of the 60 measured pixels of torn that is 6, and 8"),
        ({"holdout": 0.95}, {"lr": [0.01]}, "of the 60 measured pixels of torn that leaves 3"),
        (
            {"stop": "psnr", "holdout": 0.2},
            {"lr": [0.01]},
            "stop='psnr': needs the truth of easy; stop is set outside of the space",
        ),
        ({"holdout": 0.2}, {"stop": ["psnr"]}, "stop='psnr': needs the truth of easy"),
        ({"holdout": 0.0}, {"stop": ["val"]}, "stop='val': needs more; write holdout, e.g. 0.03"),
    ],
)
def test_what_cannot_be_held_out_is_refused_before_anything_starts(
    base, space, complaint, pictures, tmp_path, monkeypatch
):
    monkeypatch.setattr("dipray.sweep.run.running_ray", lambda *_: pytest.fail("started"))
    problems, folder = [pictures[0], torn("torn")], tmp_path / "none"
    with pytest.raises(ConfigError) as caught:
        run_sweep(problems, space, str(folder), base=BASE.replace(**base))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not folder.exists()


def test_a_metric_of_what_is_held_out_needs_some(pictures, tmp_path):
    for config in (
        SweepConfig(metric="val_psnr"),
        SweepConfig(metric="val_psnr_peak", scheduler="none"),
    ):
        with pytest.raises(ConfigError, match="is of held-out measurements, and holdout is 0"):
            run_sweep(
                pictures, SPACE, str(tmp_path / "none"), base=BASE.replace(holdout=0.0),
                config=config,
            )  # fmt: skip
    assert not (tmp_path / "none").exists()


def test_with_nothing_to_compare_by_every_fit_runs_to_its_end(pictures, tmp_path):
    base = BASE.replace(holdout=0.0, iterations=110)
    run_sweep(pictures[1:], {"lr": [0.01, 1e-7]}, str(tmp_path), base=base)
    asked = json.loads((tmp_path / "sweep.json").read_text())
    assert (asked["scheduler"], asked["mode"]) == ("none", "min")
    sweep = load_sweep(tmp_path)
    assert set(sweep.trials["outcome"]) == {"BUDGET"}
    assert ranking_metric(sweep) == "loss_final"
