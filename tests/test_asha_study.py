"""The study of ASHA: what it costs, its replays, its verdict, and the lines of the benchmark."""

import re

import numpy as np
import pytest

from analysis import load_sweep
from dipray.sweep.replay import replay
from experiments.bench import __main__ as bench
from experiments.bench import asha as section
from experiments.bench.finding import table as as_table
from experiments.replaying.curves import below_best
from experiments.studies.asha import STUDY, sentences
from experiments.studies.asha_figure import draw_best_so_far
from experiments.studies.asha_replays import (
    asha,
    at_equal_iterations,
    by_seed,
    other_settings,
    unscheduled,
    verdicts,
)
from tests.ray_local import local_ray  # noqa: F401
from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

LENGTH = 64  # iterations, so that the rungs lie at 4, 16 and 64


def test_the_study_says_and_costs_what_it_does():
    starts = [
        each.split(":")[0] for each in STUDY.said.splitlines() if re.match("[A-Z][a-z]+:", each)
    ]
    assert starts == ["Command", "Cost", "Settings", "Expected"]
    assert STUDY.said.splitlines()[0].endswith("?")
    plan = STUDY.plan(STUDY.full)
    said = re.search(r"([\d,]+) fits, ([\d,]+) iterations", STUDY.said).groups()
    assert said == (f"{plan.num_fits:,}", f"{plan.num_iterations:,}")
    assert plan.num_fits == 48 * 2 * 3 == len({each.digest() for each in plan.configs}) * 2
    # a rung is where a fit reports
    every, budget = STUDY.full.resources.report_every, STUDY.full.iterations
    assert budget / 16 % every == budget / 4 % every == budget % every == 0
    for flags in (STUDY.full, STUDY.smoke):
        for config in STUDY.plan(flags).configs:
            config.check_size(flags.size, flags.size)


def rising(peak, speed):
    """A PSNR that climbs from 10 dB to its peak."""
    return peak - (peak - 10) * np.exp(-speed * np.arange(1.0, LENGTH + 1))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """16 fits of one speed on each of two pictures, for two seeds: the early order is the last."""
    store = empty_sweep(tmp_path_factory.mktemp("asha") / "run")
    store.write_json("sweep.json", {"metric": "psnr_peak", "report_every": 4})
    for seed in (0, 1):
        for place in range(16):
            psnr = rising(20.0 + place / 2, 0.1)
            config = BASE.replace(seed=seed, lr=0.01 * (place + 1), iterations=LENGTH)
            columns = {"psnr": psnr, "psnr_ema": psnr - 1, "seconds": np.arange(1.0, LENGTH + 1)}
            rows = trace_rows(np.ones(LENGTH), lr=0.01, **columns)
            for problem in ("astronaut-64-noise0", "chelsea-64-noise0"):
                add_trial(store, config, problem=problem, rows=rows)
    return load_sweep(store)


@pytest.fixture(scope="module")
def grids(sweep):
    return by_seed(sweep, asha(sweep), sweep.trials.index)


@pytest.fixture(scope="module")
def found(sweep, grids):
    return verdicts(grids, asha(sweep), orders=20)


def test_asha_is_the_one_that_was_written_down(sweep):
    config = asha(sweep)
    assert (config.scheduler, config.metric) == ("asha", "psnr_peak")
    assert (config.grace_period, config.reduction_factor, config.report_every) == (4, 4.0, 4)


def test_the_curve_is_the_best_so_far_against_what_was_spent(sweep, grids):
    config, whole = unscheduled(asha(sweep)), grids[0]
    ordered = sorted(whole.fits, key=lambda fit: fit.reports[-1]["psnr_peak"])
    worst_first, best_first = (
        below_best(replay(fits, config, parallel=1), whole, config, np.array([0, 0.5, 1.0]))
        for fits in (ordered, ordered[::-1])
    )
    # after half of the fits, eight of each picture, the best of the rest is 4 dB above
    assert worst_first == pytest.approx([np.nan, 4, 0], abs=0.02, nan_ok=True)
    assert best_first == pytest.approx([np.nan, 0, 0], nan_ok=True)


def test_where_early_ranks_are_last_ranks_asha_loses_nothing(found):
    table, curves = found
    assert table["seed"].tolist() == [0, 0, 1, 1]
    assert (table["lost"] == 0).all()
    assert table["share"].between(0.1, 0.6).all()
    for way, ours in curves.groupby("way"):
        assert (ours.groupby("seed")["below"].diff().dropna() <= 1e-9).all()
        assert ours["below"].iloc[-1] == pytest.approx(0), way
    equal = at_equal_iterations(curves)
    assert equal["asha"].tolist() == [0, 0]
    assert (equal["random"] > 0.3).all()
    means = table.groupby("seed")[["iterations", "planned"]].sum()
    assert equal["share"].tolist() == (means["iterations"] / means["planned"]).tolist()


def test_the_verdict_names_what_was_expected(found):
    table, curves = found
    said = sentences(table, curves)
    assert len(said) == 3
    assert "lost 0.00 dB on astronaut-64, 0.00 dB on chelsea-64" in said[0]
    cheap = curves.copy()
    cheap.attrs["ends"] = {0: 0.29, 1: 0.3}
    assert sentences(table, cheap)[-1].startswith("as expected: at worst 0.00 dB lost")
    cheap.attrs["ends"] = {0: 0.29, 1: 0.31}
    assert sentences(table, cheap)[-1].startswith("refuted")
    lossy = table.assign(lost=[0, 0, 0, 0.16])
    cheap.attrs["ends"] = {0: 0.2, 1: 0.2}
    assert sentences(lossy, cheap)[-1].startswith("refuted: at worst 0.16 dB lost")


def test_the_figure_ends_where_asha_does(found):
    axes = draw_best_so_far(found[1], most_lost=0.15, title="").axes[0]
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    ends = found[1].attrs["ends"]
    assert lines["ASHA"][-1] == pytest.approx(max(ends.values()), abs=0.003)
    assert lines["random order (mean of many), every fit to its end"][-1] == 1


def test_other_settings_stand_beside(sweep):
    table = other_settings(sweep, sweep.trials.index, orders=2).set_index("setting")
    late, early = table.loc["asha, first rung at 1/4, factor 4"], table.iloc[0]
    assert late["share"] > early["share"]
    assert table["within"].between(0, 1).all()
    assert (table["worst"] >= table["lost"]).all()


# the benchmark


def test_the_benchmark_reads_the_run_of_the_study(sweep):
    findings = section.measure(device="cpu", quick=False, run=sweep.store.location)
    assert [each.unit for each in findings] == ["dB", "%", "dB", "%"]
    assert findings[0].met
    assert findings[0].remark.startswith("astronaut-64 0.00, chelsea-64 0.00; random search")
    assert "PSNR that ASHA loses, seed 1" in as_table(findings)
    assert bench.SECTIONS["asha"] == section.__name__


def test_without_the_run_the_benchmark_says_what_makes_it(tmp_path):
    (finding,) = section.measure(device="cpu", quick=False, run=tmp_path / "none")
    assert finding.ours is None
    assert "run python -m experiments.studies.asha first" in finding.remark


@pytest.mark.ray
def test_a_quick_benchmark_runs_a_small_grid(local_ray):  # noqa: F811
    findings = section.measure(device="cpu", quick=True)
    assert len(findings) == 2
    assert findings[0].ours >= 0
    assert 0 < findings[1].ours < 100
