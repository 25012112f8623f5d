"""Replays: schedulers told by traces decide as in a sweep, and what that saves and loses."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from analysis import load_sweep
from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.replay import WholeFit, replay
from dipray.tasks.truth import add_noise
from experiments.cli import main
from experiments.replaying.fits import whole_fits
from experiments.replaying.orders import drawn_order
from experiments.replaying.scores import scores
from tests.ray_local import local_ray  # noqa: F401
from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

ASHA = SweepConfig(metric="psnr_peak", grace_period=20, reduction_factor=2.0, report_every=10)
NONE = ASHA.replace(scheduler="none", grace_period=100, reduction_factor=3.0)


def made(name, values, *, problem="p", pace=1.0, metric="psnr_peak"):
    """A fit that reports these values, each 10 iterations."""
    reports = [{"iteration": 10 * (i + 1), metric: value} for i, value in enumerate(values)]
    return WholeFit(name, problem, reports, [pace * each["iteration"] for each in reports])


# the simulation


def test_without_a_scheduler_every_fit_is_told_whole():
    fits = [made("a", [1, 2, 3]), made("b", [2, 2])]
    found = replay(fits, NONE, parallel=1)
    assert [(each.trial, each.iteration, each.value) for each in found.told] == [
        ("a", 10, 1), ("a", 20, 2), ("a", 30, 3), ("b", 10, 2), ("b", 20, 2)
    ]  # fmt: skip
    assert found.ends == {"a": 30, "b": 20}
    assert not found.stopped


def test_fits_run_side_by_side_and_the_next_begins_where_one_ends():
    fits = [made("slow", [1, 1], pace=2.0), made("quick", [1]), made("next", [1, 1])]
    found = replay(fits, NONE, parallel=2)
    told = [(each.trial, each.iteration) for each in found.told]
    # quick ends at 10; next begins then, so it is at 20 when slow is, which has waited for longer
    assert told == [("quick", 10), ("slow", 10), ("next", 10), ("next", 20), ("slow", 20)]


def test_asha_ends_what_is_below_its_rung():
    fits = [made("good", [3] * 6), made("bad", [1] * 6), made("better", [4] * 6)]
    found = replay(fits, ASHA, parallel=1)
    assert found.stopped == {"bad"}
    assert found.ends == {"good": 60, "bad": 20, "better": 60}
    # the first at a rung is compared with nobody, so the order counts
    assert replay(fits[::-1], ASHA, parallel=1).stopped == {"good", "bad"}
    # side by side they meet at the rung
    assert replay(fits, ASHA, parallel=3).stopped == {"bad"}


def test_pictures_are_not_compared():
    fits = [made("easy", [9] * 6, problem="p"), made("hard", [1] * 6, problem="q")]
    assert not replay(fits, ASHA, parallel=1).stopped


def test_a_loss_is_least_where_it_is_best():
    fits = [made("a", [1.0] * 6, metric="loss"), made("b", [2.0] * 6, metric="loss")]
    assert replay(fits, ASHA.replace(metric="loss"), parallel=1).stopped == {"b"}


def test_nothing_can_run_on_nothing():
    with pytest.raises(ConfigError, match="parallel=0: allowed is 1 or more"):
        replay([made("a", [1])], ASHA, parallel=0)
    assert replay([], ASHA, parallel=2).told == ()


def test_orders_are_drawn_with_the_pictures_in_turn():
    fits = [made(f"{problem}{i}", [1], problem=problem) for problem in "pq" for i in range(9)]
    drawn = drawn_order([*fits, made("q9", [1], problem="q")], 3)
    assert [fit.problem for fit in drawn] == [*"pq" * 9, "q"]
    assert len({fit.trial for fit in drawn}) == 19
    assert drawn[:18:2] != fits[:9]
    assert drawn_order(fits, 3) == drawn_order(fits, 3) != drawn_order(fits, 4)


# what a sweep did is what its replay does


@pytest.fixture(scope="module")
def pictures(_astronaut):
    truths = {"astronaut": _astronaut, "mirrored": _astronaut.flip(3)[:, :, :24].contiguous()}
    return [
        Problem(add_noise(truth, noise_sigma=25, seed=1), reference=truth, name=name)
        for name, truth in truths.items()
    ]


FIT = FitConfig(depth=1, features=4, input_channels=4, iterations=60, device="cpu")
SPACE = {"net": ["skip", "encdec"], "lr": [0.001, 0.1, 0.01]}


@pytest.fixture(scope="module")
def finished(local_ray, pictures, tmp_path_factory):  # noqa: F811
    """Every fit to its end, and the order in which the sweep planned them."""
    store = Store(tmp_path_factory.mktemp("replay") / "finished")
    config = NONE.replace(max_concurrent=2)
    result = run_sweep(pictures, SPACE, store, base=FIT, config=config)
    return load_sweep(store), result.trials


@pytest.mark.ray
@pytest.mark.parametrize(
    ("scheduler", "of_pictures"), [("asha", 2), ("hyperband", 1), ("median", 1)]
)
def test_a_replay_decides_as_the_sweep_did(finished, pictures, tmp_path, scheduler, of_pictures):
    sweep, order = finished
    pictures = pictures[:of_pictures]
    names = [picture.name for picture in pictures]
    order = [trial for trial in order if sweep.trials.loc[trial, "problem"] in names]
    config = ASHA.replace(
        scheduler=scheduler,
        reduction_factor=3.0 if scheduler == "median" else 2.0,
        max_concurrent=1,  # so that the order of reports is that of the grid
        stop_past_peak=False,
    )
    run_sweep(pictures, SPACE, str(tmp_path), base=FIT, config=config)
    really = load_sweep(tmp_path).trials
    found = replay(whole_fits(sweep, config, trials=order).fits, config, parallel=1)
    assert found.ends == really["iterations_run"].to_dict()
    assert found.stopped == set(really.index[really["stopped_by"] == scheduler])
    assert 0 < len(found.stopped) < len(order)


# folders


def curve(peak, *, at=50, length=100):
    """PSNR that rises to its peak and falls again."""
    steps = np.arange(1.0, length + 1)
    return peak - 0.1 * np.abs(steps - at)


def add_fit(store, seed, psnr, *, problem="p", outcome="BUDGET", **columns):
    config = BASE.replace(seed=seed, iterations=len(psnr), holdout=0.1)
    columns = {"seconds": np.linspace(0.1, 9, len(psnr)), **columns}
    rows = trace_rows(np.full(len(psnr), 0.1), lr=0.01, psnr=psnr, **columns)
    return add_trial(store, config, problem=problem, rows=rows, outcome=outcome)


@pytest.fixture
def store(tmp_path):
    """Six fits on each of two pictures, the later the better; reports each 10 iterations."""
    store = empty_sweep(tmp_path / "run")
    store.write_json("sweep.json", {"metric": "auto", "report_every": 10})
    for problem, base in (("p", 20.0), ("q", 30.0)):
        for seed in range(6):
            held_out = curve(base - seed, at=20)  # which says the contrary
            psnr = curve(base + seed)
            add_fit(store, seed, psnr, problem=problem, val_psnr=held_out)
    return store


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["replay", *map(str, arguments)])
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def test_scores_say_what_was_saved_and_lost(store):
    whole = whole_fits(load_sweep(store), ASHA)
    worst_first = sorted(whole.fits, key=lambda fit: fit.reports[-1]["psnr_peak"])
    nothing = scores(replay(worst_first, ASHA, parallel=1), whole, ASHA)
    assert nothing["stopped"].tolist() == [0, 0]
    assert nothing["share"].tolist() == [1, 1]
    table = scores(replay(worst_first[::-1], ASHA, parallel=1), whole, ASHA)
    assert table["problem"].tolist() == ["p", "q"]
    assert table["iterations"].tolist() == [100 + 5 * 20] * 2
    assert table["planned"].tolist() == [600] * 2
    assert table["lost"].tolist() == [0, 0]
    assert table["best"].tolist() == table["grid_best"].tolist() == [25, 35]
    assert load_sweep(store).trials.loc[table["chosen"], "seed"].tolist() == [5, 5]


def test_a_choice_without_the_truth_is_judged_by_it(store):
    config = ASHA.replace(metric="val_psnr_peak")
    whole = whole_fits(load_sweep(store), config)
    row = scores(replay(whole.fits, config, parallel=2), whole, config).iloc[0]
    # chosen is seed 0, at iteration 20, where its own PSNR is 3 dB below its peak
    assert (row["best"], row["psnr"]) == (pytest.approx(20), pytest.approx(17))
    assert row["grid_psnr"] == row["psnr"]
    assert row["best_psnr"] == pytest.approx(25)


def test_of_averages_the_average_is_handed_out(store):
    config = ASHA.replace(metric="psnr_ema_peak")
    with pytest.raises(ConfigError, match=r"metric='psnr_ema_peak': no fit of p has it"):
        whole_fits(load_sweep(store), config)
    add_fit(store, 9, curve(20.0), psnr_ema=curve(22.0, at=70))
    whole = whole_fits(
        load_sweep(store), config.replace(report_every=40), trials=trials_with(store, 9)
    )
    (handed,) = whole.handed_out.values()
    assert handed == {40: pytest.approx(19), 80: pytest.approx(22), 100: pytest.approx(22)}


def trials_with(store, seed):
    trials = load_sweep(store).trials
    return list(trials.index[trials["seed"] == seed])


def test_seconds_are_those_of_the_trace(store):
    whole = whole_fits(load_sweep(store), ASHA, clock="seconds")
    assert whole.fits[0].times[-1] == 9
    assert whole_fits(load_sweep(store), ASHA).fits[0].times[-1] == 100


def test_the_command_prints_and_writes(store, capsys):
    run = store.location
    code, out, err = said(capsys, run, "--grace-period", 20, "--reduction-factor", 2, "--seeds", 5)
    assert (code, err) == (0, "")
    assert "asha, grace period 20, factor 2: psnr_peak, a report each 10 iterations" in out
    assert [line.split()[0] for line in out.splitlines()[4:7]] == ["p", "q", "all"]
    assert "ended: " in out and " at 20" in out
    table = pd.read_csv(f"{run}/replay/scores.csv")
    assert len(table) == 10
    assert (table["lost"] == 0).all()  # a fit that is better from the start is never ended
    ends = pd.read_parquet(f"{run}/replay/ends.parquet")
    assert len(ends) == 5 * 12
    assert ends.loc[~ends["stopped"], "iteration"].eq(100).all()
    sums = ends.groupby(["seed", "problem"])["iteration"].sum()
    assert sums.to_list() == table.set_index(["seed", "problem"])["iterations"].to_list()


@pytest.mark.parametrize("scheduler", ["hyperband", "median", "none"])
def test_every_scheduler_is_replayed(store, tmp_path, capsys, scheduler):
    code, out, _ = said(
        capsys, store.location, "--scheduler", scheduler, "--save-dir", tmp_path / "tables"
    )
    assert code == 0
    assert out.startswith(scheduler)
    assert (tmp_path / "tables" / "scores.csv").exists()
    assert not store.exists("replay")


def test_without_the_truth_the_held_out_error_counts_and_the_truth_stands_beside(store, capsys):
    _, out, _ = said(capsys, store.location, "--metric", "val_psnr_peak", "--seeds", 2)
    said_of_p = "p, PSNR against the truth: 17.00 dB is chosen, 17.00 in the whole grid; the best"
    assert said_of_p in out
    _, out, _ = said(capsys, store.location, "--seeds", 2)
    assert "against the truth" not in out


def test_what_a_scheduler_cut_short_is_refused(store, capsys):
    add_fit(store, 7, curve(20.0), outcome="asha")
    code, out, err = said(capsys, store.location)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "1 of 13 fits were ended early by asha, and what they would have done later" in err


def test_what_ended_by_its_own_rule_is_whole(store):
    add_fit(store, 7, curve(20.0, length=60), outcome="STOPPED")
    whole = whole_fits(load_sweep(store), ASHA, trials=trials_with(store, 7))
    assert whole.fits[0].reports[-1]["iteration"] == 60


def test_a_trace_with_a_gap_is_refused(store):
    (trial,) = trials_with(store, 5)[:1]
    place = store.child("trials", trial)
    place.write_json("outcome.json", place.read_json("outcome.json") | {"iterations_run": 160})
    with pytest.raises(FolderError, match="has 100 of 160 iterations in its trace"):
        whole_fits(load_sweep(store), ASHA)


@pytest.mark.parametrize(
    ("outcome", "complaint"),
    [
        ("RUNNING", "1 of 13 fits are not finished; go on with the sweep first"),
        ("INTERRUPTED", "1 of 13 fits are not finished"),
    ],
)
def test_what_is_not_finished_is_refused(store, outcome, complaint):
    add_fit(store, 7, curve(20.0), outcome=outcome)
    with pytest.raises(FolderError, match=complaint):
        whole_fits(load_sweep(store), ASHA)


def test_failed_fits_and_those_without_a_number_are_left_out(store):
    add_fit(store, 7, curve(20.0), outcome="FAILED")
    empty = add_fit(store, 8, np.full(3, math.nan), outcome="DIVERGED")
    whole = whole_fits(load_sweep(store), ASHA)
    assert len(whole.fits) == 12
    assert whole.left_out == ("1 fits that failed", f"{empty}, which has no psnr")


def test_pixels_held_out_must_be_the_same(store):
    config = BASE.replace(seed=9, holdout=0.2)
    rows = trace_rows(np.full(100, 0.1), lr=0.01, psnr=curve(20.0), val_psnr=curve(20.0))
    add_trial(store, config, rows=rows)
    with pytest.raises(ConfigError, match="fits of p do not hold out the same pixels"):
        whole_fits(load_sweep(store), ASHA.replace(metric="val_psnr_peak"))
    assert len(whole_fits(load_sweep(store), ASHA).fits) == 13


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seeds", "0"], "seeds=0: allowed is 1 or more"),
        (["--parallel", "0"], "parallel=0: allowed is 1 or more"),
        (["--reduction-factor", "1"], "reduction_factor=1.0: allowed is above 1"),
        (["--scheduler", "median", "--reduction-factor", "2"], "it is used with asha"),
    ],
)
def test_wrong_usage_is_one_line(store, capsys, arguments, complaint):
    code, _, err = said(capsys, store.location, *arguments)
    assert code == 2
    assert err.count("\n") == 1 and complaint in err


def test_several_folders_need_a_place_and_no_folder_is_an_error(store, tmp_path, capsys):
    other = empty_sweep(tmp_path / "other")
    add_fit(other, 20, curve(21.0))
    code, _, err = said(capsys, store.location, other.location)
    assert code == 1 and "several folders; say where to write" in err
    place = tmp_path / "tables"
    code, _, _ = said(capsys, store.location, other.location, "--save-dir", place)
    assert code == 0
    assert pd.read_csv(place / "scores.csv")["fits"].max() == 7
    code, _, err = said(capsys)
    assert code == 2 and "give a folder" in err


def test_a_foreign_sweep_json_is_as_good_as_none(store, capsys):
    for asked in ({"metric": 3, "report_every": "x"}, {"report_every": -1}, {}):
        store.write("sweep.json", json.dumps(asked).encode())
        code, out, _ = said(capsys, store.location, "--seeds", 1)
        assert code == 0
        assert "psnr_peak, a report each 25 iterations" in out
