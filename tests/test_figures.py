"""What every run leaves beside its trials: a table, figures, the problem."""

import io

import matplotlib.image
import pandas as pd
import pytest

from analysis import load_sweep, write_figures
from dipray.baselines import METHODS
from dipray.config import FitConfig
from dipray.loop import Fit
from dipray.problem import Problem
from dipray.problem_folder import write_problem
from dipray.recorder import Recorder
from dipray.store import Store
from experiments.cli import main

SMALL = ["--depth", "2", "--features", "4", "--iterations", "12", "--device", "cpu"]


def a_fit(folder, problem: Problem, config: FitConfig) -> Store:
    store = Store(folder)
    run = Fit(problem, config)
    recorder = Recorder(store, run)
    for block in run.blocks():
        recorder.add(block)
    write_problem(store.child("problems", problem.name), problem)
    return store


def test_with_the_truth(tmp_path, problem, tiny):
    store = a_fit(tmp_path, problem, tiny)
    files = write_figures(load_sweep(store))
    names = ["psnr_ema", "psnr", "loss", "tv", "psnr_against_tv", "pictures"]
    assert files == [f"figures/astronaut/{name}.png" for name in names]
    for file in files:
        pixels = matplotlib.image.imread(io.BytesIO(store.read(file)), format="png")
        assert pixels.std() > 0


def test_without_the_truth(tmp_path, noisy, tiny):
    store = a_fit(tmp_path, Problem(noisy, name="blind"), tiny)
    files = write_figures(load_sweep(store))
    names = ("val_psnr_ema", "loss", "tv", "pictures")
    assert files == [f"figures/blind/{name}.png" for name in names]


def test_with_nothing_to_judge_by(tmp_path, noisy, tiny):
    store = a_fit(tmp_path, Problem(noisy, name="blind"), tiny.replace(holdout=0.0))
    files = write_figures(load_sweep(store))
    assert files == [f"figures/blind/{name}.png" for name in ("loss", "tv", "pictures")]


def test_a_trial_that_never_began_has_no_figures(tmp_path, tiny):
    store = Store(tmp_path)
    store.write_json("config.json", tiny.to_dict())
    store.write_json("outcome.json", {"outcome": "FAILED", "reason": "no memory"})
    store.write_json("problem.json", {"name": "none"})
    assert write_figures(load_sweep(store)) == []


def fit(*arguments) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["fit", *map(str, arguments), *SMALL])
    return ended.value.code


def test_a_fit_says_where_everything_is(tmp_path, clean_file, capsys):
    folder = tmp_path / "one"
    assert fit("--clean", clean_file, "--noise-sigma", 25, "--save_dir", folder) == 0
    out = capsys.readouterr().out
    assert "noisy input 20." in out and "non-local means" in out
    assert f"restored   {folder}/peak_ema.png" in out
    for name in ("trials.csv", "trials.parquet", "peak_ema.png", "figures/astronaut/pictures.png"):
        assert (folder / name).exists()
    assert len(pd.read_csv(folder / "trials.csv")) == 1
    assert list(load_sweep(folder).baselines["method"]) == list(METHODS["denoise"])


def test_a_fit_that_replaces_another_leaves_nothing_of_it(tmp_path, clean_file, noisy, capsys):
    from dipray.images import encode_png

    folder, other = tmp_path / "one", tmp_path / "my photo.png"
    other.write_bytes(encode_png(noisy))
    assert fit("--clean", clean_file, "--noise-sigma", 25, "--save-dir", folder) == 0
    assert fit("--image", other, "--save-dir", folder, "--overwrite") == 0
    assert Store(folder).names("problems") == Store(folder).names("figures") == ["my_photo"]
    assert not (folder / "peak.png").exists()
    assert f"restored   {folder}/peak_val_ema.png" in capsys.readouterr().out


def test_a_picture_may_have_a_name_in_any_letters(tmp_path, clean_file, truth):
    from dipray.images import encode_png

    photo = tmp_path / "日本 [1].png"
    photo.write_bytes(encode_png(truth))
    folder = tmp_path / "one"
    assert fit("--clean", photo, "--noise-sigma", 25, "--save-dir", folder) == 0
    assert (folder / "figures" / "日本__1_" / "pictures.png").exists()


def test_an_interrupted_fit_says_so_in_its_folder(tmp_path, clean_file, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.fit_into.write_problem", interrupted)
    folder = tmp_path / "one"
    assert fit("--clean", clean_file, "--noise-sigma", 25, "--save-dir", folder) == 130
    assert load_sweep(folder).trials["outcome"].item() == "INTERRUPTED"
    assert (folder / "trials.csv").exists()
    assert f"folder     {folder}" in capsys.readouterr().out
