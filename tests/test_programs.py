"""`dipray ensemble`, `lr-bias`, and `sweep` without the truth, from flags to files."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import peak_signal_noise_ratio

from analysis import load_sweep
from analysis.pictures import decode
from dipray.codec import encode_png
from experiments.cli import main
from tests.ray_local import local_ray  # noqa: F401

pytestmark = pytest.mark.ray
needs_ray = pytest.mark.usefixtures("local_ray")

SMALL = (
    "--depth", "2", "--features", "4", "--input-channels", "4", "--snapshots", "0",
    "--device", "cpu", "--report-every", "1000",
)  # fmt: skip
# at a learning rate of 1e5 the weights are multiplied by -99 in every step
CAN_DIVERGE = (
    "--optimizer", "sgd", "--norm", "none", "--weight-decay", "0.001",
    "--input-kind", "fourier", "--input-jitter", "0",
)  # fmt: skip


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
    """clean.png and, without its truth, noisy.png: 16 bit, gray, with alpha."""
    folder = tmp_path_factory.mktemp("programs")
    levels = (_astronaut[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    (folder / "clean.png").write_bytes(encode_png(np.ascontiguousarray(levels[:, :24])))
    random = np.random.default_rng(0)
    gray = levels[..., 1] / 255 + 0.1 * random.standard_normal(levels.shape[:2])
    planes = np.stack([gray.clip(0, 1), np.tile(np.linspace(0, 1, 32), (32, 1))], axis=2)
    deep = np.round(planes * 65535).astype(np.uint16)
    (folder / "noisy.png").write_bytes(encode_png(deep))
    return folder


@pytest.fixture(scope="module")
def averaged(local_ray, files):  # noqa: F811
    """Four seeds and their control, the truth known."""
    command = (
        "ensemble", "--clean", files / "clean.png", "--noise-sigma", "25", "--seeds", "4",
        "--seed", "3", "--iterations", "15", *SMALL, "--save-dir", files / "ensemble",
    )  # fmt: skip
    return command, files / "ensemble", dipray(*command)


def number_before(text, mark):
    return float(text.partition(mark)[0].split()[-1])


def test_an_ensemble_leaves_its_average_tables_and_plots(averaged):
    _, folder, (code, out, err) = averaged
    assert (code, err) == (0, "")
    files = {path.name for path in (folder / "ensemble").iterdir()}
    assert files == {
        *(f"{name}_{kind}.png" for kind in ("ema", "final")
          for name in ("mean", "median", "trimmed_mean")),
        *("deviation.png", "deviation_ema_16bit.png", "deviation_final_16bit.png"),
        *("gain.png", "gain.csv", "gain.parquet", "psnr.csv", "psnr.parquet"),
    }  # fmt: skip
    for line in out.splitlines():
        assert len(line) < 300 and "nan" not in line and "Traceback" not in line
    for path in ("restored.png", "ensemble/deviation.png", "ensemble"):
        assert f"{folder}/{path}\n" in out and (folder / path).exists()


def test_the_average_is_of_the_seeds_asked_for(averaged):
    _, folder, (_, out, _) = averaged
    sweep = load_sweep(folder)
    trials = sweep.trials
    seeds = trials[trials["iterations"] == 15]
    assert sorted(seeds["seed"]) == [3, 4, 5, 6]
    control = trials[trials["iterations"] == 60]
    assert list(control["seed"]) == [3] and len(trials) == 5
    images = [decode(sweep.image(trial, "ema")).pixels for trial in seeds.index]
    restored = decode((folder / "restored.png").read_bytes()).pixels
    np.testing.assert_allclose(restored, np.mean(images, axis=0), atol=0.51 / 255)
    spread = decode((folder / "ensemble" / "deviation_ema_16bit.png").read_bytes())
    expected = np.sqrt(np.var(images, axis=0, ddof=1).mean(axis=2))
    np.testing.assert_allclose(spread.pixels[..., 0], expected, atol=0.51 / 65535)
    assert number_before(out, " (standard deviation, range 1") == pytest.approx(
        expected.mean(), abs=6e-5
    )


def test_what_an_ensemble_says_agrees_with_its_tables(averaged):
    _, folder, (_, out, _) = averaged
    table = pd.read_csv(folder / "ensemble" / "psnr.csv").set_index("name")
    assert list(table["kind"].value_counts()) == [4, 3, 1]
    sweep = load_sweep(folder)
    truth = decode(sweep.problem_image("clean", "reference")).pixels
    for trial in sweep.trials.index:
        pixels = decode(sweep.image(trial, "ema")).pixels
        expected = peak_signal_noise_ratio(truth, pixels, data_range=1)
        assert table.loc[trial, "ema"] == pytest.approx(expected)
    gain = pd.read_parquet(folder / "ensemble" / "gain.parquet")
    assert list(gain["size"]) == [1, 2, 3, 4]
    assert gain["psnr"].iloc[3] == pytest.approx(table.loc["mean", "ema"])
    gained = gain["law"].iloc[3] - gain["law"].iloc[0]
    assert f"averaging 4 gains {gained:.2f} dB" in out
    control = table[table["kind"] == "control"].iloc[0]
    best = max(control["peak"], control["peak_ema"])
    assert f"ends at {control['ema']:.2f} dB and is {best:.2f} dB at its best" in out
    assert f"against {table.loc['mean', 'ema']:.2f} dB of the mean" in out
    seeds = table.loc[table["kind"] == "seed", "final"]
    assert f"{seeds.mean():.2f} ± {seeds.std(ddof=1):.2f}" in out


@pytest.mark.parametrize("aggregate", ["median", "trimmed"])
def test_a_second_call_keeps_the_fits_and_may_average_otherwise(averaged, aggregate):
    command, folder, _ = averaged
    before = {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/*")}
    (folder / "ensemble" / "of_other_trials.csv").write_text("stale")
    code, out, _ = dipray(*command, "--aggregate", aggregate)
    assert code == 0
    assert not (folder / "ensemble" / "of_other_trials.csv").exists()
    name = {"median": "median", "trimmed": "trimmed mean"}[aggregate]
    assert f"restored.png is the {name} of their last averages" in out
    assert "[1/" not in out  # no fit ends
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("trials/*/*")}
    saved = folder / "ensemble" / f"{name.replace(' ', '_')}_ema.png"
    assert (folder / "restored.png").read_bytes() == saved.read_bytes()


@needs_ray
def test_an_ensemble_without_the_truth_keeps_depth_and_alpha(files, tmp_path):
    code, out, err = dipray(
        "ensemble", "--image", files / "noisy.png", "--seeds", "2", "--no-control",
        "--ema-decay", "0", "--iterations", "8", *SMALL, "--save-dir", tmp_path / "[x]",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "dB" not in out and "correlation" not in out and "nan" not in out
    assert "restored.png is the mean of their last outputs" in out
    assert f"{tmp_path}/[x]/restored.png\n" in out
    restored = decode((tmp_path / "[x]" / "restored.png").read_bytes())
    given = decode((files / "noisy.png").read_bytes())
    assert restored.bits == 16 and restored.pixels.shape == (32, 32, 1)
    np.testing.assert_array_equal(restored.alpha, given.alpha)
    sweep = load_sweep(tmp_path / "[x]")
    images = [decode(sweep.image(trial, "final")).pixels for trial in sweep.trials.index]
    np.testing.assert_allclose(restored.pixels, np.mean(images, axis=0), atol=0.51 / 65535)
    assert not (tmp_path / "[x]" / "ensemble" / "psnr.csv").exists()
    assert (tmp_path / "[x]" / "ensemble" / "deviation.png").exists()


@pytest.fixture(scope="module")
def compared(local_ray, files):  # noqa: F811
    """Four learning rates, two of which always diverge, with two seeds each."""
    command = (
        "lr-bias", "--clean", files / "clean.png", "--noise-sigma", "25",
        "--lrs", "1", "3", "1e5", "1e6", "--seeds", "2", *CAN_DIVERGE, "--iterations", "40",
        *SMALL,
        "--save-dir", files / "rates",
    )  # fmt: skip
    return command, files / "rates", dipray(*command)


def test_a_learning_rate_that_diverges_is_a_row_and_no_failure(compared):
    _, folder, (code, out, err) = compared
    assert (code, err) == (0, "")
    trials = load_sweep(folder).trials
    assert len(trials) == 8 and set(trials["seed"]) == {0, 1}
    assert trials.groupby("lr")["outcome"].agg(set).to_dict() == {
        1.0: {"BUDGET"}, 3.0: {"BUDGET"}, 1e5: {"DIVERGED"}, 1e6: {"DIVERGED"},
    }  # fmt: skip
    for by in ("loss", "iteration", "lr_x_iteration"):
        table = pd.read_csv(folder / "lr_bias" / f"at_equal_{by}.csv")
        wild = table[table["lr"] >= 1e5]
        assert (wild["diverged"] == 2).all() and len(wild) == 2 * table["level"].nunique()
        assert (table.loc[table["lr"] <= 3, "diverged"] == 0).all()
        calm = table[(table["lr"] <= 3) & (table["reached"] == 2)]
        assert calm.groupby("level")["lr"].nunique().max() == 2
    for lr in ("100000", "1e+06"):
        assert f"lr {lr}: 2 of 2 fits diverged; not compared\n" in out
    assert "nan" not in out and "Traceback" not in out


def test_learning_rates_leave_tables_plots_and_sentences(compared):
    _, folder, (_, out, _) = compared
    names = {path.name for path in (folder / "lr_bias").iterdir()}
    tables = {
        f"{start}at_equal_{by}.{end}"
        for start in ("", "slopes_")
        for by in ("loss", "iteration", "lr_x_iteration")
        for end in ("csv", "parquet")
    }
    assert names == tables | {"curves.png", "at_equal.png"}
    for words in ("training loss", "iterations", "lr x iterations"):
        assert f"at equal {words}: " in out
        for column in ("tv", "psnr"):
            start, middle, end = f"clean, at equal {words} (", f": {column} changes", "2 seeds"
            if words == "training loss":  # over all levels
                start, middle, end = (
                    f"clean, at equal {words}: over",
                    f"changes {column} by",
                    "them",
                )
            said = [
                line
                for line in out.splitlines()
                if line.startswith(start) and middle in line and line.endswith(end)
            ]
            assert len(said) == 1
    assert f"{folder}/lr_bias\n" in out


def test_learning_rates_that_all_diverge_are_told(compared):
    """The same trials again: none has to run."""
    command, folder, _ = compared
    place = command.index("--lrs") + 1
    code, out, err = dipray(*command[:place], *command[place + 2 :])
    assert (code, err) == (0, "")
    assert "[1/" not in out
    assert "at equal training loss: nothing to compare, no two learning rates came as far\n" in out
    assert "changes by" not in out and "Traceback" not in out and "nan" not in out
    assert len(load_sweep(folder).trials) == 8


def test_seeds_that_all_diverge_are_no_ensemble(compared):
    command, folder, _ = compared
    place = command.index("--lrs")
    code, out, err = dipray(
        "ensemble", *command[1:place], "--lr", "1e5", *command[place + 5 :], "--no-control"
    )
    assert (code, err) == (1, "")
    assert "[1/" not in out
    assert "left out: seed 1, lr 100000, 40 iterations: diverged" in out
    assert "0 of 2 seeds came to an end: nothing to average" in out
    assert not (folder / "restored.png").exists()


def swept_blind(files, tmp_path, *more):
    """A sweep of a picture without the truth: its trials, and the rows of its leaderboard."""
    grid, folder = tmp_path / "grid.json", tmp_path / "x"
    grid.write_text(json.dumps({"lr": [1e-5, 0.01], "net": ["skip", "encdec"]}))
    code, out, err = dipray(
        "sweep", "--image", files / "noisy.png", "--grid", grid, "--save-dir", folder,
        "--iterations", "120", "--report-every", "20", *SMALL[:-2], *more,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "4 trials run, 0 kept from before, 0 failed" in out
    shown = [line for line in out.splitlines() if "skip" in line or "encdec" in line]
    shown = [line.split()[1].rstrip(",") for line in shown if not line.startswith("[")]
    return load_sweep(folder), shown, out


@needs_ray
def test_a_sweep_without_the_truth_ranks_by_what_it_holds_out(files, tmp_path):
    sweep, shown, out = swept_blind(files, tmp_path, "--patience", "1000")
    assert "held-out dB" in out and "peak dB" not in out and "loss_final" not in out
    assert sweep.asked["scheduler"] == "asha"
    trials = sweep.trials.sort_values("val_psnr_ema_peak", ascending=False)
    assert shown == list(trials["net"])
    assert trials["outcome"].iloc[0] == "BUDGET"
    assert set(trials["stopped_by"].dropna()) <= {"asha"}
    saved = int((120 - trials["iterations_run"]).sum())
    assert (f"early stopping saved {saved} of 480 iterations" in out) == (saved > 0)


@needs_ray
def test_a_sweep_with_nothing_to_compare_by_runs_all_to_the_end(files, tmp_path):
    sweep, shown, out = swept_blind(files, tmp_path, "--holdout", "0")
    assert "dB" not in out and "saved" not in out
    trials = sweep.trials
    assert set(trials["outcome"]) == {"BUDGET"} and set(trials["iterations_run"]) == {120}
    assert sweep.asked["scheduler"] == "none"
    assert shown == list(trials.sort_values("loss_final")["net"])
    assert out.index("loss") > 0


CLEAN = ("--clean", "clean.png", "--noise-sigma", "25")
BLIND = ("sweep", "--image", "noisy.png", "--space", "optimizers", "--depth", "2")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ensemble", *CLEAN, "--seeds", "1"], "seeds=1: an ensemble needs at least 2"),
        (["ensemble", *CLEAN, "--seeds", "-3"], "seeds=-3: an ensemble needs"),
        (["ensemble", "--image", "none.png"], "none.png: cannot be read"),
        (["ensemble", *CLEAN, "--depth", "9"], "depth=9: too deep for a picture"),
        (
            ["ensemble", "--image", "noisy.png", "--depth", "2", "--stop", "psnr"],
            "needs the truth of noisy",
        ),
        (["lr-bias", *CLEAN, "--lrs", "0.1"], "lrs=0.1: give two or more different"),
        (["lr-bias", *CLEAN, "--lrs", "1", "1"], "lrs=1, 1: give two or more different"),
        (["lr-bias", *CLEAN, "--lrs", "1", "2", "1.0"], "lrs=1, 2, 1: give two or more different"),
        (["lr-bias", *CLEAN, "--lrs", "1", "-2"], "lr=-2.0: allowed is above 0"),
        (["lr-bias", *CLEAN, "--lrs", "1", "nan"], "lr=nan: allowed is above 0"),
        (["lr-bias", *CLEAN, "--lr", "0.1", "--lrs", "1", "2"], "lr=0.1: has no effect here"),
        (["lr-bias", *CLEAN, "--lrs", "1", "2", "--seeds", "0"], "seeds=0: allowed is at least"),
        (
            [*BLIND, "--metric", "psnr_peak"],
            "metric='psnr_peak': needs the truth of noisy; give it (--gt), or write --metric "
            "val_psnr_ema_peak, the held-out error",
        ),
        (
            [*BLIND, "--metric", "psnr_peak", "--scheduler", "none", "--search", "optuna"],
            "needs the truth of noisy",
        ),
        ([*BLIND, "--stop", "psnr"], "needs the truth of noisy"),
        (
            [*BLIND, "--metric", "val_psnr_peak", "--holdout", "0"],
            "metric='val_psnr_peak': is of held-out measurements, and holdout is 0; write holdout",
        ),
        ([*BLIND, "--holdout", "0.001"], "holdout=0.001: of the 1,024 measured pixels of noisy"),
        ([*BLIND, "--stop", "sure"], "stop='sure': needs more; write sure_sigma"),
        (
            [*BLIND, "--metric", "loss", "--stop-past-peak", "True"],
            "stop_past_peak: the metric loss has no peak; write --stop loss",
        ),
        (["fit", "--image", "noisy.png", "--depth", "2", "--stop", "psnr"], "needs the truth"),
        (
            ["fit", "--image", "noisy.png", "--depth", "2", "--holdout", "0.999"],
            "holdout=0.999: of the 1,024 measured pixels of noisy that leaves 1 to fit",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    files, monkeypatch, tmp_path, arguments, complaint
):
    for name in ("clean.png", "noisy.png"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    code, out, err = dipray(*arguments)
    of_the_picture = ("cannot be read", "too deep for a picture")
    assert code == (1 if any(each in complaint for each in of_the_picture) else 2)
    assert complaint in err and err.startswith("dipray: ") and err.count("\n") == 1
    assert out == "" and {path.name for path in tmp_path.iterdir()} == {"clean.png", "noisy.png"}


def test_lrs_are_required():
    code, _, err = dipray("lr-bias", *CLEAN)
    assert code == 2 and "--lrs" in err


def test_a_picture_without_the_truth_does_not_change_how_another_is_ranked(tmp_path):
    from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

    store = empty_sweep(tmp_path)
    store.write_json("sweep.json", {"metric": "auto"})
    loss = np.full(5, 0.01)
    add_trial(store, BASE, problem="known", rows=trace_rows(loss, lr=0.1, psnr=np.full(5, 20.0)))
    add_trial(store, BASE, problem="blind", rows=trace_rows(loss, lr=0.1))
    code, out, _ = dipray("show", str(tmp_path))
    assert code == 0
    first, second = sorted((out.index("known   "), out.index("blind   ")))
    boards = [out[first:second], out[second:]]
    known, blind = sorted(boards, key=lambda board: board.startswith("blind"))
    assert "peak dB" in known and "loss_final" not in known
    assert "loss_final" in blind and "the truth is not known" in blind
