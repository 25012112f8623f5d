"""The main job with its own pictures and space, and fits that are too short to be any good."""

import pytest

from analysis import load_sweep
from dipray.images import read_picture
from dipray.metrics import psnr
from experiments import demo
from tests.ray_local import local_ray  # noqa: F401

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def test_the_problem_is_a_photograph_with_noise_of_a_stored_seed(tmp_path):
    problem, again = demo.demo_problem(tmp_path), demo.demo_problem(tmp_path)
    assert problem.picture_shape == (3, 128, 128)
    assert problem.fingerprint() == again.fingerprint()
    assert float(psnr(problem.y, problem.reference)) == pytest.approx(20.80, abs=0.01)


def test_the_demo_runs_and_runs_again(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(demo, "FOLDER", str(tmp_path / "demo"))
    monkeypatch.setattr(demo, "PICTURES", str(tmp_path / "pictures"))
    monkeypatch.setattr(demo, "BASE", demo.BASE.replace(depth=2, iterations=3))
    assert demo.main() == 0
    out = capsys.readouterr().out
    assert "12 trials run, 0 kept" in out
    assert "non-local means" in out and "noisy input" in out
    assert len(load_sweep(tmp_path / "demo").trials) == 12
    figures = tmp_path / "demo" / "figures" / "astronaut"
    for file in (tmp_path / "demo" / "restored.png", figures / "pictures.png"):
        assert read_picture(file).pixels.shape[2] >= 128
    assert "</html>" in (tmp_path / "demo" / "report.html").read_text()
    assert demo.main() == 0
    assert "0 trials run, 12 kept" in capsys.readouterr().out
