import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipray.config import FitConfig
from dipray.errors import FolderError
from dipray.folder import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    OUTCOME,
    RUNNING,
    STOPPED,
    TRACE,
    TRACE_SCHEMA,
    encode_trace,
    is_finished,
    part_file,
    read_outcome,
    read_trace,
    safe_name,
    trial_id,
)
from dipray.store import Store
from dipray.trace import COLUMN_NAMES, COLUMNS


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "trial")


def rows(first: int, last: int, **columns):
    length = last - first + 1
    generator = np.random.default_rng(first)
    made = {name: generator.random(length, np.float32).astype(float) for name in COLUMN_NAMES}
    made["iteration"] = np.arange(first, last + 1, dtype=float)
    return made | {name: np.array(values, float) for name, values in columns.items()}


def write_part(store: Store, index: int, part) -> None:
    store.write(f"{TRACE}/part-{index:05d}.parquet", encode_trace(part))


def parquet(**columns) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_every_column_carries_its_unit_and_meaning():
    assert TRACE_SCHEMA.names == list(COLUMN_NAMES)
    written = pq.read_schema(pa.BufferReader(encode_trace(rows(1, 2))))
    for column in COLUMNS:
        found = written.field(column.name).metadata
        assert found[b"unit"].decode() == column.unit
        assert found[b"meaning"].decode() == column.meaning


def test_later_parts_are_smaller_and_read_the_same(store):
    whole = rows(1, 5)
    parts = [
        {name: values[part] for name, values in whole.items()} for part in (slice(3), slice(3, 5))
    ]
    for index, part in enumerate(parts):
        store.write(part_file(index), encode_trace(part, described=index == 0))
    first, second = (len(store.read(part_file(index))) for index in (0, 1))
    assert second < 0.8 * first
    table, complaints = read_trace(store)
    assert complaints == []
    for name in COLUMN_NAMES:
        assert np.array_equal(table[name].to_numpy(), whole[name]), name
    plain = pq.read_table(f"{store}/{TRACE}")  # as somebody without dipray would
    assert plain.column_names == list(COLUMN_NAMES)
    assert len(plain) == 5
    assert plain.schema.field("psnr").metadata[b"unit"] == b"dB"


def test_parts_are_read_in_order(store):
    first, second = rows(1, 3), rows(4, 5)
    write_part(store, 1, second)
    write_part(store, 0, first)
    table, complaints = read_trace(store)
    assert complaints == []
    assert table.column_names == list(COLUMN_NAMES)
    assert table.schema.field("iteration").type == pa.int64()
    for name in COLUMN_NAMES:
        wanted = np.concatenate([first[name], second[name]])
        assert np.array_equal(table[name].to_numpy(), wanted), name


def test_columns_in_the_order_asked(store):
    write_part(store, 0, rows(1, 3))
    table, _ = read_trace(store, ["seconds", "iteration"])
    assert table.column_names == ["seconds", "iteration"]
    assert table["iteration"].to_pylist() == [1, 2, 3]


def test_no_trace_is_an_empty_table(store):
    table, complaints = read_trace(store)
    assert (table.num_rows, table.column_names, complaints) == (0, list(COLUMN_NAMES), [])


def test_what_was_not_computed_is_null_and_not_zero(store):
    nan = np.nan
    write_part(store, 0, rows(1, 3, psnr=[nan] * 3, ssim=[0.5, nan, nan], loss=[2, 1, nan]))
    table, _ = read_trace(store)
    assert table["psnr"].to_pylist() == [None] * 3
    assert table["ssim"].to_pylist() == [0.5, None, None]
    assert table["loss"].null_count == 0
    assert np.isnan(table["loss"].to_pylist()[2])
    assert table["tv"].null_count == 0


def test_an_infinite_loss_stays_infinite(store):
    write_part(store, 0, rows(1, 2, loss=[1, np.inf], grad_norm=[np.inf, np.nan]))
    table, _ = read_trace(store)
    assert table["loss"].to_pylist() == [1, np.inf]
    assert table["grad_norm"].to_pylist() == [np.inf, None]


BROKEN = {
    "truncated": encode_trace(rows(3, 4))[:-40],
    "cut in the middle": encode_trace(rows(3, 4))[:200],
    "empty": b"",
    "text": b"no parquet at all",
    "foreign": parquet(step=[3, 4], loss=[1.0, 2.0]),
    "of other types": parquet(**{name: ["x"] for name in COLUMN_NAMES}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_part_that_cannot_be_read_is_left_out_and_named(store, kind):
    write_part(store, 0, rows(1, 2))
    store.write(f"{TRACE}/part-00001.parquet", BROKEN[kind])
    write_part(store, 2, rows(5, 6))
    table, complaints = read_trace(store)
    assert table["iteration"].to_pylist() == [1, 2, 5, 6]
    (complaint,) = complaints
    assert complaint.startswith("trace.parquet/part-00001.parquet: left out (")
    assert "\n" not in complaint


def test_columns_that_an_earlier_version_lacked_are_null(store):
    write_part(store, 0, rows(1, 2))
    store.write(f"{TRACE}/part-00001.parquet", parquet(iteration=[3, 4], loss=[1.0, 2.0]))
    table, complaints = read_trace(store)
    assert complaints == []
    assert table.schema.equals(TRACE_SCHEMA)
    assert table["iteration"].to_pylist() == [1, 2, 3, 4]
    assert table["loss"].to_pylist()[2:] == [1.0, 2.0]
    for name in set(COLUMN_NAMES) - {"iteration", "loss"}:
        assert table[name].null_count == 2, name
        assert table[name].to_pylist()[2:] == [None, None], name
    lonely, complaints = read_trace(store, ["val_psnr_ema"])
    assert (lonely.num_rows, lonely.column_names, complaints) == (4, ["val_psnr_ema"], [])


def test_drafts_are_no_parts(store):
    write_part(store, 0, rows(1, 2))
    store.write(f"{TRACE}/part-00001.parquet.123.tmp", b"half")
    table, complaints = read_trace(store)
    assert (table.num_rows, complaints) == (2, [])


@pytest.mark.parametrize(
    ("left", "decision", "outcome"),
    [
        (None, None, RUNNING),
        (None, {"stopped_by": "asha"}, "STOPPED"),
        (INTERRUPTED, None, INTERRUPTED),
        (INTERRUPTED, {"stopped_by": "asha"}, "STOPPED"),
        (FAILED, None, FAILED),
        (FAILED, {"stopped_by": "asha"}, FAILED),
        ("BUDGET", None, "BUDGET"),
        ("BUDGET", {"stopped_by": "asha"}, "BUDGET"),
        ("DIVERGED", {"stopped_by": "asha"}, "DIVERGED"),
        ("STOPPED", {"stopped_by": "asha"}, "STOPPED"),
    ],
)
def test_how_a_fit_ended(store, left, decision, outcome):
    if left is not None:
        store.write_json(OUTCOME, {"outcome": left, "stopped_by": None, "psnr_peak": 20.5})
    if decision is not None:
        store.write_json(STOPPED, decision)
    found = read_outcome(store)
    assert found["outcome"] == outcome
    assert found.get("psnr_peak") == (None if left is None else 20.5)
    decided = decision is not None and left in (None, INTERRUPTED)
    assert found.get("stopped_by") == ("asha" if decided else None)
    assert is_finished(store) == (left is not None and outcome in FINISHED)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"3", b'{"outcome"'])
def test_an_outcome_that_is_broken(store, data):
    store.write(OUTCOME, data)
    with pytest.raises(FolderError, match=r"outcome\.json"):
        read_outcome(store)
    assert not is_finished(store)


@pytest.mark.parametrize("data", [b"", b"[]", b"3"])
def test_a_decision_that_is_broken(store, data):
    store.write_json(OUTCOME, {"outcome": INTERRUPTED})
    store.write(STOPPED, data)
    with pytest.raises(FolderError, match=r"stopped\.json"):
        read_outcome(store)
    assert not is_finished(store)


def test_a_trial_is_known_by_problem_and_configuration():
    config = FitConfig()
    known = trial_id("cat", "f1", config)
    assert known == trial_id("cat", "f1", FitConfig())
    assert known.startswith("cat-")
    assert len(known) == len("cat-") + 12
    others = {
        trial_id("cat", "f2", config),
        trial_id("cat", "f1", config.replace(seed=1)),
        trial_id("dog", "f1", config),
    }
    assert len(others | {known}) == 4


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("cat", "cat"),
        ("my cat (1)", "my_cat__1_"),
        ("../../etc", "_.._etc"),
        ("a/b\\c", "a_b_c"),
        ("..", "picture"),
        ("", "picture"),
        (".hidden", "hidden"),
        ("x=1.5_b-2", "x_1.5_b-2"),
        ("a\nb\0c", "a_b_c"),
    ],
)
def test_names_that_a_folder_can_have(store, name, safe):
    assert safe_name(name) == safe
    store.child(safe_name(name))
