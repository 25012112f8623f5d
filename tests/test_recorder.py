import json

import numpy as np
import pytest
import torch

from dipray import recorder as recorder_module
from dipray.config import FitConfig
from dipray.folder import (
    OUTCOME,
    SNAPSHOTS,
    STOPPED,
    TRACE,
    is_finished,
    read_outcome,
    read_snapshots,
    read_trace,
)
from dipray.images import read_picture
from dipray.loop import Fit, fit
from dipray.operators import Downsample
from dipray.problem import Problem
from dipray.recorder import Recorder, record_failure
from dipray.store import Store
from dipray.trace import COLUMN_NAMES


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "trial")


def record(store, problem, config, *, size=7, clock=None):
    run = Fit(problem, config)
    recorder = Recorder(store, run, **({"clock": clock} if clock else {}))
    for block in run.blocks(size):
        recorder.add(block)
    return recorder


def test_a_recorded_fit_has_every_file(store, problem, tiny):
    record(store, problem, tiny)
    assert store.names() == [
        "config.json",
        "ema.png",
        "final.png",
        "outcome.json",
        "peak.png",
        "peak_ema.png",
        "problem.json",
        "provenance.json",
        "trace.parquet",
    ]
    assert store.names(TRACE) == ["part-00000.parquet"]
    # what is None where the fit decides is written as it was decided
    assert FitConfig.from_dict(store.read_json("config.json")) == tiny.replace(holdout=0.0)
    assert is_finished(store)


def test_snapshots_lie_by_their_iteration(store, problem, tiny):
    record(store, problem, tiny.replace(snapshots=3))
    assert store.names(SNAPSHOTS) == ["000010.png", "000014.png", "000020.png"]
    assert read_snapshots(store) == [10, 14, 20]
    assert store.read("snapshots/000020.png") == store.read("final.png")
    assert store.read("snapshots/000010.png") != store.read("snapshots/000014.png")


def test_a_new_fit_takes_away_the_snapshots_of_the_last(store, problem, tiny):
    record(store, problem, tiny.replace(snapshots=5))
    record(store, problem, tiny)
    assert read_snapshots(store) == []


def test_without_the_truth_there_is_no_peak(store, noisy, tiny):
    record(store, Problem(noisy), tiny.replace(holdout=0.0))
    assert {name for name in store.names() if name.endswith(".png")} == {"ema.png", "final.png"}
    assert store.read_json(OUTCOME)["psnr_peak"] is None
    assert store.read_json(OUTCOME)["val_psnr_peak"] is None


def test_without_the_truth_there_is_a_peak_of_what_was_held_out(store, noisy, tiny):
    record(store, Problem(noisy), tiny)
    assert {name for name in store.names() if name.endswith(".png")} == {
        "ema.png",
        "final.png",
        "peak_val.png",
        "peak_val_ema.png",
        "pick_val.png",
    }
    assert store.read("pick_val.png") == store.read("peak_val_ema.png")
    assert FitConfig.from_dict(store.read_json("config.json")) == tiny.replace(holdout=0.1)
    outcome = store.read_json(OUTCOME)
    assert outcome["picks"]["val"]["iteration"] == outcome["iteration_val_ema_peak"]
    assert outcome["picks"]["val"]["psnr"] is None


def test_a_new_fit_takes_away_the_pictures_of_the_last(store, noisy, tiny):
    record(store, Problem(noisy), tiny.replace(variance_window=5))
    assert store.exists("pick_wmv.png") and store.exists("peak_val.png")
    record(store, Problem(noisy), tiny.replace(holdout=0.0, variance_window=0))
    assert {name for name in store.names() if name.endswith(".png")} == {"ema.png", "final.png"}


def test_the_trace_is_the_fits(store, problem, tiny):
    record(store, problem, tiny)
    wanted = fit(problem, tiny).trace
    table, complaints = read_trace(store)
    assert complaints == []
    for name in COLUMN_NAMES:
        found = table[name].to_numpy()
        if name == "seconds":
            assert (np.diff(found) > 0).all()
        else:
            assert np.array_equal(found, wanted[name], equal_nan=True), name


def test_what_a_problem_lacks_is_null(store, noisy, tiny):
    record(store, Problem(noisy), tiny)
    table, _ = read_trace(store)
    for name in ("psnr", "psnr_ema", "psnr_y", "psnr_hole", "ssim", "ssim_ema"):
        assert table[name].null_count == 20, name
    for name in ("loss", "tv", "grad_norm", "lr", "seconds"):
        assert table[name].null_count == 0, name
    assert table["hf_energy"].to_pylist().count(None) == 20 - 5  # at 1, 5, 10, 15, 20


def test_the_outcome_is_the_summary(store, problem, tiny):
    record(store, problem, tiny)
    result = fit(problem, tiny)
    found = store.read_json(OUTCOME)
    assert found.pop("seconds") > 0
    wanted = {name: value for name, value in result.summary.items() if name != "seconds"}
    picks = {rule: pick.to_dict() for rule, pick in result.picks.items()}
    assert set(picks) == {"budget", "loss", "wmv", "emv"}
    assert found == {"outcome": "BUDGET", "stopped_by": None, **wanted, "picks": picks}


def test_the_pictures_are_the_fits(store, problem, tiny):
    record(store, problem, tiny)
    for name, image in fit(problem, tiny).images.items():
        picture = read_picture(f"{store}/{name}.png")
        assert float((picture.pixels - image).abs().max()) <= 0.5001 / 255, name


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_and_depth_come_back(store, noisy, tiny, bits):
    alpha = noisy[:, :1].clone()
    record(store, Problem(noisy, alpha=alpha, bits=bits), tiny)
    picture = read_picture(f"{store}/final.png")
    assert picture.bits == bits
    assert torch.allclose(picture.alpha, alpha, atol=0.5001 / (2**bits - 1))


def test_the_problem_is_described(store, truth, tiny):
    operator = Downsample(32, 32, 2)
    problem = Problem(operator(truth), operator, reference=truth, name="cat", origin={"scale": 2})
    record(store, problem, tiny)
    assert store.read_json("problem.json") == {
        "name": "cat",
        "shape": [3, 32, 32],
        "measurement_shape": [3, 16, 16],
        "has_reference": True,
        "fingerprint": problem.fingerprint(),
        "origin": {"scale": 2},
    }


def test_the_provenance_names_versions_and_seeds_and_no_user(store, problem, tiny, monkeypatch):
    monkeypatch.setenv("USER", "somebody_special")
    record(store, problem, tiny)
    found = store.read_json("provenance.json")
    assert found["packages"]["torch"] == torch.__version__
    assert found["device"] == "cpu"
    assert found["seeds"] == {
        purpose: tiny.seed_of(purpose) for purpose in ("weights", "input", "jitter")
    }
    assert "somebody_special" not in json.dumps(found)


def test_a_perfect_fit_can_be_written(store, tiny):
    white = torch.ones(1, 1, 16, 16)
    config = tiny.replace(lr=10.0, iterations=60, ema_decay=0.0)
    record(store, Problem(white, reference=white), config)
    found = store.read_json(OUTCOME)
    assert found["loss_final"] == 0
    assert found["psnr_peak"] == found["psnr_ema_final"] == 150


def test_a_diverged_fit_is_written(store, problem, tiny):
    config = tiny.replace(optimizer="sgd", lr=1e5, weight_decay=1.0, norm="none")
    record(store, problem, config)
    assert read_outcome(store)["outcome"] == "DIVERGED"
    table, _ = read_trace(store)
    losses = table["loss"].to_pylist()
    assert np.isnan(losses[-1])
    assert np.isfinite(losses[:-1]).all()
    assert read_outcome(store)["iterations_run"] == len(losses) < 20
    assert read_picture(f"{store}/final.png").pixels.shape == (1, 3, 32, 32)


def test_who_stopped_a_fit(store, problem, tiny):
    config = tiny.replace(lr=1e-12, input_jitter=0.0, stop="loss", patience=1, iterations=200)
    record(store, problem, config)
    found = read_outcome(store)
    assert (found["outcome"], found["stopped_by"], found["iterations_run"]) == (
        "STOPPED",
        "loss",
        50,
    )


def test_a_fit_ended_from_outside(store, problem, tiny):
    run = Fit(problem, tiny)
    recorder = Recorder(store, run)
    assert read_outcome(store) == {"outcome": "RUNNING"}
    recorder.add(next(run.blocks(5)))
    recorder.end("INTERRUPTED", reason="asked to")
    found = read_outcome(store)
    assert (found["outcome"], found["reason"], found["iterations_run"]) == (
        "INTERRUPTED",
        "asked to",
        5,
    )
    assert read_trace(store)[0].num_rows == 5
    assert store.exists("final.png")
    store.write_json(STOPPED, {"stopped_by": "asha"})
    found = read_outcome(store)
    assert (found["outcome"], found["stopped_by"]) == ("STOPPED", "asha")
    assert found["iterations_run"] == 5


def test_the_outcome_is_written_last(store, problem, tiny, monkeypatch):
    order = []
    write = Store.write

    def watch(self, name, data):
        order.append(name)
        write(self, name, data)

    monkeypatch.setattr(Store, "write", watch)
    record(store, problem, tiny)
    assert order[-1] == OUTCOME
    assert order[:3] == ["config.json", "problem.json", "provenance.json"]


def test_parts_are_written_as_time_passes(store, problem, tiny):
    clock = Clock()
    run = Fit(problem, tiny)
    recorder = Recorder(store, run, clock=clock, checkpoint_every_s=None)
    for block, seconds in zip(run.blocks(4), (20, 30, 2, 38, 50), strict=True):
        clock.now += seconds
        recorder.add(block)
        if block.outcome is None:
            assert not store.exists(OUTCOME)
    assert store.names(TRACE) == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    table, _ = read_trace(store)
    assert table["iteration"].to_pylist() == list(range(1, 21))


def test_a_dead_worker_loses_what_waits_and_no_more(store, problem, tiny):
    clock = Clock()
    run = Fit(problem, tiny)
    recorder = Recorder(store, run, clock=clock)
    blocks = run.blocks(4)
    recorder.add(next(blocks))
    assert store.names(TRACE) == []
    clock.now = recorder_module.SECONDS_A_PART
    recorder.add(next(blocks))
    recorder.add(next(blocks))
    assert read_trace(store)[0].num_rows == 8
    assert read_outcome(store)["outcome"] == "RUNNING"


def test_parts_are_written_as_rows_pile_up(store, problem, tiny, monkeypatch):
    monkeypatch.setattr(recorder_module, "ROWS_A_PART", 8)
    record(store, problem, tiny, size=4, clock=Clock())
    assert len(store.names(TRACE)) == 3


def test_a_fit_that_could_not_begin(store, problem, tiny):
    record(store, problem, tiny)
    store.write_json(STOPPED, {"stopped_by": "asha"})
    record_failure(store, tiny, "cat", reason="no such device")
    assert read_outcome(store) == {"outcome": "FAILED", "reason": "no such device"}
    assert FitConfig.from_dict(store.read_json("config.json")) == tiny
    assert store.read_json("problem.json") == {"name": "cat"}
    assert read_trace(store)[0].num_rows == 0
    assert not is_finished(store)


def test_a_new_recording_replaces_an_unfinished_one(store, problem, tiny):
    clock = Clock()
    record(store, problem, tiny, size=1, clock=clock)
    store.write_json(STOPPED, {"stopped_by": "asha"})
    Recorder(store, Fit(problem, tiny))
    assert read_outcome(store) == {"outcome": "RUNNING"}
    assert read_trace(store)[0].num_rows == 0


def test_only_the_first_end_counts(problem, tiny, tmp_path):
    fit = Fit(problem, tiny)
    recorder = Recorder(Store(tmp_path), fit)
    for block in fit.blocks():
        recorder.add(block)
    recorder.end("INTERRUPTED")
    assert Store(tmp_path).read_json("outcome.json")["outcome"] == "BUDGET"
