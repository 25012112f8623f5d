"""Fits compared at equal loss: traces made with a known law of what depends on what."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analysis import load_sweep
from analysis.lr_bias import (
    EQUAL,
    change_text,
    level_sentences,
    lr_sentences,
    lr_slopes,
    lr_table,
)
from analysis.matched import COMPARED, HEAD, JITTER_WINDOW, lr_groups, matched, path_data
from analysis.names import UnknownNameError
from dipray.errors import ConfigError
from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

LRS = (0.1, 0.3, 1.0, 3.0)
STEPS = 300
EXACT = {"rtol": 2e-6}  # traces are float32


def steps_before(count=STEPS):
    return np.arange(count, dtype=float)


def loss_at(time):
    """The path that every learning rate goes along, at its own pace."""
    return 0.004 + 0.07 * np.exp(-0.05 * time)


def psnr_of(loss):
    return -10 * np.log10(loss)


def tv_of(loss):
    return 0.05 * loss**-0.3


def add_path(store, lr, *, seed=0, problem="p", loss=None, psnr=0.0, tv=1.0, every=1, **config):
    """A fit that goes along the path; psnr is added to, and tv times, what belongs to the loss."""
    loss = loss_at(lr * steps_before()) if loss is None else np.asarray(loss)
    columns = {
        "psnr": psnr_of(loss) + psnr,
        "psnr_ema": psnr_of(loss) + psnr + 1,
        "tv": tv_of(loss) * tv,
        "hf_energy": 0.1 + 0.01 * np.arange(len(loss)),
        "laplacian": loss,
    }
    outcome = config.pop("outcome", "BUDGET")
    iterations = config.pop("iterations", STEPS)
    settings = BASE.replace(lr=lr, seed=seed, iterations=iterations, **config)
    rows = trace_rows(loss, lr=lr, every=every, **columns)
    return add_trial(store, settings, problem=problem, rows=rows, outcome=outcome)


def swept(tmp_path, seeds=1, **more):
    store = empty_sweep(tmp_path)
    for lr, seed in itertools.product(LRS, range(seeds)):
        add_path(store, lr, seed=seed, **more)
    return load_sweep(store)


# a learning rate that changes the pace alone


def test_what_depends_on_the_loss_alone_is_equal_at_equal_loss(tmp_path):
    frame = matched(swept(tmp_path))
    assert list(frame.columns) == [*HEAD, *COMPARED]
    there = frame.dropna(subset="iteration")
    # psnr is linear in the logarithm that is interpolated in, tv is not
    np.testing.assert_allclose(there["psnr"], psnr_of(there["level"]), **EXACT)
    np.testing.assert_allclose(there["tv"], tv_of(there["level"]), rtol=1e-3)
    assert there.groupby("level")["lr"].nunique().max() == len(LRS)
    at_iterations = matched(swept(tmp_path), by="iteration")
    assert at_iterations.groupby("level")["psnr"].agg(np.ptp).max() > 1


def test_what_depends_on_the_way_alone_is_equal_at_equal_lr_x_iteration(tmp_path):
    """The first row is the state before any step, so the way is lr x (iteration - 1)."""
    frame = matched(swept(tmp_path), by="lr_x_iteration", levels=[3.0, 6.0, 15.0, 27.0])
    there = frame.dropna(subset="iteration")
    assert (there.groupby("level")["lr"].nunique() == [4, 4, 4, 4]).all()
    np.testing.assert_allclose(there["iteration"], 1 + there["level"] / there["lr"], rtol=1e-9)
    whole = np.isclose(there["iteration"] % 1, 0) | np.isclose(there["iteration"] % 1, 1)
    assert whole.all()
    np.testing.assert_allclose(there["psnr"], psnr_of(loss_at(there["level"])), **EXACT)


def test_a_schedule_goes_less_far(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in (0.5, 2.0):
        lrs = lr * 0.5 * (1 + np.cos(np.pi * steps_before() / STEPS))
        way = np.concatenate([[0], np.cumsum(lrs)[:-1]])
        rows = trace_rows(loss_at(way), lr=lrs, psnr=way)
        config = BASE.replace(lr=lr, lr_schedule="cosine", iterations=STEPS)
        add_trial(store, config, rows=rows)
    sweep = load_sweep(store)
    levels = [10.0, 50.0, 100.0]
    frame = matched(sweep, by="lr_x_iteration", levels=levels, columns="psnr")
    known = frame.dropna(subset="iteration")
    np.testing.assert_allclose(known["psnr"], known["level"], rtol=1e-5)
    reached = frame.groupby("lr")["iteration"].count()
    assert reached.to_dict() == {0.5: 2, 2.0: 3}  # 0.5 x 300 steps, half of it by the schedule


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_that_goes_up_and_down_is_met_where_it_first_falls(tmp_path, seed):
    random = np.random.default_rng(seed)
    loss = loss_at(steps_before()) * np.exp(0.5 * random.standard_normal(STEPS))
    store = empty_sweep(tmp_path)
    add_path(store, 1.0, loss=loss)
    levels = [0.05, 0.02, 0.01, 0.005]
    frame = matched(load_sweep(store), levels=levels).set_index("level")
    for level in levels:
        after = next(place for place, value in enumerate(loss) if value <= level)
        assert after <= frame.loc[level, "iteration"] <= after + 1
        # the columns belong to the loss of the same iterations, not to the least so far
        assert frame.loc[level, "psnr"] == pytest.approx(psnr_of(level), rel=1e-5)


# where a fit is not


def test_levels_beyond_the_end_or_before_the_start_are_nan(tmp_path):
    store = empty_sweep(tmp_path)
    slow, fast = (add_path(store, lr) for lr in (0.01, 1.0))
    start = float(loss_at(0))
    frame = matched(load_sweep(store), levels=[2 * start, 0.9 * start, 0.01, 0.001])
    known = frame.pivot(index="trial", columns="level", values="iteration").notna()
    assert list(known.columns) == [0.001, 0.01, 0.9 * start, 2 * start]
    assert list(known.loc[slow]) == [False, False, True, False]
    assert list(known.loc[fast]) == [False, True, True, False]
    assert frame.loc[frame["iteration"].isna(), list(COMPARED)].isna().all(axis=None)
    row = lr_table(frame).set_index(["lr", "level"])
    assert row.loc[(0.01, 0.01), ["trials", "reached"]].to_list() == [1, 0]
    assert math.isnan(row.loc[(0.01, 0.01), "psnr"])
    steps = matched(load_sweep(store), by="iteration", levels=[0.5, 1, STEPS, STEPS + 0.5])
    assert steps["iteration"].notna().to_list() == [False, True, True, False] * 2


def test_diverged_failed_and_empty_trials_are_rows(tmp_path):
    store = empty_sweep(tmp_path)
    add_path(store, 0.3)
    add_path(store, 1.0)
    late = loss_at(steps_before(40))
    late[-1] = np.nan
    early = np.array([np.nan])
    add_path(store, 3.0, loss=late, outcome="DIVERGED")
    add_path(store, 10.0, loss=early, outcome="DIVERGED")
    add_trial(store, BASE.replace(lr=30.0, iterations=STEPS), outcome="FAILED")
    frame = matched(load_sweep(store))
    assert frame.groupby("lr").size().eq(frame["level"].nunique()).all()
    table = lr_table(frame)
    sums = table.groupby("lr")[["reached", "diverged"]].agg(["min", "max"])
    assert sums.loc[10.0].to_list() == [0, 0, 1, 1]
    assert sums.loc[30.0].to_list() == [0, 0, 0, 0]
    assert sums.loc[0.3].to_list() == [1, 1, 0, 0]
    assert sums.loc[3.0, ("diverged", "max")] == 1
    for by in EQUAL:
        slopes = lr_slopes(matched(load_sweep(store), by=by))
        assert slopes["change"].notna().all()
    assert set(path_data(load_sweep(store), "psnr")["lr"]) == {0.3, 1.0, 3.0}


def test_what_is_passed_in_the_first_step_is_not_reached(tmp_path):
    """Else a fit would be compared at its start, or in the middle of a step."""
    store = empty_sweep(tmp_path)
    slow, fast = (add_path(store, lr) for lr in (0.1, 5.0))
    frame = matched(load_sweep(store), by="lr_x_iteration", levels=[1.0, 4.9, 5.0, 20.0])
    known = frame.set_index(["trial", "level"])["iteration"]
    assert known[slow].to_list() == pytest.approx([11, 50, 51, 201])
    assert known[fast].to_list() == pytest.approx([math.nan, math.nan, 2, 5], nan_ok=True)


def test_fits_that_diverge_later_change_no_slope(tmp_path):
    store = empty_sweep(tmp_path)
    for lr, seed in itertools.product((0.3, 1.0), range(2)):
        add_path(store, lr, seed=seed, psnr=math.log10(lr))
    calm = [lr_slopes(matched(load_sweep(store), by=by)) for by in EQUAL]
    for seed in range(2):
        loss = loss_at(3.0 * steps_before(8))
        loss[-1] = np.nan
        add_path(store, 3.0, seed=seed, loss=loss, psnr=-50.0, outcome="DIVERGED")
    for by, before in zip(EQUAL, calm, strict=True):
        frame = matched(load_sweep(store), by=by)
        pd.testing.assert_frame_equal(lr_slopes(frame), before)
        assert set(lr_table(frame)["lr"]) == {0.3, 1.0, 3.0}


def test_trials_that_all_diverge_at_once_have_no_level(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in (1.0, 10.0):
        add_path(store, lr, loss=[np.nan], outcome="DIVERGED")
    sweep = load_sweep(store)
    for by in EQUAL:
        frame = matched(sweep, by=by)
        assert frame.empty and list(frame.columns) == [*HEAD, *COMPARED]
        assert lr_table(frame).empty and lr_slopes(frame).empty
        assert lr_sentences(lr_slopes(frame), by=by) == []
        assert path_data(sweep, "psnr", by=by).empty
    assert matched(sweep, levels=[0.1])["iteration"].isna().all()


def test_trials_that_all_diverge_late_are_compared_before(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in (1.0, 2.0):
        loss = loss_at(lr * steps_before(30))
        loss[-1] = np.inf
        add_path(store, lr, loss=loss, outcome="DIVERGED")
    there = matched(load_sweep(store)).dropna(subset="iteration")
    assert there.groupby("level").size().eq(2).all() and len(there) >= 6
    np.testing.assert_allclose(there["psnr"], psnr_of(there["level"]), **EXACT)


def test_a_loss_of_zero_is_far_enough(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in (1.0, 2.0):
        loss = loss_at(lr * steps_before(60))
        loss[50:] = 0
        add_trial(store, BASE.replace(lr=lr), rows=trace_rows(loss, lr=lr, tv=steps_before(60)))
    sweep = load_sweep(store)
    frame = matched(sweep, columns=["tv"], levels=[1e-9])
    assert frame["tv"].between(49, 50).all()
    assert len(path_data(sweep, "tv")) > 0
    assert len(matched(sweep, columns=["tv"])) > 0


def test_no_trials_are_no_rows(tmp_path):
    sweep = load_sweep(empty_sweep(tmp_path))
    for by in EQUAL:
        frame = matched(sweep, by=by)
        assert list(frame.columns) == [*HEAD, *COMPARED] and frame.empty
        assert list(lr_table(frame).columns)[:7] == [
            *("problem", "lr", "level", "trials", "diverged", "reached", "iteration")
        ]
        assert lr_sentences(lr_slopes(frame), by=by) == []
    assert path_data(sweep, "tv").empty
    assert lr_groups(sweep) == []


# what is measured now and then, or with jitter


def test_costly_columns_lie_on_a_line_between_their_values(tmp_path):
    sweep = swept(tmp_path, every=7)
    frame = matched(sweep, columns=["hf_energy"]).dropna(subset="iteration")
    inner = frame[frame["iteration"].between(7, STEPS - STEPS % 7)]
    assert len(inner) >= 8
    np.testing.assert_allclose(inner["hf_energy"], 0.1 + 0.01 * (inner["iteration"] - 1), rtol=1e-5)
    # outside of them nothing is made up
    at_once = matched(sweep, by="iteration", levels=[1, 300], columns=["hf_energy"])
    ends = {1.0: 0.1 + 0.01 * 6, 300.0: 0.1 + 0.01 * 293}
    np.testing.assert_allclose(at_once["hf_energy"], at_once["level"].map(ends), rtol=1e-6)


def test_columns_that_a_problem_lacks_are_nan(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in LRS:
        loss = loss_at(lr * steps_before())
        config = BASE.replace(lr=lr, input_jitter=0.1, iterations=STEPS)
        add_trial(store, config, rows=trace_rows(loss, lr=lr, tv=tv_of(loss)))
    frame = matched(load_sweep(store))
    assert frame["psnr"].isna().all() and frame["tv"].notna().any()
    slopes = lr_slopes(frame)
    assert set(slopes["column"]) == {"tv"}
    assert lr_table(frame)["psnr"].isna().all()


def test_jitter_is_averaged_over_the_same_iterations_first(tmp_path):
    sign = np.where(np.arange(STEPS) % 2, -1.0, 1.0)
    even = np.linspace(0.08, 0.02, STEPS)
    loss = even * (1 + 0.4 * sign)
    tv = np.random.default_rng(0).uniform(0.1, 0.2, STEPS)
    store = empty_sweep(tmp_path)
    rows = trace_rows(loss, lr=1.0, tv=tv)
    calm, shaken = (
        add_trial(store, BASE.replace(iterations=STEPS, input_jitter=jitter), rows=rows)
        for jitter in (0.0, 0.1)
    )
    frame = matched(load_sweep(store), columns=["tv"], levels=[0.05]).set_index("trial")
    half_way = 1 + (0.08 - 0.05) / (0.06 / (STEPS - 1))
    assert frame.loc[shaken, "iteration"] == pytest.approx(half_way, abs=2)
    first_dip = 1 + int(np.argmax(loss <= 0.05))
    assert frame.loc[calm, "iteration"] == pytest.approx(first_dip, abs=1)
    assert first_dip < half_way - 50
    place = round(frame.loc[shaken, "iteration"]) - 1
    means = [tv[at - 5 : at + 5].mean() for at in range(place - 1, place + 2)]
    assert JITTER_WINDOW == 10
    assert min(means) <= frame.loc[shaken, "tv"] <= max(means)


# the levels that are chosen


@pytest.mark.parametrize("by", list(EQUAL))
@pytest.mark.parametrize("num_levels", [1, 4, 9])
@pytest.mark.parametrize("lrs", [(0.1, 3.0), LRS, (1.0, 1.1, 1.2)])
def test_levels_are_short_ordered_and_within_reach(tmp_path, by, num_levels, lrs):
    store = empty_sweep(tmp_path)
    for lr, seed in itertools.product(lrs, range(3)):
        add_path(store, lr, seed=seed, loss=(1 + 0.1 * seed) * loss_at(lr * steps_before()))
    frame = matched(load_sweep(store), by=by, num_levels=num_levels)
    levels = list(dict.fromkeys(frame["level"]))
    assert 1 <= len(levels) <= num_levels
    assert levels == sorted(levels, reverse=by == "loss")
    assert len(frame) == len(levels) * len(lrs) * 3
    digits = {f"{level:.2e}" for level in levels}
    assert {float(each) for each in digits} == set(levels)
    there = frame[frame["iteration"].notna()].groupby("level", sort=False)
    assert len(there) == len(levels)
    assert (there["lr"].nunique() >= 2).all()
    assert there.size()[levels[0]] == len(lrs) * 3 or num_levels == 1


def test_the_deepest_level_is_as_far_as_the_second_furthest_rate_gets(tmp_path):
    sweep = swept(tmp_path)
    ends = sorted(loss_at(lr * (STEPS - 1)) for lr in LRS)
    levels = matched(sweep)["level"]
    assert ends[1] <= levels.min() <= 1.01 * ends[1]
    assert ends[-1] <= levels.max() <= 1.01 * ends[-1]
    ways = sorted(lr * (STEPS - 1) for lr in LRS)
    levels = matched(sweep, by="lr_x_iteration")["level"]
    assert 0.99 * ways[-2] <= levels.max() <= ways[-2]
    assert 0.99 * ways[0] <= levels.min() <= ways[0]


def test_a_seed_that_diverges_does_not_choose_the_levels(tmp_path):
    levels = []
    for name in ("whole", "diverged"):
        store = empty_sweep(tmp_path / name)
        for lr, seed in itertools.product(LRS, range(2)):
            add_path(store, lr, seed=seed)
        if name == "diverged":
            add_path(store, 3.0, seed=2, loss=[0.07, 0.069, np.nan], outcome="DIVERGED")
        levels.append(sorted(set(matched(load_sweep(store))["level"])))
    assert levels[0] == levels[1]


def test_each_picture_has_levels_of_its_own(tmp_path):
    store = empty_sweep(tmp_path)
    for lr, (problem, times) in itertools.product(LRS, (("a", 1.0), ("b", 0.01))):
        add_path(store, lr, problem=problem, loss=times * loss_at(lr * steps_before()))
    frame = matched(load_sweep(store))
    means = frame.groupby("problem")["level"].mean()
    assert means["b"] == pytest.approx(0.01 * means["a"], rel=0.02)
    slopes = lr_slopes(frame)
    assert set(slopes["problem"]) == {"a", "b"}
    assert len(lr_sentences(slopes, by="loss")) == 4
    shared = matched(load_sweep(store), levels=[0.01])
    assert set(shared["level"]) == {0.01} and len(shared) == 2 * len(LRS)


def test_one_learning_rate_has_levels_and_no_slope(tmp_path):
    store = empty_sweep(tmp_path)
    for seed in range(2):
        add_path(store, 1.0, seed=seed)
    sweep = load_sweep(store)
    for by in EQUAL:
        frame = matched(sweep, by=by)
        assert frame["iteration"].notna().all() and frame["level"].nunique() > 1
        assert lr_slopes(frame).empty
        assert lr_table(frame)["reached"].eq(2).all()
    assert lr_groups(sweep) == []


def test_fits_that_do_not_move_are_no_error(tmp_path):
    store = empty_sweep(tmp_path)
    for lr in (1.0, 2.0):
        add_path(store, lr, loss=np.full(30, 0.0712345), iterations=30)
    for by in EQUAL:
        frame = matched(load_sweep(store), by=by)
        assert not frame.duplicated(["trial", "level"]).any()
        slopes = lr_slopes(frame[["psnr", *HEAD]])
        assert slopes.empty == (by == "loss")
        np.testing.assert_allclose(slopes["change"].astype(float), 0, atol=1e-9)
    one_step = empty_sweep(tmp_path / "one")
    for lr in (1.0, 2.0):
        add_path(one_step, lr, loss=[0.07], iterations=1)
    for by in EQUAL:
        frame = matched(load_sweep(one_step), by=by)
        assert lr_slopes(frame).empty or by == "iteration"


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"by": "psnr"}, ConfigError, "by='psnr': allowed are loss, iteration, lr_x_iteration"),
        ({"columns": ["tvv"]}, UnknownNameError, "no column 'tvv'; did you mean tv?"),
        ({"trials": ["nobody"]}, UnknownNameError, "no trial 'nobody'"),
        ({"levels": [0.1, 0.0]}, ConfigError, "level=0.0: allowed is a number above 0"),
        ({"levels": [-1.0]}, ConfigError, "level=-1.0: allowed is"),
        ({"levels": [math.nan]}, ConfigError, "level=nan: allowed is"),
        ({"num_levels": 0}, ConfigError, "num_levels=0: allowed is at least 1"),
    ],
)
def test_what_cannot_be_matched_is_refused_in_one_line(tmp_path, asked, kind, message):
    with pytest.raises(kind, match=message) as caught:
        matched(swept(tmp_path), **asked)
    assert "\n" not in str(caught.value)


def test_trials_and_columns_asked_for(tmp_path):
    sweep = swept(tmp_path)
    chosen = list(sweep.trials.index[[2, 0]])
    frame = matched(sweep, trials=chosen, columns=["grad_norm", "iteration", "lr", "tv", "tv"])
    assert list(frame.columns) == [*HEAD, "grad_norm", "tv"]
    assert set(frame["trial"]) == set(chosen)
    assert frame["lr"].map(lambda lr: lr in LRS).all()
    assert {"tv", "tv_low", "grad_norm"} <= set(lr_table(frame).columns)


# tables over seeds, and slopes


def noisy_sweep(tmp_path, *, seeds, gain=0.0, share=0.0, noise=0.1, draw=0):
    """What a tenfold lr adds to psnr, and the share it adds to tv; each seed has its own level."""
    random = np.random.default_rng(draw)
    store = empty_sweep(tmp_path)
    own = random.standard_normal(seeds)
    for lr, seed in itertools.product(LRS, range(seeds)):
        luck = noise * random.standard_normal(2)
        decades = math.log10(lr)
        tv = (1 + share) ** decades * math.exp(0.1 * luck[1] + own[seed])
        add_path(store, lr, seed=seed, psnr=gain * decades + luck[0] + own[seed], tv=tv)
    return load_sweep(store)


def test_the_table_is_students_interval_over_seeds(tmp_path):
    frame = matched(noisy_sweep(tmp_path, seeds=4), levels=[0.05, 0.02, 0.0045])
    table = lr_table(frame).set_index(["lr", "level"])
    assert len(table) == len(LRS) * 3
    for (lr, level), part in frame.groupby(["lr", "level"]):
        row, known = table.loc[(lr, level)], part.dropna(subset="iteration")
        assert (row["trials"], row["reached"], row["diverged"]) == (4, len(known), 0)
        for name in ("psnr", "tv"):
            if known.empty:
                assert math.isnan(row[name])
                continue
            interval = ttest_1samp(known[name], 0).confidence_interval(0.95)
            assert row[name] == pytest.approx(known[name].mean())
            assert row[f"{name}_low"] == pytest.approx(interval.low)
            assert row[f"{name}_high"] == pytest.approx(interval.high)
    assert set(table["reached"]) == {0, 4}


@pytest.mark.parametrize("draw", range(3))
@pytest.mark.parametrize(("gain", "share"), [(0.5, -0.2), (-0.3, 0.1)])
def test_a_true_effect_is_found_with_its_size_and_sign(tmp_path, gain, share, draw):
    sweep = noisy_sweep(tmp_path, seeds=6, gain=gain, share=share, noise=0.05, draw=draw)
    slopes = lr_slopes(matched(sweep))
    for column, effect, tolerance in (("psnr", gain, 0.08), ("tv", share, 0.02)):
        rows = slopes[(slopes["column"] == column) & (slopes["lrs"] == len(LRS))]
        assert len(rows) and (rows["seeds"] == 6).all()
        np.testing.assert_allclose(rows["change"], effect, atol=tolerance)
        assert ((rows["low"] < rows["change"]) & (rows["change"] < rows["high"])).all()
        assert (rows["low"] * rows["high"] > 0).all()
    said = lr_sentences(slopes, by="loss")
    assert len(said) == 2 and all("larger than the noise of 6 seeds" in each for each in said)
    psnr = next(each for each in said if ": psnr changes" in each)
    assert f"changes by {'+' if gain > 0 else '-'}0." in psnr and "dB" in psnr
    tv = next(each for each in said if ": tv changes" in each)
    assert f"changes by {'+' if share > 0 else '-'}" in tv and "%" in tv


def test_no_effect_is_mostly_not_shown(tmp_path):
    """Of 95 % intervals about one in twenty misses; 24 independent ones here."""
    wrong = 0
    for draw in range(12):
        slopes = lr_slopes(
            matched(noisy_sweep(tmp_path / str(draw), seeds=3, draw=draw), levels=[0.06])
        )
        rows = slopes[slopes["column"].isin(["psnr", "tv"])]
        assert len(rows) == 2
        wrong += int((rows["low"] * rows["high"] > 0).sum())
        if draw == 0:
            said = lr_sentences(slopes, by="loss")
            assert all("not shown to differ from none over 3 seeds" in each for each in said)
    assert wrong <= 4


def test_slopes_are_least_squares_and_students_interval(tmp_path):
    frame = matched(noisy_sweep(tmp_path, seeds=4, gain=0.4), levels=[0.06])
    row = lr_slopes(frame).set_index("column").loc["psnr"]
    x = np.log10(LRS) - np.log10(LRS).mean()
    by_seed = frame.pivot(index="seed", columns="lr", values="psnr")[list(LRS)].to_numpy()
    expected = by_seed @ x / (x @ x)
    interval = ttest_1samp(expected, 0).confidence_interval(0.95)
    assert row["change"] == pytest.approx(expected.mean())
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    tv = lr_slopes(frame).set_index("column").loc["tv"]
    logs = np.log10(frame.pivot(index="seed", columns="lr", values="tv")[list(LRS)].to_numpy())
    assert tv["change"] == pytest.approx(10 ** (logs @ x / (x @ x)).mean() - 1)


def frame_of(rows):
    """rows: (lr, seed, psnr) at one level; None where it was not reached."""
    return pd.DataFrame(
        {
            "trial": [f"t{place}" for place in range(len(rows))],
            "problem": "p",
            "lr": [row[0] for row in rows],
            "seed": [row[1] for row in rows],
            "outcome": "BUDGET",
            "level": 0.1,
            "iteration": [math.nan if row[2] is None else 1.0 for row in rows],
            "psnr": [math.nan if row[2] is None else float(row[2]) for row in rows],
        }
    )


def test_only_seeds_with_the_most_learning_rates_count():
    rows = [(lr, seed, seed + 2 * math.log10(lr)) for lr in (1, 10, 100) for seed in (0, 1)]
    rows += [(1, 2, 0.0), (10, 2, 50.0), (100, 2, None)]
    (row,) = lr_slopes(frame_of(rows)).to_dict("records")
    assert (row["seeds"], row["lrs"]) == (2, 3)
    assert row["change"] == row["low"] == row["high"] == pytest.approx(2)


def test_the_same_fit_twice_is_no_further_learning_rate():
    rows = [(lr, seed, 3 * math.log10(lr)) for lr in (1, 10) for seed in (0, 1)]
    again = (10, 0, 3.0 + 2)  # on another device, say
    (row,) = lr_slopes(frame_of([*rows, again])).to_dict("records")
    assert (row["seeds"], row["lrs"]) == (2, 2)
    assert row["change"] == pytest.approx((4 + 3) / 2)
    assert lr_slopes(frame_of([(1, 0, 1.0), (1, 0, 2.0), (1, 1, 2.0)])).empty


def slopes_of(*rows):
    names = ["problem", "level", "column", "change", "low", "high", "seeds", "lrs"]
    return pd.DataFrame(rows, columns=names)


def test_sentences_take_the_furthest_level_that_most_rates_and_seeds_reach():
    slopes = slopes_of(
        ("p", 0.001, "psnr", 9.0, 8.0, 10.0, 3, 2),
        ("p", 0.01, "psnr", 7.0, math.nan, math.nan, 1, 4),
        ("p", 0.02, "psnr", 0.5, -0.5, 1.5, 3, 4),
        ("p", 0.05, "psnr", 6.0, 5.0, 7.0, 3, 4),
        ("p", 0.05, "tv", 6.0, 5.0, 7.0, 3, 4),
    )
    (said,) = lr_sentences(slopes, by="loss", columns=["psnr"])
    assert said == (
        "p, at equal training loss (0.02, 4 learning rates): psnr changes by +0.50 dB for a "
        "tenfold learning rate (95 % interval -0.50 dB to +1.50 dB): not shown to differ from "
        "none over 3 seeds"
    )
    (said,) = lr_sentences(slopes, by="iteration", columns=["psnr"])
    assert "at equal iterations (0.05, 4" in said
    assert said.endswith("(95 % interval +5.00 dB to +7.00 dB): larger than the noise of 3 seeds")


def test_a_sentence_gives_no_absurd_share():
    wide = slopes_of(("p", 0.1, "tv", -0.8, -0.999, 1e9, 2, 3))
    (said,) = lr_sentences(wide, by="loss")
    assert "(95 % interval -99.9% to over +1000%): not shown to differ" in said


def test_a_sentence_on_one_seed_claims_nothing():
    one = slopes_of(("p", 100.0, "tv", -0.123, math.nan, math.nan, 1, 4))
    (said,) = lr_sentences(one, by="lr_x_iteration")
    assert "at equal lr x iterations (100, 4 learning rates): tv changes by -12.3%" in said
    assert said.endswith("one seed alone, so its noise is not known")


# paths, and which trials belong together


@pytest.mark.parametrize("by", list(EQUAL))
def test_paths_go_from_end_to_end(tmp_path, by):
    sweep = swept(tmp_path)
    data = path_data(sweep, "psnr", by=by, points=50)
    assert list(data.columns) == ["trial", "lr", "seed", "x", "psnr"]
    for lr, path in data.groupby("lr"):
        assert len(path) == 50
        first, last = path["x"].min(), path["x"].max()
        if by == "loss":
            ends = loss_at(lr * (STEPS - 1)), loss_at(0)
            np.testing.assert_allclose(path["psnr"], psnr_of(path["x"]), **EXACT)
        else:
            unit = lr if by == "lr_x_iteration" else 1
            ends = unit, unit * (STEPS - 1 if by == "lr_x_iteration" else STEPS)
        assert (first, last) == pytest.approx(ends, rel=1e-6)


def test_a_path_leaves_out_what_the_fit_has_only_been_above_at(tmp_path):
    store = empty_sweep(tmp_path)
    loss = np.concatenate([[0.05, 0.2, 0.3], np.geomspace(0.1, 0.01, 50)])
    add_path(store, 1.0, loss=loss, iterations=53)
    data = path_data(load_sweep(store), "psnr")
    assert data["x"].max() <= 0.05
    assert data["x"].min() == pytest.approx(0.01, rel=1e-6)


def test_lr_groups_differ_in_learning_rate_and_seed_alone(tmp_path):
    store = empty_sweep(tmp_path)
    for lr, seed, net, problem, outcome in [
        (1.0, 1, "skip", "p", "BUDGET"),
        (0.1, 0, "skip", "p", "DIVERGED"),
        (1.0, 0, "skip", "p", "STOPPED"),
        (9.0, 0, "skip", "p", "FAILED"),
        (9.0, 1, "skip", "p", "RUNNING"),
        (9.0, 2, "skip", "p", "asha"),
        (1.0, 0, "unet", "p", "BUDGET"),
        (2.0, 0, "unet", "p", "BUDGET"),
        (1.0, 0, "encdec", "p", "BUDGET"),
        (2.0, 0, "encdec", "q", "BUDGET"),
        (5.0, 0, "resunet", "p", "BUDGET"),
        (5.0, 1, "resunet", "p", "BUDGET"),
    ]:
        config = BASE.replace(lr=lr, seed=seed, net=net)
        add_trial(store, config, problem=problem, outcome=outcome)
    sweep = load_sweep(store)
    table = sweep.trials
    found = sorted(
        (table.loc[each[0], "net"], [tuple(row) for row in table.loc[each, ["lr", "seed"]].values])
        for each in lr_groups(sweep)
    )
    assert found == [
        ("skip", [(0.1, 0), (1.0, 0), (1.0, 1)]),
        ("unet", [(1.0, 0), (2.0, 0)]),
    ]


SLOPES = pd.DataFrame(
    [
        ("cat", 0.01, "tv", 0.014, 0.002, 0.025, 3, 4),
        ("cat", 0.02, "tv", -0.02, -0.05, 0.01, 3, 4),
        ("cat", 0.01, "psnr", -0.29, -0.63, 0.06, 3, 4),
        ("cat", 0.02, "psnr", 0.5, math.nan, math.nan, 1, 4),
    ],
    columns=["problem", "level", "column", "change", "low", "high", "seeds", "lrs"],
)


def test_all_levels_in_a_sentence():
    said = level_sentences(SLOPES, by="loss", columns=["tv", "psnr"])
    assert said == [
        "cat, at equal training loss: over 2 levels a tenfold learning rate changes tv by -2.0% to "
        "+1.4%; the 95 % interval leaves out zero at 1 of them",
        "cat, at equal training loss: over 1 level a tenfold learning rate changes psnr by "
        "-0.29 dB to -0.29 dB; the 95 % interval leaves out zero at 0 of them",
    ]
    assert level_sentences(SLOPES, by="loss", columns=["laplacian"]) == []


def test_a_slope_in_a_table():
    texts = [change_text(row) for _, row in SLOPES.iterrows()]
    assert texts[0] == "+1.4% (+0.2% to +2.5%)"
    assert texts[2:] == ["-0.29 (-0.63 to +0.06)", "+0.50"]


def test_of_several_sets_of_rates_the_commonest_counts():
    rows = []
    for seed, lrs in ((0, (0.1, 0.3)), (1, (0.3, 1.0)), (2, (0.3, 1.0)), (3, (0.3, 1.0))):
        for lr in lrs:
            tv = 10.0 ** ((2.0 if seed == 0 else 0.5) * math.log10(lr))
            rows.append(("t", "p", lr, seed, "BUDGET", 0.01, 5.0, tv))
    slopes = lr_slopes(pd.DataFrame(rows, columns=[*HEAD, "tv"]))
    assert slopes["seeds"].item() == 3
    assert slopes["change"].item() == pytest.approx(10**0.5 - 1)


def test_a_change_that_rounds_to_nothing_is_none():
    row = {"problem": "p", "level": 0.1, "column": "psnr", "seeds": 3, "lrs": 2}
    frame = pd.DataFrame([row | {"change": -1e-5, "low": -2e-5, "high": -1e-6}])
    said = lr_sentences(frame, by="loss")[0]
    assert "changes by +0.00 dB" in said
    assert "(95 % interval +0.00 dB to +0.00 dB): not shown to differ" in said


def test_a_fit_that_collapses_is_a_row_and_no_slope(tmp_path):
    store = empty_sweep(tmp_path)
    loss = loss_at(0.3 * steps_before())
    for lr in (0.1, 0.3):
        add_path(store, lr, loss=loss, iterations=STEPS)
    add_path(store, 9.0, loss=np.concatenate([loss[:1], np.full(STEPS - 1, 0.2)]), iterations=STEPS)
    frame = matched(load_sweep(store), by="iteration")
    assert set(frame.loc[frame["lr"] == 9.0, "outcome"]) == {"COLLAPSED"}
    assert set(lr_table(frame)["lr"]) == {0.1, 0.3, 9.0}
    assert lr_table(frame).groupby("lr")["diverged"].max().to_dict() == {0.1: 0, 0.3: 0, 9.0: 1}
    assert set(lr_slopes(frame)["lrs"]) == {2}
