"""Iterations that are replayed are those that are written, shown on the CPU by a tape."""

import gc
import sys
import warnings
import weakref

import numpy as np
import pytest
import torch

from dipray.checkpoint import decode_state, encode_state
from dipray.folder import PROVENANCE
from dipray.loop import Fit
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.optim import NOT_IN_PLACE, OPTIMIZERS
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.stepping import WARM_UP
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, concatenate
from tests.recording import Refusing, Tapes

IN_PLACE = [name for name in OPTIMIZERS if name not in NOT_IN_PLACE]
EVERYTHING = {"variance_window": 8, "holdout": 0.1, "sure_sigma": 25.0, "tv_weight": 0.01}


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    monkeypatch.setattr("dipray.models.layers.kernels", lambda: None)  # no tape sees what C does
    # torch's RMSprop checks the device; what it computes is the same on every one
    module = sys.modules[torch.optim.RMSprop.__module__]
    monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda: ["cpu"])


def start(problem, config, capture=Tapes, state=None):
    """A fit, and how it is recorded."""
    made = []

    def graphs(_device, generator):
        made.append(capture(generator))
        return made[-1]

    run = Fit(problem, config, graphs=graphs)
    if state is not None:
        run.load_state(decode_state(encode_state(state)))
    return run, made[0]


def finish(run, size=100):
    """Its trace from here on."""
    return concatenate([block.rows for block in run.blocks(size)])


def written(problem, config):
    """The same steps without recordings: fit and trace."""
    run, _ = start(problem, config, Refusing)
    with pytest.warns(UserWarning, match="not replayed \\(no recording today\\)"):
        rows = finish(run)
    return run, rows


def assert_same(one, other, rtol=0.0):
    for name in COLUMN_NAMES:
        if name != "seconds":
            np.testing.assert_allclose(one[name], other[name], rtol=rtol, err_msg=name)


def assert_same_pictures(one, other):
    assert one.keeper.images().keys() == other.keeper.images().keys()
    for name, image in one.keeper.images().items():
        assert torch.equal(image, other.keeper.images()[name]), name


@pytest.mark.parametrize("optimizer", IN_PLACE)
def test_a_replay_is_what_is_written(optimizer, problem, tiny):
    config = tiny.replace(optimizer=optimizer, lr=1e-3, lr_schedule="cosine", iterations=30)
    run, tapes = start(problem, config)
    rows = finish(run)
    again, plain = written(problem, config)
    assert_same(rows, plain)
    assert_same_pictures(run, again)
    assert tapes.recorded == 2  # with the costly metrics, and without
    assert tapes.replayed == 30 - WARM_UP
    assert run.fallback == ""


@pytest.mark.parametrize("optimizer", IN_PLACE)
def test_steps_in_place_are_those_of_the_cpu(optimizer, problem, tiny):
    config = tiny.replace(optimizer=optimizer, lr=1e-3, iterations=10)
    assert_same(finish(start(problem, config)[0]), finish(Fit(problem, config)), rtol=2e-3)


@pytest.mark.parametrize(
    "settings",
    [
        EVERYTHING,
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "lr_schedule": "step"},
        {"optimizer": "rmsprop", "momentum": 0.5, "lr": 1e-4, "weight_decay": 0.1},
        {"input_jitter": 0.0, "ema_decay": 0.0, "variance_window": 0},
        {"precision": "bf16", "net": "convnext", "optimizer": "adamw"},
        {"norm": "group", "upsampling": "transposed", "downsampling": "max", "net": "unet"},
        {"padding": "circular", "net": "resunet", "upsampling": "nearest"},
        {"padding": "replicate", "net": "encdec", "norm": "instance"},
        {"probe_every": 10},
        {"probe_every": 7, "optimizer": "sgd", "lr_schedule": "jump", "lr_jump_at": 12}
        | {"lr_jump_by": 0.5},
    ],
    ids="-".join,
)
def test_every_setting_is_replayed(settings, problem, tiny):
    config = tiny.replace(iterations=27, **settings)
    run, tapes = start(problem, config)
    rows = finish(run, size=10)
    assert tapes.replayed == 27 - WARM_UP
    again, plain = written(problem, config)
    assert_same(rows, plain)
    assert_same_pictures(run, again)


@pytest.mark.parametrize("task", ["clipped", "superres", "inpaint", "blind"])
def test_every_task_is_replayed(task, problem, noisy, truth, tiny):
    mask = (torch.arange(32) % 3 > 0).float().expand(1, 1, 32, 32).contiguous()
    shrink = Downsample(32, 32, 2)
    one = {
        "clipped": lambda: Problem(noisy, operator=ClippedMean(25 / 255), reference=truth),
        "superres": lambda: Problem(shrink(truth), operator=shrink, reference=truth, luma=True),
        "inpaint": lambda: Problem(noisy * mask, weight=mask, reference=truth),
        "blind": lambda: Problem(noisy),
    }[task]()
    config = tiny.replace(iterations=12, **EVERYTHING)
    run, tapes = start(one, config)
    rows = finish(run)
    assert tapes.replayed == 12 - WARM_UP
    assert_same(rows, written(one, config)[1])


def test_variances_fill_and_renew_as_they_are_written(problem, tiny):
    config = tiny.replace(iterations=105, variance_window=40, depth=1, metrics_every=1000)
    run, tapes = start(problem, config)
    rows = finish(run)
    assert tapes.recorded == 3  # cheap, with the variance anew, and the last one
    assert np.isnan(rows["wmv"][:39]).all() and np.isfinite(rows["wmv"][39:]).all()
    assert np.isnan(rows["emv"][:100]).all() and np.isfinite(rows["emv"][100:]).all()
    assert_same(rows, written(problem, config)[1])


@pytest.mark.parametrize("stop", ["val", "none"])
def test_rules_freeze_and_stop_a_fit_that_is_replayed(stop, problem, tiny):
    wild = {"lr": 0.3, "input_jitter": 0.3, "ema_decay": 0.8, "depth": 1}
    config = tiny.replace(stop=stop, iterations=80, patience=5, **EVERYTHING, **wild)
    run, tapes = start(problem, config)
    rows = finish(run)
    again, plain = written(problem, config)
    assert_same(rows, plain)
    assert_same_pictures(run, again)
    assert (run.picks, run.outcome) == (again.picks, again.outcome)
    assert tapes.replayed == len(rows["loss"]) - WARM_UP
    assert run.keeper.frozen  # and so there is more than the variants of the beginning
    if stop == "none":
        assert tapes.recorded > 4
    else:
        assert run.outcome == "STOPPED"


def test_snapshots_and_small_blocks_change_nothing(problem, tiny):
    config = tiny.replace(snapshots=4, iterations=25)
    run, _ = start(problem, config)
    shots = [block.snapshot for block in run.blocks(7) if block.snapshot is not None]
    again, _ = start(problem, config)
    others = [block.snapshot for block in again.blocks(1) if block.snapshot is not None]
    assert len(shots) == 4
    assert all(torch.equal(one, other) for one, other in zip(shots, others, strict=True))


def test_a_pause_ends_the_block_between_replays(problem, tiny):
    run, tapes = start(problem, tiny)
    lengths, losses = [], []
    again = finish(start(problem, tiny)[0])
    replay = tapes.record

    def record(work):
        recording = replay(work)

        def interrupted():
            recording()
            if run.iteration == 7:
                run.pause()

        return interrupted

    tapes.record = record
    for block in run.blocks(10):
        lengths.append(len(block.rows["loss"]))
        losses += block.rows["loss"].tolist()
    assert lengths == [7, 3, 10]
    assert losses == again["loss"].tolist()


def test_a_fit_that_diverges_is_cut_where_it_did(problem, tiny):
    wild = {"optimizer": "sgd", "lr": 1e5, "weight_decay": 1.0, "norm": "none"}
    run, _ = start(problem, tiny.replace(**wild))
    rows = finish(run)
    again = Fit(problem, tiny.replace(**wild))
    plain = finish(again)
    assert run.outcome == again.outcome == "DIVERGED"
    assert len(rows["loss"]) == len(plain["loss"])


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_channels_may_lie_last(optimizer, problem, tiny, monkeypatch):
    """As they do on CUDA, and with states of fits whose channels do not."""
    # the jitter fills memory in order, and would be other noise
    config = tiny.replace(optimizer=optimizer, lr=1e-3, net="unet", input_jitter=0.0, **EVERYTHING)
    contiguous, _ = start(problem, config)
    next(contiguous.blocks(10))
    state = contiguous.state()
    for module in ("descent", "inputs"):
        monkeypatch.setattr(f"dipray.{module}.memory_format", lambda _: torch.channels_last)
    run, _ = start(problem, config, state=decode_state(encode_state(state)))
    weights = [p for p in run.descent.parameters if p.ndim == 4]
    for tensor in (run.input.clean, *weights):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    memories = [run.descent.optimizer.state[p] for p in weights]
    for parameter, memory in zip(weights, memories, strict=True):
        for value in memory.values():
            assert value.dim() == 0 or value.stride() == parameter.stride()
    rest, wanted = finish(run), finish(contiguous)
    assert run.keeper.final.is_contiguous()
    np.testing.assert_allclose(rest["loss"], wanted["loss"], rtol=1e-3)
    assert run.fallback == ""


# going on


@pytest.mark.parametrize(
    ("optimizer", "before", "after"),
    [
        ("adam", Tapes, Tapes),
        ("adam", Tapes, None),
        ("adam", None, Tapes),
        ("sgd", Tapes, Tapes),
        ("sgd", Tapes, None),
        ("rmsprop", Tapes, Tapes),
        ("rmsprop", None, Tapes),
    ],
)
def test_a_fit_goes_on_replayed_or_not(optimizer, before, after, problem, tiny):
    """Whichever way its two halves are made; None is how a CPU makes them."""
    config = tiny.replace(optimizer=optimizer, lr=1e-3, **EVERYTHING)
    config = config if optimizer == "adam" else config.replace(momentum=0.5)
    run = Fit(problem, config) if before is None else start(problem, config, before)[0]
    next(run.blocks(12))
    if after is None:
        again = Fit(problem, config)
        again.load_state(decode_state(encode_state(run.state())))
    else:
        again, tapes = start(problem, config, after, run.state())
    rest = finish(again)
    whole = finish(run)  # which state() has left alone
    rtol = 0 if before is after else 2e-3
    np.testing.assert_allclose(rest["loss"], whole["loss"], rtol=rtol)
    np.testing.assert_allclose(rest["wmv"], whole["wmv"], rtol=20 * rtol)
    if after is not None:
        assert tapes.aside_runs == 1 + WARM_UP  # with the rehearsal


def test_a_state_that_is_loaded_is_recorded_anew(problem, tiny):
    run, tapes = start(problem, tiny)
    next(run.blocks(12))
    state = decode_state(encode_state(run.state()))
    first = finish(run)
    run.outcome, recorded = None, tapes.recorded
    run.load_state(state)
    assert_same(finish(run), first)
    assert tapes.recorded > recorded


# where it cannot be


def test_what_cannot_be_recorded_runs_as_it_is_written(noisy, truth, tiny):
    class Waiting(torch.nn.Module):
        def forward(self, x):
            return x * float(x.detach().max() > -1)  # reads a number of the device

    one = Problem(noisy, operator=Waiting(), reference=truth)
    run, tapes = start(one, tiny)
    with pytest.warns(UserWarning, match="_local_scalar_dense") as warned:
        rows = finish(run)
    assert len(warned) == 1 and "_local_scalar_dense" in run.fallback
    assert tapes.recorded == 0
    plain = Problem(noisy, reference=truth)
    assert_same(rows, finish(start(plain, tiny)[0]))


def test_the_folder_says_that_a_fit_was_not_replayed(problem, tiny, tmp_path):
    for capture, said in ((Refusing, "no recording today"), (Tapes, None)):
        run, _ = start(problem, tiny, capture)
        store = Store(tmp_path / capture.__name__)
        recorder = Recorder(store, run)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for block in run.blocks():
                recorder.add(block)
        assert store.read_json(PROVENANCE).get("not_replayed") == said


def test_a_recording_that_breaks_off_late_has_changed_nothing(problem, tiny):
    class Late(Tapes):
        def record(self, work):
            if self.recorded == 1:
                return Refusing.record(self, work)
            return super().record(work)

    run, tapes = start(problem, tiny.replace(iterations=30), Late)
    with pytest.warns(UserWarning, match="not replayed"):
        rows = finish(run)
    assert 0 < tapes.replayed < 30 - WARM_UP
    assert_same(rows, finish(start(problem, tiny.replace(iterations=30))[0]))


@pytest.mark.parametrize("optimizer", NOT_IN_PLACE)
def test_an_optimizer_that_decides_on_the_host_is_not_recorded(optimizer, problem, tiny):
    config = tiny.replace(optimizer=optimizer, lr=1e-3)
    asked = []
    run = Fit(problem, config, graphs=lambda *given: asked.append(given))
    assert_same(finish(run), finish(Fit(problem, config)))
    assert asked == [] and run.fallback == ""


def test_a_fit_does_not_hold_itself(problem, tiny):
    """A GPU's memory is free as soon as nobody needs the fit, and not at the next collection."""
    gc.disable()
    try:
        run = Fit(problem, tiny)
        next(run.blocks(5))
        last = weakref.ref(run)
        del run
        assert last() is None
    finally:
        gc.enable()
