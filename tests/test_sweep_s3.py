"""A sweep whose folder lies on object storage: a real S3 API on loopback."""

import pyarrow.fs as pafs
import pytest

from analysis import leaderboard, load_sweep, write_tables
from dipray.config import FitConfig
from dipray.loop import fit
from dipray.problem import Problem
from dipray.recorder import Recorder
from dipray.resumption import resume
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep

pytestmark = [
    pytest.mark.ray,
    # botocore's and the test server's own habits
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]

BASE = FitConfig(depth=2, features=4, input_channels=4, iterations=20, device="cpu")


@pytest.fixture
def bucket(monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer(
        "127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    pafs.S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
    ).create_dir("results")
    yield "s3://results/runs"
    server.stop()


def test_a_store_on_object_storage(bucket):
    store = Store(bucket).child("one")
    assert store.names() == []
    store.write("a/b.txt", b"b")
    store.write_json("c.json", {"x": 1})
    assert (store.names(), store.names("a")) == (["a", "c.json"], ["b.txt"])
    assert Store(f"{bucket}/one").read("a/b.txt") == b"b"
    store.remove("a")
    store.remove("c.json")
    assert not store.exists("a/b.txt") and not store.exists("c.json")


def test_a_fit_on_object_storage_goes_on(bucket, noisy, truth):
    problem = Problem(noisy, reference=truth, name="astronaut")
    store = Store(bucket).child("fit")
    for at in (6, 12):
        run, found = resume(store, problem, BASE)
        recorder = Recorder(store, run, checkpoint_every_s=0.0, resumption=found)
        for block in run.blocks(3):
            recorder.add(block)
            if run.iteration >= at:
                break
    recorder.interrupt()
    newest = store.names("checkpoint")[-1]
    store.write(f"checkpoint/{newest}", b"cut short")
    run, found = resume(store, problem, BASE)
    assert found.iteration == 11  # a snapshot ended a block there
    assert found.refused == (f"{store}/checkpoint/{newest}: not a checkpoint of this version",)
    recorder = Recorder(store, run, resumption=found)
    for block in run.blocks():
        recorder.add(block)
    trace = load_sweep(f"{bucket}/fit").traces("loss")
    assert trace["iteration"].tolist() == list(range(1, 21))
    assert trace["loss"].tolist() == fit(problem, BASE).trace["loss"].tolist()
    assert not store.exists("checkpoint")


def test_a_sweep_on_object_storage(bucket, noisy, truth):
    problem = Problem(noisy, reference=truth, name="astronaut", origin={"task": "denoise"})
    config = SweepConfig(grace_period=10, report_every=10)
    space = {"net": ["skip", "encdec"]}
    location = f"{bucket}/sweep"
    result = run_sweep([problem], space, location, base=BASE, config=config)
    assert (result.run, result.failed) == (2, 0)
    sweep = load_sweep(location)
    assert len(sweep.trials) == 2 and sweep.left_out == []
    assert len(sweep.traces("psnr")) == sweep.trials["iterations_run"].sum()
    assert "non-local means" in set(leaderboard(sweep)["method"])
    write_tables(sweep)
    assert "trials.parquet" in Store(location).names()
    again = run_sweep([problem], space, location, base=BASE, config=config)
    assert (again.run, again.kept) == (0, 2)
