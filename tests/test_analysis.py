import io
import json
import math
import pickle
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from analysis import (
    Sweep,
    curve_data,
    draw_curves,
    draw_psnr_against_tv,
    iterations_saved,
    leaderboard,
    leaderboard_table,
    load_sweep,
    save_figure,
    smoothness_data,
    write_tables,
)
from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import trial_id
from dipray.images import encode_png
from dipray.loop import Fit
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.stopping import RULES
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, Summary

BASE = FitConfig(depth=1, features=4, iterations=30, metrics_every=10, device="cpu")
NETS = ("skip", "unet")
PROBLEMS = ("sharp", "soft")
NUMBERS = tuple(Summary().outcome_row())
BASELINES = [
    {"method": "noisy [input]", "psnr": 2.0, "seconds": 0.0, "picture": "noisy.png"},
    {"method": "oracle", "psnr": 99.0, "seconds": 1.5, "picture": None},
    {"method": "blind", "psnr": None, "seconds": 0.5, "picture": None},
]


def make_problem(name: str) -> Problem:
    generator = torch.Generator().manual_seed(len(name))
    truth = torch.rand((1, 1, 16, 16), generator=generator)
    noise = 0.1 * torch.randn(truth.shape, generator=generator)
    origin = {"task": "denoise", "noise_sigma": 25.5, "scale": None}
    return Problem((truth + noise).clamp(0, 1), reference=truth, name=name, origin=origin)


def add_trial(trials: Path, problem: Problem, config: FitConfig, *, stop_at: int | None = None):
    """Run a fit into its folder, to its end or until `stop_at`; its name and its recorder."""
    name = trial_id(problem.name, problem.fingerprint(), config)
    recorder = Recorder(Store(trials / name), Fit(problem, config))
    for block in recorder.fit.blocks(10):
        recorder.add(block)
        if recorder.fit.iteration == stop_at:
            break
    return name, recorder


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("made") / "sweep"
    store = Store(root)
    store.write_json("sweep.json", {"metric": "psnr_peak", "mode": "max", "scheduler": "asha"})
    for name in PROBLEMS:
        problem = make_problem(name)
        folder = store.child("problems", name)
        folder.write_json("problem.json", problem.describe())
        folder.write("measurement.png", encode_png(problem.y))
        folder.write_json("baselines.json", BASELINES)
        for net in NETS:
            add_trial(root / "trials", problem, BASE.replace(net=net))
    return root


@pytest.fixture
def folder(_made, tmp_path) -> Path:
    """A sweep of two problems and two nets, to be damaged at will."""
    return Path(shutil.copytree(_made, tmp_path / "sweep"))


@pytest.fixture
def sweep(folder) -> Sweep:
    return load_sweep(folder)


def first_trial(folder: Path) -> Path:
    return sorted((folder / "trials").iterdir())[0]


def test_trials_have_a_row_each_with_configuration_outcome_and_numbers(sweep):
    trials = sweep.trials
    assert trials.index.name == "trial"
    assert list(trials["problem"].value_counts()) == [len(NETS)] * len(PROBLEMS)
    assert set(trials.columns) == {
        "problem",
        *FitConfig.model_fields,
        *("outcome", "stopped_by", "reason"),
        *NUMBERS,
        *(f"pick_{rule}{part}" for rule in RULES for part in ("", "_fired", "_psnr", "_psnr_ema")),
        *(f"regret_{rule}" for rule in RULES),
        *("chosen", "regret_chosen"),
    }
    assert set(trials["outcome"]) == {"BUDGET"}
    assert set(trials["iterations_run"]) == {BASE.iterations}
    assert set(trials["betas"]) == {(0.9, 0.999)}
    assert trials["stopped_by"].isna().all()
    assert trials["psnr_hole_final"].isna().all()
    assert sweep.asked["scheduler"] == "asha"
    assert sweep.left_out == []


def test_picks_of_a_trial_are_numbers_of_its_row(folder):
    config = BASE.replace(holdout=0.1, patience=1, iterations=60, seed=7)
    name, recorder = add_trial(folder / "trials", make_problem("soft"), config)
    row = load_sweep(folder).trials.loc[name]
    assert recorder.fit.picks["loss"].fired  # at any look, with such a patience
    for rule, pick in recorder.fit.picks.items():
        for part, value in pick.to_dict().items():
            found = row[f"pick_{rule}" if part == "iteration" else f"pick_{rule}_{part}"]
            assert pd.isna(found) if value is None else found == value, (rule, part)
    assert pd.isna(row[["pick_sure", "pick_sure_psnr"]]).all()  # which had nothing to look at


@pytest.mark.parametrize("picks", ["[1]", "3", '{"val": {"iteration": "x"}}'])
def test_picks_that_are_broken_are_said(folder, picks):
    trial = first_trial(folder)
    said = json.loads((trial / "outcome.json").read_text()) | {"picks": json.loads(picks)}
    (trial / "outcome.json").write_text(json.dumps(said))
    sweep = load_sweep(folder)
    assert sweep.trials.loc[trial.name, "outcome"] == "RUNNING"
    assert [line.partition(": ")[0] for line in sweep.left_out] == [
        f"trials/{trial.name}/outcome.json"
    ]


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("iterations", "int64"),
        ("iterations_run", "Int64"),
        ("iteration_peak", "Int64"),
        ("iteration_ema_peak", "Int64"),
        ("skip_channels", "Int64"),
        ("seed_input", "Int64"),
        ("lr", "float64"),
        ("nesterov", "bool"),
        ("psnr_peak", "float64"),
        ("psnr_hole_final", "float64"),
        ("holdout", "float64"),
        ("sure_sigma", "float64"),
        ("iteration_val_ema_peak", "Int64"),
        ("val_psnr_ema_peak", "float64"),
        ("pick_val", "Int64"),
        ("pick_wmv_fired", "Int64"),
        ("pick_loss_psnr_ema", "float64"),
        ("seconds", "float64"),
        ("net", "str"),
        ("device", "str"),
        ("outcome", "str"),
        ("betas", "object"),
    ],
)
def test_trials_have_their_dtypes_with_and_without_rows(sweep, tmp_path, column, dtype):
    Store(tmp_path / "none").write_json("sweep.json", {})
    for trials in (sweep.trials, load_sweep(tmp_path / "none").trials):
        assert trials[column].dtype == dtype


def test_tables_are_read_once_and_are_the_callers_own(folder):
    sweep = load_sweep(folder)
    before = sweep.trials
    shutil.rmtree(folder / "trials")
    changed = sweep.trials
    changed["psnr_peak"] = 0.0
    del changed["net"]
    pd.testing.assert_frame_equal(sweep.trials, before)


def test_traces_agree_with_trials(sweep):
    trials, traces = sweep.trials, sweep.traces()
    assert list(traces.columns) == ["trial", *COLUMN_NAMES]
    assert traces["iteration"].dtype == "int64"
    assert {str(traces[name].dtype) for name in COLUMN_NAMES if name != "iteration"} == {"float64"}
    assert set(traces["trial"]) == set(trials.index)
    by_trial = traces.groupby("trial", observed=True)
    for column, number in (("psnr", "psnr_peak"), ("psnr_ema", "psnr_ema_peak")):
        assert by_trial[column].max().to_dict() == trials[number].to_dict()
    assert by_trial.size().to_dict() == trials["iterations_run"].to_dict()
    peaks = traces.loc[by_trial["psnr"].idxmax()].set_index("trial")["iteration"]
    assert peaks.to_dict() == trials["iteration_peak"].to_dict()
    joined = traces.join(trials[["net"]], on="trial")
    assert joined["net"].value_counts().to_dict() == dict.fromkeys(NETS, 2 * BASE.iterations)


def test_values_that_the_trace_does_not_have_are_nan(sweep):
    traces = sweep.traces(["ssim", "psnr_hole"])
    assert traces["psnr_hole"].isna().all()
    known = traces.loc[traces["ssim"].notna(), "iteration"]
    assert set(known) == {1, 10, 20, 30}


def test_traces_hold_the_columns_and_trials_asked_for(sweep):
    second, first = list(sweep.trials.index[:2])
    traces = sweep.traces(["tv", "iteration", "psnr", "tv"], [first, second])
    assert list(traces.columns) == ["trial", "iteration", "tv", "psnr"]
    assert list(traces["trial"].unique()) == [first, second]
    assert list(traces["trial"].cat.categories) == [first, second]
    assert list(sweep.traces("psnr", first).columns) == ["trial", "iteration", "psnr"]
    assert list(sweep.traces([]).columns) == ["trial", "iteration"]
    empty = sweep.traces(["psnr"], [])
    assert len(empty) == 0
    assert list(empty.columns) == ["trial", "iteration", "psnr"]


def test_traces_are_free_to_be_changed(sweep):
    traces = sweep.traces("loss", sweep.trials.index[0])
    traces.loc[:, "loss"] = 0.0
    assert (traces["loss"].to_numpy() == 0).all()
    assert (sweep.traces("loss", sweep.trials.index[0])["loss"] > 0).all()


def test_traces_of_other_trials_are_not_read(folder):
    sweep = load_sweep(folder)
    wanted, other = sweep.trials.index[:2]
    shutil.rmtree(folder / "trials" / other)
    assert len(sweep.traces(["psnr"], [wanted])) == BASE.iterations


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda sweep: sweep.traces(["psnrr"]), "no column 'psnrr'; did you mean psnr?"),
        (lambda sweep: sweep.traces(trials=["nobody"]), "no trial 'nobody'.*there are s.*, s"),
        (lambda sweep: sweep.image("nobody", "final"), "no trial 'nobody'"),
        (lambda sweep: sweep.problem_image("nobody", "reference"), "there are sharp, soft"),
        (lambda sweep: leaderboard(sweep, metric="net"), "no metric 'net'.*psnr_peak"),
        (lambda sweep: draw_curves(sweep, "psnr"), "name one problem; there are sharp, soft"),
        (lambda sweep: draw_curves(sweep, "fame", problem="soft"), "no column 'fame'"),
        (lambda sweep: draw_curves(sweep, "psnr", problem="x"), "no problem 'x'"),
    ],
)
def test_unknown_names_are_one_line_that_names_what_exists(sweep, ask, message):
    with pytest.raises(FolderError, match=message) as caught:
        ask(sweep)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_problems_and_baselines(sweep):
    problems, baselines = sweep.problems, sweep.baselines
    assert list(problems["name"]) == list(PROBLEMS)
    assert list(problems["task"]) == ["denoise"] * 2
    assert list(problems["shape"]) == [(1, 16, 16)] * 2
    assert problems["has_reference"].all()
    assert list(problems["noise_sigma"]) == [25.5] * 2
    assert list(baselines.columns) == ["problem", "method", "psnr", "seconds", "picture"]
    assert len(baselines) == len(PROBLEMS) * len(BASELINES)
    assert baselines["psnr"].isna().sum() == len(PROBLEMS)


def test_images(sweep, folder):
    trial = sweep.trials.index[0]
    stored = (folder / "trials" / trial / "final.png").read_bytes()
    assert sweep.image(trial, "final") == sweep.image(trial, "final.png") == stored
    assert sweep.problem_image("soft", "measurement").startswith(b"\x89PNG")
    for name in ("fame", "../final", "config.json"):
        with pytest.raises(FolderError, match=r"there are ema\.png, final\.png, peak\.png"):
            sweep.image(trial, name)
    (folder / "trials" / trial / "ema.png").write_bytes(b"GIF89a")
    with pytest.raises(FolderError, match="not a PNG"):
        sweep.image(trial, "ema")


def test_running_trial_is_a_row_with_numbers_from_its_trace(folder):
    config = BASE.replace(seed=1)
    name, recorder = add_trial(folder / "trials", make_problem("soft"), config, stop_at=20)
    recorder._write_part()
    sweep = load_sweep(folder)
    row = sweep.trials.loc[name]
    assert row["outcome"] == "RUNNING"
    assert row["iterations_run"] == 20
    expected = {
        key: math.nan if x is None else x for key, x in recorder.summary.outcome_row().items()
    }
    floats = [key for key in NUMBERS if not key.startswith("iteration")]
    np.testing.assert_allclose(
        row[floats].astype(float), [expected[key] for key in floats], rtol=1e-6
    )
    assert row["iteration_peak"] == expected["iteration_peak"]
    assert len(sweep.traces(["psnr"], [name])) == 20


def test_trial_that_has_no_trace_yet_is_a_row(folder):
    name, _ = add_trial(folder / "trials", make_problem("soft"), BASE.replace(seed=1), stop_at=10)
    sweep = load_sweep(folder)
    row = sweep.trials.loc[name]
    assert row["outcome"] == "RUNNING"
    assert pd.isna(row["iterations_run"])
    assert pd.isna(row["psnr_peak"])
    assert len(sweep.traces(trials=[name])) == 0
    assert sweep.left_out == []
    assert leaderboard(sweep).groupby("problem").last().loc["soft", "trial"] == name


def test_diverged_trial_is_a_row_with_its_trace(folder):
    config = BASE.replace(seed=1)
    name, recorder = add_trial(folder / "trials", make_problem("soft"), config, stop_at=10)
    with torch.no_grad():
        recorder.fit.descent.parameters[0].fill_(torch.nan)
    for block in recorder.fit.blocks(10):
        recorder.add(block)
    sweep = load_sweep(folder)
    row = sweep.trials.loc[name]
    assert row["outcome"] == "DIVERGED"
    assert row["iterations_run"] == 11
    assert np.isfinite(row["psnr_final"])
    losses = sweep.traces(["loss"], [name])["loss"]
    assert list(np.isfinite(losses)) == [True] * 10 + [False]
    assert curve_data(sweep, "loss", trials=[name])["iteration"].max() == 10
    entry = leaderboard(sweep).set_index("trial").loc[name]
    assert entry["ended_by"] == "diverged"
    assert draw_curves(sweep, "psnr", trials=[name]).axes


def test_truncated_part_is_left_out_and_said(folder):
    trial = first_trial(folder)
    whole = (trial / "trace.parquet" / "part-00000.parquet").read_bytes()
    (trial / "trace.parquet" / "part-00001.parquet").write_bytes(whole[: len(whole) // 2])
    (trial / "trace.parquet" / "part-00002.parquet").write_bytes(b"")
    pd.DataFrame({"x": [1]}).to_parquet(trial / "trace.parquet" / "part-00003.parquet")
    sweep = load_sweep(folder)
    said = sweep.left_out
    assert len(said) == 3
    for number, line in enumerate(said, start=1):
        assert line.startswith(f"trials/{trial.name}/trace.parquet/part-0000{number}.parquet: ")
        assert "\n" not in line
    assert len(sweep.traces(["psnr"], [trial.name])) == BASE.iterations
    assert sweep.left_out == said


def test_unended_trial_with_a_truncated_part_has_numbers_of_the_rest(folder):
    trial = first_trial(folder)
    (trial / "outcome.json").unlink()
    (trial / "trace.parquet" / "part-00009.parquet").write_bytes(b"PAR1")
    sweep = load_sweep(folder)
    row = sweep.trials.loc[trial.name]
    assert (row["outcome"], row["iterations_run"]) == ("RUNNING", BASE.iterations)
    assert len(sweep.left_out) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"lr": -1}', '{"fame": 1}', '{"depth": "x\\ny"}', "\x00", "null"]
)
def test_trial_with_a_broken_configuration_is_left_out_and_said(folder, text):
    trial = first_trial(folder)
    (trial / "config.json").write_text(text)
    sweep = load_sweep(folder)
    assert len(sweep.trials) == 3
    assert trial.name not in sweep.trials.index
    assert len(sweep.left_out) == 1
    assert sweep.left_out[0].startswith(f"trials/{trial.name}/config.json: ")
    assert "\n" not in sweep.left_out[0]
    assert set(sweep.traces(["psnr"])["trial"]) == set(sweep.trials.index)
    assert len(leaderboard(sweep)) == 3 + 4


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"outcome": "BUDGET", "iterations_run": "many"}',
        '{"outcome": "BUDGET", "iterations_run": 30, "psnr_peak": true}',
    ],
)
def test_trial_with_a_broken_outcome_counts_as_running(folder, text):
    trial = first_trial(folder)
    (trial / "outcome.json").write_text(text)
    sweep = load_sweep(folder)
    row = sweep.trials.loc[trial.name]
    assert (row["outcome"], row["iterations_run"]) == ("RUNNING", BASE.iterations)
    assert np.isfinite(row["psnr_peak"])
    assert [line.partition(": ")[0] for line in sweep.left_out] == [
        f"trials/{trial.name}/outcome.json"
    ]


def test_foreign_and_broken_files_are_said_and_do_no_harm(folder):
    trial = first_trial(folder)
    (folder / "notes.txt").write_text("hello")
    (folder / "trials" / "notes.txt").write_text("hello")
    (folder / "trials" / "empty").mkdir()
    (folder / "problems" / "notes.txt").write_text("hello")
    (folder / "problems" / "soft" / "baselines.json").write_text('[{"psnr": 1}, 3]')
    (folder / "problems" / "sharp" / "problem.json").write_text("[]")
    (folder / "sweep.json").write_text("[]")
    (trial / "problem.json").write_text("{")
    sweep = load_sweep(folder)
    assert len(sweep.trials) == 4
    assert sweep.asked == {}
    assert sweep.trials.loc[trial.name, "problem"] == "sharp"
    assert sorted(sweep.problems["name"]) == list(PROBLEMS)
    assert len(sweep.baselines) == 0
    assert [line.partition(": ")[0] for line in sweep.left_out] == [
        "sweep.json",
        "trials/empty/config.json",
        "trials/notes.txt/config.json",
        f"trials/{trial.name}/problem.json",
        "problems/notes.txt/problem.json",
        "problems/sharp/problem.json",
        "problems/soft/baselines.json",
        "problems/soft/baselines.json",
    ]


class Poison:
    def __reduce__(self):
        return (Path.touch, (Path("poisoned"),))


def test_pickles_beside_the_data_are_never_loaded(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    trial = first_trial(folder)
    poison = pickle.dumps(Poison())
    for place in (
        folder / "sweep.pkl",
        folder / "trials" / "trial.pkl",
        trial / "checkpoint.pkl",
        trial / "trace.parquet" / "part-00005.parquet",
        trial / "outcome.json",
    ):
        place.write_bytes(poison)
    sweep = load_sweep(folder)
    assert len(sweep.trials) == 4
    assert len(sweep.traces()) == 4 * BASE.iterations
    assert len(sweep.left_out) == 3
    write_tables(sweep)
    assert not (folder.parent / "poisoned").exists()


def test_what_is_no_sweep_is_refused_in_one_line(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model": "gpt"}')
    for place in ("empty", "missing", "foreign", "sweep/sweep.json", "sweep/problems"):
        with pytest.raises(FolderError, match=str(tmp_path / place)) as caught:
            load_sweep(tmp_path / place)
        assert "\n" not in str(caught.value)
    with pytest.raises(FolderError, match="nowhere://x"):
        load_sweep("nowhere://x")


def test_sweep_without_trials_is_empty_tables(tmp_path):
    Store(tmp_path).write_json("sweep.json", {"metric": "psnr_peak"})
    sweep = load_sweep(tmp_path)
    assert len(sweep.trials) == len(sweep.traces()) == len(sweep.problems) == 0
    assert len(leaderboard(sweep)) == 0
    assert iterations_saved(sweep) == {"planned": 0, "run": 0, "saved": 0, "share": 0.0}
    assert leaderboard_table(leaderboard(sweep)).row_count == 0
    with pytest.raises(FolderError, match="there are none"):
        draw_curves(sweep, "psnr")
    write_tables(sweep)
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == 0


def test_single_fit_is_a_sweep_of_one_trial(folder):
    place = first_trial(folder)
    sweep = load_sweep(place)
    assert list(sweep.trials.index) == [place.name]
    assert list(sweep.problems["name"]) == ["sharp"]
    assert len(sweep.baselines) == 0
    assert len(sweep.traces(["loss"])) == BASE.iterations
    assert sweep.image(place.name, "peak").startswith(b"\x89PNG")
    board = leaderboard(sweep)
    assert list(board["trial"]) == [place.name]
    assert draw_curves(sweep, "loss", log_x=True).axes[0].get_yscale() == "log"
    (place / "trace.parquet" / "part-00001.parquet").write_bytes(b"")
    assert load_sweep(place).left_out[0].startswith("trace.parquet/part-00001.parquet: ")


def test_location_may_be_a_uri_or_a_store(folder):
    expected = load_sweep(folder)
    for location in (f"file://{folder}", str(folder), Store(folder)):
        sweep = load_sweep(location)
        pd.testing.assert_frame_equal(sweep.trials, expected.trials)
        pd.testing.assert_frame_equal(sweep.traces(["psnr"]), expected.traces(["psnr"]))
        assert sweep.left_out == []
    assert list(load_sweep(f"file://{first_trial(folder)}").trials.index) == [
        first_trial(folder).name
    ]
    write_tables(load_sweep(f"file://{folder}"))
    assert (folder / "trials.csv").exists()


def test_leaderboard_is_sorted_with_the_methods_among_the_trials(sweep):
    board = leaderboard(sweep)
    assert list(board.columns) == [
        *("rank", "problem", "trial", "method", "net"),
        *("psnr_peak", "iteration_peak", "psnr_ema_peak", "iteration_ema_peak"),
        *("ended_by", "iterations_run", "seconds"),
    ]
    for _, rows in board.groupby("problem"):
        assert list(rows["rank"]) == [1, 2, 3, 4]
        assert list(rows["method"]) == ["oracle", "dip", "dip", "noisy [input]"]
        assert rows["psnr_peak"].is_monotonic_decreasing
        assert list(rows["trial"].isna()) == [True, False, False, True]
        assert list(rows["net"].isna()) == [True, False, False, True]
        assert set(rows["ended_by"].dropna()) == {"budget"}
    assert board["iteration_peak"].dtype == "Int64"


def test_leaderboard_keeps_the_methods_beside_the_top(sweep):
    board = leaderboard(sweep, top=1)
    assert list(board["rank"]) == [1, 2, 4] * 2
    assert board["trial"].notna().sum() == 2
    with pytest.raises(ConfigError, match="top=0: allowed is 1 or more"):
        leaderboard(sweep, top=0)


@pytest.mark.parametrize(
    ("metric", "rising", "methods"),
    [
        ("psnr_final", False, 2),
        ("psnr_ema_peak", False, 2),
        ("ssim_final", False, 0),
        ("loss_final", True, 0),
        ("tv_final", True, 0),
        ("hf_energy_final", True, 0),
        ("laplacian_final", True, 0),
    ],
)
def test_leaderboard_by_another_metric(sweep, metric, rising, methods):
    for _, rows in leaderboard(sweep, metric=metric).groupby("problem"):
        assert rows["trial"].isna().sum() == methods
        assert rows[metric].notna().all()
        assert rows[metric].is_monotonic_increasing == rising


def test_leaderboard_says_what_ended_a_trial_and_what_scheduler_saved(folder):
    problem = make_problem("soft")
    trials = folder / "trials"
    endings = {}
    for seed, stopped in enumerate((True, False), start=1):
        config = BASE.replace(seed=seed)
        name, recorder = add_trial(trials, problem, config, stop_at=10 * seed)
        recorder.end("INTERRUPTED")
        if stopped:
            recorder.store.write_json("stopped.json", {"stopped_by": "asha", "stopped_at": 10})
        endings[name] = "asha" if stopped else "interrupted"
    name, recorder = add_trial(trials, problem, BASE.replace(seed=3), stop_at=10)
    recorder.end("FAILED", reason="out of\nmemory")
    endings[name] = "failed: out of memory"
    rule = BASE.replace(seed=4, stop="loss", patience=1, iterations=1000, lr=1e-6)
    name, recorder = add_trial(trials, problem, rule)
    endings[name] = "loss"
    run_by_rule = recorder.fit.iteration
    name, recorder = add_trial(trials, problem, BASE.replace(seed=5), stop_at=10)
    endings[name] = "running"

    sweep = load_sweep(folder)
    board = leaderboard(sweep).dropna(subset="trial").set_index("trial")
    assert board.loc[list(endings), "ended_by"].to_dict() == endings
    # of those made here only the trials ended by asha and by the rule are finished
    planned = 5 * BASE.iterations + 1000
    assert run_by_rule < 1000
    assert iterations_saved(sweep) == {
        "planned": planned,
        "run": 4 * BASE.iterations + 10 + run_by_rule,
        "saved": BASE.iterations - 10,
        "share": (BASE.iterations - 10) / planned,
    }


def test_leaderboard_table_fits_a_terminal(sweep):
    more = ["trial", "optimizer", "betas", "upsampling", "activation", "norm", "padding"]
    board = leaderboard(sweep)
    wide = board.merge(sweep.trials.reset_index()[more], how="left")
    wide.loc[1, "ended_by"] = "failed: " + "very long " * 20
    for frame in (board, wide, board[board["problem"] == "soft"]):
        screen = Console(width=100, file=io.StringIO(), color_system=None)
        screen.print(leaderboard_table(frame))
        text = screen.file.getvalue()
        assert "noisy [input]" in text
        assert "99.00" in text
        assert f"{board['psnr_peak'].iloc[1]:.2f}" in text or frame is not board
        assert max(len(line) for line in text.splitlines()) <= 100
        assert text.count("ended by") == frame["problem"].nunique()


def test_curve_data_is_the_known_values(sweep):
    rows = curve_data(sweep, "ssim")
    assert list(rows.columns) == ["trial", "iteration", "ssim"]
    assert len(rows) == 4 * 4
    assert rows["ssim"].notna().all()
    assert len(curve_data(sweep, "psnr_hole")) == 0


def test_smoothness_data_pairs_psnr_with_total_variation(sweep):
    trial = sweep.trials.index[0]
    for averaged, end in ((False, ""), (True, "_ema")):
        rows = smoothness_data(sweep, averaged=averaged, trials=[trial])
        assert list(rows.columns) == ["trial", "iteration", "tv", "psnr"]
        traces = sweep.traces([f"tv{end}", f"psnr{end}"], [trial])
        assert list(rows["tv"]) == list(traces[f"tv{end}"])
        assert list(rows["psnr"]) == list(traces[f"psnr{end}"])


def test_curves_name_the_best_trials_and_the_methods(sweep):
    figure = draw_curves(sweep, "psnr", problem="soft", log_x=True, most_labelled=1)
    (axes,) = figure.axes
    best = leaderboard(sweep).query("problem == 'soft' and trial.notna()").iloc[0]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [best["net"]]
    assert legend.get_title().get_text() == "the best 1 of 2 by psnr_peak"
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "psnr (dB)"
    assert [note.get_text() for note in axes.texts] == ["noisy [input] 2.00", "oracle 99.00"]
    assert not draw_curves(sweep, "tv", problem="soft").axes[0].texts


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_figures_are_saved_by_path_or_store(sweep, folder, tmp_path, ending):
    figure = draw_psnr_against_tv(sweep, problem="sharp", averaged=True)
    save_figure(figure, tmp_path / f"a.{ending}")
    save_figure(figure, Store(tmp_path), f"plots/b.{ending}")
    sizes = {(tmp_path / name).stat().st_size for name in (f"a.{ending}", f"plots/b.{ending}")}
    assert min(sizes) > 1000
    assert not list(tmp_path.rglob("*.tmp"))
    with pytest.raises(FolderError, match="xyz"):
        save_figure(figure, tmp_path / "a.xyz")


def test_tables_are_written_and_read_back(sweep, folder):
    write_tables(sweep)
    trials = sweep.trials
    parquet = pd.read_parquet(folder / "trials.parquet").set_index("trial")
    assert list(parquet["betas"]) == ["0.9/0.999"] * 4
    same = [name for name in trials.columns if name not in ("betas", "stopped_by", "reason")]
    pd.testing.assert_frame_equal(parquet[same], trials[same])
    csv = pd.read_csv(folder / "trials.csv", index_col="trial")
    assert list(csv.index) == list(trials.index)
    assert list(csv["psnr_peak"]) == list(trials["psnr_peak"])
    assert not list(folder.rglob("*.tmp"))
    assert load_sweep(folder).left_out == []


def test_analysis_imports_neither_torch_nor_ray(folder):
    code = f"""
        import sys
        import analysis
        assert "matplotlib" not in sys.modules and "rich" not in sys.modules
        sweep = analysis.load_sweep({str(folder)!r})
        analysis.save_figure(analysis.draw_curves(sweep, "psnr", problem="soft"), "a.png")
        analysis.leaderboard_table(analysis.leaderboard(sweep))
        analysis.write_tables(sweep)
        sweep.traces()
        heavy = {{"torch", "ray", "optuna", "matplotlib.pyplot"}} & set(sys.modules)
        assert not heavy, heavy
    """
    search = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
    subprocess.run(
        [sys.executable, "-c", search + textwrap.dedent(code)], cwd=folder, check=True, timeout=60
    )
