import json
import signal
import subprocess
import sys
import time

import pytest

from dipray.images import encode_png, read_picture
from dipray.tasks.truth import add_noise
from tests.command import run

SMALL = ["--depth", "2", "--features", "4", "--iterations", "30", "--device", "cpu"]


@pytest.fixture
def noisy_file(truth, tmp_path):
    path = tmp_path / "noisy.png"
    path.write_bytes(encode_png(add_noise(truth, noise_sigma=25, seed=0)))
    return path


@pytest.mark.parametrize("spelling", ["--save_dir", "--save-dir"])
def test_fit_denoises_a_file_into_a_folder(capsys, noisy_file, clean_file, tmp_path, spelling):
    folder = tmp_path / "runs" / "one"
    code, out, _ = run(
        capsys, "fit", "--task", "denoise", "--image", noisy_file, "--gt", clean_file,
        "--net", "unet", "--optimizer", "adam", "--lr", "0.01", *SMALL, spelling, folder,
    )  # fmt: skip
    assert code == 0
    assert "BUDGET after 30 iterations" in out
    assert {"peak.png", "final.png", "ema.png", "trace.parquet"} <= {
        path.name for path in folder.iterdir()
    }
    assert json.loads((folder / "config.json").read_text())["net"] == "unet"


def test_fit_enlarges_without_the_truth(capsys, noisy_file, tmp_path):
    folder = tmp_path / "sr"
    code, out, _ = run(
        capsys, "fit", "--task", "superres", "--image", noisy_file, "--scale", "4",
        *SMALL, "--save_dir", folder,
    )  # fmt: skip
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if "dB" in line] == ["held"]
    assert f"restored   {folder}/peak_val_ema.png" in out
    assert read_picture(folder / "ema.png").pixels.shape == (1, 3, 128, 128)
    assert not (folder / "peak.png").exists()


def test_fit_fills_a_hole(capsys, clean_file, truth, tmp_path):
    mask = truth[:, :1] * 0 + 1
    mask[..., 8:16, 8:16] = 0
    (tmp_path / "mask.png").write_bytes(encode_png(mask))
    code, _, _ = run(
        capsys, "fit", "--task", "inpaint", "--image", clean_file, "--mask", tmp_path / "mask.png",
        "--net", "encdec", "--optimizer", "sgd", "--momentum", "0.9", "--lr", "0.05",
        *SMALL, "--save_dir", tmp_path / "in",
    )  # fmt: skip
    assert code == 0
    assert (tmp_path / "in" / "final.png").exists()


def test_the_same_fit_again_is_kept_and_another_is_refused(capsys, clean_file, tmp_path):
    folder = tmp_path / "one"
    command = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL, "--save-dir", folder]
    assert run(capsys, *command)[0] == 0
    before = (folder / "outcome.json").read_bytes()
    code, out, _ = run(capsys, *command)
    assert (code, (folder / "outcome.json").read_bytes()) == (0, before)
    assert "holds this very fit already" in out
    code, _, err = run(capsys, *command, "--lr", "0.02")
    assert code == 1
    assert err.count("\n") == 1 and "holds another fit (other lr)" in err
    assert run(capsys, *command, "--lr", "0.02", "--overwrite")[0] == 0
    assert json.loads((folder / "config.json").read_text())["lr"] == 0.02


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["fit", "--image", "none.png"], 1, "none.png: cannot be read"),
        (["fit"], 2, "give either image"),
        (["fit", "--image", "x.png", "--lr", "-1"], 2, "lr=-1.0: allowed is above 0 and at most"),
        (["fit", "--image", "x.png", "--momentum", "0.9"], 2, "momentum=0.9: has no effect"),
        (["fit", "--image", "x.png", "--noise-sigma", "25"], 2, "noise is added to clean only"),
        (["fit", "--task", "superres", "--image", "x.png"], 2, "scale: superres needs it"),
        (["sweep", "--image", "x.png"], 2, "give a space"),
        (["sweep", "--image", "x.png", "--space", "nope"], 2, "there are demo, networks"),
        (["sweep", "--image", "x.png", "--grid", "none.json"], 2, "none.json: cannot be read"),
        (["show", "nowhere"], 1, "nowhere"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_a_code(
    capsys, monkeypatch, tmp_path, arguments, code, complaint
):
    monkeypatch.chdir(tmp_path)
    got, _, err = run(capsys, *arguments)
    assert got == code
    assert complaint in err
    assert err.count("\n") == 1 and err.startswith("dipray: ")
    assert list(tmp_path.iterdir()) == []


def test_unknown_flags_are_a_usage_error(capsys):
    code, _, err = run(capsys, "fit", "--nett", "unet")
    assert code == 2
    assert "--net" in err


def test_debug_shows_the_traceback(capsys):
    _, _, err = run(capsys, "fit", "--image", "none.png", "--debug")
    assert "Traceback" in err


def test_a_picture_too_small_for_the_depth_is_told(capsys, clean_file, tmp_path):
    code, _, err = run(capsys, "fit", "--clean", clean_file, "--noise-sigma", "25", "--depth", "6")
    assert code == 1
    assert err.count("\n") == 1
    assert f"depth=6: too deep for a picture of 32x32 pixels ({clean_file})" in err


def test_list_names_everything(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    for name in ("convnext", "lbfgs", "everything", "inpaint", "psnr_hole", "lanczos2"):
        assert name in out
    _, networks, _ = run(capsys, "list", "networks")
    assert "convnext" in networks and "lbfgs" not in networks


def test_show_reads_a_single_fit(capsys, clean_file, tmp_path):
    command = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL]
    run(capsys, *command, "--save-dir", tmp_path / "one")
    code, out, _ = run(capsys, "show", tmp_path / "one")
    assert code == 0
    assert "budget 30" in out


@pytest.mark.parametrize(
    "command",
    [[], *([name] for name in ("fit", "sweep", "ensemble", "lr-bias", "report", "show", "list"))],
)
def test_help_is_there(capsys, command):
    code, out, _ = run(capsys, *command, "--help")
    assert code == 0
    assert "usage: dipray" in out


def test_every_field_of_the_configuration_has_a_flag_with_words(capsys):
    from dipray.config import FitConfig

    _, out, _ = run(capsys, "fit", "--help")
    for name, field in FitConfig.model_fields.items():
        assert f"--{name.replace('_', '-')}" in out
        assert field.description


def test_help_and_a_fit_need_no_ray(clean_file, tmp_path):
    arguments = ["fit", "--clean", str(clean_file), "--noise-sigma", "25", *SMALL]
    program = (
        "import sys; sys.modules['ray'] = None; sys.modules['optuna'] = None\n"
        "from experiments.cli import main\n"
        f"main({[*arguments, '--save-dir', str(tmp_path / 'x')]!r})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert (tmp_path / "x" / "outcome.json").exists()


def test_help_imports_neither_torch_nor_ray():
    program = (
        "import sys\n"
        "from experiments.cli import main\n"
        "try: main(['fit', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'ray', 'pandas', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def ignore_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("in_background", [False, True])
def test_a_batch_system_may_end_a_fit(clean_file, tmp_path, in_background):
    folder = tmp_path / "one"
    command = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL, "--save-dir", folder]
    command[command.index("30")] = "1000000"
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # as a shell does with what it puts in the background
        preexec_fn=ignore_ctrl_c if in_background else None,  # noqa: PLW1509
    )
    for _ in range(600):
        if (folder / "provenance.json").exists():
            break
        time.sleep(0.1)
    time.sleep(1)
    running.send_signal(signal.SIGTERM)
    try:
        _, said = running.communicate(timeout=120)  # it still draws its figures
    finally:
        running.kill()
    assert (running.returncode, said.strip()) == (130, "dipray: interrupted")
    assert json.loads((folder / "outcome.json").read_text())["outcome"] == "INTERRUPTED"
    assert (folder / "peak.png").exists()


def test_overwrite_is_for_fits_only(capsys, clean_file, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    command = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL, "--overwrite"]
    code, _, err = run(capsys, *command, "--save-dir", tmp_path / "mine")
    assert code == 1 and "is no fit" in err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["config.json"]


def test_overwritten_fits_leave_no_pictures(capsys, clean_file, noisy_file, tmp_path):
    folder = tmp_path / "one"
    scored = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL, "--save-dir", folder]
    assert run(capsys, *scored)[0] == 0
    blind = ["fit", "--image", noisy_file, *SMALL, "--save-dir", folder, "--overwrite"]
    assert run(capsys, *blind)[0] == 0
    assert not (folder / "peak.png").exists()
    assert (folder / "peak_val_ema.png").exists()
    _, out, _ = run(capsys, "show", folder)
    assert "held-out dB" in out and "loss_final" not in out
    assert run(capsys, *blind, "--holdout", "0")[0] == 0
    assert not (folder / "peak_val_ema.png").exists()
    _, out, _ = run(capsys, "show", folder)
    assert "loss_final" in out and "dB" not in out


def test_brackets_in_a_folder_are_no_markup(capsys, clean_file, tmp_path):
    folder = tmp_path / "a[/b]c"
    command = ["fit", "--clean", clean_file, "--noise-sigma", "25", *SMALL, "--save-dir", folder]
    code, out, _ = run(capsys, *command)
    assert code == 0 and str(folder) in out


def test_units_are_listed(capsys):
    assert "[dB]" in run(capsys, "list", "columns")[1]
