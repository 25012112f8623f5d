import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import draw_effects, interactions, score_table, sentences
from analysis.effects import effects
from analysis.names import UnknownNameError
from analysis.pairs import expected_best
from analysis.verdicts import BEST, NOT_SHOWN, ONE_SEED, STRICT
from tests.made_sweep import grid, made_sweep

LEVEL = {"a": 30.0, "b": 27.0, "c": 33.0, "d": 29.0}
ADAM = {"optimizer": "adam", "lr": 0.01}
SGD = {"optimizer": "sgd", "momentum": 0.9, "lr": 1.0}


def level(arm, problem):
    return LEVEL[problem]


def only(frame: pd.DataFrame, **wanted: str) -> pd.Series:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_effects_are_found_with_their_sign_and_size(tmp_path):
    arms = [
        {"net": net, "upsampling": upsampling, "norm": norm}
        for net in ("skip", "encdec")
        for upsampling in ("bilinear", "nearest", "transposed")
        for norm in ("batch", "none")
    ]
    worth = {"encdec": -0.5, "nearest": 0.4, "none": 0.0}

    def score(arm, problem):
        return LEVEL[problem] + sum(worth.get(value, 0) for value in arm.values())

    frame = effects(made_sweep(tmp_path, grid(arms, score)))
    assert list(frame["factor"].value_counts(sort=False).items()) == [
        ("net", 1),
        ("norm", 1),
        ("upsampling", 3),
    ]
    found = frame.set_index(["value", "versus"])["verdict"].to_dict()
    assert found == {
        ("encdec", "skip"): "smaller",
        ("batch", "none"): "not shown",
        ("bilinear", "nearest"): "smaller",
        ("bilinear", "transposed"): "not shown",
        ("nearest", "transposed"): "larger",
    }
    row = only(frame, factor="net")
    assert row[["pairs", "pictures", "seeds"]].to_list() == [54, 3, 3]
    assert row["difference"] == pytest.approx(-0.5, abs=0.05)
    assert row["low"] < -0.5 < row["high"] < 0
    assert row["iqm"] == pytest.approx(row["difference"], abs=0.05)
    assert row["lowest"] <= row["difference"] <= row["highest"]
    assert row["seed_std"] == pytest.approx(0.1, rel=0.2)
    assert (row["scope"], row["pairing"], row["used"]) == ("pictures", STRICT, 1)
    assert frame.attrs["comparisons"] == 5
    expected = stats.false_discovery_control(frame["p"])
    assert frame["p_adjusted"].to_list() == pytest.approx(list(expected))


def test_one_picture_is_students_paired_test_and_holds_for_it_alone(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, problems="a", seeds=range(5))
    encdec, skip = (
        [row["psnr_ema_peak"] for row in rows if row["net"] == net] for net in ("encdec", "skip")
    )
    test = stats.ttest_rel(encdec, skip)
    frame = effects(made_sweep(tmp_path, rows))
    row = only(frame)
    assert row["p"] == row["p_adjusted"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval()))
    assert row["scope"] == "this picture"
    assert "on this picture alone" in sentences(frame)[0]


def test_no_effect_is_declared_among_many_that_are_none(tmp_path):
    names = ("leaky_relu", "relu", "elu", "silu", "gelu", "softplus", "tanh")
    arms = [{"activation": name, "norm": norm} for name in names for norm in ("batch", "none")]
    sweep = made_sweep(tmp_path, grid(arms, level))
    frame = effects(sweep)
    assert len(frame) == 22
    assert set(frame["verdict"]) == {"not shown"}
    assert set(interactions(sweep)["verdict"]) == {"not shown"}
    assert "22 comparisons" in " ".join(sentences(frame))


def test_few_sweeps_without_an_effect_declare_one(tmp_path):
    arms = [{"norm": norm} for norm in ("batch", "instance", "none")]
    called = 0
    for draw in range(25):
        rows = grid(arms, level, problems="a", seeds=range(4), draw=draw)
        called += (effects(made_sweep(tmp_path / str(draw), rows))["verdict"] != "not shown").any()
    assert called <= 4  # one in twenty, and luck


def test_an_effect_that_changes_with_the_picture_is_not_shown_for_pictures(tmp_path):
    def score(arm, problem):
        return LEVEL[problem] + (arm["net"] == "skip") * {"a": 1.0, "b": -1.0, "c": 0.5}[problem]

    frame = effects(made_sweep(tmp_path, grid([{"net": "skip"}, {"net": "encdec"}], score)))
    row = only(frame)
    assert row["verdict"] == "not shown"
    assert (row["lowest"], row["highest"]) == pytest.approx((-1, 1), abs=0.2)
    assert "on single pictures" in sentences(frame)[0]


def test_fits_that_a_scheduler_ended_are_left_out_and_counted(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level)
    early = grid([{"net": "encdec"}], lambda *_: 99.0, seeds=(3, 4))
    ended = [{**row, "outcome": "STOPPED", "stopped_by": "asha"} for row in early]
    for row in rows[::2]:  # a rule of the fit's own leaves it comparable
        row |= {"stop": "loss", "outcome": "STOPPED", "stopped_by": "loss"}
    for row in rows[1::2]:
        row |= {"stop": "loss"}
    for row in ended:
        row |= {"stop": "loss"}
    frame = effects(made_sweep(tmp_path, rows + ended))
    row = only(frame)
    assert row["pairs"] == 9
    assert abs(row["difference"]) < 0.2
    assert frame.attrs["notes"] == [
        "6 of 24 fits ended early by asha and left out: their budgets are not equal. "
        "The others are a selection, the scheduler's."
    ]
    assert sentences(frame)[-1] == frame.attrs["notes"][0]


def test_fits_that_diverged_are_counted_with_the_values_that_did_it(tmp_path):
    arms = [{"net": net, "lr": lr} for net in ("skip", "encdec") for lr in (0.01, 3.0)]
    rows = grid(arms, level)
    for row in rows:
        if row["lr"] == 3.0 and row["seed"] > 0:
            row |= {"outcome": "DIVERGED", "psnr_ema_peak": 99.0}
    rows[0]["outcome"] = "INTERRUPTED"
    del rows[1]["psnr_ema_peak"]
    frame = effects(made_sweep(tmp_path, rows))
    assert frame["difference"].abs().max() < 1
    assert frame.attrs["notes"] == [
        "12 of 36 fits diverged and have no quality (lr 3: 12 of 18).",
        "1 of 36 fits not finished, or failed.",
        "1 of 36 fits without a psnr_ema_peak.",
    ]


def test_only_seeds_and_cells_that_both_values_have_count(tmp_path):
    rows = grid([{"net": "skip"}], level, seeds=range(5))
    rows += grid([{"net": "encdec"}], lambda arm, problem: LEVEL[problem] - 1, draw=1)
    rows += grid([{"net": "encdec"}], lambda *_: 99.0, seeds=[17])  # no partner
    rows = [row for row in rows if (row["net"], row["problem"], row["seed"]) != ("skip", "b", 1)]
    row = only(effects(made_sweep(tmp_path, rows)))
    assert row[["pairs", "pictures", "seeds"]].to_list() == [8, 3, 3]
    assert row["difference"] == pytest.approx(-1, abs=0.2)
    assert row["used"] == pytest.approx(16 / (14 + 12))


def test_all_kinds_of_seeds_are_seeds(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, seeds=[0, 1])
    more = grid([{"net": "skip", "seed_weights": 5}, {"net": "encdec", "seed_weights": 5}], level)
    row = only(effects(made_sweep(tmp_path, rows + more)))
    assert (row["pairs"], row["seeds"]) == (15, 5)


def test_noises_of_one_picture_are_one_picture(tmp_path):
    origins = {
        name: {"clean": file, "noise_seed": seed}
        for name, file, seed in (("a", "x/one.png", 0), ("b", "x/one.png", 1), ("c", "two.png", 0))
    }
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level)
    row = only(effects(made_sweep(tmp_path, rows, origins=origins)))
    assert row[["pairs", "pictures", "scope"]].to_list() == [9, 2, "these pictures"]


def test_noises_of_one_picture_are_no_more_alike_than_noises_are(tmp_path):
    """One picture, each noise with an effect of its own: seeds alone would be all too sure."""
    rng = np.random.default_rng(0)
    origins = {name: {"clean": "one.png", "noise_seed": k} for k, name in enumerate("ab")}
    hits = 0
    for draw in range(20):
        own = dict(zip("ab", 0.3 * rng.standard_normal(2), strict=True))

        def score(arm, problem, own=own):
            return LEVEL[problem] + own[problem] * (arm["net"] == "skip")

        arms = [{"net": "skip"}, {"net": "encdec"}]
        rows = grid(arms, score, problems="ab", seeds=range(5), draw=draw)
        row = only(effects(made_sweep(tmp_path / str(draw), rows, origins=origins)))
        hits += row["low"] <= 0 <= row["high"]
    assert (row["pictures"], row["pairs"]) == (1, 10)
    assert hits >= 17  # of 20, at a nominal 95 %


SOME = {
    **{"snapshots": 3, "metrics_every": 7, "probe_every": 50},
    **{"sure_sigma": 25.0, "variance_window": 50},
}


def test_the_same_fit_looked_at_otherwise_counts_once(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, problems="a")
    again = [{**row, **SOME, "psnr_ema_peak": 99.0} for row in rows]
    third = [{**row, "device": "cuda"} for row in rows]
    plain = effects(made_sweep(tmp_path / "once", rows))
    sweep = made_sweep(tmp_path / "thrice", rows)
    ours = list(sweep.trials.index)
    sweep = made_sweep(tmp_path / "thrice", again + third)
    everything = [*ours, *sweep.trials.index.difference(ours)]
    frame = effects(sweep, trials=everything)
    assert len(everything) == 18
    assert only(frame).equals(only(plain))
    assert frame.attrs["notes"] == [
        "12 of 18 fits repeat another with the same settings and seeds, but for device, snapshots, "
        "metrics_every, probe_every, sure_sigma or variance_window, and are left out."
    ]
    assert plain.attrs["notes"] == []
    assert score_table(sweep, trials=everything)["runs"].to_list() == [3, 3]


def test_of_repeated_fits_the_one_that_ended_counts(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, problems="a")
    dead = [{**row, **SOME, "outcome": "INTERRUPTED", "psnr_ema_peak": 99.0} for row in rows]
    sweep = made_sweep(tmp_path, rows + dead)
    unfinished = sweep.trials.index[sweep.trials["outcome"] == "INTERRUPTED"]
    frame = effects(sweep, trials=[*unfinished, *sweep.trials.index.difference(unfinished)])
    assert only(frame)["pairs"] == 3
    assert len(frame.attrs["notes"]) == 1


def test_one_seed_gives_no_interval_on_however_many_pictures(tmp_path):
    frame = effects(made_sweep(tmp_path, grid([ADAM, SGD], level, problems="abcd", seeds=[0])))
    row = only(frame)
    assert row["verdict"] == ONE_SEED
    assert row[["low", "high", "p", "p_adjusted", "seed_std"]].isna().all()
    assert frame.attrs["comparisons"] == 0
    said, _metric = sentences(frame)
    assert said.endswith("(4 pairs over 4 pictures and 1 seed): one seed, which may be luck.")
    _zero, dot = draw_effects(frame).axes[0].lines
    assert (dot.get_marker(), dot.get_markerfacecolor()) == ("o", "white")


def test_settings_that_follow_from_another_are_no_factors(tmp_path):
    unet = {"net": "unet", "features": 4, "skip_channels": 4}
    arms = [{**net, **opt} for net in ({"net": "skip"}, unet) for opt in (ADAM, SGD)]
    frame = effects(made_sweep(tmp_path, grid(arms, level)))
    assert list(frame["factor"]) == ["net", "optimizer"]
    net, optimizer = (row for _, row in frame.iterrows())
    assert (net["pairing"], net["pairs"]) == ("with companions", 18)
    assert (net["value_with"], net["versus_with"]) == ("features 8", "features 4, skip_channels 4")
    assert optimizer["value_with"] == "lr 0.01"
    assert optimizer["versus_with"] == "lr 1, momentum 0.9"


def nested(*lrs: float) -> list[dict]:
    return [{"optimizer": "adam", "lr": lr} for lr in lrs] + [SGD]


def test_nested_alternatives_are_paired_at_equal_numbers_of_tries(tmp_path):
    arms = nested(0.001, 0.003, 0.01)

    def score(arm, problem):
        return LEVEL[problem] + {0.001: 0.6, 0.003: 0.9, 0.01: 0.3, 1.0: 0.0}[arm["lr"]]

    frame = effects(made_sweep(tmp_path, grid(arms, score)))
    row = only(frame, factor="optimizer")
    assert row["difference"] == pytest.approx(0.6, abs=0.1)  # their mean: sgd has one try
    assert row[["pairing", "over", "settings", "versus_settings", "tries"]].to_list() == [
        *(BEST, "lr", 3, 1, 1)
    ]
    assert "mean over 3 settings of lr against 1" in " ".join(sentences(frame))
    # lr 1 is sgd's alone: what it differs by is the optimizer's
    assert set(frame[frame["factor"] == "lr"]["versus"]) == {"0.003", "0.01"}


def test_more_settings_alone_make_no_optimizer_better(tmp_path):
    sgds = [{**SGD, "lr": lr} for lr in (0.5, 1.0)]
    arms = [*nested(*np.geomspace(1e-3, 1e-2, 7))[:-1], *sgds]
    frame = effects(made_sweep(tmp_path, grid(arms, level, seeds=range(8))))
    row = only(frame, factor="optimizer")
    assert row[["settings", "versus_settings", "tries", "verdict"]].to_list() == [
        *(7, 2, 2, NOT_SHOWN)
    ]
    assert abs(row["difference"]) < 0.05


def test_expected_best_is_the_mean_over_all_choices():
    scores = [3.0, -1.0, 7.0, 2.0, 2.0]
    for tries in range(1, 6):
        chosen = list(itertools.combinations(scores, tries))
        assert expected_best(scores, tries) == pytest.approx(np.mean([max(c) for c in chosen]))
        lowest = np.mean([min(c) for c in chosen])
        assert expected_best(scores, tries, higher=False) == pytest.approx(lowest)


def test_settings_drawn_at_random_are_not_compared_value_by_value(tmp_path):
    rng = np.random.default_rng(0)
    arms = [
        {"optimizer": optimizer, "lr": float(lr)}
        for optimizer in ("adam", "rmsprop")
        for lr in rng.uniform(0.001, 0.01, 10)
    ]

    def score(arm, problem):
        return LEVEL[problem] + 0.5 * (arm["optimizer"] == "adam")

    frame = effects(made_sweep(tmp_path, grid(arms, score)))
    row = only(frame)
    assert (row["factor"], row["over"], row["tries"]) == ("optimizer", "lr", 10)
    assert (row["difference"], row["verdict"]) == (pytest.approx(0.5, abs=0.1), "larger")
    assert "lr (20)" in frame.attrs["notes"][0]


def test_without_the_truth_the_loss_is_compared_and_what_it_means_is_said(tmp_path):
    def score(arm, problem):
        return 0.01 + 0.002 * (arm["net"] == "skip")

    rows = grid([{"net": "skip"}, {"net": "encdec"}], score, noise=1e-4, metric="loss_final")
    frame = effects(made_sweep(tmp_path, rows, asked={"metric": "loss"}))
    assert frame.attrs["metric"] == "loss_final"
    assert only(frame)["verdict"] == "smaller"  # encdec's
    said = sentences(frame)
    assert said[0].startswith("encdec against skip: -0.00")  # the better one first
    assert "larger than the seed noise" in said[0]
    assert "lower is better" in said[1]
    assert score_table(made_sweep(tmp_path, []))["label"].to_list() == ["encdec", "skip"]


def test_metric_is_what_the_sweep_asked_for_if_it_is_a_psnr(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, metric="psnr_peak")
    rows = [{**row, "psnr_ema_final": 0.0, "ssim_final": row["seed"] / 10} for row in rows]
    for asked, used in (
        ("psnr_ema_final", "psnr_ema_final"),
        ("psnr_ema", "psnr_ema_final"),
        ("loss", "psnr_peak"),
        ("val_psnr_peak", "psnr_peak"),
        ("auto", "psnr_peak"),
    ):
        assert effects(made_sweep(tmp_path, rows, asked={"metric": asked})).attrs["metric"] == used
    sweep = made_sweep(tmp_path, rows)
    assert only(effects(sweep, metric="ssim_final"))["difference"] == 0
    with pytest.raises(UnknownNameError, match="no metric 'psnr'"):
        effects(sweep, metric="psnr")
    with pytest.raises(UnknownNameError, match="no trial 'x'"):
        effects(sweep, trials="x")


def test_what_was_held_out_ranks_trials_but_the_truth_compares_settings(tmp_path):
    arms = [{"net": "skip"}, {"net": "encdec"}]
    rows = grid(arms, level)  # of psnr_ema_peak
    rows = [{**row, "val_psnr_ema_peak": -row["psnr_ema_peak"]} for row in rows]
    asked = {"metric": "val_psnr_ema_peak"}
    assert effects(made_sweep(tmp_path / "a", rows, asked=asked)).attrs["metric"] == "psnr_ema_peak"
    rows = [{**row, "psnr_ema_peak": None, "loss_final": 0.1} for row in rows]
    for number, name in enumerate(("val_psnr_ema_peak", "auto")):
        sweep = made_sweep(tmp_path / f"b{number}", rows, asked={"metric": name})
        assert effects(sweep).attrs["metric"] == "val_psnr_ema_peak"


def test_metric_is_found_as_the_leaderboard_finds_it(tmp_path):
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, metric="psnr_peak")
    rows = [{**row, "ssim_final": 0.5, "loss_final": 0.1} for row in rows]
    for asked, used in (("psnr_ema_final", "psnr_peak"), ("ssim_final", "ssim_final")):
        assert effects(made_sweep(tmp_path, rows, asked={"metric": asked})).attrs["metric"] == used


def test_some_trials_alone_can_be_compared(tmp_path):
    sweep = made_sweep(tmp_path, grid([{"net": "skip"}, {"net": "encdec"}], level))
    ours = sweep.trials[sweep.trials["seed"] < 2].index
    assert only(effects(sweep, trials=ours))["pairs"] == 6
    assert score_table(sweep, trials=ours)["runs"].to_list() == [6, 6]


def test_interactions_are_differences_of_differences(tmp_path):
    arms = [{"net": net, **opt} for net in ("skip", "encdec") for opt in (*nested(0.003, 0.01),)]

    def score(arm, problem):
        both = arm["net"] == "skip" and arm["optimizer"] == "sgd"
        return LEVEL[problem] + 0.5 * both + (arm["net"] == "skip")

    sweep = made_sweep(tmp_path, grid(arms, score))
    frame = interactions(sweep)
    row = only(frame, other="optimizer")
    assert row[["value", "versus", "other_value", "other_versus"]].to_list() == [
        *("encdec", "skip", "adam", "sgd")
    ]
    assert (row["difference"], row["verdict"]) == (pytest.approx(0.5, abs=0.15), "larger")
    assert (row["over"], row["settings"], row["versus_settings"]) == ("lr", 2, 1)
    assert row["contrast"] == "encdec against skip, at adam against sgd"
    assert only(frame, other="lr")["verdict"] == "not shown"
    said = sentences(effects(sweep), frame)
    mine = [each for each in said if each.startswith("With adam rather than sgd, encdec against")]
    assert "higher (95 % interval +0." in mine[0]
    assert "mean over 1 to 2 settings of lr" in mine[0]
    assert set(frame["factor"]) | set(frame["other"]) == {"net", "optimizer", "lr"}


def test_score_table_has_a_row_for_each_configuration_the_best_first(tmp_path):
    def score(arm, problem):
        return LEVEL[problem] + 0.5 * (arm["net"] == "skip")

    rows = grid([{"net": "skip"}, {"net": "encdec"}], score)
    del rows[0]
    table = score_table(made_sweep(tmp_path, rows))
    assert table["label"].to_list() == ["skip", "encdec"]
    assert table["runs"].to_list() == [8, 9]
    by_hand = pd.DataFrame(rows).query("net == 'encdec'")
    scores = by_hand["psnr_ema_peak"]
    row = only(table, label="encdec")
    assert row["mean"] == pytest.approx(scores.mean())
    assert row["iqm"] == pytest.approx(stats.trim_mean(scores, 0.25))
    spread = np.sqrt(by_hand.groupby("problem")["psnr_ema_peak"].var().mean())
    assert row["seed_std"] == pytest.approx(spread)
    assert row["low"] < row["iqm"] < row["high"]
    assert row["high"] - row["low"] < 0.4  # of the seeds, not of the pictures


def test_what_diverged_on_the_hard_picture_does_not_rank_first(tmp_path):
    arms = [{"net": "encdec"}, {"net": "skip"}]
    rows = grid(arms, lambda arm, problem: 25.0 + 7 * (problem == "a"), problems="ab")
    for row in rows:
        if row["net"] == "encdec" and row["problem"] == "b":
            row |= {"outcome": "DIVERGED"}
    rows[-1] |= {"outcome": "DIVERGED"}  # one seed of the other
    table = score_table(made_sweep(tmp_path, rows))
    assert table["label"].to_list() == ["skip", "encdec"]
    assert table["mean"].to_list() == pytest.approx([28.5, 32], abs=0.2)
    assert table["complete"].to_list() == [True, False]
    names = ["pictures", "of_pictures", "runs", "diverged"]
    assert table[names].to_numpy().tolist() == [[2, 2, 5, 1], [1, 2, 3, 3]]


def test_each_noise_of_a_picture_has_to_be_scored(tmp_path):
    origins = {name: {"clean": "one.png", "noise_seed": k} for k, name in enumerate("ab")}
    rows = grid([{"net": "skip"}, {"net": "encdec"}], level, problems="ab")
    rows = [row for row in rows if (row["net"], row["problem"]) != ("skip", "b")]
    table = score_table(made_sweep(tmp_path, rows, origins=origins))
    assert table["label"].to_list() == ["encdec", "skip"]  # b is hard
    assert table["pictures"].to_list() == [1, 1]
    assert table["complete"].to_list() == [True, False]


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("psnr_ema_peak", "psnr_ema_peak, the best PSNR of the output's average."),
        ("ssim_final", "ssim_final, the last structural similarity of the output."),
        ("iteration_peak", "iteration_peak."),
        ("seconds", "seconds; lower counts as better."),
    ],
)
def test_sentences_name_the_metric_once(metric, said, tmp_path):
    rows = [
        {**row, metric: 5 + row["seed"]}
        for row in grid([{"net": "skip"}, {"net": "encdec"}], level, problems="a")
    ]
    found = sentences(effects(made_sweep(tmp_path, rows), metric=metric))
    assert [each for each in found if metric in each] == [f"Compared by {said}"]


def test_sentences_count_interactions_apart(tmp_path):
    arms = [
        {"net": net, "norm": norm, "upsampling": upsampling}
        for net in ("skip", "encdec")
        for norm in ("batch", "none")
        for upsampling in ("bilinear", "nearest")
    ]
    sweep = made_sweep(tmp_path, grid(arms, level))
    alone, both = effects(sweep), interactions(sweep).iloc[:2]
    both.attrs["comparisons"] = 2
    said = " ".join(sentences(alone, both))
    assert "3 comparisons of values and 2 of how one setting changes another, corrected" in said
    assert "of the differences called in each, at most 5 %" in said
    assert "3 comparisons of values were made; of the differences called, at most 5 %" in " ".join(
        sentences(alone)
    )


def test_sentences_say_what_is_larger_than_the_noise_in_full(tmp_path):
    rows = [
        {"problem": "a", "seed": seed, **arm, "psnr_peak": value}
        for arm, values in ((ADAM, (27.0, 27.2, 27.1)), (SGD, (26.0, 26.3, 26.15)))
        for seed, value in enumerate(values)
    ]
    frame = effects(made_sweep(tmp_path, rows, asked={"metric": "psnr_peak"}))
    assert sentences(frame) == [
        "adam (lr 0.01) against sgd (lr 1, momentum 0.9): +0.95 dB (95 % interval +0.83 to +1.07, "
        "3 pairs over 1 picture and 3 seeds): larger than the seed noise (0.13 dB); on this "
        "picture alone.",
        "Compared by psnr_peak, the best PSNR of the output.",
    ]
    none, *rest = sentences(frame, most=0)
    assert none == "The table has 1 more difference, 1 of them shown."
    assert len(rest) == 1


def test_a_difference_may_be_shown_and_still_be_less_than_the_noise(tmp_path):
    rng = np.random.default_rng(0)
    luck = rng.standard_normal(8)  # of the seed, whatever the net
    rows = [
        {"problem": "a", "net": net, "seed": seed, "psnr_ema_peak": value + gain}
        for net, gain in (("skip", 0.1), ("encdec", 0.0))
        for seed, value in enumerate(luck + 0.01 * rng.standard_normal(8))
    ]
    said = sentences(effects(made_sweep(tmp_path, rows)))[0]
    assert "shown to differ, by less than the seed noise of one fit" in said


def test_the_important_ones_come_first(tmp_path):
    worth = {"skip": 0.0, "encdec": 0.0, "batch": 0.3, "none": 0.0, "bilinear": 0.9, "nearest": 0.0}
    arms = [
        {"net": net, "norm": norm, "upsampling": upsampling}
        for net in ("skip", "encdec")
        for norm in ("none", "batch")
        for upsampling in ("bilinear", "nearest")
    ]

    def score(arm, problem):
        return sum(worth[value] for value in arm.values())

    frame = effects(made_sweep(tmp_path, grid(arms, score)))
    said = sentences(frame)
    starts = ["bilinear against nearest", "batch against norm none", "encdec against skip"]
    swapped = "skip against encdec"
    assert [line.partition(":")[0] for line in said[:2]] == starts[:2]
    assert said[2].partition(":")[0] in (starts[2], swapped)
    assert "not shown to differ" in said[2]


def test_nothing_to_compare_is_said(tmp_path):
    for rows in ([], grid([{}], level)):
        sweep = made_sweep(tmp_path, rows)
        frame, both = effects(sweep), interactions(sweep)
        assert len(frame) == len(both) == 0
        assert frame.dtypes["difference"] == "float64"
        assert sentences(frame, both)[0].endswith("nothing to compare.")
        assert len(draw_effects(frame).axes) == 0
        assert len(score_table(sweep)) == (1 if rows else 0)


def test_figure_has_a_panel_for_each_setting(tmp_path):
    norms = ("batch", "instance", "group", "none")
    arms = [{"net": net, "norm": norm} for net in ("skip", "encdec") for norm in norms]

    def score(arm, problem):
        return LEVEL[problem] - 0.5 * (arm["net"] == "encdec")

    frame = effects(made_sweep(tmp_path, grid(arms, score)))
    net, norm = draw_effects(frame, most=4).axes
    assert [net.get_title(loc="left"), norm.get_title(loc="left")] == ["net", "norm, 4 of 6"]
    assert [tick.get_text() for tick in net.get_yticklabels()] == ["encdec - skip"]
    row = only(frame, factor="net")
    zero, interval, dot = net.lines
    assert list(zero.get_xdata()) == [0, 0]
    assert list(interval.get_xdata()) == [row["low"], row["high"]]
    assert list(dot.get_xdata()) == [row["difference"]]
    assert dot.get_color() != norm.lines[-1].get_color()
    assert norm.get_xlabel() == "difference in psnr_ema_peak (dB), higher is better"
