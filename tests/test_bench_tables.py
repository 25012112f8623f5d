"""The made sweep is like one that ran, Tune's has the same numbers, and each is read whole."""

from dataclasses import replace

import pytest
from ray.tune import ExperimentAnalysis

from analysis import load_sweep
from analysis.report import report_html
from dipray.folder import TRACE
from dipray.trace import COLUMNS
from experiments.bench import imports, opening, reading, tables
from experiments.bench.made_folder import PARTS, Size, configurations, make_folder
from experiments.bench.made_tune import make_experiment

SIZE = Size(trials=5, iterations=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the sweep and that of Tune."""
    folder = tmp_path_factory.mktemp("made")
    make_folder(folder / "sweep", SIZE)
    return folder / "sweep", make_experiment(folder / "tune", SIZE)


@pytest.fixture(scope="module")
def sweep(made):
    return load_sweep(made[0])


def test_configurations_are_all_different():
    digests = {config.digest() for config in configurations(Size(trials=90))}
    assert len(digests) == 90


def test_a_made_sweep_is_read_without_a_complaint(sweep):
    trials = sweep.trials
    assert sweep.left_out == []
    assert len(trials) == SIZE.trials
    assert (trials["outcome"] == "BUDGET").all()
    assert (trials["iterations_run"] == SIZE.iterations).all()
    assert trials["pick_emv"].between(1, SIZE.iterations).all()
    assert trials["seed"].nunique() == 1
    assert {"noisy input", "non-local means"} <= set(sweep.baselines["method"])
    assert sweep.have_image(trials.index, "peak_ema")
    assert sweep.snapshots(trials.index[0])[-1] == SIZE.iterations


def test_its_traces_lie_in_parts_and_have_what_a_denoising_fit_has(sweep, made):
    trial = sweep.trials.index[0]
    assert len(list((made[0] / "trials" / trial / TRACE).iterdir())) == PARTS
    traces = sweep.traces(trials=trial)
    assert traces["iteration"].tolist() == list(range(1, SIZE.iterations + 1))
    needed = ("nothing", "reference", "window")
    for column in COLUMNS:
        known = traces[column.name].notna()
        assert known.any() == (column.needs in needed), column.name
        assert known.all() == (column.needs in needed and not column.costly), column.name
    best = traces["psnr_ema"].max()
    assert sweep.trials.loc[trial, "psnr_ema_peak"] == pytest.approx(best, rel=1e-6)


def test_tune_reads_the_same_numbers(sweep, made):
    analysis = ExperimentAnalysis(str(made[1]))
    trials = analysis.dataframe()
    assert len(trials) == SIZE.trials
    ours = sweep.trials.set_index(["net", "features", "lr", "seed"])["loss_final"]
    for _, row in trials.iterrows():
        key = tuple(row[f"config/{name}"] for name in ours.index.names)
        assert row["loss"] == pytest.approx(ours[key], rel=1e-6)
    for column in ("psnr_ema", "ssim"):
        theirs = sorted(frame[column].sum() for frame in analysis.trial_dataframes.values())
        sums = sweep.traces(column).groupby("trial", observed=True)[column].sum()
        assert theirs == pytest.approx(sorted(sums), rel=1e-5)


@pytest.mark.parametrize(("reader", "place"), [("dipray", 0), ("tune", 1)])
def test_a_reading_is_of_all_there_is(reader, place, made):
    read = reading.read_dipray if reader == "dipray" else reading.read_tune
    found = read(made[place])
    assert (found.trials, found.rows) == (SIZE.trials, SIZE.trials * SIZE.iterations)
    assert min(found.import_s, found.trials_s, found.traces_s, found.peak_mb) > 0


def test_a_reading_in_a_process_of_its_own(made):
    found = reading.read_in_process("dipray", made[0])
    assert found.rows == SIZE.trials * SIZE.iterations
    assert 20 < found.peak_mb < 500


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """The section in this process, without a browser."""
    reads = {"dipray": reading.read_dipray, "tune": reading.read_tune}
    monkeypatch.setattr(tables, "read_in_process", lambda name, folder: reads[name](folder))
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    monkeypatch.setattr(tables, "why_not", lambda: "there is no chromium")
    return tmp_path


def test_the_section_of_tables(quick):
    found = {each.what: each for each in tables.measure(device="cpu", quick=True)}
    table = found["table of all trials, 4 trials x 60 iterations"]
    assert table.goal is not None
    assert (table.goal.bound, table.goal.of) == (1, "value")
    assert table.ratio == pytest.approx(table.theirs / table.ours.median)
    assert found["report of 4 trials, written"].ours > 0
    opened = found["report of 4 trials, opened"]
    assert (opened.ours, opened.met, opened.remark) == (None, None, "there is no chromium")
    made_at = (quick / "made-4x60/sweep.json").stat().st_mtime_ns
    tables.measure(device="cpu", quick=True)
    assert (quick / "made-4x60/sweep.json").stat().st_mtime_ns == made_at


def test_a_reading_that_is_not_whole_is_no_finding(quick, monkeypatch):
    whole = tables.read_in_process

    def half(name, folder):
        return replace(whole(name, folder), rows=120)

    monkeypatch.setattr(tables, "read_in_process", half)
    with pytest.raises(ValueError, match="not all of 4 trials x 60 iterations"):
        tables.measure(device="cpu", quick=True)


def test_the_section_of_imports_runs_every_command(monkeypatch):
    given = []
    monkeypatch.setattr(imports, "_run", given.append)
    found = imports.measure(device="cpu", quick=False)
    assert {tuple(each[2:]) for each in given if each[0] == "-m"} == {
        ("--help",),
        *((name, "--help") for name in imports.COMMANDS),
    }
    assert [each.what for each in found][::2] == ["dipray --help", "import analysis"]
    assert all(each.goal.bound == 0.5 for each in found[:2])


@pytest.mark.skipif(bool(opening.why_not()), reason=opening.why_not())
def test_an_opened_report_has_all_its_figures(sweep, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(report_html(sweep))
    opened = opening.open_page(page, picture=tmp_path / "page.png")
    assert opened.complaints == ()
    assert opened.figures >= 3
    assert 0 < opened.loaded_s <= opened.drawn_s
    assert (tmp_path / "page.png").stat().st_size > 10_000
