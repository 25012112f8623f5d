"""What a sweep compares by, and what that makes of its fits."""

from typing import get_args

import pytest

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.sweep_config import Metric, SweepConfig, table_number
from dipray.trace import Summary

METRICS = get_args(Metric)[1:]


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_is_a_number_of_the_tables(metric):
    assert table_number(metric) in Summary().outcome_row()


@pytest.mark.parametrize("metric", METRICS)
def test_what_a_metric_needs(metric):
    config = SweepConfig(metric=metric)
    assert config.mode == ("min" if metric == "loss" else "max")
    assert config.judges_by_holdout == ("val" in metric)
    assert config.needs_reference == (metric.startswith("psnr"))
    assert not config.replace(scheduler="none").needs_reference
    assert config.replace(scheduler="none", search="optuna").needs_reference == (
        config.needs_reference
    )


@pytest.mark.parametrize(
    ("settings", "has_truth", "can_hold_out", "scheduler", "metric"),
    [
        ({}, True, True, "asha", "psnr_peak"),
        ({}, True, False, "asha", "psnr_peak"),
        ({}, False, True, "asha", "val_psnr_ema_peak"),
        ({}, False, False, "none", "loss"),
        ({"grace_period": 50}, False, False, "asha", "loss"),
        ({"reduction_factor": 2.0}, False, False, "asha", "loss"),
        ({"metric": "loss"}, True, True, "asha", "loss"),
        ({"metric": "loss"}, False, True, "asha", "loss"),
        ({"metric": "loss"}, False, False, "asha", "loss"),
        ({"metric": "val_psnr"}, True, True, "asha", "val_psnr"),
        ({"metric": "psnr_ema_peak"}, False, True, "asha", "psnr_ema_peak"),
        ({"scheduler": "none"}, True, True, "none", "psnr_peak"),
        ({"scheduler": "none"}, False, True, "none", "val_psnr_ema_peak"),
        ({"scheduler": "none"}, False, False, "none", "loss"),
        ({"scheduler": "median"}, False, True, "median", "val_psnr_ema_peak"),
        ({"scheduler": "hyperband"}, False, False, "hyperband", "loss"),
    ],
)
def test_auto_is_settled(settings, has_truth, can_hold_out, scheduler, metric):
    config = SweepConfig(**settings)
    settled = config.settled(has_truth=has_truth, can_hold_out=can_hold_out)
    assert settled == config.replace(scheduler=scheduler, metric=metric)
    assert settled.settled(has_truth=has_truth, can_hold_out=can_hold_out) == settled


@pytest.mark.parametrize(
    ("settings", "base", "has_truth", "varied", "stop", "holdout"),
    [
        # the defaults: each fit ends past the peak of what it is compared by
        ({}, {}, True, (), "psnr", 0.0),
        ({}, {}, False, (), "val", None),
        ({"scheduler": "median"}, {}, False, (), "val", None),
        # a metric against held-out measurements needs some, the truth or not
        ({"metric": "val_psnr_ema_peak"}, {}, True, (), "val", None),
        ({"metric": "val_psnr_peak"}, {}, True, (), "val", None),
        ({"metric": "val_psnr"}, {}, True, (), "none", None),
        # no running best, no scheduler, or nothing asked: nothing ends a fit
        ({"metric": "psnr"}, {}, True, (), "none", 0.0),
        ({"metric": "loss"}, {}, True, (), "none", 0.0),
        ({"metric": "loss"}, {}, False, (), "none", None),
        ({"scheduler": "none"}, {}, True, (), "none", 0.0),
        ({"scheduler": "none"}, {}, False, (), "none", None),
        ({"stop_past_peak": False}, {}, True, (), "none", 0.0),
        ({"stop_past_peak": False}, {}, False, (), "none", None),
        # asked for, whatever the scheduler is and the metric shows
        ({"stop_past_peak": True, "scheduler": "none"}, {}, True, (), "psnr", 0.0),
        ({"stop_past_peak": True, "scheduler": "none"}, {}, False, (), "val", None),
        ({"stop_past_peak": True, "metric": "psnr_ema"}, {}, True, (), "psnr", 0.0),
        # what the fits were given stays
        ({}, {"stop": "wmv"}, True, (), "wmv", 0.0),
        ({}, {"stop": "wmv"}, False, (), "wmv", None),
        ({}, {"stop": "val"}, True, (), "val", None),
        ({}, {"holdout": 0.2}, True, (), "psnr", 0.2),
        ({}, {"holdout": 0.2}, False, (), "val", 0.2),
        ({}, {"holdout": 0.0}, True, (), "psnr", 0.0),
        ({"metric": "loss"}, {"holdout": 0.0}, False, (), "none", 0.0),
        # and so does what the space varies
        ({}, {}, True, ("stop",), "none", None),
        ({}, {}, False, ("stop", "lr"), "none", None),
        ({}, {}, True, ("holdout",), "psnr", None),
        ({}, {}, True, ("lr", "holdout_seed"), "psnr", 0.0),
    ],
)
def test_what_a_sweep_makes_of_its_fits(settings, base, has_truth, varied, stop, holdout):
    """Where holdout stays None each picture settles it."""
    config, fits = SweepConfig(**settings).settled(has_truth=has_truth), FitConfig(**base)
    changed = config.for_fits(fits, has_truth=has_truth, varied=varied)
    assert changed == fits.replace(stop=stop, holdout=holdout)


def test_a_loss_has_no_peak_to_be_past():
    config = SweepConfig(metric="loss", stop_past_peak=True)
    with pytest.raises(ConfigError) as caught:
        config.for_fits(FitConfig(), has_truth=True)
    assert caught.value.field == "stop_past_peak"
    assert str(caught.value) == ("stop_past_peak: the metric loss has no peak; write --stop loss")
    assert config.for_fits(FitConfig(stop="loss"), has_truth=True).stop == "loss"


@pytest.mark.parametrize("metric", [metric for metric in METRICS if "val" in metric])
@pytest.mark.parametrize("scheduler", ["asha", "none"])
def test_nothing_held_out_cannot_be_compared(metric, scheduler):
    config = SweepConfig(metric=metric, scheduler=scheduler)
    with pytest.raises(ConfigError) as caught:
        config.for_fits(FitConfig(holdout=0.0), has_truth=True)
    assert caught.value.field == "metric"
    assert str(caught.value) == (
        f"metric={metric!r}: is of held-out measurements, and holdout is 0; write holdout, e.g. "
        "0.03"
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"num_samples": 4},
            "num_samples=4: has no effect here; it is used with search random or optuna",
        ),
        (
            {"scheduler": "none", "grace_period": 5},
            "grace_period=5: has no effect here; it is used with a scheduler",
        ),
        (
            {"scheduler": "median", "reduction_factor": 2.0},
            "reduction_factor=2.0: has no effect here; it is used with asha or hyperband",
        ),
    ],
)
def test_no_field_is_silent(settings, text):
    with pytest.raises(ConfigError) as caught:
        SweepConfig(**settings)
    assert str(caught.value) == text
