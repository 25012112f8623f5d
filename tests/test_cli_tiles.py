"""`dipray fit --tile`, from the command line."""

import json
import shutil

import pytest
import torch

from analysis import load_sweep
from dipray.images import encode_png, read_picture
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from dipray.tiled_fit import fit_tiles
from experiments import tiled
from tests.command import run

SETTINGS = [
    "--depth", "2", "--features", "4", "--iterations", "30", "--device", "cpu", "--snapshots", "0",
    "--variance-window", "0",
]  # fmt: skip


@pytest.fixture
def command(truth, tmp_path):
    clean = tmp_path / "a.png"
    clean.write_bytes(encode_png(torch.cat([truth, truth.flip(3)], dim=3)[..., :52]))
    return ["fit", "--clean", clean, "--noise-sigma", "25", *SETTINGS]


def test_a_fit_in_tiles_goes_on_where_it_was_interrupted(capsys, command, tmp_path, monkeypatch):
    folder = tmp_path / "tiled"
    command = [*command, "--tile", "32", "--save-dir", folder]
    begun, fit_into = [], tiled.fit_into

    def interrupted(store, problem, *rest, **more):
        begun.append(problem.name)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return fit_into(store, problem, *rest, **more)

    monkeypatch.setattr(tiled, "fit_into", interrupted)
    code, out, _ = run(capsys, *command)
    assert code == 130 and "outcome    INTERRUPTED" in out
    assert json.loads((folder / "outcome.json").read_text()) == {"outcome": "INTERRUPTED"}
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert begun == ["a-0-0", "a-0-1", "a-0-1"]
    assert "outcome    BUDGET of 2 tiles after 30 iterations at most" in out
    assert f"restored   {folder}/peak_ema.png" in out

    # what the library makes of the same, but for the rounding of files
    problem = build_problem(TaskConfig(clean=command[2], noise_sigma=25.0))
    trial = load_sweep(folder).trials.iloc[0]
    config = load_sweep(folder / "tiles" / "0-0").trials.iloc[0]
    assert (trial["outcome"], trial["iterations_run"], config["problem"]) == ("BUDGET", 30, "a-0-0")
    library = fit_tiles(problem, config_of(folder), tile=32)
    for kind, image in library.images.items():
        assert (read_picture(folder / f"{kind}.png").pixels - image).abs().max() < 0.51 / 255
    assert trial["psnr_ema_peak"] == pytest.approx(library.psnr["peak_ema"], abs=0.01)
    assert trial["pick_budget_psnr_ema"] == pytest.approx(library.psnr["ema"], abs=0.01)

    # again: kept; with other tiles, or whole: refused; a lost tile: that one alone
    assert "holds this very fit already" in run(capsys, *command)[1]
    for other in (["--tile", "40"], ["--tile", "64"]):
        code, _, error = run(capsys, *command, *other)
        assert code == 1 and "holds another fit (other tiles)" in error
    before = (folder / "ema.png").read_bytes()
    shutil.rmtree(folder / "tiles" / "0-0")
    (folder / "outcome.json").unlink()
    assert run(capsys, *command)[0] == 0
    assert begun[3:] == ["a-0-0"]
    assert (folder / "ema.png").read_bytes() == before
    assert run(capsys, *command, "--tile", "64", "--overwrite")[0] == 0
    assert not (folder / "tiles").exists() and not (folder / "tiling.json").exists()
    assert (folder / "trace.parquet").exists()


def config_of(folder):
    from dipray.config import FitConfig

    return FitConfig.from_dict(json.loads((folder / "config.json").read_text()))


def test_a_dry_run_says_what_memory_it_takes_and_starts_nothing(capsys, command, tmp_path):
    folder = tmp_path / "none"
    code, out, _ = run(capsys, *command, "--tile", "32", "--save-dir", folder, "--dry-run")
    assert code == 0
    assert "picture    32x52 pixels in 2 tiles of 32x32, one after the other" in out
    assert "memory     about " in out and "nothing was started" in out
    assert not folder.exists()


def test_memory_that_is_not_there_is_said_before_anything_starts(
    capsys, command, tmp_path, monkeypatch
):
    monkeypatch.setattr("experiments.work.memory_there", lambda device: 0)
    code, out, _ = run(capsys, *command, "--dry-run", "--save-dir", tmp_path / "none")
    assert code == 0 and "neither fewer features nor a smaller picture fits" in out


def test_an_overlap_needs_tiles(capsys, command):
    code, _, error = run(capsys, *command, "--tile-overlap", "8")
    assert code == 2
    assert error == "dipray: tile_overlap=8: has no effect here; it is used with tile\n"
