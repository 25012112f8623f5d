"""The sweep's command line from the outside: its own process, its own Ray, nothing left behind."""

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from analysis import load_sweep

pytestmark = pytest.mark.ray

GRID = {"net": ["skip", "encdec"], "optimizer": [{"optimizer": "adam"}, {"optimizer": "rmsprop"}]}


def dipray(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_sweep_from_the_shell(clean_file, tmp_path):
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps(GRID))
    folder = tmp_path / "runs" / "sweep"
    command = (
        "sweep", "--clean", clean_file, "--noise-sigma", "25", "--grid", grid, "--depth", "2",
        "--features", "4", "--iterations", "40", "--device", "cpu", "--grace-period", "10",
        "--report-every", "10", "--storage-path", tmp_path / "runs", "--name", "sweep",
        "--holdout", "0.03",
    )  # fmt: skip
    first = dipray(*command)
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "4 trials run, 0 kept from before, 0 failed" in first.stdout
    assert "non-local means" in first.stdout
    assert len(load_sweep(folder).trials) == 4
    assert len(pd.read_csv(folder / "trials.csv")) == 4
    assert len(pd.read_parquet(folder / "trials.parquet")) == 4
    again = dipray(*command)
    assert "0 trials run, 4 kept from before" in again.stdout
    shown = dipray("show", folder, "--metric", "psnr_ema_peak", "--top", "2")
    assert shown.returncode == 0
    assert shown.stdout.count("adam") + shown.stdout.count("rmsprop") == 2
    audited = dipray("audit", folder)
    assert (audited.returncode, audited.stderr) == (0, "")
    assert "denoise: every fit (dB, 1 picture)" in audited.stdout
    assert "denoise: the fit that the held-out error chooses" in audited.stdout
    assert len(pd.read_csv(folder / "audit" / "choice.csv")) > 0


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_told_to_end_leaves_whole_folders(clean_file, tmp_path, signal_sent):
    folder, grid = tmp_path / "sweep", tmp_path / "grid.json"
    grid.write_text(json.dumps({"seed": [0, 1, 2]}))
    command = [
        "sweep", "--clean", clean_file, "--noise-sigma", "25", "--grid", grid, "--depth", "2",
        "--features", "4", "--iterations", "1000000", "--device", "cpu", "--scheduler", "none",
        "--save-dir", folder,
    ]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if len(list(folder.glob("trials/*/provenance.json"))) == 2:
            break
        time.sleep(0.1)
    time.sleep(2)
    running.send_signal(signal_sent)
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "3 not finished" in said
    assert f"go on with: dipray sweep --clean {clean_file} --noise-sigma 25" in said
    assert len(list(folder.glob("trials/*/checkpoint/*.ckpt"))) >= 2
    outcomes = load_sweep(folder).trials["outcome"]
    assert list(outcomes) == ["INTERRUPTED"] * 2
    assert (folder / "trials.csv").exists()


def test_a_budget_that_ends_before_the_first_report(clean_file, tmp_path):
    grid = tmp_path / "grid.json"
    grid.write_text(json.dumps({"seed": [0, 1, 2]}))
    done = dipray(
        "sweep", "--clean", clean_file, "--noise-sigma", "25", "--grid", grid, "--depth", "2",
        "--features", "4", "--iterations", "1000000", "--device", "cpu", "--scheduler", "none",
        "--report-every", "1000000", "--time-budget-s", "3", "--save-dir", tmp_path / "sweep",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 not finished" in done.stdout
