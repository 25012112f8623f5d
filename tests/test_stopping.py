import numpy as np
import pytest

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.stopping import (
    CHECK_EVERY,
    RULES,
    LossPlateau,
    Measured,
    PastPeak,
    asks_to_stop,
    make_rule,
)
from dipray.trace import COLUMN_NAMES, COLUMNS, TRUTH_COLUMNS

LENGTH = 1000


def rows(**columns):
    """A trace of LENGTH iterations, NaN but for `columns`, each a function of the iteration."""
    iteration = np.arange(1.0, LENGTH + 1)
    made = {name: np.full(LENGTH, np.nan) for name in COLUMN_NAMES}
    made["iteration"] = iteration
    for name, function in columns.items():
        made[name] = np.broadcast_to(function(iteration), LENGTH).astype(float)
    return made


def stops_at(rule, trace, size=CHECK_EVERY) -> int | None:
    """The first look, every CHECK_EVERY iterations, at which a rule fed blocks ends the fit."""
    for start in range(0, LENGTH, size):
        wants = asks_to_stop(rule, {name: trace[name][start : start + size] for name in trace})
        if wants and (start + size) % CHECK_EVERY == 0:
            return start + size
    return None


def wobble(iteration):
    return 1 + 1e-4 * np.sin(iteration * 12.9898)


FALLING = {"loss": lambda t: 1 / t, "psnr": lambda t: t / 50, "psnr_ema": lambda t: t / 40}
FLAT = {"loss": wobble, "psnr": lambda t: 0 * t, "psnr_ema": lambda t: 0 * t}
ELBOW = {
    "loss": lambda t: np.maximum(200 / t, 1) * wobble(t),
    "psnr": lambda t: -np.abs(t - 112),
    "psnr_ema": lambda t: -np.abs(t - 180),
}


def test_every_rule_has_its_name():
    assert set(RULES) == set(FitConfig.model_fields["stop"].annotation.__args__)
    for name, rule in RULES.items():
        assert rule(5).name == name


def test_measured_hides_every_column_of_the_truth():
    seen = Measured(rows()).rows
    assert set(seen) == set(COLUMN_NAMES) - TRUTH_COLUMNS
    assert not any("psnr" in name or "ssim" in name for name in seen)
    assert {column.name for column in COLUMNS if column.needs == "nothing"} == set(seen)
    with pytest.raises(TypeError):
        seen["psnr"] = np.zeros(1)


def test_a_loss_plateau_needs_no_truth():
    trace = rows(**ELBOW)
    blind = {name: trace[name] for name in ("iteration", "loss")}
    assert stops_at(LossPlateau(100), blind) == stops_at(LossPlateau(100), trace)


@pytest.mark.parametrize(
    ("name", "trace", "patience", "end"),
    [
        ("none", FLAT, 1, None),
        ("loss", FLAT, 100, 125),
        ("loss", FLAT, 101, 150),
        ("loss", ELBOW, 100, 325),
        ("loss", ELBOW, 101, 350),
        ("loss", ELBOW, 30, 275),
        ("loss", ELBOW, 900, None),
        ("loss", FALLING, 50, None),
        ("psnr", FLAT, 100, 125),
        ("psnr", ELBOW, 50, 250),
        ("psnr", ELBOW, 20, 200),
        ("psnr", ELBOW, 900, None),
        ("psnr", FALLING, 50, None),
    ],
)
def test_where_rules_stop(name, trace, patience, end):
    for size in (1, 5, CHECK_EVERY):
        assert stops_at(RULES[name](patience), rows(**trace), size) == end


def test_a_drop_below_a_thousandth_is_no_gain():
    def falling(share):
        return rows(loss=lambda t: (1 - share) ** (t / CHECK_EVERY))

    assert stops_at(LossPlateau(100), falling(2e-3)) is None
    assert stops_at(LossPlateau(25), falling(1e-4)) == 50


def test_a_single_low_loss_is_no_gain():
    calm = rows(loss=wobble)
    calm["loss"][60] = 0.99
    assert stops_at(LossPlateau(100), calm) == 125


def test_past_peak_waits_for_output_and_average():
    late = {**ELBOW, "psnr_ema": lambda t: -np.abs(t - 400)}
    assert stops_at(PastPeak(50), rows(**late)) == 450
    late = {**ELBOW, "psnr": lambda t: -np.abs(t - 400)}
    assert stops_at(PastPeak(50), rows(**late)) == 450


@pytest.mark.parametrize("name", RULES)
def test_the_configuration_makes_the_rule(name):
    settings = {"stop": name} if name == "none" else {"stop": name, "patience": 33}
    rule = make_rule(FitConfig(**settings), has_reference=True)
    assert rule.name == name
    assert getattr(rule, "patience", 33) == 33


def test_past_peak_needs_the_truth():
    with pytest.raises(ConfigError, match="stop='psnr': needs the truth") as caught:
        make_rule(FitConfig(stop="psnr"), has_reference=False)
    assert caught.value.field == "stop"
    assert make_rule(FitConfig(stop="loss"), has_reference=False).name == "loss"
