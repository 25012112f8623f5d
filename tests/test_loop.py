import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dipray.config import FitConfig
from dipray.errors import ConfigError, DiprayError
from dipray.images import encode_png
from dipray.inputs import make_input
from dipray.loop import Fit, Outcome, fit
from dipray.metrics import psnr, tv
from dipray.models import NETWORKS, build_network
from dipray.operators import Downsample
from dipray.optim import LR_SCHEDULES, OPTIMIZERS
from dipray.problem import Problem
from dipray.tasks import TASKS, TaskConfig, build_problem
from dipray.trace import COLUMN_NAMES, COLUMNS, TRUTH_COLUMNS, concatenate

DAMAGES = {
    "denoise": {"noise_sigma": 25},
    "superres": {"scale": 2},
    "inpaint": {"mask_share": 0.5},
}
DIVERGING = {"optimizer": "sgd", "lr": 1e5, "weight_decay": 1.0, "norm": "none"}
STILL = {"lr": 1e-12, "input_jitter": 0.0, "patience": 1, "iterations": 200}


def array(image: torch.Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).double().numpy()


def run_in_blocks(problem, config, size):
    """The fit after its end, and its trace."""
    run = Fit(problem, config)
    rows = concatenate([block.rows for block in run.blocks(size)])
    return run, rows


def assert_same(one, other, *, without=("seconds",)):
    for name in COLUMN_NAMES:
        if name not in without:
            assert np.array_equal(one[name], other[name], equal_nan=True), name


def test_the_trace_has_a_row_an_iteration(problem, tiny):
    trace = fit(problem, tiny).trace
    assert list(trace) == list(COLUMN_NAMES)
    assert trace["iteration"].tolist() == list(range(1, 21))
    assert all(values.dtype == np.float64 for values in trace.values())
    assert (np.diff(trace["seconds"]) > 0).all()
    assert trace["seconds"][0] > 0
    assert trace["lr"].tolist() == [0.01] * 20


def test_costly_columns_are_computed_now_and_then(problem, tiny):
    trace = fit(problem, tiny.replace(iterations=13, variance_window=4)).trace
    for column in COLUMNS:
        absent = column.needs in ("luma", "hole", "holdout", "noise level")
        if absent or column.needs.startswith("probe") or column.name == "emv":
            known = []  # emv has too short a memory of so few outputs
        elif column.name == "wmv":
            known = list(range(4, 14))
        elif column.costly:
            known = [1, 5, 10, 13]
        else:
            known = list(range(1, 14))
        found = trace["iteration"][np.isfinite(trace[column.name])]
        assert found.tolist() == known, column.name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_repeat_is_equal_bit_for_bit(problem, tiny, optimizer):
    config = tiny.replace(optimizer=optimizer)
    first, second = fit(problem, config), fit(problem, config)
    assert_same(first.trace, second.trace)
    assert first.images.keys() == second.images.keys()
    assert all(torch.equal(first.images[name], second.images[name]) for name in first.images)
    first.summary.pop("seconds")
    second.summary.pop("seconds")
    assert first.summary == second.summary


@pytest.mark.parametrize("size", [1, 3, 20, 1000])
def test_where_blocks_end_changes_nothing(problem, tiny, size):
    config = tiny.replace(lr_schedule="cosine")
    whole = fit(problem, config)
    run, rows = run_in_blocks(problem, config, size)
    assert_same(rows, whole.trace)
    assert run.outcome == whole.outcome
    for name, image in run.keeper.images().items():
        assert torch.equal(image, whole.images[name]), name


def test_a_fit_leaves_the_global_generator_and_the_problem_alone(problem, tiny):
    before, print_before = torch.get_rng_state(), problem.fingerprint()
    fit(problem, tiny)
    assert torch.equal(torch.get_rng_state(), before)
    assert problem.fingerprint() == print_before


@pytest.mark.parametrize(
    ("image", "number"),
    [
        ("peak", "psnr_peak"),
        ("final", "psnr_final"),
        ("peak_ema", "psnr_ema_peak"),
        ("ema", "psnr_ema_final"),
    ],
)
@pytest.mark.parametrize("size", [4, 100])
def test_each_image_has_the_psnr_that_is_said(problem, tiny, image, number, size):
    config = tiny.replace(iterations=60, lr=0.1)
    run = Fit(problem, config)
    rows = concatenate([block.rows for block in run.blocks(size)])
    result = fit(problem, config)
    truth = array(problem.reference)
    found = peak_signal_noise_ratio(truth, array(run.keeper.images()[image]), data_range=1)
    assert found == pytest.approx(result.summary[number], abs=1e-4)
    column = "psnr_ema" if "ema" in image else "psnr"
    if "peak" in image:
        best = int(np.argmax(rows[column]))
        assert result.summary[number] == rows[column][best]
        where = "iteration_ema_peak" if "ema" in image else "iteration_peak"
        assert result.summary[where] == best + 1


def test_the_peak_is_not_always_the_last(problem, tiny):
    summary = fit(problem, tiny.replace(iterations=60, lr=0.1)).summary
    assert summary["iteration_peak"] < 60


def test_ssim_of_the_final_image_is_scikit_images(problem, tiny):
    result = fit(problem, tiny)
    wanted = structural_similarity(
        array(problem.reference),
        array(result.images["final"]),
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert result.summary["ssim_final"] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("tv_weight", [0.0, 0.5])
@pytest.mark.parametrize(
    "settings", [{}, {"optimizer": "lbfgs", "lr": 1.0, "line_search": "strong_wolfe"}]
)
def test_the_first_row_is_the_untrained_network(problem, tiny, tv_weight, settings):
    config = tiny.replace(input_jitter=0.0, tv_weight=tv_weight, iterations=1, **settings)
    net = build_network(config, inputs=4, outputs=3)
    output = net(make_input(config, 32, 32))
    data_loss = (output - problem.y).square().mean()
    loss = data_loss + tv_weight * tv(output)
    loss.backward()
    gradients = torch.cat([p.grad.flatten() for p in net.parameters()])
    weights = torch.cat([p.detach().flatten() for p in net.parameters()])
    wanted = {
        "loss": loss,
        "data_loss": data_loss,
        "psnr": psnr(output, problem.reference),
        "psnr_ema": psnr(output, problem.reference),
        "tv": tv(output),
        "grad_norm": gradients.norm(),
        "weight_norm": weights.norm(),
    }
    trace = fit(problem, config).trace
    for name, value in wanted.items():
        assert trace[name].tolist() == pytest.approx([float(value.detach())], rel=1e-5), name


def test_the_loss_is_weighted(truth, tiny):
    weight = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    config = tiny.replace(input_jitter=0.0, iterations=1, holdout=0.0)
    output = build_network(config, inputs=4, outputs=3)(make_input(config, 32, 32))
    spread = weight.expand_as(truth)
    wanted = (spread * (output - truth).square()).sum() / spread.sum()
    trace = fit(Problem(truth, weight=weight), config).trace
    assert trace["data_loss"][0] == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_the_average_is_that_of_the_outputs(problem, tiny):
    run = Fit(problem, tiny.replace(ema_decay=0.8))
    average = None
    for block in run.blocks(1):
        output = run.keeper.images()["final"]
        average = output if average is None else 0.8 * average + 0.2 * output
        assert torch.allclose(run.keeper.images()["ema"], average, atol=1e-6)
        wanted = float(psnr(average, problem.reference))
        assert block.rows["psnr_ema"][0] == pytest.approx(wanted, abs=1e-4)
        assert block.rows["tv_ema"][0] == pytest.approx(float(tv(average)), rel=1e-4)


def test_no_decay_makes_the_average_the_output(problem, tiny):
    result = fit(problem, tiny.replace(ema_decay=0.0))
    assert torch.equal(result.images["ema"], result.images["final"])
    assert torch.equal(result.images["peak_ema"], result.images["peak"])
    for name in ("psnr", "ssim", "tv", "hf_energy", "laplacian"):
        assert np.array_equal(result.trace[name], result.trace[f"{name}_ema"], equal_nan=True)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_fit_that_diverges_ends_there(problem, tiny, size):
    run, rows = run_in_blocks(problem, tiny.replace(**DIVERGING), size)
    assert run.outcome == Outcome.DIVERGED
    assert np.isfinite(rows["loss"][:-1]).all()
    assert not np.isfinite(rows["loss"][-1])
    assert 1 < len(rows["loss"]) == run.iteration < 20
    images = run.keeper.images()
    assert set(images) == {"final", "ema", "peak", "peak_ema"}
    for name, image in images.items():
        assert torch.isfinite(image).all(), name
    whole = fit(problem, tiny.replace(**DIVERGING))
    assert whole.outcome == Outcome.DIVERGED
    assert_same(rows, whole.trace)
    assert all(torch.equal(images[name], whole.images[name]) for name in images)
    assert whole.summary["psnr_peak"] == pytest.approx(
        peak_signal_noise_ratio(array(problem.reference), array(images["peak"]), data_range=1),
        abs=1e-4,
    )


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_fit_that_diverges_has_the_picks_of_what_came_before(problem, tiny, size):
    config = tiny.replace(**{**DIVERGING, "lr": 200.0}, holdout=0.1, variance_window=2)
    whole = fit(problem, config)
    run, rows = run_in_blocks(problem, config, size)
    assert run.outcome == Outcome.DIVERGED
    assert run.picks == whole.picks
    before = rows["val_psnr_ema"][:-1]
    assert len(before) > 2
    assert run.picks["val"].iteration == int(np.argmax(before)) + 1
    assert run.picks["budget"].iteration == len(before)
    assert all(pick.fired is None for pick in run.picks.values())


@pytest.mark.parametrize("settings", [{}, {"line_search": "strong_wolfe"}])
def test_lbfgs_at_any_rate_ends_as_data(problem, tiny, settings):
    config = tiny.replace(optimizer="lbfgs", lr=1e6, norm="none", **settings)
    result = fit(problem, config)
    assert result.outcome in (Outcome.BUDGET, Outcome.DIVERGED)
    assert all(torch.isfinite(image).all() for image in result.images.values())


@pytest.mark.parametrize("size", [1, 7, 10, 25, 40, 100])
@pytest.mark.parametrize(("stop", "end"), [("loss", 50), ("psnr", 25)])
def test_early_stopping_at_any_block_size(problem, tiny, size, stop, end):
    run, rows = run_in_blocks(problem, tiny.replace(stop=stop, **STILL), size)
    assert run.outcome == Outcome.STOPPED
    assert len(rows["loss"]) == run.iteration == end


@pytest.mark.parametrize("size", [7, 100])
def test_a_budget_that_no_look_falls_on(problem, tiny, size):
    config = tiny.replace(**{**STILL, "stop": "loss", "iterations": 49})
    run, rows = run_in_blocks(problem, config, size)
    assert (run.outcome, len(rows["loss"])) == (Outcome.BUDGET, 49)


def test_a_fit_that_has_ended_stays_ended(problem, tiny):
    run = Fit(problem, tiny)
    assert [block.outcome for block in run.blocks(10)] == [None, Outcome.BUDGET]
    assert list(run.blocks(10)) == []


def test_a_fit_can_be_left_and_taken_up(problem, tiny):
    run = Fit(problem, tiny)
    first = next(run.blocks(6))
    rows = concatenate([first.rows, *(block.rows for block in run.blocks(5))])
    assert_same(rows, fit(problem, tiny).trace)


@pytest.mark.parametrize("holdout", [None, 0.0])
def test_without_the_truth_nothing_of_it_is_known(noisy, tiny, holdout):
    result = fit(Problem(noisy), tiny.replace(holdout=holdout))
    judged = holdout is None  # by a tenth of the pixels, as long as nobody says otherwise
    by_val = {"peak_val", "peak_val_ema", "pick_val"} if judged else set()
    assert set(result.images) == {"final", "ema"} | by_val
    for column in COLUMNS:
        known = np.isfinite(result.trace[column.name])
        if column.needs == "nothing" and not column.costly:
            assert known.all(), column.name
        elif column.needs == "nothing":
            assert known.any(), column.name
        elif column.needs == "holdout":
            assert known.all() == known.any() == judged, column.name
        else:
            assert not known.any(), column.name
    for name, value in result.summary.items():
        of_the_truth = name.startswith(("psnr", "ssim")) or name in (
            "iteration_peak",
            "iteration_ema_peak",
        )
        of_what_is_held_out = name.startswith(("val", "iteration_val"))
        assert (value is None) == (of_the_truth or (of_what_is_held_out and not judged)), name
    assert all(pick.psnr is pick.psnr_ema is None for pick in result.picks.values())


@pytest.mark.parametrize("holdout", [0.0, 0.1])
def test_the_truth_changes_nothing_of_the_fit(noisy, problem, tiny, holdout):
    config = tiny.replace(holdout=holdout, variance_window=5, patience=1)
    blind, scored = fit(Problem(noisy), config), fit(problem, config)
    assert_same(blind.trace, scored.trace, without=("seconds", *TRUTH_COLUMNS))
    for name, image in blind.images.items():
        assert torch.equal(image, scored.images[name]), name
    for rule, pick in blind.picks.items():
        there = scored.picks[rule]
        assert (pick.iteration, pick.fired) == (there.iteration, there.fired)


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 23)])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_runs(task, shape, truth, tiny, tmp_path):
    channels, height, width = shape
    path = tmp_path / "clean.png"
    path.write_bytes(encode_png(truth[:, :channels, :height, :width]))
    problem = build_problem(TaskConfig(task=task, clean=path, **DAMAGES[task]))
    result = fit(problem, tiny.replace(iterations=3))
    assert result.outcome == Outcome.BUDGET
    assert result.images["peak"].shape == (1, *shape)
    assert np.isfinite(result.trace["psnr"]).all()
    assert np.isfinite(result.trace["psnr_y"]).all() == (task == "superres")
    assert np.isfinite(result.trace["psnr_hole"]).all() == (task == "inpaint")


def test_psnr_of_the_hole_is_of_the_hole(truth, tiny, clean_file):
    problem = build_problem(TaskConfig(task="inpaint", clean=clean_file, mask_share=0.3))
    result = fit(problem, tiny)
    error = (result.images["final"] - truth)[problem.hole].square().mean()
    wanted = -10 * float(torch.log10(error))
    assert result.summary["psnr_hole_final"] == pytest.approx(wanted, abs=1e-4)


def test_a_users_own_measurement_and_operator(truth, tiny):
    def sensor(x):
        return x.mean(dim=1, keepdim=True)[..., ::2]

    problem = Problem(sensor(truth).double(), sensor, shape=(3, 32, 32))
    result = fit(problem, tiny.replace(iterations=40))
    assert result.images["final"].shape == (1, 3, 32, 32)
    assert result.trace["loss"][-1] < result.trace["loss"][0]


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {"lr": 1.0}),
        ("sgd", {"lr": 0.5, "momentum": 0.9, "nesterov": True}),
        ("adam", {}),
        ("adamw", {"betas": (0.8, 0.99), "weight_decay": 0.1}),
        ("rmsprop", {"lr": 0.003}),
        ("lbfgs", {"lr": 0.3, "input_jitter": 0.0}),
        ("lbfgs", {"lr": 1.0, "line_search": "strong_wolfe", "input_jitter": 0.0}),
    ],
)
def test_every_optimizer_lowers_the_loss(problem, tiny, optimizer, settings):
    loss = fit(problem, tiny.replace(optimizer=optimizer, iterations=60, **settings)).trace["loss"]
    assert loss[-10:].mean() < 0.7 * loss[0]


@pytest.mark.parametrize("net", NETWORKS)
def test_every_network_is_fitted(problem, tiny, net):
    loss = fit(problem, tiny.replace(net=net, iterations=40)).trace["loss"]
    assert loss[-5:].mean() < 0.9 * loss[0]


@pytest.mark.parametrize("schedule", LR_SCHEDULES)
def test_the_schedule_reaches_the_optimizer(problem, tiny, schedule):
    jump = {"lr_jump_at": 3, "lr_jump_by": 0.1} if schedule == "jump" else {}
    run = Fit(problem, tiny.replace(lr_schedule=schedule, **jump))
    for block in run.blocks(1):
        (group,) = run.descent.optimizer.param_groups
        assert block.rows["lr"][0] == group["lr"]


@pytest.mark.parametrize("kind", ["noise", "gaussian", "meshgrid", "fourier"])
def test_every_input_runs(problem, tiny, kind):
    channels = None if kind == "meshgrid" else 4
    config = tiny.replace(input_kind=kind, input_channels=channels, iterations=3)
    assert fit(problem, config).outcome == Outcome.BUDGET


def test_without_jitter_the_input_stays(problem, tiny):
    config = tiny.replace(input_jitter=0.0, lr=1e-12)
    loss = fit(problem, config).trace["loss"]
    assert np.ptp(loss) == 0
    assert np.ptp(fit(problem, config.replace(input_jitter=0.1)).trace["loss"]) > 0


def test_a_weight_on_tv_lowers_tv(problem, tiny):
    config = tiny.replace(iterations=80)
    free = fit(problem, config).trace
    smooth = fit(problem, config.replace(tv_weight=0.5)).trace
    assert smooth["tv"][-10:].mean() < 0.7 * free["tv"][-10:].mean()
    expected = smooth["data_loss"] + 0.5 * smooth["tv"]
    assert np.allclose(smooth["loss"], expected, rtol=1e-5)
    assert np.array_equal(free["loss"], free["data_loss"])


def test_seeds_are_apart(problem, tiny):
    def start(**seeds):
        run = Fit(problem, tiny.replace(**seeds))
        weights = torch.cat([p.detach().flatten().clone() for p in run.descent.parameters])
        clean = run.input.clean.clone()
        return weights, clean, next(run.blocks(1)).rows["loss"][0]

    weights, clean, loss = start()
    for seeds, changed in (
        ({"seed_weights": 9}, (True, False)),
        ({"seed_input": 9}, (False, True)),
        ({"seed_jitter": 9}, (False, False)),
        ({"seed": 9}, (True, True)),
    ):
        other_weights, other_clean, other_loss = start(**seeds)
        assert (not torch.equal(other_weights, weights), not torch.equal(other_clean, clean)) == (
            changed
        )
        assert other_loss != loss


def test_bf16_runs_and_leaves_float32(problem, tiny):
    exact = fit(problem, tiny)
    rough = fit(problem, tiny.replace(precision="bf16"))
    assert rough.outcome == Outcome.BUDGET
    assert all(image.dtype == torch.float32 for image in rough.images.values())
    assert rough.trace["loss"][0] == pytest.approx(exact.trace["loss"][0], rel=0.02)
    assert rough.trace["loss"][0] != exact.trace["loss"][0]


def test_auto_is_a_device_of_this_machine(problem, tiny):
    assert fit(problem, tiny.replace(device="auto", iterations=2)).outcome == Outcome.BUDGET


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"depth": 5}, "depth"),
        ({"precision": "tf32"}, "precision"),
        ({"device": f"cuda:{torch.cuda.device_count()}"}, "device"),
        ({"stop": "psnr"}, "stop"),
        ({"holdout": 0.001}, "holdout"),
        ({"holdout": 0.999}, "holdout"),
    ],
)
def test_what_does_not_suit_is_said_before_any_work(noisy, tiny, settings, field, monkeypatch):
    monkeypatch.setattr("dipray.descent.build_network", lambda *args, **kwargs: pytest.fail("work"))
    with pytest.raises(ConfigError) as caught:
        Fit(Problem(noisy), tiny.replace(**settings))
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_small(truth, tiny):
    with pytest.raises(DiprayError, match="15x32"):
        fit(Problem(truth[..., :15, :]), tiny)


def test_super_resolution_fits_the_measurement(truth, tiny):
    operator = Downsample(32, 32, 2)
    problem = Problem(operator(truth), operator, reference=truth, luma=True, trim=2)
    result = fit(problem, tiny.replace(iterations=40))
    final = (operator(result.images["final"]) - problem.y).square().mean()
    assert result.trace["data_loss"][-1] == pytest.approx(float(final), rel=1e-4)


GOLDEN = {
    # column -> values at iterations 1, 10, 30 of a fit of 30
    "loss": [0.107606, 0.0808181, 0.0634321],
    "psnr": [9.7617, 11.0751, 12.2384],
    "psnr_ema": [9.7617, 9.86671, 10.3072],
    "ssim": [0.0248621, 0.0767485, 0.159923],
    "tv": [0.168886, 0.0525706, 0.0422048],
    "tv_ema": [0.168886, 0.156037, 0.127508],
    "hf_energy": [0.561167, 0.104639, 0.0331556],
    "laplacian": [0.228721, 0.0681219, 0.0403571],
    "grad_norm": [0.0765552, 0.0537768, 0.0612621],
    "weight_norm": [8.5402, 8.53766, 8.80412],
}


def test_golden_trace(truth, tiny, monkeypatch):
    # by torch's layers; the C kernels round otherwise, which shows by the last of the iterations
    monkeypatch.setattr("dipray.models.layers.kernels", lambda: None)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)) * (25 / 255)
    problem = Problem((truth + noise).clamp(0, 1), reference=truth)
    trace = fit(problem, tiny.replace(iterations=30)).trace
    for name, values in GOLDEN.items():
        assert trace[name][[0, 9, 29]].tolist() == pytest.approx(values, rel=2e-3), name


def test_the_kernels_go_the_same_way(problem, tiny, monkeypatch):
    short = tiny.replace(metrics_every=1, iterations=10)
    ours = fit(problem, short).trace
    monkeypatch.setattr("dipray.models.layers.kernels", lambda: None)
    torchs = fit(problem, short).trace
    for name in GOLDEN:
        np.testing.assert_allclose(ours[name], torchs[name], rtol=2e-4, err_msg=name)


def test_a_fit_does_without_ray():
    script = """
import sys, torch
from dipray import FitConfig, Problem, fit
from dipray.recorder import Recorder
config = FitConfig(depth=1, features=2, input_channels=2, iterations=1, device="cpu")
fit(Problem(torch.rand(1, 1, 16, 16)), config)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "torch" in loaded
    assert not loaded & {"ray", "optuna", "matplotlib", "analysis", "experiments"}


@pytest.mark.parametrize(
    "iterations, snapshots, expected",
    [
        (1000, 3, [10, 100, 1000]),
        (1000, 1, [1000]),
        (1000, 0, []),
        (1, 12, [1]),
        (12, 12, [10, 11, 12]),
        (1800, 12, [10, 16, 26, 41, 66, 106, 170, 273, 438, 702, 1123, 1800]),
    ],
)
def test_snapshots_are_even_on_a_log_scale(iterations, snapshots, expected):
    at = FitConfig(iterations=iterations, snapshots=snapshots).snapshot_iterations()
    assert len(at) == len(expected)
    assert all(abs(a - b) <= 0.01 * b for a, b in zip(at, expected, strict=True))


def test_a_snapshot_is_the_output_of_its_iteration(problem, tiny):
    whole = fit(problem, tiny.replace(snapshots=3))
    assert sorted(whole.snapshots) == [10, 14, 20]
    for at, image in whole.snapshots.items():
        assert image.shape == problem.reference.shape
        psnr_there = psnr(image, truth=problem.reference)
        assert whole.trace["psnr"][at - 1] == pytest.approx(psnr_there.item(), abs=1e-4)
    assert torch.equal(whole.snapshots[20], whole.images["final"])


def test_snapshots_change_nothing_of_the_fit(problem, tiny):
    with_them, without = fit(problem, tiny.replace(snapshots=9)), fit(problem, tiny)
    assert np.array_equal(with_them.trace["loss"], without.trace["loss"])
    assert without.snapshots == {}


def test_a_diverged_fit_leaves_no_snapshot_of_its_end(problem, tiny):
    run = Fit(problem, tiny.replace(**DIVERGING, snapshots=20))
    blocks = list(run.blocks())
    assert run.outcome is Outcome.DIVERGED
    assert blocks[-1].snapshot is None
