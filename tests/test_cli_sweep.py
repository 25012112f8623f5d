"""The sweep's command line from the outside: its own process, its own Ray, nothing left behind."""

import json
import subprocess
import sys

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
