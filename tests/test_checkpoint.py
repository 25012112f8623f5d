"""A fit that is saved and gone on with is the fit that was never interrupted."""

import io
import pickle
from types import FunctionType

import numpy as np
import pytest
import torch

from dipray.checkpoint import Checkpoints, decode_state, encode_state
from dipray.config import FitConfig
from dipray.folder import OUTCOME, PROVENANCE, TRACE, read_snapshots, read_trace
from dipray.loop import Fit, fit
from dipray.models import NETWORKS
from dipray.noise import ClippedMean
from dipray.operators import Downsample
from dipray.optim import OPTIMIZERS
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.resumption import extend, resume
from dipray.store import Store
from dipray.trace import COLUMN_NAMES

EVERYTHING = {"variance_window": 4, "holdout": 0.1, "sure_sigma": 25.0, "tv_weight": 0.01}


def through_disk(run: Fit, problem: Problem) -> Fit:
    """Another fit at the same place, by way of bytes."""
    other = Fit(problem, run.config)
    other.load_state(decode_state(encode_state(run.state())))
    return other


def halves(problem, config, at):
    """Trace, images and picks of a fit that changes its process after iteration `at`."""
    run, parts = Fit(problem, config), []
    for block in run.blocks(at):
        parts.append(block.rows)
        break
    assert run.iteration == at
    run = through_disk(run, problem)
    parts += [block.rows for block in run.blocks(7)]
    trace = {name: np.concatenate([part[name] for part in parts]) for name in COLUMN_NAMES}
    return trace, run.keeper.images(), run.picks, run.outcome


def assert_same(found, wanted):
    trace, images, picks, outcome = found
    for name in COLUMN_NAMES:
        if name != "seconds":
            np.testing.assert_array_equal(trace[name], wanted.trace[name], err_msg=name)
    assert np.all(np.diff(trace["seconds"]) > 0)
    assert images.keys() == wanted.images.keys()
    for name, image in images.items():
        assert torch.equal(image, wanted.images[name]), name
    assert (picks, outcome) == (wanted.picks, wanted.outcome)


@pytest.fixture
def problems(problem, noisy, truth):
    mask = (torch.arange(32) % 3 > 0).float().expand(1, 1, 32, 32).contiguous()
    shrink = Downsample(32, 32, 2)
    return {
        "denoise": problem,
        "clipped": Problem(noisy, operator=ClippedMean(25 / 255), reference=truth),
        "superres": Problem(shrink(truth), operator=shrink, reference=truth, luma=True),
        "inpaint": Problem(noisy * mask, weight=mask, reference=truth),
        "blind": Problem(noisy),
    }


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_network_and_optimizer_goes_on(net, optimizer, problem, tiny):
    config = tiny.replace(net=net, optimizer=optimizer, lr=1e-3, metrics_every=3)
    assert_same(halves(problem, config, 9), fit(problem, config))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "lr_schedule": "cosine"},
        {"optimizer": "rmsprop", "momentum": 0.5, "lr": 1e-4, "weight_decay": 0.1},
        {"optimizer": "lbfgs", "line_search": "strong_wolfe", "lr": 1.0},
        {"norm": "instance", "upsampling": "transposed", "downsampling": "max"},
        {"norm": "group", "precision": "bf16"},
        {"input_kind": "fourier", "input_jitter": 0.0, "ema_decay": 0.0},
        {"snapshots": 4, **EVERYTHING},
    ],
    ids="-".join,
)
def test_every_setting_that_remembers_goes_on(settings, problem, tiny):
    config = tiny.replace(**settings)
    assert_same(halves(problem, config, 9), fit(problem, config))


@pytest.mark.parametrize("task", ["denoise", "clipped", "superres", "inpaint", "blind"])
def test_every_task_goes_on(task, problems, tiny):
    config = tiny.replace(**EVERYTHING)
    assert_same(halves(problems[task], config, 11), fit(problems[task], config))


@pytest.mark.parametrize("stop", ["val", "wmv", "emv", "loss", "sure", "psnr"])
def test_rules_go_on_with_what_they_had_seen(stop, problem, tiny):
    # patience ends some of them before the budget, and some not
    config = tiny.replace(iterations=80, patience=20, lr=0.03, stop=stop, **EVERYTHING)
    whole = fit(problem, config)
    at = 30
    run, length = Fit(problem, config), 0
    for block in run.blocks(at):  # blocks end where rules are asked, too
        length += len(block.rows["loss"])
        if run.iteration >= at:
            break
    again = through_disk(run, problem)
    losses = [value for block in again.blocks() for value in block.rows["loss"]]
    assert losses == whole.trace["loss"][length:].tolist()
    assert (again.picks, again.outcome) == (whole.picks, whole.outcome)
    for name, image in again.keeper.images().items():
        assert torch.equal(image, whole.images[name]), name


def _leaves(thing, path, seen):
    """Path -> plain value of all that is reachable from a fit and can change."""
    if id(thing) in seen or isinstance(thing, (type, FitConfig, Problem, FunctionType)):
        return {}
    if isinstance(thing, torch.Generator):
        return {path: thing.get_state().tolist()}
    if isinstance(thing, torch.Tensor):
        return {path: repr(thing.detach().tolist())}
    if isinstance(thing, (bool, int, float, str, type(None))):
        return {path: repr(thing)}
    seen = seen | {id(thing)}
    found = {}
    if isinstance(thing, (set, frozenset)):
        thing = sorted(thing)
    if isinstance(thing, torch.optim.Optimizer):
        thing = {"groups": thing.param_groups, "state": thing.state_dict()["state"]}
    if isinstance(thing, dict):
        items = thing.items()
    elif isinstance(thing, (list, tuple)):
        items = enumerate(thing)
    else:
        items = getattr(thing, "__dict__", {}).items()
    for name, value in items:
        found |= _leaves(value, f"{path}.{name}", seen)
    return found


def test_nothing_that_changes_is_forgotten(problem, tiny):
    config = tiny.replace(stop="psnr", iterations=60, patience=7, **EVERYTHING)
    run = Fit(problem, config)
    for _ in run.blocks(7):
        if run.iteration >= 28:
            break
    found, wanted = (
        _leaves(each, "fit", frozenset()) for each in (through_disk(run, problem), run)
    )
    assert len(wanted) > 100
    assert found == wanted


def test_within_a_block_there_is_no_state(problem, tiny):
    run = Fit(problem, tiny)

    def broken():
        raise KeyboardInterrupt

    run.input = broken
    with pytest.raises(KeyboardInterrupt):
        next(run.blocks())
    with pytest.raises(RuntimeError, match="between blocks"):
        run.state()


def test_a_pause_ends_the_block_and_changes_nothing(problem, tiny):
    run, lengths, losses = Fit(problem, tiny), [], []
    draw = run.input

    class PauseAt:
        calls = 0

        def __call__(self):
            self.calls += 1
            if self.calls == 3:
                run.pause()
            return draw()

    run.input = PauseAt()
    for block in run.blocks(10):
        lengths.append(len(block.rows["loss"]))
        losses += block.rows["loss"].tolist()
    assert lengths == [3, 7, 10]
    assert losses == fit(problem, tiny).trace["loss"].tolist()


# folders


def interrupted(store, problem, config, *, at, every_s=0.0, size=5, ended=True):
    """A folder as an interruption leaves it, or (not `ended`) as a killed process does."""
    run, found = resume(store, problem, config)
    recorder = Recorder(store, run, checkpoint_every_s=every_s, resumption=found)
    for block in run.blocks(size):
        recorder.add(block)
        if run.iteration >= at:
            break
    if ended:
        recorder.interrupt()
    return recorder


def finish(store, problem, config):
    run, found = resume(store, problem, config)
    recorder = Recorder(store, run, resumption=found)
    for block in run.blocks(5):
        recorder.add(block)
    return found


def assert_folders_agree(store, whole):
    ours, complaints = read_trace(store)
    theirs, _ = read_trace(whole)
    assert complaints == []
    assert ours["iteration"].to_pylist() == list(range(1, len(theirs) + 1))
    assert ours.drop_columns(["seconds"]).equals(theirs.drop_columns(["seconds"]))
    pictures = [name for name in whole.names() if name.endswith(".png")]
    assert [name for name in store.names() if name.endswith(".png")] == pictures
    for name in pictures:
        assert store.read(name) == whole.read(name), name
    outcomes = [{**each.read_json(OUTCOME), "seconds": 0} for each in (store, whole)]
    assert outcomes[0] == outcomes[1]


@pytest.fixture
def whole(tmp_path, problem, tiny):
    store = Store(tmp_path / "whole")
    finish(store, problem, tiny.replace(snapshots=3))
    return store


@pytest.fixture
def config(tiny):
    return tiny.replace(snapshots=3)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("at", [1, 5, 12, 19])
def test_an_interrupted_folder_is_gone_on_with(at, ended, whole, tmp_path, problem, config):
    store = Store(tmp_path / "again")
    interrupted(store, problem, config, at=at, ended=ended, size=at)
    found = finish(store, problem, config)
    assert found.iteration >= at and found.refused == ()
    assert_folders_agree(store, whole)
    assert read_snapshots(store) == read_snapshots(whole)
    assert not store.exists("checkpoint")
    (entry,) = store.read_json(PROVENANCE)["resumed"]
    assert entry["after"] == found.iteration


def test_rows_beyond_the_checkpoint_are_not_there_twice(whole, tmp_path, problem, config):
    store = Store(tmp_path / "again")
    recorder = interrupted(store, problem, config, at=5, ended=False)
    for _ in range(2):  # rows on disk that no checkpoint covers
        recorder.add(next(recorder.fit.blocks(5)))
        recorder._write_part()
    recorder._checkpoints.remove()
    interrupted_at_5 = Store(tmp_path / "five")
    interrupted(interrupted_at_5, problem, config, at=5)
    store.write("checkpoint/00000005.ckpt", interrupted_at_5.read("checkpoint/00000005.ckpt"))
    assert finish(store, problem, config).iteration == 5
    assert_folders_agree(store, whole)


def test_many_interruptions_come_to_the_same(whole, tmp_path, problem, config):
    store = Store(tmp_path / "again")
    for at in (3, 6, 9, 12, 15, 18):
        interrupted(store, problem, config, at=at, size=3)
    finish(store, problem, config)
    assert_folders_agree(store, whole)
    assert len(store.read_json(PROVENANCE)["resumed"]) == 6


class Poison:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def foreign(data: bytes, marker) -> dict[str, bytes]:
    poisoned = io.BytesIO()
    torch.save({"fit": Poison(marker)}, poisoned)
    flipped = bytearray(data)
    flipped[len(flipped) // 2] ^= 1
    return {
        "cut short": data[: len(data) // 2],
        "empty": b"",
        "damaged": bytes(flipped),
        "another format": b"PK\x03\x04" + data,
        "a pickle": pickle.dumps(Poison(marker)),
        "a poisoned checkpoint": _sealed(poisoned.getvalue()),
        "no state": encode_state({"fit": {}}),
        "a list": _sealed(_saved([1, 2])),
    }


def _saved(thing) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream)
    return stream.getvalue()


def _sealed(payload: bytes) -> bytes:
    import hashlib

    digest = hashlib.sha256(payload).hexdigest().encode()
    return b"dipray checkpoint 1 " + digest + b"\n" + payload


@pytest.mark.parametrize("kind", foreign(b"head\n" + bytes(9), ""))
def test_a_broken_checkpoint_is_refused_and_the_one_before_used(
    kind, whole, tmp_path, problem, config
):
    store = Store(tmp_path / "again")
    interrupted(store, problem, config, at=15)
    assert Checkpoints(store).iterations() == [15, 14]  # a snapshot ends a block, too
    marker = tmp_path / "marker"
    newest = "checkpoint/00000015.ckpt"
    store.write(newest, foreign(store.read(newest), marker)[kind])
    found = finish(store, problem, config)
    assert found.iteration == 14
    (complaint,) = found.refused
    assert complaint.startswith(f"{store}/{newest}: ")
    assert not marker.exists()
    assert_folders_agree(store, whole)
    (entry,) = [e for e in store.read_json(PROVENANCE)["resumed"] if e.get("refused")]
    assert newest in entry["refused"][0]


def test_checkpoints_of_another_fit_are_refused(tmp_path, problem, config):
    theirs, store = Store(tmp_path / "theirs"), Store(tmp_path / "ours")
    interrupted(theirs, problem, config.replace(seed=1), at=10)
    store.write("checkpoint/00000010.ckpt", theirs.read("checkpoint/00000010.ckpt"))
    _, found = resume(store, problem, config)
    assert found.iteration == 0
    assert found.refused[0].endswith("of another configuration")
    finish(store, problem, config)
    (line,) = store.read_json(PROVENANCE)["refused"]
    assert line == "checkpoint/00000010.ckpt: of another configuration"
    other = Problem(problem.y.flip(2), reference=problem.reference, name=problem.name)
    _, found = resume(theirs, other, config.replace(seed=1))
    assert found.refused[-1].endswith("of another fingerprint")


@pytest.mark.parametrize("harm", ["missing", "broken", "other rows"])
def test_a_checkpoint_without_its_trace_is_refused(harm, whole, tmp_path, problem, config):
    store = Store(tmp_path / "again")
    interrupted(store, problem, config, at=10)
    assert store.names(TRACE) == ["part-00000.parquet", "part-00001.parquet"]
    part = f"{TRACE}/part-00001.parquet"
    if harm == "missing":
        store.remove(part)
    else:
        other = f"{TRACE}/part-00000.parquet"
        store.write(part, b"PAR1" if harm == "broken" else store.read(other))
    found = finish(store, problem, config)
    assert found.iteration == 5 and "part-00001" in found.refused[0]
    assert_folders_agree(store, whole)


def test_checkpoints_are_two_at_most(tmp_path, problem, config):
    store = Store(tmp_path / "again")
    interrupted(store, problem, config, at=18, size=3, ended=False)
    assert Checkpoints(store).iterations() == [18, 15]


def test_checkpoints_take_a_share_of_the_time_at_most(tmp_path, problem, config):
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock, store = Clock(), Store(tmp_path / "slow")
    run = Fit(problem, config)
    recorder = Recorder(store, run, checkpoint_every_s=10.0, clock=clock)
    write, saved = recorder._checkpoints.write, []

    def slow(iteration, state):
        clock.now += 3.0
        saved.append(iteration)
        write(iteration, state)

    recorder._checkpoints.write = slow
    for block in run.blocks(1):
        clock.now += 5.0
        recorder.add(block)
    # the second is not due 10 seconds after the first, but 20 times what that took
    assert saved == [2, 14]


def test_none_writes_no_checkpoint_but_at_an_interruption(tmp_path, problem, config):
    store = Store(tmp_path / "never")
    interrupted(store, problem, config, at=15, every_s=None, ended=False)
    assert not store.exists("checkpoint")
    interrupted(store, problem, config, at=5, every_s=None)
    assert Checkpoints(store).iterations() == [5]


def test_a_fit_that_a_scheduler_ended_keeps_no_checkpoint(tmp_path, problem, config):
    store = Store(tmp_path / "stopped")
    recorder = interrupted(store, problem, config, at=10, ended=False)
    store.write_json("stopped.json", {"stopped_by": "asha", "stopped_at": 10})
    recorder.interrupt()
    assert not store.exists("checkpoint")
    assert store.read_json(OUTCOME)["outcome"] == "INTERRUPTED"


# larger budgets


def kept(store, problem, config):
    run = Fit(problem, config)
    recorder = Recorder(store, run, checkpoint_every_s=None, keep_state=True)
    for block in run.blocks(20):
        recorder.add(block)


@pytest.mark.parametrize("stop", ["none", "wmv", "psnr"])
def test_a_larger_budget_goes_on_from_a_smaller_one(stop, tmp_path, problem, tiny):
    short, long, whole = (Store(tmp_path / name) for name in ("short", "long", "whole"))
    config = tiny.replace(metrics_every=5, stop=stop, patience=40, variance_window=5)
    kept(short, problem, config.replace(iterations=60))
    assert Checkpoints(short).iterations() == [50]
    larger = config.replace(iterations=110)
    run = Fit(problem, larger)
    found = extend(long, short, "short-1", run)
    assert (found.iteration, found.trial) == (50, "short-1")
    recorder = Recorder(long, run, resumption=found)
    for block in run.blocks():
        recorder.add(block)
    finish(whole, problem, larger)
    assert_folders_agree(long, whole)
    assert FitConfig.from_dict(long.read_json("config.json")).iterations == 110
    (entry,) = long.read_json(PROVENANCE)["resumed"]
    assert (entry["after"], entry["trial"]) == (50, "short-1")


WILD = {"iterations": 150, "lr": 0.3, "input_jitter": 0.3, "ema_decay": 0.8}


def test_a_state_is_kept_of_what_ran_to_its_budget_alone(tmp_path, problem, tiny):
    for name, settings in (
        ("stopped", {"stop": "psnr", "patience": 20, **WILD}),
        ("short", {"iterations": 25}),
        ("cosine", {"iterations": 60, "lr_schedule": "cosine"}),
    ):
        store = Store(tmp_path / name)
        kept(store, problem, tiny.replace(**settings))
        assert not store.exists("checkpoint"), name


def test_states_of_others_are_no_beginning(tmp_path, problem, tiny):
    short, long = Store(tmp_path / "short"), Store(tmp_path / "long")
    config = tiny.replace(iterations=60)
    with pytest.raises(ValueError, match="no state was kept"):
        extend(long, short, "short", Fit(problem, config))
    kept(short, problem, config)
    for other, complaint in (
        (config, "not a smaller budget"),
        (config.replace(iterations=100, lr_schedule="linear"), "not a smaller budget"),
        (config.replace(iterations=100, seed=1), "of another configuration"),
    ):
        with pytest.raises(ValueError, match=complaint):
            extend(long, short, "short", Fit(problem, other))
    assert long.names() == []
