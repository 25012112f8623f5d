"""`dipray restore`: from a damaged file alone to a picture, for each task; and its parts."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest
import torch

from analysis import load_sweep
from analysis.ensemble import Ensemble
from analysis.pictures import Picture, decode
from dipray.codec import encode_png
from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep_config import Resources
from experiments.cli import main
from experiments.commands import RestoreCommand
from experiments.restoring import fits
from experiments.restoring.estimates import quality
from experiments.restoring.fits import Choice, Fits, choose
from experiments.restoring.picture import damaged, with_known
from experiments.studies import choosing, restoring
from search_spaces.named import NamedSpace
from tests.made_sweep import made_sweep
from tests.ray_local import local_ray  # noqa: F401

SPACE = NamedSpace(
    "which?",
    {"features": [4, 6], "depth": 2, "input_channels": 4, "snapshots": 0},
)


def dipray(*arguments):
    """Exit code, standard output and standard error of one command."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    return ended.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory, _astronaut):
    """noisy.png, clipped; small.png; torn.png and mask.png."""
    folder = tmp_path_factory.mktemp("restore")
    clean = (_astronaut[0].permute(1, 2, 0).numpy() * 255).round()
    random = np.random.default_rng(0)
    noisy = (clean + 25 * random.standard_normal(clean.shape)).clip(0, 255).round()
    mask = (random.random(clean.shape[:2]) > 0.3)[..., None] * 255
    for name, values in (
        ("noisy", noisy),
        ("small", clean[::2, ::2]),
        ("torn", clean * (mask > 0)),
        ("mask", mask),
    ):
        data = encode_png(np.ascontiguousarray(values.astype(np.uint8)))
        (folder / f"{name}.png").write_bytes(data)
    return folder


@pytest.fixture
def small_space(monkeypatch):
    monkeypatch.setitem(fits.SPACES, "restore", SPACE)


TASKS = {
    "noisy": (),
    "small": ("--task", "superres", "--scale", "2", "--holdout", "0.1"),
    "torn": ("--task", "inpaint", "--mask"),
}


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray", "small_space")
@pytest.mark.parametrize("name", TASKS)
def test_a_damaged_file_alone_becomes_a_picture(name, files, tmp_path):
    flags = [*TASKS[name], *([files / "mask.png"] if name == "torn" else [])]
    code, out, err = dipray(
        "restore", files / f"{name}.png", *flags, "--iterations", "30", "--seeds", "2",
        "--device", "cpu", "--report-every", "1000", "--save-dir", tmp_path / "out",
    )  # fmt: skip
    assert (code, err) == (0, "")
    restored = decode((tmp_path / "out" / "restored.png").read_bytes()).pixels
    assert restored.shape == (32, 32, 3)
    sweep = load_sweep(tmp_path / "out")
    trials = sweep.trials
    record = json.loads((tmp_path / "out" / "restored.json").read_text())
    members = trials.loc[record["averaged"]]
    best = trials["val_psnr_ema_peak"].idxmax()
    assert record["chosen"] == best
    assert record["iterations"] == trials.loc[best, "iteration_val_ema_peak"]
    assert list(members["iterations"]) == [record["iterations"]] * 2
    assert list(members["seed"]) == [0, 1]
    assert list(members["holdout"]) == [0.0, 0.0]
    assert set(members["features"]) == {trials.loc[best, "features"]}
    mean = np.mean([decode(sweep.image(each, "ema")).pixels for each in members.index], axis=0)
    if name == "torn":
        torn = decode((files / "torn.png").read_bytes()).pixels
        known = decode((files / "mask.png").read_bytes()).pixels > 0
        mean = np.where(known, torn, mean)
    assert np.abs(restored - mean).max() < 0.51 / 255
    by = "Stein's unbiased risk estimate" if name == "noisy" else "held out of the search"
    assert by in record["estimated_by"]
    assert record["estimated_psnr_low"] <= (record["estimated_psnr"] or np.inf)
    assert (members["sure_sigma"].notna().sum() == 1) == (name == "noisy")
    for file in ("uncertainty.png", "uncertainty_16bit.png", "report.html", "trials.csv"):
        assert (tmp_path / "out" / file).stat().st_size > 100
    assert str(tmp_path / "out" / "restored.png") in out
    if name == "noisy":
        assert "estimated; clipped at black or white" in out
        assert record["clipping_modelled"]


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray", "small_space")
def test_a_second_call_runs_nothing_again(files, tmp_path):
    command = (
        "restore", files / "noisy.png", "--iterations", "30", "--seeds", "1", "--device", "cpu",
        "--sigma", "25", "--save-dir", tmp_path,
    )  # fmt: skip
    assert dipray(*command)[0] == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/outcome.json")}
    first = (tmp_path / "restored.png").read_bytes()
    code, out, _ = dipray(*command)
    assert code == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("trials/*/outcome.json")} == before
    assert (tmp_path / "restored.png").read_bytes() == first
    assert "uncertainty" not in out  # one fit has none
    assert not (tmp_path / "uncertainty.png").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray", "small_space")
def test_drawn_configurations_and_a_budget_that_leaves_no_time_to_refit(
    files, tmp_path, monkeypatch
):
    monkeypatch.setattr(fits.Fits, "_affordable", lambda *_: 0)
    code, out, _ = dipray(
        "restore", files / "noisy.png", "--iterations", "30", "--num-samples", "2",
        "--time-budget-s", "60", "--device", "cpu", "--save-dir", tmp_path,
    )  # fmt: skip
    assert code == 0
    assert "no time was left to fit it again" in out
    sweep = load_sweep(tmp_path)
    assert len(sweep.trials) == 2
    best = str(sweep.trials["val_psnr_ema_peak"].idxmax())
    own = decode(sweep.image(best, "peak_val_ema")).pixels
    assert np.array_equal(decode((tmp_path / "restored.png").read_bytes()).pixels, own)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--seeds", "0"], "seeds=0: allowed is 1 or more"),
        (["--iterations", "0"], "iterations=0: allowed is 1 or more"),
        (["--num-samples", "0"], "num_samples=0: allowed is 1 or more"),
        (["--holdout", "0"], "holdout=0: the search judges by what is held out"),
        (["--sigma", "300"], "sigma=300: allowed is 0 to 255"),
        (["--task", "inpaint"], "mask: inpaint needs it"),
        (["--task", "superres"], "scale: superres needs it"),
        (["--scale", "2"], "scale: denoise does not take it"),
    ],
)
def test_what_no_run_can_have_is_one_line_before_anything_starts(flags, said, files, tmp_path):
    code, _, err = dipray("restore", files / "noisy.png", *flags, "--save-dir", tmp_path / "out")
    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(tmp_path):
    code, _, err = dipray("restore", tmp_path / "none.png")
    assert code == 1
    assert "none.png: cannot be read" in err


@pytest.mark.parametrize(
    ("left", "affordable"), [(None, 4), (0.0, 0), (9.9, 0), (10.1, 2), (20.1, 4), (1e6, 4)]
)
def test_only_seeds_that_come_to_their_end_are_begun(left, affordable, monkeypatch, tmp_path):
    monkeypatch.setattr(fits, "alive_nodes", lambda: [{"Resources": {"CPU": 2.0}}])
    command = RestoreCommand(image=tmp_path, resources=Resources(), device="cpu")
    problem = Problem(torch.rand(1, 1, 16, 16))
    runner = Fits(command, problem, 0.0, Store(tmp_path), None)
    choice = Choice("a", FitConfig(), iterations=100, seconds_each=0.1)
    assert runner._affordable(choice, left) == affordable


def test_a_search_without_a_picture_says_why(tmp_path):
    sweep = made_sweep(tmp_path, [])
    with pytest.raises(FolderError, match="no fit has come to a picture; give it more time"):
        choose(sweep, "picture")


def test_noise_and_clipping_are_found_in_the_file(files):
    command = RestoreCommand(image=files / "noisy.png", resources=Resources())
    picture = damaged(command)
    assert picture.sigma == pytest.approx(25, rel=0.2)
    assert (picture.sigma_is, picture.is_clipped) == ("estimated", True)
    given = damaged(RestoreCommand(image=files / "noisy.png", resources=Resources(), sigma=20.0))
    assert (given.sigma, given.sigma_is) == (20.0, "given")
    assert given.problem.origin["clip_sigma"] == 20.0


def test_known_pixels_stay_as_they_were_measured():
    y = torch.rand(1, 3, 4, 4)
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 1:3, 1:3] = 0
    problem = Problem(y * mask, weight=mask)
    made = with_known(problem, np.zeros((4, 4, 3)))
    assert np.allclose(made, (y * mask)[0].permute(1, 2, 0).numpy())
    whole = Problem(y)
    assert np.array_equal(with_known(whole, np.zeros((4, 4, 3))), np.zeros((4, 4, 3)))


def test_clipping_is_undone():
    pixels = np.linspace(0, 1, 11)
    means = restoring.ClippedMean(0.1)(torch.from_numpy(pixels)).numpy()
    assert np.allclose(restoring.clipping_undone(means, 25.5), pixels, atol=1e-3)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_the_studies_of_choosing_and_restoring_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(fits.SPACES, "restore", SPACE)
    monkeypatch.chdir(tmp_path)
    arguments = ["--smoke-test", "--iterations", "12", "--pictures", "astronaut"]
    assert choosing.main([*arguments, "--save-dir", str(tmp_path / "a")]) == 0
    assert "smoke test" in capsys.readouterr().out
    assert restoring.main([*arguments, "--save-dir", str(tmp_path / "b")]) == 0
    table = pd.read_csv(tmp_path / "b" / "restoring.csv")
    assert list(table["picture"]) == ["astronaut"]
    assert {"non-local means", "restored", "one fit", "estimate"} <= set(table.columns)


def test_the_estimate_is_that_of_a_seed_less_what_averaging_takes_away(files):
    picture = damaged(RestoreCommand(image=files / "noisy.png", resources=Resources(), sigma=25.0))
    images = np.stack([np.full((32, 32, 3), level) for level in (0.4, 0.6)])
    ensemble = Ensemble("noisy", "ema", ("a", "b"), images, None, Picture(images[0]))
    found = quality(picture, FitConfig(holdout=0.1), images[0], ensemble, 0.02)
    assert found.estimate is not None
    assert found.estimate.mse == pytest.approx(0.02 - 0.01)  # the members lie 0.1 off their mean
    assert found.by == "Stein's unbiased risk estimate"
    noise = (25 / 255) ** 2
    assert found.estimate.standard_error == pytest.approx(noise * 2 / np.sqrt(32 * 32 * 3))
    without = quality(picture, FitConfig(holdout=0.1), images[0], None, None)
    assert "has not seen" in without.of
    assert "102 pixels that were held out" in without.by
