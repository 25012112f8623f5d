"""The audit: what rules and the held-out choice lose, on folders whose numbers are known."""

import math

import numpy as np
import pandas as pd
import pytest
from made_sweep import made_sweep
from scipy import stats

from analysis import (
    audit_choice,
    audit_fits,
    audit_sentences,
    audit_table,
    audited,
    draw_ranks,
    draw_regret,
    load_sweep,
    rank_correlation,
)
from analysis.audit_tables import correlation_table, in_order, picture_means
from analysis.intervals import bootstrap_interval
from analysis.names import UnknownNameError
from analysis.ranks import ranked_fits
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import trial_id
from dipray.loop import Fit
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.store import Store
from experiments.cli import main

RULES = ("val", "sure", "wmv", "emv", "loss", "budget")


def pick(iteration, psnr_ema, fired=None):
    return {"iteration": iteration, "fired": fired, "psnr": None, "psnr_ema": psnr_ema}


def fit(seed, *, peak, ema, at, held_out=None, picked=None, picks=(), problem="a", **more):
    """A row of made_sweep; held_out is the best held-out PSNR, reached at iteration 50."""
    row = {"problem": problem, "seed": seed, "holdout": 0.03, "loss_final": 0.01}
    row |= {"psnr_peak": peak, "psnr_ema_peak": ema, "iteration_ema_peak": at}
    if held_out is not None:
        row |= {"val_psnr_ema_peak": held_out, "iteration_val_ema_peak": 50}
        row |= {"psnr_ema_at_val_peak": picked}
    return row | {"picks": dict(picks)} | more


ASHA = {"outcome": "STOPPED", "stopped_by": "asha"}

WHOLE = fit(
    0, peak=24.0, ema=25.0, at=60, held_out=20.0, picked=24.7,
    picks={
        "val": pick(50, 24.7, 80),  # 0.3 dB before the peak at 60
        "wmv": pick(90, 24.2),  # never fired; 0.8 dB after it
        "loss": pick(100, 24.95),  # never fired; 0.05 dB is nothing
        "budget": pick(100, 24.95, 100),
    },
)  # fmt: skip
CUT = fit(
    1, peak=26.0, ema=25.5, at=80, held_out=19.5, picked=25.4, iterations_run=90,
    picks={"val": pick(40, 25.2), "wmv": pick(30, 23.0, 60), "budget": pick(90, 25.3)}, **ASHA,
)  # fmt: skip
DIVERGED = fit(
    2, peak=22.0, ema=21.0, at=30, outcome="DIVERGED",
    picks={"emv": pick(20, 20.0, 45), "wmv": pick(25, 20.5), "val": pick(0, None)},
)  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    """One problem whose best picture, 26 dB, is in a fit that a scheduler ended."""
    return made_sweep(tmp_path / "run", [WHOLE, CUT, DIVERGED])


def by_seed(table, trials):
    return table.assign(seed=list(trials.loc[table["trial"], "seed"])).set_index(["seed", "rule"])


def test_a_trial_says_what_each_rule_loses(sweep):
    trials = sweep.trials.set_index("seed").sort_index()
    expected = {
        "regret_val": [26 - 24.7, math.nan, math.nan],  # the scheduler was faster; nothing picked
        "regret_wmv": [26 - 24.2, 26 - 23.0, math.nan],  # never, but at the budget; fired; never
        "regret_emv": [math.nan, math.nan, 26 - 20.0],  # fired before the divergence
        "regret_loss": [26 - 24.95, math.nan, math.nan],
        "regret_budget": [26 - 24.95, math.nan, math.nan],
        "regret_sure": [math.nan] * 3,  # nobody watched
        "regret_chosen": [26 - 24.7, math.nan, math.nan],
    }
    for name, values in expected.items():
        assert list(trials[name]) == pytest.approx(values, nan_ok=True), name
    assert list(trials["chosen"]) == [True, False, False]
    assert trials["chosen"].dtype == bool


def test_a_fit_that_a_scheduler_ended_may_be_chosen(tmp_path):
    better = CUT | {"val_psnr_ema_peak": 21.0}
    trials = made_sweep(tmp_path, [WHOLE, better]).trials.set_index("seed").sort_index()
    assert list(trials["chosen"]) == [False, True]
    assert trials["regret_chosen"][1] == pytest.approx(26 - 25.4)


def test_problems_have_their_own_best_and_of_equals_the_first_is_chosen(tmp_path):
    picks = {"val": pick(50, 29.0, 80)}
    other = [
        fit(seed, peak=30.0, ema=30.5, at=70, held_out=18.0, picked=29.0, picks=picks, problem="b")
        for seed in (0, 1)
    ]
    trials = made_sweep(tmp_path, [WHOLE, *other]).trials
    assert list(trials.groupby("problem")["chosen"].sum()) == [1, 1]
    assert list(trials[trials["problem"] == "b"]["chosen"]) == [True, False]
    assert trials["regret_val"].round(6).tolist() == [0.3, 1.5, 1.5]


def test_without_truth_the_choice_stands_and_regrets_are_missing(tmp_path):
    blind = {"psnr_peak": None, "psnr_ema_peak": None, "psnr_ema_at_val_peak": None}
    rows = [row | blind | {"picks": {"val": pick(50, None, 80)}} for row in (WHOLE, CUT)]
    trials = made_sweep(tmp_path, rows).trials.set_index("seed").sort_index()
    assert list(trials["chosen"]) == [True, False]
    assert trials.filter(like="regret").isna().all(axis=None)


def test_folders_without_picks_held_out_or_trials_have_the_columns(tmp_path):
    old = {"problem": "a", "psnr_peak": 24.0, "psnr_ema_peak": 25.0, "iteration_ema_peak": 9}
    for name, rows in (("old", [old]), ("empty", [])):
        made = made_sweep(tmp_path / name, rows)
        assert not made.trials["chosen"].any()
        assert made.trials[[f"regret_{rule}" for rule in RULES]].isna().all(axis=None)
        assert audit_fits(made).empty and audit_choice(made).empty
        assert rank_correlation(made).empty
        assert audit_table(audit_fits(made)).empty
        assert correlation_table(rank_correlation(made)).empty
    with pytest.raises(FolderError, match="nothing to audit: no fit has a pick by a rule"):
        audited([load_sweep(tmp_path / "old")])
    with pytest.raises(FolderError, match="the truth is not known; sweep --clean"):
        audited([load_sweep(tmp_path / "empty")])


def test_every_pick_is_split_in_its_two_losses(sweep):
    rows = audit_fits(sweep)
    found = by_seed(rows, sweep.trials)
    assert sorted(found.index) == [
        (0, "budget"), (0, "loss"), (0, "val"), (0, "wmv"), (1, "wmv"), (2, "emv"),
    ]  # fmt: skip
    columns = ["configuration_loss", "iteration_loss", "regret", "timing", "never", "cut_short"]
    expected = {
        (0, "val"): [1.0, 0.3, 1.3, "early", False, False],
        (0, "wmv"): [1.0, 0.8, 1.8, "late", True, False],
        (0, "loss"): [1.0, 0.05, 1.05, "in time", True, False],
        (0, "budget"): [1.0, 0.05, 1.05, "in time", False, False],
        (1, "wmv"): [0.0, 3.0, 3.0, "early", False, True],
        (2, "emv"): [4.0, 2.0, 6.0, "early", False, True],
    }
    for key, values in expected.items():
        row = found.loc[key, columns]
        assert list(row[:3]) == pytest.approx(values[:3])
        assert list(row[3:]) == values[3:]
    assert np.allclose(rows["configuration_loss"] + rows["iteration_loss"], rows["regret"])
    assert found.loc[(0, "wmv"), "fired"] is pd.NA
    assert found.loc[(1, "wmv"), ["iteration", "fired", "psnr"]].tolist() == [30, 60, 23.0]
    assert set(rows["best_sweep"]) == {26.0}
    assert set(rows["task"]) == {"other"}


def test_the_tolerance_says_what_is_in_time(sweep):
    found = by_seed(audit_fits(sweep, tolerance=0.5), sweep.trials)
    assert found["timing"][0, "val"] == "in time"
    assert found["timing"][0, "wmv"] == "late"
    exact = by_seed(audit_fits(sweep, tolerance=0.0), sweep.trials)
    assert exact["timing"][0, "loss"] == "late"


def test_a_pick_at_the_best_average_is_in_time_where_a_single_output_was_better(tmp_path):
    row = fit(0, peak=26.0, ema=25.5, at=80, picks={"wmv": pick(80, 25.5, 100)})
    found = audit_fits(made_sweep(tmp_path, [row])).iloc[0]
    assert (found["timing"], found["iteration_loss"]) == ("in time", 0.5)


def test_the_choice_is_audited_under_every_rule_and_without_patience(sweep):
    rows = audit_choice(sweep)
    assert rows["rule"].tolist() == ["val peak", "budget", "loss", "wmv", "val"]
    whole_fit = rows.iloc[0]
    assert (whole_fit["iteration"], whole_fit["timing"]) == (50, "early")
    assert whole_fit["fired"] is pd.NA and not whole_fit["never"]
    assert whole_fit["regret"] == pytest.approx(1.3)
    assert rows["blind_loss"].isna().all()  # one fit ended by itself
    assert rows.attrs["missing"] == {}


def test_a_chosen_fit_that_ended_before_a_rule_fired_is_counted(tmp_path):
    better = CUT | {"val_psnr_ema_peak": 21.0}
    rows = audit_choice(made_sweep(tmp_path, [WHOLE, better]))
    assert rows["rule"].tolist() == ["val peak", "wmv"]
    assert rows["regret"].tolist() == pytest.approx([0.6, 3.0])
    assert rows.attrs["missing"] == {"budget": 1, "val": 1}
    assert rows["cut_short"].all()
    notes = audited([load_sweep(tmp_path)]).notes
    assert "val has no pick in 1 of 1 chosen fits, which ended before it fired." in notes


def chosen(problem, regret, *, seed=0):
    picks = {"val": pick(50, 30 - regret, 80)}
    return fit(
        seed, peak=29.0, ema=30.0, at=80, held_out=20.0, picked=30 - regret, problem=problem,
        picks=picks,
    )  # fmt: skip


def origin(picture, task="denoise"):
    return {"task": task, "clean": f"/{picture}.png", "noise_sigma": 25.0}


def test_a_photograph_with_two_noises_counts_as_one_picture(tmp_path):
    losses = {"a": 0.2, "a-2": 0.6, "b": 0.05, "c": 0.3}
    made = made_sweep(
        tmp_path,
        [chosen(problem, loss) for problem, loss in losses.items()],
        origins={problem: origin(problem[0]) for problem in losses},
    )
    table = audit_table(audit_choice(made)).set_index("rule")
    row = table.loc["val peak"]
    assert row[["task", "pictures", "problems", "picks"]].tolist() == ["denoise", 3, 4, 4]
    assert row["regret"] == pytest.approx((0.4 + 0.05 + 0.3) / 3)
    assert row["worst"] == row["worst_iteration"] == pytest.approx(0.6)
    assert row[["configuration_loss", "configuration_loss_low"]].tolist() == [0.0, 0.0]
    low, high = bootstrap_interval([0.4, 0.05, 0.3])
    assert low < 0
    assert row["regret_low"] == 0  # no regret is below
    assert row["regret_high"] == pytest.approx(high)
    assert row["early"] == pytest.approx((1 + 0 + 1) / 3)  # 0.05 is within the tolerance
    assert row[["early", "in time", "late"]].sum() == pytest.approx(1)


def test_fits_count_within_their_problem(tmp_path):
    rows = [chosen("a", 0.0), chosen("a", 0.4, seed=1), chosen("a", 0.8, seed=2), chosen("b", 1.0)]
    found = audit_fits(made_sweep(tmp_path, rows))
    assert picture_means(found)["regret"].tolist() == pytest.approx([0.4, 1.0])
    row = audit_table(found).iloc[0]
    assert (row["pictures"], row["picks"]) == (2, 4)
    assert row["regret"] == pytest.approx(0.7)
    assert row["early"] == pytest.approx((2 / 3 + 1) / 2)


def test_one_picture_has_no_interval(tmp_path):
    row = audit_table(audit_choice(made_sweep(tmp_path, [chosen("a", 0.2)]))).iloc[0]
    assert row["regret"] == pytest.approx(0.2)
    assert row[["regret_low", "regret_high"]].isna().all()


def test_rules_have_one_order():
    assert in_order({"budget", "val", "val peak", "sure"}) == ["val peak", "sure", "val", "budget"]


def ranked(values, scores, *, problem="a", **more):
    return [
        fit(seed, peak=20.0, ema=score + 1, at=60, held_out=value, picked=score, problem=problem)
        | more
        for seed, (value, score) in enumerate(zip(values, scores, strict=True))
    ]


def test_rank_correlation_is_spearmans(tmp_path):
    made = made_sweep(
        tmp_path,
        [
            *ranked([17, 18, 19, 20], [21, 23, 22, 24]),
            *ranked([17, 18, 18, 20, 16], [24.5, 23, 22, 24, 24.5], problem="ties"),
            *ranked([17, 18], [21, 22], problem="few"),
            *ranked([17, 17, 17], [21, 22, 23], problem="alike"),
        ],
    )
    found = rank_correlation(made).set_index("problem")
    assert set(found.index) == {"a", "ties", "alike"}
    assert found["picked"]["a"] == found["best"]["a"] == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    expected = stats.spearmanr([17, 18, 18, 20, 16], [24.5, 23, 22, 24, 24.5]).statistic
    assert found["picked"]["ties"] == pytest.approx(expected)
    assert math.isnan(found["picked"]["alike"])
    assert found["fits"].to_dict() == {"a": 4, "ties": 5, "alike": 3}


def test_only_fits_that_ended_by_themselves_are_ranked(tmp_path):
    rows = ranked([17, 18, 19, 20], [21, 23, 22, 24])
    rows[3] |= {"val_psnr_ema_peak": 1.0} | ASHA
    rows.append(fit(9, peak=1.0, ema=2.0, at=3, held_out=30.0, picked=2.0, outcome="DIVERGED"))
    made = made_sweep(tmp_path, rows)
    found = rank_correlation(made).iloc[0]
    assert (found["fits"], found["picked"]) == (3, pytest.approx(0.5))
    assert ranked_fits(made)["counts"].sum() == 3


def test_a_metric_of_which_less_is_better_agrees_when_it_falls(tmp_path):
    rows = ranked([17, 18, 19], [21, 22, 23])
    rows = [row | {"loss_final": 0.03 - 0.01 * row["seed"]} for row in rows]
    made = made_sweep(tmp_path, rows)
    assert rank_correlation(made, metric="loss_final")["best"].item() == pytest.approx(1.0)
    with pytest.raises(UnknownNameError, match="val_psnr_ema_peek"):
        rank_correlation(made, metric="val_psnr_ema_peek")


def test_correlations_are_averaged_over_pictures(tmp_path):
    rows = [*ranked([1, 2, 3], [21, 22, 23]), *ranked([1, 2, 3], [23, 22, 21], problem="b")]
    table = correlation_table(rank_correlation(made_sweep(tmp_path, rows)))
    row = table.iloc[0]
    assert row[["pictures", "problems", "fits", "picked"]].tolist() == [2, 2, 6, 0.0]
    assert row[["picked_low", "picked_high", "picked_worst"]].tolist() == [-1.0, 1.0, -1.0]


def test_folders_are_audited_together_their_problems_apart(tmp_path):
    origins = {"a": origin("a")}
    one = made_sweep(tmp_path / "one", [chosen("a", 0.2)], origins=origins)
    # better by 1 dB, which is no regret of the other folder's
    other = chosen("a", 0.6) | {"psnr_ema_peak": 31.0}
    two = made_sweep(tmp_path / "two", [other], origins=origins)
    found = audited([one, two])
    table = audit_table(found.choice).set_index("rule")
    assert table.loc["val peak", ["pictures", "problems"]].tolist() == [1, 2]
    assert table.loc["val peak", "regret"] == pytest.approx((0.2 + 1.6) / 2)
    assert len(found.notes) == 1  # what holds of both is said once
    made_sweep(tmp_path / "three", [CUT], origins=origins)
    notes = audited([one, load_sweep(tmp_path / "three")]).notes
    assert any(note.startswith(f"{tmp_path}/three: 1 of 1 fits did not run") for note in notes)


def test_findings_are_said(sweep):
    said = audit_sentences(audited([sweep]))
    assert said[0] == (
        "other: what the held-out error chooses, of all fits and iterations, is 1.30 dB below the "
        "best that there was (1 picture; at worst 1.30): 1.00 by the configuration and 0.30 by the "
        "iteration."
    )
    assert any("2 of 3 fits did not run to their budget" in line for line in said)
    assert any("In 2 of 3 fits a single output" in line and "1.00 dB" in line for line in said)
    assert any("asha 1" in line and "diverged 1" in line for line in said)


def test_rules_are_compared_in_the_same_fits_alone(tmp_path):
    both = {"val": pick(50, 29.9, 80), "budget": pick(100, 29.0, 100)}
    rows = [fit(seed, peak=29.0, ema=30.0, at=80, picks=both) for seed in range(2)]
    easy = {"val": pick(50, 30.0, 80), "budget": pick(90, 30.0)}  # the scheduler came first
    rows.append(fit(2, peak=29.0, ema=30.0, at=80, picks=easy, **ASHA))
    said = audit_sentences(audited([made_sweep(tmp_path, rows)]))
    assert any("val 0.10, budget 1.00 dB (the same 2 fits)" in line for line in said)
    assert any("Nothing was held out" in line for line in said)


def test_a_configuration_drawn_at_random_is_said_beside_the_choice(tmp_path):
    worse = fit(3, peak=20.0, ema=22.0, at=60, held_out=18.0, picked=22.0)
    made = made_sweep(tmp_path, [WHOLE, CUT, worse])
    assert set(audit_choice(made)["blind_loss"]) == {(1.0 + 4.0) / 2}
    said = audit_sentences(audited([made]))[0]
    assert "1.00 by the configuration (one drawn at random would lose 2.50) and" in said


def test_what_limits_the_choice_is_said(tmp_path):
    rows = [chosen("a", 0.2), chosen("a", 0.3) | {"holdout_seed": 1}]
    blind = {"psnr_peak": None, "psnr_ema_peak": None, "psnr_ema_at_val_peak": None}
    rows.append(chosen("b", 0.3) | blind | {"picks": {}})
    notes = audited([made_sweep(tmp_path, rows)]).notes
    assert "1 of 2 pictures have no truth and are left out." in notes
    assert any("1 of 1 pictures have fits that hold out different pixels" in each for each in notes)


def test_figures_show_bars_of_both_losses_and_a_panel_a_problem(sweep, tmp_path):
    found = audited([sweep])
    top, below = draw_regret(found).axes
    heights = [bar.get_height() for bar in top.patches]
    assert heights[:5] == [1.0] * 5  # the configuration's loss, the same for all rules
    assert heights[5:] == pytest.approx([0.3, 0.3, 0.8, 0.05, 0.05])
    assert below.get_xticklabels()[0].get_text() == "val"
    panels = draw_ranks(found).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["other: a"]
    nothing_held_out = made_sweep(tmp_path / "none", [fit(0, peak=1.0, ema=2.0, at=3, **{
        "picks": {"budget": pick(100, 1.5, 100)}
    })])  # fmt: skip
    assert len(draw_regret(audited([nothing_held_out])).axes) == 1
    assert not draw_ranks(audited([nothing_held_out])).axes


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["audit", *map(str, arguments)])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_the_command_prints_and_writes(sweep, tmp_path, capsys):
    code, out, err = run(capsys, tmp_path / "run")
    assert (code, err) == (0, "")
    assert "Regret: PSNR of the best picture" in " ".join(out.split())
    assert "other: the fit that the held-out error chooses (dB, 1 picture)" in out
    assert "val peak" in out and "…" not in out
    place = tmp_path / "run" / "audit"
    names = (
        "fits", "choice", "rank_correlation",
        "fits_by_rule", "choice_by_rule", "rank_correlation_by_task",
    )  # fmt: skip
    assert {path.name for path in place.iterdir()} == {
        *(f"{name}.{end}" for name in names for end in ("csv", "parquet")),
        *("regret.png", "ranks.png"),
    }
    assert len(pd.read_csv(place / "fits.csv")) == len(pd.read_parquet(place / "fits.parquet")) == 6
    assert load_sweep(tmp_path / "run").left_out == sweep.left_out


def test_several_folders_leave_the_audit_beside_them(tmp_path, capsys):
    made_sweep(tmp_path / "one", [chosen("a", 0.2)], origins={"a": origin("a")})
    made_sweep(tmp_path / "two", [chosen("a", 0.4)], origins={"a": origin("a", "inpaint")})
    code, out, _ = run(capsys, tmp_path / "one", tmp_path / "two")
    assert code == 0
    assert "denoise: every fit" in out and "inpaint: every fit" in out
    assert (tmp_path / "audit" / "regret.png").exists()
    assert run(capsys, tmp_path / "one", "--save-dir", tmp_path / "x")[0] == 0
    assert (tmp_path / "x" / "fits.csv").exists()


def test_what_cannot_be_audited_is_said_in_one_line(tmp_path, capsys):
    made_sweep(tmp_path / "blind", [{"problem": "a", "loss_final": 0.1}])
    made_sweep(tmp_path / "fine", [chosen("a", 0.2)])
    for arguments, code, complaint in (
        ([tmp_path / "blind"], 1, "nothing to audit by: the truth is not known"),
        ([tmp_path / "none"], 1, "is empty, or not a folder"),
        ([tmp_path / "fine", tmp_path / "fine"], 2, "give each folder of results once"),
        ([], 2, "give a folder of results"),
        ([tmp_path / "fine", tmp_path / "fine", "--save-dir", tmp_path / "x"], 2, "once"),
        ([tmp_path / "fine", "--tolerance", "-1"], 2, "tolerance=-1.0: allowed is 0 or more"),
        ([tmp_path / "fine", "--metric", "nope"], 1, "no metric 'nope'"),
    ):
        ended, _, err = run(capsys, *arguments)
        assert (ended, err.count("\n")) == (code, 1), err
        assert complaint in err


def test_fits_that_were_run(tmp_path, noisy, truth, capsys):
    """Regrets of real folders follow from their traces."""
    store = Store(tmp_path)
    problem = Problem(noisy, reference=truth, name="astronaut", origin={"task": "denoise"})
    base = FitConfig(
        depth=1, features=4, input_channels=4, iterations=40, patience=25, holdout=0.03,
        variance_window=10, snapshots=0, device="cpu",
    )  # fmt: skip
    for lr in (0.003, 0.1):
        config = base.replace(lr=lr)
        run_ = Fit(problem, config)
        recorder = Recorder(store.child("trials", trial_id("astronaut", "", config)), run_)
        for block in run_.blocks():
            recorder.add(block)
    sweep = load_sweep(store)
    traces = sweep.traces(["psnr", "psnr_ema", "val_psnr_ema"])
    best = traces[["psnr", "psnr_ema"]].max().max()
    at = traces["val_psnr_ema"].idxmax()
    trials = sweep.trials
    assert trials.index[trials["chosen"]].tolist() == [traces["trial"][at]]
    assert trials["regret_chosen"].max() == pytest.approx(best - traces["psnr_ema"][at])
    last = traces.groupby("trial", observed=True)["psnr_ema"].last()
    assert list(trials["regret_budget"]) == pytest.approx(list(best - last[trials.index]))
    assert (audit_fits(sweep)[["configuration_loss", "iteration_loss"]] >= 0).all(axis=None)
    assert run(capsys, tmp_path)[0] == 0
