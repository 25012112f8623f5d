from itertools import pairwise

import numpy as np
import pytest

from dipray.trace import COLUMN_NAMES, COLUMNS, PEAKS, TRUTH_COLUMNS, Summary, concatenate


def rows(length: int, **columns):
    made = {name: np.full(length, np.nan) for name in COLUMN_NAMES}
    made["iteration"] = np.arange(1.0, length + 1)
    return made | {name: np.array(values, float) for name, values in columns.items()}


def summary(trace, *cuts: int) -> Summary:
    total = Summary()
    edges = [0, *cuts, len(trace["iteration"])]
    for start, end in pairwise(edges):
        total.update({name: values[start:end] for name, values in trace.items()})
    return total


def test_columns_are_named_once_and_explained():
    assert len(set(COLUMN_NAMES)) == len(COLUMN_NAMES)
    assert all(column.unit and column.meaning for column in COLUMNS)
    names = ("psnr", "psnr_y", "psnr_hole", "ssim")
    noise = {f"noise_fraction_{band}" for band in range(1, 6)}
    assert {*names, *(f"{name}_ema" for name in names)} | noise == TRUTH_COLUMNS


def test_blocks_become_one_trace():
    trace = rows(6, loss=range(6))
    parts = [{name: values[a:b] for name, values in trace.items()} for a, b in ((0, 2), (2, 6))]
    joined = concatenate(parts)
    assert list(joined) == list(COLUMN_NAMES)
    for name, values in trace.items():
        assert np.array_equal(joined[name], values, equal_nan=True)


def test_no_blocks_are_an_empty_trace():
    assert {name: len(values) for name, values in concatenate([]).items()} == dict.fromkeys(
        COLUMN_NAMES, 0
    )


@pytest.mark.parametrize("cuts", [(), (1,), (2, 4), (1, 2, 3, 4, 5)])
def test_the_summary_is_that_of_the_whole_trace(cuts):
    trace = rows(
        6,
        loss=[6, 5, 4, 3, 2, 1],
        psnr=[10, 12, 14, 14, 13, 11],
        psnr_ema=[9, 10, 11, 12, 13, 12],
        ssim=[0.1, np.nan, np.nan, 0.4, np.nan, np.nan],
        tv=[1, 2, 3, 4, 5, 6],
        seconds=[1, 2, 3, 4, 5, 6],
        val_psnr=[8, 9, np.nan, 8, 8, 7],
        val_psnr_ema=[8, 9, 10, 11, 12, 12],
    )
    assert summary(trace, *cuts).outcome_row() == {
        "iterations_run": 6,
        "seconds": 6.0,
        "loss_final": 1.0,
        "psnr_peak": 14.0,
        "iteration_peak": 3,
        "psnr_final": 11.0,
        "psnr_ema_peak": 13.0,
        "iteration_ema_peak": 5,
        "psnr_ema_final": 12.0,
        "psnr_y_final": None,
        "psnr_hole_final": None,
        "ssim_final": 0.4,
        "val_psnr_peak": 9.0,
        "iteration_val_peak": 2,
        "psnr_at_val_peak": 12.0,
        "val_psnr_final": 7.0,
        "val_psnr_ema_peak": 12.0,
        "iteration_val_ema_peak": 5,
        "psnr_ema_at_val_peak": 13.0,
        "val_psnr_ema_final": 12.0,
        "tv_final": 6.0,
        "hf_energy_final": None,
        "laplacian_final": None,
    }


def test_a_peak_skips_what_is_not_a_number():
    found = summary(rows(4, psnr=[np.nan, 3, np.nan, 2]), 1).outcome_row()
    assert (found["psnr_peak"], found["iteration_peak"], found["psnr_final"]) == (3.0, 2, 2.0)


def test_a_peak_of_the_held_out_error_needs_no_truth():
    found = summary(rows(4, val_psnr_ema=[1, 3, 2, 3]), 2).outcome_row()
    assert (found["val_psnr_ema_peak"], found["iteration_val_ema_peak"]) == (3.0, 2)
    assert found["psnr_ema_at_val_peak"] is None
    assert found["val_psnr_peak"] is None


def test_peaks_are_of_columns_and_name_numbers_of_the_outcome():
    numbers = set(Summary().outcome_row())
    for peak in PEAKS:
        assert peak.column in COLUMN_NAMES
        assert {peak.value, peak.iteration} <= numbers
        if peak.scored is not None:
            assert peak.scored[0] in TRUTH_COLUMNS
            assert peak.scored[1] in numbers
            assert peak.column not in TRUTH_COLUMNS
    assert len({peak.picture for peak in PEAKS}) == len(PEAKS)


def test_an_empty_summary():
    assert set(Summary().outcome_row().values()) == {None}
