"""Programs that are interrupted and called again, from the outside."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from analysis import load_sweep
from dipray.config import FitConfig
from dipray.loop import fit
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem
from experiments.interruption import first_ctrl_c
from experiments.invocation import command_line, remember

SETTINGS = {"depth": 2, "features": 4, "iterations": 500, "snapshots": 2, "variance_window": 10}
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # as the tests themselves have


def fit_command(clean_file, folder, *more):
    flags = [
        word
        for name, value in SETTINGS.items()
        for word in ("--" + name.replace("_", "-"), str(value))
    ]
    return [
        sys.executable, "-m", "experiments.cli", "fit", "--clean", str(clean_file),
        "--noise-sigma", "25", "--device", "cpu", "--checkpoint-every-s", "0",
        "--save-dir", str(folder), *flags, *more,
    ]  # fmt: skip


def end_by(number, command, folder, *, after):
    """Send a signal once a checkpoint of an iteration beyond `after` is there; (code, output)."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD
    ) as running:
        until = time.monotonic() + 60
        while time.monotonic() < until and running.poll() is None:
            if any(int(path.stem) > after for path in folder.glob("checkpoint/*.ckpt")):
                break
            time.sleep(0.01)
        running.send_signal(number)
        said, complained = running.communicate(timeout=60)
    return running.returncode, said + complained


def test_a_fit_that_is_killed_and_interrupted_goes_on_to_the_same_end(clean_file, tmp_path):
    folder = tmp_path / "fit"
    command = fit_command(clean_file, folder)
    code, _ = end_by(signal.SIGKILL, command, folder, after=0)
    assert code == -signal.SIGKILL
    assert not (folder / "outcome.json").exists()
    code, said = end_by(signal.SIGINT, command, folder, after=100)
    assert code == 130, said
    assert "goes on    after iteration" in said and "outcome    INTERRUPTED" in said
    assert f"go on      dipray fit --clean {clean_file} --noise-sigma 25" in said
    assert json.loads((folder / "outcome.json").read_text())["outcome"] == "INTERRUPTED"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ONE_THREAD)
    assert done.returncode == 0, done.stderr
    problem = build_problem(TaskConfig(clean=clean_file, noise_sigma=25.0))
    whole = fit(problem, FitConfig(**SETTINGS, device="cpu"))
    trace = load_sweep(folder).traces(["loss", "psnr_ema"])
    assert trace["iteration"].tolist() == list(range(1, SETTINGS["iterations"] + 1))
    assert trace["loss"].tolist() == whole.trace["loss"].tolist()
    assert trace["psnr_ema"].tolist() == whole.trace["psnr_ema"].tolist()
    assert not (folder / "checkpoint").exists()
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "holds this very fit already" in again.stdout


def test_overwrite_begins_anew(clean_file, tmp_path):
    folder = tmp_path / "fit"
    command = fit_command(clean_file, folder)
    end_by(signal.SIGKILL, command, folder, after=0)
    code, said = end_by(signal.SIGINT, [*command, "--overwrite"], folder, after=100)
    assert code == 130 and "goes on" not in said


def test_the_first_ctrl_c_asks_and_the_second_raises():
    called, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), first_ctrl_c(lambda: called.append(1)) as ctrl_c:
            os.kill(os.getpid(), signal.SIGINT)
            assert ctrl_c.is_asked and called == [1]
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with first_ctrl_c(lambda: called.append(2)) as ctrl_c:
            os.kill(os.getpid(), signal.SIGINT)
            assert not ctrl_c.is_asked
            os.kill(os.getpid(), signal.SIGTERM)
            assert ctrl_c.is_asked and called == [1, 2]
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_command_is_said_as_one_types_it():
    remember(["fit", "--image", "my picture.png"])
    assert command_line() == "dipray fit --image 'my picture.png'"
    remember([])
    assert command_line() == ""


def test_nothing_to_resume_is_said(clean_file, tmp_path):
    command = [
        sys.executable, "-m", "experiments.cli", "sweep", "--clean", str(clean_file),
        "--noise-sigma", "25", "--space", "demo", "--save-dir", str(tmp_path / "none"), "--resume",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        f"dipray: {tmp_path / 'none'}: no sweep to go on with; drop --resume to begin one\n"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.ray
def test_a_dry_run_says_what_it_would_take_and_starts_nothing(clean_file, tmp_path):
    command = [
        sys.executable, "-m", "experiments.cli", "sweep", "--clean", str(clean_file),
        "--noise-sigma", "25", "--space", "learning_rate", "--depth", "2", "--features", "8",
        "--iterations", "100", "--device", "cpu", "--save-dir", str(tmp_path / "none"), "--dry-run",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "trials      ",
        "resources   1 CPU a trial, ",
        "time        about ",
        "disk        ",
    ):
        assert f"\n{line}" in done.stdout
    assert "nothing was started" in done.stdout
    assert not (tmp_path / "none").exists()
