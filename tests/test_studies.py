"""The studies: what they claim to cost, how they rank and mix, and tiny runs of all of them."""

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest

from analysis import load_sweep, score_table
from analysis.ensemble import Ensemble
from analysis.intervals import MeanInterval
from analysis.pictures import decibels
from dipray.errors import ConfigError
from dipray.images import read_picture
from dipray.store import Store
from dipray.sweep import SweepResult
from experiments.studies import (
    architecture,
    ensemble_tables,
    ensembles,
    learning_rate,
    optimizers,
)
from experiments.studies import study as frame
from experiments.studies.ensemble_figures import correlation_table, draw_gains
from experiments.studies.ensemble_tables import (
    Group,
    controls,
    gains,
    groups_of,
    mixing,
    mixtures,
    shared_size,
)
from experiments.studies.factor_tables import left_out, write_factors
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.held_out import against_best, differences, held_out, ranking
from experiments.studies.mixtures import correlations, mixture_data
from experiments.studies.optimizers import kinds
from experiments.studies.pictures import (
    PHOTOGRAPHS,
    noisy_problem,
    photograph_file,
    picture_of,
    reduced,
)
from experiments.studies.ranking_text import ranking_sentences
from experiments.studies.rate_effects import effects_table, null_sentence, rate_effects
from experiments.studies.rate_plots import rate_data
from experiments.studies.score_plots import draw_scores
from experiments.studies.study import main
from experiments.studies.verdicts import verdict
from tests.made_sweep import made_sweep
from tests.ray_local import local_ray  # noqa: F401

STUDIES = {
    each.STUDY.name: each.STUDY for each in (architecture, optimizers, learning_rate, ensembles)
}
every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


# what a study says and asks for


@every_study
def test_a_study_says_question_command_cost_and_expectation(study):
    lines = study.said.strip().splitlines()
    assert lines[0].endswith("?")
    starts = [line.split(":")[0] for line in lines[1:] if re.match(r"[A-Z][a-z ]+: ", line)]
    assert starts[:2] == ["Command", "Cost"]
    assert starts[-1] == "Expected"
    assert f"python -m experiments.studies.{study.name}" in study.said
    assert re.search("refuted|surprise", study.said, re.IGNORECASE)
    # an interval that holds zero is no support, and no refutation either
    said = " ".join(study.said.split())
    assert not re.search(r"refuted[^.;,]*(holds?) zero", said, re.IGNORECASE)


@every_study
def test_a_study_costs_what_it_says(study):
    plan = study.plan(study.full)
    digests = {config.digest() for config in plan.configs}
    assert len(digests) == len(plan.configs)
    fits, iterations = re.search(r"([\d,]+) fits, ([\d,]+) iterations", study.said).groups()
    assert plan.num_fits == int(fits.replace(",", "")) == len(digests) * study.full.problems
    assert plan.num_iterations == int(iterations.replace(",", ""))
    hours = plan.num_iterations * 0.04 / 3600 / 4
    assert f"so {hours:.0f} hours" in " ".join(study.said.split())


@every_study
def test_every_fit_is_possible(study):
    for flags in (study.full, study.smoke):
        for config in study.plan(flags).configs:
            config.check_size(flags.size, flags.size)


@every_study
def test_seeds_and_pictures_multiply(study):
    flags = study.flags(["--seeds", "3", "--noises", "2", "--pictures", "coffee", "rocket"])
    plan = study.plan(flags)
    assert flags.problems == 4
    assert {config.seed for config in plan.configs} == {0, 1, 2}
    assert plan.num_fits == 4 * len(plan.configs)


def test_a_smoke_test_has_its_own_defaults():
    study = STUDIES["architecture"]
    smoke = study.flags(["--smoke-test", "--seeds", "4"])
    assert smoke.smoke_test
    assert (smoke.size, smoke.seeds, smoke.device) == (study.smoke.size, 4, "cpu")
    assert study.flags([]) == study.full


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pictures", "coffee", "coffee"], "pictures=coffee, coffee: give one or more"),
        (["--pictures", "coffee"], "pictures: 1 given; this study needs at least 2"),
        (["--iterations", "0"], "iterations=0: allowed is at least 1"),
        (["--seeds", "0"], "seeds=0: allowed is at least 1"),
        (["--noises", "0"], "noises=0: allowed is 1 to 1000"),
        (["--size", "8"], "size=8: allowed is at least 16"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, said, capsys):
    assert main(optimizers.STUDY, arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"optimizers: {said}")
    assert error.count("\n") == 1


def test_one_seed_makes_no_ensemble():
    with pytest.raises(ConfigError, match="seeds: 1 given; this study needs at least 2"):
        ensembles.STUDY.plan(StudyFlags(seeds=1))


# photographs


def test_a_photograph_is_averaged_over_areas():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    square = pixels[:, 3:15].astype(np.float64)
    blocks = square.reshape(4, 3, 4, 3, 3).mean(axis=(1, 3))
    assert np.abs(reduced(pixels, 4) - blocks).max() <= 0.5
    share = np.kron(square, np.ones((5, 5, 1))).reshape(5, 12, 5, 12, 3).mean(axis=(1, 3))
    assert np.abs(reduced(pixels, 5) - share).max() <= 0.5
    assert (reduced(pixels, 12) == square).all()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_photographs_are_there(name, tmp_path):
    path = photograph_file(name, 64, tmp_path)
    picture = read_picture(path).pixels
    assert tuple(picture.shape) == (1, 3, 64, 64)
    assert float(picture.std()) > 0.1


def test_no_two_noises_are_alike(tmp_path):
    asked = [("coffee", 0), ("coffee", 1), ("rocket", 0)]
    problems = [noisy_problem(*each, size=16, folder=tmp_path) for each in asked]
    noises = [problem.y - problem.reference for problem in problems]
    for one, other in itertools.combinations(noises, 2):
        assert float((one - other).abs().mean()) > 0.01
    assert [picture_of(each.name) for each in problems] == ["coffee-16"] * 2 + ["rocket-16"]
    again = noisy_problem("coffee", 1, size=16, folder=tmp_path)
    assert again.fingerprint() == problems[1].fingerprint()


# ranked by the best rate, which is chosen elsewhere


def scored(scores):
    """Fits of (kind, lr, picture) -> scores of the seeds 0, 1..."""
    return pd.DataFrame(
        [
            (kind, lr, picture, f"{picture}-noise0", seed, score)
            for (kind, lr, picture), each in scores.items()
            for seed, score in enumerate(each)
        ],
        columns=["kind", "lr", "picture", "problem", "seed", "score"],
    )


TWO_RATES = {
    ("a", 0.1, "p"): [20.0, 22.0],
    ("a", 1.0, "p"): [30.0, 32.0],
    ("a", 0.1, "q"): [26.0, 28.0],
    ("a", 1.0, "q"): [24.0, 26.0],
    ("b", 5.0, "p"): [20.0, 20.0],
    ("b", 5.0, "q"): [20.0, 21.0],
}


def test_each_picture_is_scored_at_the_rate_chosen_on_the_others():
    chosen = held_out(scored(TWO_RATES)).groupby(["kind", "picture"])["lr"].agg(list)
    assert chosen["a", "p"] == [0.1, 0.1]  # which is best on q
    assert chosen["a", "q"] == [1.0, 1.0]
    rows = ranking(scored(TWO_RATES)).set_index("label")
    assert rows.loc["a", "mean"] == pytest.approx((21 + 25) / 2)
    assert rows.loc["a", "optimism"] == pytest.approx((31 + 27) / 2 - 23)
    assert rows.loc["a", "worst"] == pytest.approx((21 + 27) / 2)
    assert rows.loc["a", "at_end"]
    assert (rows.loc["b", "optimism"], rows.loc["b", "tried"]) == (0, 1)
    assert list(rows.index) == ["a", "b"]


def test_a_rate_that_diverges_elsewhere_is_not_chosen():
    scores = TWO_RATES | {("a", 0.1, "q"): [99.0, math.nan]}
    chosen = held_out(scored(scores)).groupby(["kind", "picture"])["lr"].first()
    assert chosen["a", "p"] == 1.0
    rows = ranking(scored(scores | {("a", 1.0, "p"): [math.nan, 32.0]})).set_index("label")
    assert (rows.loc["a", "diverged"], rows.loc["a", "pictures"]) == (2, 2)
    nothing_on_p = {("a", lr, "p"): [math.nan, 30.0] for lr in (0.1, 1.0)}
    left = held_out(scored(TWO_RATES | nothing_on_p))
    assert set(left.loc[left["kind"] == "a", "picture"]) == {"p"}  # none to choose for q


def test_kinds_are_paired_on_noise_and_seed():
    pairs = differences(scored(TWO_RATES))
    row = pairs.iloc[0]
    assert (row["kind"], row["versus"], row["pairs"], row["pictures"]) == ("a", "b", 4, 2)
    assert row["difference"] == pytest.approx(np.mean([0, 2, 4, 5]))
    assert row["low"] < row["difference"] < row["high"]
    rows = ranking(scored(TWO_RATES))
    turned = against_best(rows, pairs)
    assert turned["mean"].tolist() == [0, -row["difference"]]
    assert turned["low"].iloc[1] == -row["high"]
    assert math.isnan(turned["low"].iloc[0])


def test_the_ranking_in_words():
    rows, pairs = ranking(scored(TWO_RATES)), differences(scored(TWO_RATES))
    said = ranking_sentences(rows, pairs)
    assert said[0].startswith("a: 23.00 dB at lr 0.1 (1 pictures), 1 (1)")
    assert "-2.75 against the best" in said[1]
    assert "the worst rate tried costs -1.00 dB" in said[2]
    assert said[3].endswith("3.00 dB higher on average")


def test_noises_of_a_picture_are_no_seeds():
    """Two pictures with two noises each, on which the kinds differ by that much."""
    rows = [
        (kind, 0.1, picture, f"{picture}-noise{noise}", seed, 20 + gain + 0.01 * seed)
        for picture in "pq"
        for noise, extra in enumerate((-1.0, 1.2))
        for kind, gain in (("a", extra), ("b", 0.0))
        for seed in range(5)
    ]
    fits = pd.DataFrame(rows, columns=["kind", "lr", "picture", "problem", "seed", "score"])
    (row,) = differences(fits).to_dict("records")
    assert (row["difference"], row["pairs"]) == (pytest.approx(0.1), 20)
    # of four differences, -1 and 1.2 on each picture: two degrees of freedom
    error = math.sqrt(2 * 1.1**2 / 4)
    assert row["high"] - row["low"] == pytest.approx(2 * 4.3027 * error, rel=1e-3)
    mine = ranking(fits).set_index("label").loc["a"]
    assert mine["high"] - mine["low"] == pytest.approx(row["high"] - row["low"], rel=0.01)


def test_lbfgs_is_not_said_to_compute_alike():
    fits = scored(TWO_RATES)
    for kind, expected in (("lbfgs, no jitter", 1), ("adam", 0)):
        named = fits.replace({"kind": {"b": kind}})
        said = ranking_sentences(ranking(named), differences(named))
        assert sum("evaluates the network several times" in each for each in said) == expected
    assert "evaluates the network several times" in " ".join(optimizers.STUDY.said.split())


def test_the_rates_figure_leaves_out_what_diverged():
    data = rate_data(scored(TWO_RATES | {("b", 5.0, "q"): [math.nan, 1.0]})).set_index("kind")
    assert data.loc["b", "mean"] == 20
    assert data.loc["b", "pictures"] == 1
    assert data.loc["a", "highest"].tolist() == [27, 31]


def test_kinds_tell_momentum_and_jitter():
    columns = ["optimizer", "momentum", "nesterov", "input_jitter"]
    rows = [("sgd", 0.9, True, 0.03), ("sgd", 0.0, False, 0.03), ("lbfgs", 0.0, False, 0.0)]
    assert kinds(pd.DataFrame(rows, columns=columns)).tolist() == [
        "sgd, momentum 0.9 (Nesterov)",
        "sgd",
        "lbfgs, no jitter",
    ]


# ensembles of one network and of several


@pytest.fixture
def errors():
    """Three networks of four fits: what all share, what a network shares, and each fit's own."""
    rng = np.random.default_rng(3)
    shared = rng.standard_normal(50)
    return {
        name: 0.1 * (shared + scale * rng.standard_normal(50) + 0.5 * rng.standard_normal((4, 50)))
        for name, scale in (("a", 0.3), ("b", 0.6), ("c", 1.0))
    }


def test_mixtures_are_the_mean_over_all_choices(errors):
    found = mixture_data(errors, 2).set_index("networks")["psnr"]
    assert list(found.index) == ["a", "b", "c", "a + b", "a + c", "b + c"]  # no third of two
    pure = [np.square(errors["a"][list(each)].mean(0)).mean() for each in subsets(4, 2)]
    assert found["a"] == pytest.approx(decibels(np.mean(pure)))
    mixed = [
        np.square((errors["a"][i] + errors["b"][j]) / 2).mean()
        for i, j in itertools.product(range(4), repeat=2)
    ]
    assert found["a + b"] == pytest.approx(decibels(np.mean(mixed)))
    all_three = [
        np.square((errors["a"][i] + errors["b"][j] + errors["c"][k]) / 3).mean()
        for i, j, k in itertools.product(range(4), repeat=3)
    ]
    whole = mixture_data(errors, 3).set_index("networks")["psnr"]
    assert whole["a + b + c"] == pytest.approx(decibels(np.mean(all_three)))
    two_each = [
        np.square((errors["a"][list(i)].sum(0) + errors["b"][list(j)].sum(0)) / 4).mean()
        for i, j in itertools.product(subsets(4, 2), repeat=2)
    ]
    four = mixture_data(errors, 4).set_index("networks")["psnr"]
    assert four["a + b"] == pytest.approx(decibels(np.mean(two_each)))


def subsets(count, size):
    return itertools.combinations(range(count), size)


def test_errors_of_a_network_correlate_more_with_its_own(errors):
    table = correlations(errors)
    assert table.loc["b", "b"] > table.loc["b", "c"] == pytest.approx(table.loc["c", "b"])
    one = {"a": np.array([[1.0, 1.0], [1.0, 1.0]])}
    assert correlations(one).loc["a", "a"] == pytest.approx(1)


def test_mixing_is_told_against_the_network_that_is_best_alone():
    rows = [
        (f"{picture}-noise0", networks, count, psnr)
        for picture, base in (("p", 20), ("q", 25), ("r", 30))
        for networks, count, psnr in (
            ("a", 1, base), ("b", 1, base + 1), ("a + b", 2, base + 2 + base / 100)
        )
    ]  # fmt: skip
    found = mixing(pd.DataFrame(rows, columns=["problem", "networks", "count", "psnr"]))
    assert found.attrs["best"] == "b"
    assert found["networks"].tolist() == ["a + b", "b", "a"]
    assert found["mean"].tolist() == pytest.approx([1.25, 0, -1])
    assert found["low"].iloc[0] < 1.25 < found["high"].iloc[0]
    assert math.isnan(found["low"].iloc[1])


def test_the_control_and_what_diverged_are_no_members(tmp_path):
    rows = [
        {"problem": "p-noise0", "seed": 0},
        {"problem": "p-noise0", "seed": 1},
        {"problem": "p-noise0", "seed": 2, "outcome": "DIVERGED"},
        {"problem": "p-noise0", "seed": 0, "iterations": 300},
        {"problem": "p-noise0", "seed": 0, "net": "encdec"},
    ]
    sweep = made_sweep(tmp_path, rows)
    trials = tuple(sweep.trials.index)
    found = Findings(sweep, trials, StudyFlags(iterations=100, seeds=3), None)
    (group,) = groups_of(found)
    assert (group.problem, group.net) == ("p-noise0", "skip")
    assert sorted(sweep.trials.loc[list(group.members), "seed"]) == [0, 1]
    assert sweep.trials.loc[group.control, "iterations"] == 300


@pytest.fixture
def uneven(monkeypatch):
    """Groups of 3 and 4 fits on p, 4 and 4 on q, and of only one network on r; and their errors."""
    rng = np.random.default_rng(0)
    sizes = {("p", "a"): 3, ("p", "b"): 4, ("q", "a"): 4, ("q", "b"): 4, ("r", "b"): 4}
    found = [
        Group(f"{problem}-noise0", net, tuple(f"{problem}{net}{k}" for k in range(count)), "long")
        for (problem, net), count in sizes.items()
    ]
    images = {name: rng.random((4, 4, 3)) for group in found for name in group.members}

    def ensemble(sweep, members, *, picture):
        stack = np.stack([images[name] for name in members])
        return Ensemble("", picture, members, stack, np.full((4, 4, 3), 0.5), None)

    monkeypatch.setattr(ensemble_tables, "ensemble_data", ensemble)
    return found


WITHOUT_SWEEP = Findings(None, (), None, None)


def test_means_are_of_as_many_fits_on_every_picture(uneven):
    size = shared_size(uneven)
    assert size == 3
    mixed = mixtures(WITHOUT_SWEEP, uneven, "ema", size)
    assert set(mixed["size"]) == {2}  # which two networks can share
    sizes, summary = gains(WITHOUT_SWEEP, uneven, "ema", size)
    assert summary["seeds"].tolist() == [3, 4, 4, 4, 4]
    assert set(summary["size"]) == {3}
    assert summary["mean"].tolist() == sizes.loc[sizes["size"] == 3, "psnr"].tolist()


def test_controls_are_held_against_as_many_fits_everywhere(uneven, monkeypatch):
    asked = []

    def table(sweep, members, *, control):
        asked.append(len(members))
        return pd.DataFrame(
            {"kind": ["control", "mean"], "name": ["c", "mean"], "ema": 20.0}
            | {"peak": 21.0, "peak_ema": 22.0}
        )

    monkeypatch.setattr(ensemble_tables, "ensemble_table", table)
    assert controls(WITHOUT_SWEEP, uneven, 3)["ahead"].tolist() == [-2.0] * 5
    assert asked == [3] * 5


def test_no_network_on_every_picture_is_mixed_with_none(uneven):
    only_r = [group for group in uneven if (group.problem[0], group.net) != ("q", "b")]
    mixed = mixtures(WITHOUT_SWEEP, only_r, "ema", 2)
    against = mixing(mixed)
    assert against.empty
    assert against.attrs["best"] == ""
    _, summary = gains(WITHOUT_SWEEP, only_r, "ema", 2)
    said = ensembles._sentences(summary, against, 2)
    assert said[-1] == "no network has two fits that ended on every picture, so none are mixed"
    assert all("2 seeds against one" in each for each in said[:-1])


def test_the_gains_figure_has_a_panel_a_problem():
    sizes = pd.DataFrame(
        [(p, n, k, 20.0 + k, 20.0 + k) for p in "pqrs" for n in "ab" for k in (1, 2)],
        columns=["problem", "net", "size", "psnr", "law"],
    )
    summary = sizes.drop_duplicates(["problem", "net"]).assign(rho=0.5)
    figure = draw_gains(sizes, summary)
    assert [bool(axes.lines) and axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a, ρ = 0.50", "b, ρ = 0.50"]


def test_correlations_are_averaged_over_problems():
    rows = [("p", "a", "b", 0.2), ("q", "a", "b", 0.4), ("p", "b", "a", 0.2), ("q", "b", "a", 0.4)]
    rows += [(problem, net, net, 0.8) for problem in "pq" for net in "ab"]
    table = correlation_table(
        pd.DataFrame(rows, columns=["problem", "net", "other", "correlation"])
    )
    assert table.loc["a", "b"] == pytest.approx(0.3)


# factors


def diverged_on_b(*nets):
    return [
        {"problem": f"{problem}-noise0", "net": net, "seed": seed}
        | {"psnr_ema_peak": 32.0 - 7 * (problem == "b") + (net == "encdec"), "psnr_ema_final": 20.0}
        | ({"outcome": "DIVERGED"} if net in nets and problem == "b" else {})
        for net in ("skip", "encdec")
        for problem in "ab"
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("nets", "said"),
    [
        ((), ["the best average at its best is that of encdec, 29.50 dB"]),
        (
            ("encdec",),
            [
                "the best average at its best is that of skip, 28.50 dB",
                "1 of 2 configurations have no score on some picture and are not ranked",
            ],
        ),
    ],
)
def test_what_diverged_on_a_picture_is_not_the_best(nets, said, tmp_path):
    sweep = made_sweep(tmp_path, diverged_on_b(*nets))
    found = Findings(sweep, tuple(sweep.trials.index), StudyFlags(), None)
    assert write_factors(found)[: len(said)] == said


def test_no_configuration_is_the_best_if_none_has_all_pictures(tmp_path):
    rows = [
        row for row in diverged_on_b("encdec") if (row["net"], row["problem"][0]) != ("skip", "a")
    ]
    sweep = made_sweep(tmp_path, rows)
    found = Findings(sweep, tuple(sweep.trials.index), StudyFlags(), None)
    assert write_factors(found)[0].startswith("no configuration has a score on every picture")
    table = score_table(sweep)
    assert left_out(table) == [
        "2 of 2 configurations have no score on some picture and are not ranked"
    ]
    (axes,) = draw_scores(table[table["complete"]]).axes
    assert len(axes.get_yticks()) == 0


# learning rates


def slopes(changes, *, column="tv", lrs=5):
    """A row a picture, at a level that all rates reach, and one beyond that fewer do."""
    rows = [(f"{name}-noise0", 0.02, column, change, 3, lrs) for name, change in changes.items()]
    rows += [(f"{name}-noise0", 0.01, column, 9.0, 3, lrs - 1) for name in changes]
    rows += [(f"{name}-noise0", 0.05, column, 9.0, 3, lrs) for name in changes]
    return pd.DataFrame(rows, columns=["problem", "level", "column", "change", "seeds", "lrs"])


def test_the_effect_of_a_rate_is_taken_where_most_rates_get():
    (row,) = rate_effects(slopes({"p": -0.5, "q": 1.0, "r": 0.0}), by="loss").to_dict("records")
    assert row["mean"] == pytest.approx(0)  # ratios 1/2, 2 and 1
    assert (row["low"] + 1) * (row["high"] + 1) == pytest.approx(1)
    assert (row["pictures"], row["most_lrs"]) == (3, 5)
    (psnr,) = rate_effects(slopes({"p": -0.5, "q": 1.0}, column="psnr"), by="loss").to_dict(
        "records"
    )
    assert psnr["mean"] == pytest.approx(0.25)
    assert math.isnan(psnr["low"])


def test_the_null_hypothesis_is_answered_for_each_arm():
    arms = {
        "one": {"p": -0.20, "q": -0.21, "r": -0.22},
        "two": {"p": -0.2, "q": 0.2, "r": 0.1},
        "three": {"p": -0.2, "q": -0.2},
    }
    effects = pd.concat(
        rate_effects(slopes(changes), by="loss").assign(arm=arm, by="loss")
        for arm, changes in arms.items()
    )
    said = null_sentence(effects)
    assert "rejected for (one); not rejected for (two); not tested for (three)" in said
    table = effects_table(effects, ("tv", "psnr"))
    cells = list(table.columns[1].cells)
    assert cells[1].startswith("-21.0 (-2")
    assert cells[2] == "–"  # no PSNR


# figures and words


def test_a_score_without_an_interval_is_hollow():
    rows = pd.DataFrame(
        {"label": ["a", "b"], "mean": [2.0, 1.0], "low": [1.5, np.nan], "high": [2.5, np.nan]}
    )
    (axes,) = draw_scores(rows, none_at=1.0).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    faces = {float(line.get_xdata()[0]): line.get_markerfacecolor() for line in dots}
    assert faces[1.0] == "white" != faces[2.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]


def test_a_verdict_says_what_is_shown():
    assert verdict(MeanInterval(1, 0.5, 1.5, 0.01), 5).endswith(
        "5 pictures): shown to differ from none"
    )
    assert "not shown" in verdict(MeanInterval(1, -0.5, 1.5, 0.2), 5)
    alone = verdict(MeanInterval(1, math.nan, math.nan, math.nan), 1)
    assert alone == "+1.00 dB (1 picture, too few for an interval)"


# runs


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "PICTURES", str(tmp_path / "pictures"))


@pytest.mark.parametrize(
    ("rows", "interrupted", "budget", "code", "said"),
    [
        ([{}], 3, None, 130, "3 are not finished; the same command goes on with them"),
        ([{}], 3, 60.0, 0, "3 are not finished"),
        ([{"outcome": "FAILED", "reason": "no memory"}], 0, None, 1, "no memory"),
    ],
)
def test_how_a_study_ends_without_an_answer(
    rows, interrupted, budget, code, said, monkeypatch, tmp_path, capsys, pictures
):
    def ran(problems, space, store, **rest):
        sweep = made_sweep(tmp_path / "run", [{"problem": "p", **row} for row in rows])
        trials = (*sweep.trials.index, "p-never-begun")
        failed = 0 if interrupted else 1
        return SweepResult(Store(tmp_path / "run"), trials, 0, 1, failed, interrupted, 1.0)

    monkeypatch.setattr(frame, "run_sweep", ran)
    arguments = ["--smoke-test", "--save-dir", str(tmp_path / "run")]
    if budget:
        arguments += ["--time-budget-s", str(budget)]
    assert main(architecture.STUDY, arguments) == code
    assert said in capsys.readouterr().out
    assert not (tmp_path / "run" / "study").exists()


METRICS = ("psnr_ema_peak", "psnr_ema_final")
FACTORS = {
    f"{table}_{metric}.{end}"
    for metric in METRICS
    for table in ("scores", "effects", "interactions", "importance")
    for end in ("csv", "parquet")
} | {f"{figure}_{metric}.png" for metric in METRICS for figure in ("effects", "importance")}
LEAVES = {
    "architecture": {
        *FACTORS,
        *(f"scores_{metric}.png" for metric in METRICS),
        "curves_coffee-32-noise0.png",
    },
    "optimizers": {
        *FACTORS,
        *(f"rates_{metric}.png" for metric in METRICS),
        *(f"ranking_{metric}.{end}" for metric in METRICS for end in ("csv", "parquet", "png")),
        *(f"differences_{metric}.{end}" for metric in METRICS for end in ("csv", "parquet")),
    },
    "learning_rate": {
        "total_variation.png",
        "effects.csv",
        "effects.parquet",
        *(
            f"{table}at_equal_{by}.{end}"
            for table in ("", "slopes_")
            for by in ("loss", "iteration", "lr_x_iteration")
            for end in ("csv", "parquet")
        ),
        *(
            f"{figure}_{arm}_coffee-32-noise0.png"
            for figure in ("curves", "at_equal")
            for arm in ("noise_batch_norm", "coordinates_batch_norm", "coordinates_no_norm")
        ),
    },
    "ensembles": {
        "controls.csv",
        "controls.parquet",
        *(
            f"{table}_{picture}.{end}"
            for table in ("gain", "rho", "mixtures", "mixing", "correlations")
            for picture in ("ema", "peak_ema")
            for end in ("csv", "parquet")
        ),
        *(
            f"{figure}_{picture}.png"
            for figure in ("gain", "mixing", "correlations")
            for picture in ("ema", "peak_ema")
        ),
    },
}


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray", "pictures")
@every_study
def test_a_tiny_run_of_a_study(study, tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--smoke-test", "--save-dir", str(run), "--iterations", "12", "--seeds", "2"]
    arguments += ["--pictures", *("coffee", "astronaut")[: study.fewest_pictures]]
    assert main(study, arguments) == 0
    out = capsys.readouterr().out
    fits = study.plan(study.flags(arguments)).num_fits
    assert f"{fits} fits run, 0 kept from before, 0 failed" in out
    assert {path.name for path in (run / "study").iterdir()} == LEAVES[study.name]
    assert len(load_sweep(run).trials) == fits
    assert out.rstrip().endswith(f"dipray report {run}")
    written = {path: path.stat().st_mtime_ns for path in (run / "trials").rglob("*")}
    if study is ensembles.STUDY:  # the quickest
        assert main(study, arguments) == 0
        assert f"0 fits run, {fits} kept from before" in capsys.readouterr().out
        assert {path: path.stat().st_mtime_ns for path in (run / "trials").rglob("*")} == written
