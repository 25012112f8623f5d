"""The edge of stability in tables and verdicts: traces made with a known law."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis import load_sweep
from analysis.edge import (
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    edge_summary,
    edge_table,
    edge_verdict,
    measured_ratios,
)
from analysis.intervention import jump_effects, jump_pairs, jump_table, jump_verdict
from analysis.mediation import mediation_table, mediation_verdict
from analysis.phases import (
    AT_EDGE,
    BEFORE,
    BETWEEN,
    null_verdict,
    own_slopes,
    phase_frame,
    phase_slopes,
    smoothness_verdict,
)
from analysis.report.stability import stability_sections
from analysis.stability_plots import (
    draw_at_equal_loss,
    draw_jumps,
    draw_ratios,
    jump_data,
    ratio_data,
    relative_data,
)
from experiments.studies.stability.coordinates import input_verdict
from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

LRS = (0.5, 1.0, 2.0, 4.0)
PICTURES = ("a", "b", "c")
STEPS = 400
SEEDS = 2
EVERY = 10  # between measurements of the ratio
MEASURED = np.zeros(STEPS, bool)
MEASURED[[0, *range(EVERY - 1, STEPS, EVERY)]] = True


def loss_at(lr):
    return 0.004 + 0.07 * np.exp(-0.02 * lr * np.arange(STEPS))


def add_fit(
    store,
    lr,
    *,
    seed=0,
    problem="a",
    edge_at=None,
    late=1.05,
    before=0.0,
    at_edge=0.0,
    noise=0.0,
    first=0.3,
    ratio=None,
    factors=None,
    **settings,
):
    """A fit that comes to the edge after `edge_at` iterations, where its ratio is `late`.

    before, at_edge: the power of lr that total variation has at a loss. factors: what columns are
    multiplied by, iteration by iteration.
    """
    loss = loss_at(lr)
    there = np.arange(1, STEPS + 1) > (STEPS if edge_at is None else edge_at)
    ratios = np.where(there, late, 0.3) if ratio is None else ratio
    ratios = np.array(ratios, float)
    ratios[0] = first
    luck = noise * np.random.default_rng([seed, *map(ord, problem)]).standard_normal(2)
    tv = 0.05 * loss**-0.3 * lr ** np.where(there, at_edge + luck[0], before + luck[1])
    columns = {
        "psnr": -10 * np.log10(loss),
        "tv": tv,
        "laplacian": 0.5 * tv,
        "hf_energy": 0.1 * tv,
        "sharpness_ratio": np.where(MEASURED, ratios, np.nan),
        "sharpness": np.where(MEASURED, ratios * 2 / lr, np.nan),
        "weight_norm": np.full(STEPS, 5.0) * lr**0.1,
        **{f"noise_fraction_{band}": tv for band in range(1, 6)},
    }
    for name, factor in (factors or {}).items():
        columns[name] = columns.get(name, np.ones(STEPS)) * factor
    config = BASE.replace(
        **{"optimizer": "sgd", "probe_every": EVERY, "norm": "none"}
        | {"lr": lr, "seed": seed, "iterations": STEPS}
        | settings
    )
    rows = trace_rows(
        loss if "loss" not in columns else loss * columns.pop("loss"), lr=lr, **columns
    )
    return add_trial(store, config, problem=problem, rows=rows)


def made(folder, **law):
    store = empty_sweep(folder)
    for problem in PICTURES:
        for seed in range(SEEDS):
            for lr in LRS:
                # at the same loss for all rates, so that both phases have several of them
                law_here = {"edge_at": round(60 / lr), "noise": 0.005, **law}
                add_fit(store, lr, seed=seed, problem=problem, **law_here)
    return load_sweep(folder)


# the edge


def test_a_row_says_how_the_ratio_went(tmp_path):
    store = empty_sweep(tmp_path)
    early = add_fit(store, 1.0, edge_at=95)
    never = add_fit(store, 2.0)
    sharp = add_fit(store, 4.0, edge_at=20, late=1.5)
    none = add_fit(store, 0.5, ratio=np.full(STEPS, np.nan), first=np.nan)
    sweep = load_sweep(tmp_path)
    table = edge_table(sweep, [early, never, sharp, none])
    assert list(table.index) == [early, never, sharp]
    assert table.loc[early, "reached_at"] == 100
    assert math.isnan(table.loc[never, "reached_at"])
    assert table["at_edge"].tolist() == [True, False, True]
    assert table["inside"].tolist() == [True, False, False]
    assert table["ratio"].tolist() == pytest.approx([1.05, 0.3, 1.5])
    summary = edge_summary(table)
    assert summary["lr"].tolist() == [1.0, 2.0, 4.0]
    assert summary["at_edge"].tolist() == [1, 0, 1]
    assert summary["inside"].tolist() == [1, 0, 0]


def test_only_the_last_quarter_counts(tmp_path):
    store = empty_sweep(tmp_path)
    ratio = np.where(np.arange(STEPS) < 0.7 * STEPS, 3.0, 1.1)
    trial = add_fit(store, 1.0, ratio=ratio)
    table = edge_table(load_sweep(tmp_path), [trial])
    assert table.loc[trial, "ratio"] == pytest.approx(1.1)
    assert bool(table.loc[trial, "inside"])


def test_the_first_step_of_adam_does_not_count(tmp_path):
    store = empty_sweep(tmp_path)
    adam = add_fit(store, 1.0, first=9.0, optimizer="adam")
    sgd = add_fit(store, 2.0, first=9.0)
    sweep = load_sweep(tmp_path)
    ratios = measured_ratios(sweep, [adam, sgd])
    assert ratios[adam]["iteration"].iloc[0] == EVERY
    assert ratios[sgd]["iteration"].iloc[0] == 1
    assert edge_table(sweep, [adam, sgd])["at_edge"].tolist() == [False, True]


def edge_rows(inside, *, pictures=PICTURES, at_edge=True):
    return pd.DataFrame(
        [
            {"problem": picture, "lr": 1.0, "at_edge": at_edge, "inside": hit, "ratio": 1.0}
            for picture in pictures
            for hit in inside
        ]
    )


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        (edge_rows([True] * 5), SUPPORTED),
        (edge_rows([True] * 9 + [False]), SUPPORTED),
        (edge_rows([True, False]), REFUTED),
        (edge_rows([True] * 5, pictures=("a", "b")), UNDECIDED),
        (edge_rows([True] * 5, at_edge=False), UNDECIDED),
        (
            pd.concat(
                [edge_rows([True] * 5, pictures=("a", "b")), edge_rows([False], pictures="c")]
            ),
            UNDECIDED,
        ),
    ],
    ids=["all", "most", "half", "two pictures", "none there", "pictures differ"],
)
def test_the_verdict_on_the_edge_follows_the_rule(table, wanted):
    verdict, said = edge_verdict(table)
    assert verdict == wanted
    assert str(len(table)) in said


# smoothness at equal loss


def test_phases_are_before_at_and_between(tmp_path):
    store = empty_sweep(tmp_path)
    ratio = np.full(STEPS, 0.5)
    ratio[60:120], ratio[200:] = 1.0, 1.2
    fits = [add_fit(store, lr, ratio=ratio) for lr in (1.0, 1.1)]
    frame = phase_frame(load_sweep(tmp_path), fits, columns=("tv",), num_levels=30)
    by_iteration = frame[frame["trial"] == fits[0]].sort_values("iteration")
    found = dict(zip(by_iteration["iteration"], by_iteration["phase"], strict=True))
    for iteration, phase in found.items():
        if iteration < 60:  # when it is measured below the edge for the last time
            assert phase == BEFORE
        elif 70 <= iteration < 130 or iteration >= 210:
            assert phase == AT_EDGE
        else:
            assert phase == BETWEEN
    assert set(found.values()) == {BEFORE, AT_EDGE, BETWEEN}


def test_slopes_are_those_of_the_law(tmp_path):
    sweep = made(tmp_path, before=0.0, at_edge=-0.2, noise=0.0)
    frame = phase_frame(sweep, list(sweep.trials.index))
    before = own_slopes(frame, "tv", phase=BEFORE)
    after = own_slopes(frame, "tv", phase=AT_EDGE)
    assert before["slope"].to_numpy() == pytest.approx(0, abs=2e-3)
    assert after["slope"].to_numpy() == pytest.approx(-0.2, abs=2e-3)
    assert set(after["lrs"]) <= {2, 3, 4}
    slopes = phase_slopes(frame, ["tv", "noise_fraction"])
    rows = slopes[slopes["column"] == "noise_fraction"].set_index("phase")
    assert rows.loc["difference", "slope"] == pytest.approx(-0.2, abs=3e-3)
    assert rows.loc[AT_EDGE, ["fits", "pictures"]].tolist() == [3 * SEEDS, 3]


@pytest.mark.parametrize(
    ("law", "wanted"),
    [
        ({"at_edge": -0.3}, SUPPORTED),
        ({"at_edge": 0.0}, REFUTED),
        ({"at_edge": 0.3}, REFUTED),
        ({"at_edge": -0.3, "before": -0.3}, REFUTED),
        ({"at_edge": -0.1, "noise": 1.0}, UNDECIDED),
        ({"at_edge": -0.3, "late": 0.5}, UNDECIDED),
    ],
    ids=["smoother", "none", "rougher", "as before", "noise", "never there"],
)
def test_the_verdict_on_smoothness_follows_the_rule(tmp_path, law, wanted):
    sweep = made(tmp_path, **law)
    slopes = phase_slopes(phase_frame(sweep, list(sweep.trials.index)), ["tv"])
    verdict, said = smoothness_verdict(slopes, "tv")
    assert verdict == wanted, said


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-0.02, 0.03, SUPPORTED),
        (0.01, 0.09, SUPPORTED),  # not 0, but as good as
        (-0.2, -0.11, REFUTED),
        (0.12, 0.3, REFUTED),
        (-0.2, 0.05, UNDECIDED),
        (math.nan, math.nan, UNDECIDED),
    ],
)
def test_the_verdict_on_the_null_follows_the_rule(low, high, wanted):
    before = {"column": "tv", "phase": BEFORE, "slope": (low + high) / 2, "low": low, "high": high}
    rows = [{**before, "fits": 9, "pictures": 3}, {**before, "phase": AT_EDGE, "pictures": 0}]
    assert null_verdict(pd.DataFrame(rows), "tv")[0] == wanted
    rows[0]["pictures"] = 2
    assert null_verdict(pd.DataFrame(rows), "tv")[0] == UNDECIDED


def test_fits_that_went_astray_do_not_count(tmp_path):
    store = empty_sweep(tmp_path)
    fits = [add_fit(store, lr, edge_at=20) for lr in LRS]
    fits.append(add_fit(store, 8.0, edge_at=20, factors={"loss": np.linspace(1, 90, STEPS)}))
    sweep = load_sweep(tmp_path)
    assert edge_table(sweep, fits)["at_edge"].tolist() == [True] * 4 + [False]
    assert fits[-1] not in set(phase_frame(sweep, fits)["trial"])


@pytest.mark.parametrize(
    ("coordinates", "noise", "wanted"),
    [
        ((-0.3, -0.4, -0.2), (0.0, -0.1, 0.1), SUPPORTED),
        ((0.0, -0.05, 0.05), (0.0, -0.1, 0.1), REFUTED),
        ((-0.1, -0.4, 0.2), (0.0, -0.1, 0.1), UNDECIDED),
        ((-0.1, -0.15, -0.05), (-0.3, -0.4, -0.2), REFUTED),
        ((-0.3, -0.4, -0.2), (-0.1, -0.15, -0.05), UNDECIDED),
    ],
)
def test_the_verdict_on_inputs_follows_the_rule(coordinates, noise, wanted):
    rows = [
        {"slope": mean, "low": low, "high": high, "pictures": 3}
        for mean, low, high in (coordinates, noise)
    ]
    assert input_verdict(*rows)[0] == wanted
    assert input_verdict({**rows[0], "pictures": 2}, rows[1])[0] == UNDECIDED


# interventions


def with_jumps(folder, *, sharper=1.5, rougher=1.2, edge_at=100, lr=1.0, noise=0.01):
    """Twins with the same path, but that one is sharper and rougher after iteration 200."""
    store = empty_sweep(folder)
    after = np.arange(1, STEPS + 1) > 200
    for problem in PICTURES:
        for seed in range(SEEDS):
            rng = np.random.default_rng([seed, *map(ord, problem)])
            add_fit(store, lr, seed=seed, problem=problem, edge_at=edge_at)
            luck = np.exp(noise * rng.standard_normal(2))
            add_fit(
                store,
                lr,
                seed=seed,
                problem=problem,
                edge_at=edge_at,
                factors={
                    "sharpness": np.where(after, sharper * luck[0], 1.0),
                    "tv": np.where(after, rougher * luck[1], 1.0),
                },
                **{"lr_schedule": "jump", "lr_jump_at": 200, "lr_jump_by": 0.125},
            )
    return load_sweep(folder)


def test_twins_are_compared_at_losses_after_the_jump(tmp_path):
    sweep = with_jumps(tmp_path, noise=0.0)
    pairs = jump_pairs(sweep.trials)
    assert len(pairs) == 3 * SEEDS
    for jumped, constant in pairs:
        rows = sweep.trials.loc[[jumped, constant]]
        assert rows["lr_schedule"].tolist() == ["jump", "constant"]
        assert rows["seed"].nunique() == rows["problem"].nunique() == 1
    table = jump_table(sweep, list(sweep.trials.index))
    assert len(table) == 3 * SEEDS * 4
    assert (table["level"] < loss_at(1.0)[199]).all()
    assert table["at_edge"].all()
    # between two measurements on either side of the jump a line is drawn
    assert np.exp(table["tv"]).to_numpy() == pytest.approx(1.2, rel=1e-3)
    assert np.exp(table["sharpness"].iloc[1:4]).to_numpy() == pytest.approx(1.5, rel=1e-3)
    assert table["psnr"].to_numpy() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("law", "dropped", "wanted"),
    [
        ({}, True, SUPPORTED),
        ({}, False, REFUTED),
        ({"sharper": 0.6, "rougher": 0.8}, False, SUPPORTED),
        ({"rougher": 1.0}, True, REFUTED),
        ({"sharper": 0.9}, True, REFUTED),
        ({"rougher": 1.05, "noise": 0.3}, True, UNDECIDED),
    ],
    ids=["as expected", "other way", "a rise", "no rougher", "not sharper", "noise"],
)
def test_the_verdict_on_jumps_follows_the_rule(tmp_path, law, dropped, wanted):
    sweep = with_jumps(tmp_path, **law)
    effects = jump_effects(jump_table(sweep, list(sweep.trials.index)))
    verdict, said = jump_verdict(effects, dropped=dropped)
    assert verdict == wanted, said
    assert f"{3 * SEEDS} fits" in said


def test_who_was_not_at_the_edge_is_told_apart(tmp_path):
    sweep = with_jumps(tmp_path, edge_at=None)
    assert not jump_table(sweep, list(sweep.trials.index))["at_edge"].any()


def test_a_pair_that_comes_no_further_has_nothing_to_compare(tmp_path):
    store = empty_sweep(tmp_path)
    stuck = np.where(np.arange(STEPS) < 200, 1.0, loss_at(1.0)[200] / loss_at(1.0))
    jump = {"lr_schedule": "jump", "lr_jump_at": 300, "lr_jump_by": 8.0}
    for more in ({}, jump):
        add_fit(store, 1.0, factors={"loss": stuck}, **more)
    sweep = load_sweep(tmp_path)
    table = jump_table(sweep, list(sweep.trials.index))
    assert table["level"].isna().all()
    effects = jump_effects(table)
    assert effects["fits"].eq(0).all()
    assert jump_verdict(effects, dropped=False)[0] == UNDECIDED


# mediation


def points(law, *, pictures=PICTURES):
    """At equal loss: rate, sharpness around 2 / lr, and total variation by a law of both."""
    rng = np.random.default_rng(0)
    rows = []
    for problem in pictures:
        for seed in range(3):
            for lr in LRS:
                for level in (0.01, 0.02):
                    sharp = 2 / lr * np.exp(0.4 * rng.standard_normal())
                    tv = law(lr, sharp) * np.exp(0.01 * rng.standard_normal())
                    rows.append((f"{problem}{seed}{lr}", problem, seed, lr, level, sharp, tv))
    columns = ["trial", "problem", "seed", "lr", "level", "sharpness", "tv"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("law", "direct", "wanted"),
    [
        (lambda lr, sharp: sharp**0.3, 0.0, SUPPORTED),
        (lambda lr, sharp: lr**-0.3, -0.3, REFUTED),
        (lambda lr, sharp: lr**-0.05 * sharp**0.25, -0.05, SUPPORTED),
        (lambda lr, sharp: lr**-0.25 * sharp**0.05, -0.25, REFUTED),
        (lambda lr, sharp: 1.0, 0.0, UNDECIDED),
    ],
    ids=["all of it", "none of it", "most of it", "little of it", "nothing to mediate"],
)
def test_what_goes_through_the_mediator(law, direct, wanted):
    (row,) = mediation_table(points(law), mediators=["sharpness"]).to_dict("records")
    assert row["direct"] == pytest.approx(direct, abs=0.02)
    assert row["total"] == pytest.approx(row["direct"] + row["indirect"])
    assert row["pictures"] == 3
    verdict, said = mediation_verdict(row)
    assert verdict == wanted, said


def test_two_pictures_decide_nothing():
    table = mediation_table(points(lambda _, s: s**0.3, pictures="ab"), mediators=["sharpness"])
    assert mediation_verdict(table.to_dict("records")[0])[0] == UNDECIDED


def test_a_mediator_that_is_the_rate_itself_is_left_out():
    frame = points(lambda lr, _: lr**-0.3)
    frame["weight_norm"] = 3 * frame["lr"] ** 0.5
    assert mediation_table(frame, mediators=["weight_norm"]).empty


# plots and the page


def test_plots_have_their_data(tmp_path):
    sweep = made(tmp_path, at_edge=-0.2)
    trials = list(sweep.trials.index)
    ratios = ratio_data(sweep, trials)
    assert sorted(set(ratios["lr"])) == list(LRS)
    assert set(ratios["fits"]) == {3 * SEEDS}
    assert ratios[ratios["iteration"] == STEPS]["median"].to_numpy() == pytest.approx(1.05)
    frame = phase_frame(sweep, trials)
    data = relative_data(frame, "tv")
    at_edge = data[data["phase"] == AT_EDGE].set_index("lr")["value"]
    assert at_edge[4.0] / at_edge[1.0] == pytest.approx(4**-0.2, rel=0.05)
    assert isinstance(draw_ratios(sweep, {"one": trials, "two": trials}), Figure)
    assert isinstance(draw_at_equal_loss({"one": frame}), Figure)


def test_jumps_are_drawn_beside_their_twins(tmp_path):
    sweep = with_jumps(tmp_path)
    trials = list(sweep.trials.index)
    data = jump_data(sweep, trials, "tv")
    assert set(data["kind"]) == {"changed", "constant"}
    late = data[data["iteration"] == STEPS].set_index("kind")["median"]
    assert late["changed"] / late["constant"] == pytest.approx(1.2, rel=0.02)
    assert isinstance(draw_jumps(sweep, {"one": trials}), Figure)


def test_the_page_shows_rates_and_jumps(tmp_path):
    store = empty_sweep(tmp_path)
    for problem in PICTURES:
        for lr in LRS:
            add_fit(store, lr, problem=problem, edge_at=round(60 / lr), at_edge=-0.2, noise=0.01)
        jump = {"lr_schedule": "jump", "lr_jump_at": 200, "lr_jump_by": 0.125}
        add_fit(store, 2.0, problem=problem, edge_at=30, **jump)
    rates, jumps = stability_sections(load_sweep(tmp_path))
    assert [plot["title"] for plot in rates["plots"]] == [
        "sharpness over threshold",
        "total variation at equal training loss",
        "mean |Laplacian| at equal training loss",
        "noise fraction at equal training loss",
    ]
    edge, slopes = rates["tables"]
    assert [row[0] for row in edge["rows"]] == ["0.5", "1", "2", "4"]
    assert edge["rows"][0][1] == "3"
    assert "supported" in edge["sentences"][0]
    assert slopes["rows"][0][0] == "total variation"
    assert "2 lowered to 0.25" in jumps["label"]
    assert len(jumps["plots"]) == 4
    assert jumps["tables"][0]["sentences"][0].startswith("Sharpness and smoothness follow")


def test_the_page_judges_the_lazy_regime_by_the_null(tmp_path):
    store = empty_sweep(tmp_path)
    for problem in PICTURES:
        for lr in LRS:
            add_fit(store, lr, problem=problem, noise=0.001, linearised=True)
    (part,) = stability_sections(load_sweep(tmp_path))
    said = part["tables"][1]["sentences"]
    assert said[0].startswith("The same picture at every rate, in the lazy regime: supported. tv")
    assert said[1].startswith("The same picture at every rate")
    assert len(said) == 2


def test_a_sweep_without_a_probe_has_no_such_section(tmp_path):
    store = empty_sweep(tmp_path)
    add_fit(store, 1.0, probe_every=0)
    assert stability_sections(load_sweep(tmp_path)) == []
