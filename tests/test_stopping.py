import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.stopping import (
    CHECK_EVERY,
    CRITERIA,
    RULES,
    BestOf,
    LossPlateau,
    Measured,
    PastPeak,
    make_oracle,
    make_rules,
)
from dipray.trace import COLUMN_NAMES, COLUMNS, TRUTH_COLUMNS
from dipray.watch import Pick, Watch

LENGTH = 1000
EVERYTHING = FitConfig(iterations=LENGTH, holdout=0.03, sure_sigma=25.0)


def rows(**columns):
    """A trace of LENGTH iterations, NaN but for `columns`, each a function of the iteration."""
    iteration = np.arange(1.0, LENGTH + 1)
    made = {name: np.full(LENGTH, np.nan) for name in COLUMN_NAMES}
    made["iteration"] = iteration
    for name, function in columns.items():
        made[name] = np.broadcast_to(function(iteration), LENGTH).astype(float)
    return made


def cut(trace, start, end):
    return {name: values[start:end] for name, values in trace.items()}


def watched(rule, trace, size=CHECK_EVERY) -> Watch:
    """A rule that has followed the trace in blocks, which end at every look as those of fits do."""
    watch, at, length = Watch(rule), 0, len(trace["iteration"])
    while at < length:
        end = min(at + size - at % size, at + CHECK_EVERY - at % CHECK_EVERY, length)
        due = end % CHECK_EVERY == 0 or end == length
        before = watch.pick
        fires = watch.update(cut(trace, at, end), due=due)
        assert fires == (watch.pick.fired == end)
        if before.fired is not None:
            assert watch.pick == before
        at = end
    return watch


def ends_at(oracle, trace, size=CHECK_EVERY) -> int | None:
    """The first look, every CHECK_EVERY iterations, at which an oracle ends the fit."""
    for start in range(0, LENGTH, size):
        fires = oracle.fires_knowing(cut(trace, start, start + size))
        if fires and (start + size) % CHECK_EVERY == 0:
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
HILL = {  # every criterion is best at 212
    "loss": lambda t: 1 / t,
    "val_psnr_ema": lambda t: 30 - np.abs(t - 212) / 100,
    "sure_ema": lambda t: np.abs(t - 212) / 1e4 - 1e-3,
    "wmv": lambda t: 1 + np.abs(t - 212),
    "emv": lambda t: 1 + np.abs(t - 212),
    "psnr": lambda t: 20 + t / LENGTH,
    "psnr_ema": lambda t: 25 - t / LENGTH,
}


def test_every_rule_has_its_name_and_can_end_a_fit():
    names = set(FitConfig.model_fields["stop"].annotation.__args__)
    assert names == {"none", "psnr", *RULES} - {"budget"}
    assert {name: rule.name for name, rule in make_rules(EVERYTHING).items()} == {
        name: name for name in RULES
    }
    assert set(CRITERIA) == set(RULES) - {"budget", "loss"}


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({}, set()),
        ({"holdout": 0.0}, {"val"}),
        ({"holdout": None}, {"val"}),
        ({"sure_sigma": None}, {"sure"}),
        ({"variance_window": 0}, {"wmv", "emv"}),
    ],
)
def test_a_rule_is_there_if_it_has_something_to_look_at(settings, absent):
    assert set(make_rules(EVERYTHING.replace(**settings))) == set(RULES) - absent


def test_measured_hides_every_column_of_the_truth():
    seen = Measured(rows()).rows
    assert set(seen) == set(COLUMN_NAMES) - TRUTH_COLUMNS
    assert not any(name.startswith(("psnr", "ssim")) for name in seen)
    of_the_truth = ("reference", "luma", "hole", "probe and reference")
    assert {column.name for column in COLUMNS if column.needs not in of_the_truth} == set(seen)
    with pytest.raises(TypeError):
        seen["psnr"] = np.zeros(1)


class Spying(dict):
    """Columns that remember which of them were looked at."""

    def __init__(self, columns, seen):
        super().__init__(columns)
        self.seen = seen

    def __getitem__(self, name):
        self.seen.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_looks_at_its_column_alone(name):
    """It is shown no truth, and the truth changes nothing of what it says."""
    looked_at = set()
    rule = RULES[name](EVERYTHING.replace(patience=100))
    shown = Measured(rows(**HILL))
    shown.rows = Spying(shown.rows, looked_at)
    rule.fires(shown)
    column = CRITERIA[name][0] if name in CRITERIA else "loss"
    assert looked_at - {"iteration"} == (set() if name == "budget" else {column})
    assert not looked_at & TRUTH_COLUMNS

    def pick(**truth):
        config = EVERYTHING.replace(patience=100)
        found = watched(RULES[name](config), rows(**{**HILL, **truth})).pick
        return found.iteration, found.fired

    assert pick() == pick(psnr=lambda t: -t, psnr_ema=lambda t: np.nan * t)


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=30)
@given(
    size=st.integers(1, 60),
    patience=st.integers(1, 100),
    seed=st.integers(0, 99),
    length=st.integers(1, 180),
)
def test_blocks_of_any_size_pick_the_same(name, size, patience, seed, length):
    generator = np.random.default_rng(seed)
    made = {column: generator.normal(size=length).cumsum() for column in COLUMN_NAMES}
    made["loss"] = np.exp(made["loss"] / 10)
    made["iteration"] = np.arange(1.0, length + 1)
    for column in ("val_psnr_ema", "sure_ema", "wmv", "emv"):
        made[column] = np.round(made[column])  # so that there are equals
        made[column][generator.random(length) < 0.3] = np.nan
    config = EVERYTHING.replace(patience=patience)
    whole = watched(RULES[name](config), made).pick
    assert watched(RULES[name](config), made, size).pick == whole
    if whole.fired is not None:
        assert whole.fired % CHECK_EVERY == 0 or whole.fired == length


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("size", [1, 7, CHECK_EVERY, 1000])
@pytest.mark.parametrize(
    ("patience", "fired"),
    [(1, 225), (13, 225), (14, 250), (88, 300), (89, 325), (788, 1000), (789, None)],
)
def test_the_best_is_picked_once_patience_is_over(name, size, patience, fired):
    pick = watched(BestOf(name, patience), rows(**HILL), size).pick
    assert (pick.iteration, pick.fired) == (212, fired)


def test_a_pick_has_the_scores_of_its_iteration():
    pick = watched(BestOf("val", 50), rows(**HILL)).pick
    assert pick == Pick(212, 275, pytest.approx(20 + 0.212), pytest.approx(25 - 0.212))
    blind = {name: column for name, column in HILL.items() if not name.startswith("psnr")}
    assert watched(BestOf("val", 50), rows(**blind)).pick == Pick(212, 275, None, None)


def test_a_pick_that_a_later_block_takes_over_has_the_scores_of_the_later_one():
    watch = Watch(BestOf("val", 500))
    trace = rows(**HILL)
    watch.update(cut(trace, 0, 100), due=True)
    assert watch.pick == Pick(100, None, pytest.approx(20.1), pytest.approx(24.9))
    watch.update(cut(trace, 100, 400), due=True)
    assert watch.pick == Pick(212, None, pytest.approx(20.212), pytest.approx(24.788))
    watch.update(cut(trace, 400, 500), due=True)
    assert watch.pick == Pick(212, None, pytest.approx(20.212), pytest.approx(24.788))


def test_nothing_changes_a_pick_after_its_rule_has_fired():
    better_later = {"val_psnr_ema": lambda t: np.where(t < 500, -np.abs(t - 212), t)}
    pick = watched(BestOf("val", 100), rows(**better_later)).pick
    assert (pick.iteration, pick.fired) == (212, 325)
    pick = watched(BestOf("val", 400), rows(**better_later)).pick
    assert (pick.iteration, pick.fired) == (1000, None)


def test_what_is_not_a_number_is_no_best():
    def late(t):
        return np.where(t < 300, np.nan, -t)

    pick = watched(BestOf("val", 100), rows(val_psnr_ema=late)).pick
    assert (pick.iteration, pick.fired) == (300, 400)
    assert watched(BestOf("val", 1), rows()).pick == Pick()

    def gone(t):
        return np.where(t < 300, t, np.nan)

    pick = watched(BestOf("val", 100), rows(val_psnr_ema=gone)).pick
    assert (pick.iteration, pick.fired) == (299, 400)


def test_the_first_of_equals_is_picked():
    for size in (1, 10, CHECK_EVERY):
        pick = watched(BestOf("wmv", 50), rows(wmv=lambda t: 0 * t), size).pick
        assert (pick.iteration, pick.fired) == (1, 75)


def test_the_budget_picks_the_last():
    pick = watched(RULES["budget"](EVERYTHING), rows(**HILL)).pick
    assert (pick.iteration, pick.fired) == (LENGTH, LENGTH)
    longer = RULES["budget"](EVERYTHING.replace(iterations=LENGTH + 1))
    assert watched(longer, rows(**HILL)).pick.fired is None


def test_no_rows_are_no_news():
    watch = Watch(LossPlateau(1))
    assert not watch.update(cut(rows(**FLAT), 0, 0), due=True)
    assert watch.pick == Pick()


def test_a_loss_plateau_needs_no_truth():
    blind = watched(LossPlateau(100), rows(loss=ELBOW["loss"])).pick
    assert (blind.iteration, blind.fired) == (325, 325)
    assert watched(LossPlateau(100), rows(**ELBOW)).pick.fired == 325


@pytest.mark.parametrize(
    ("trace", "patience", "end"),
    [
        (FLAT, 100, 125),
        (FLAT, 101, 150),
        (ELBOW, 100, 325),
        (ELBOW, 101, 350),
        (ELBOW, 30, 275),
        (ELBOW, 900, None),
        (FALLING, 50, None),
    ],
)
def test_where_a_loss_plateau_fires(trace, patience, end):
    for size in (1, 5, CHECK_EVERY):
        pick = watched(LossPlateau(patience), rows(**trace), size).pick
        assert (pick.iteration, pick.fired) == (LENGTH if end is None else end, end)


@pytest.mark.parametrize(
    ("trace", "patience", "end"),
    [
        (FLAT, 100, 125),
        (ELBOW, 50, 250),
        (ELBOW, 20, 200),
        (ELBOW, 900, None),
        (FALLING, 50, None),
    ],
)
def test_where_the_oracle_ends_a_fit(trace, patience, end):
    for size in (1, 5, CHECK_EVERY):
        assert ends_at(PastPeak(patience), rows(**trace), size) == end


def test_a_drop_below_a_thousandth_is_no_gain():
    def falling(share):
        return rows(loss=lambda t: (1 - share) ** (t / CHECK_EVERY))

    assert watched(LossPlateau(100), falling(2e-3)).pick.fired is None
    assert watched(LossPlateau(25), falling(1e-4)).pick.fired == 50


def test_a_single_low_loss_is_no_gain():
    calm = rows(loss=wobble)
    calm["loss"][60] = 0.99
    assert watched(LossPlateau(100), calm).pick.fired == 125


def test_past_peak_waits_for_output_and_average():
    late = {**ELBOW, "psnr_ema": lambda t: -np.abs(t - 400)}
    assert ends_at(PastPeak(50), rows(**late)) == 450
    late = {**ELBOW, "psnr": lambda t: -np.abs(t - 400)}
    assert ends_at(PastPeak(50), rows(**late)) == 450


def test_the_configuration_makes_the_rules():
    rules = make_rules(EVERYTHING.replace(patience=33))
    assert {name: rule.patience for name, rule in rules.items() if name != "budget"} == (
        dict.fromkeys(set(RULES) - {"budget"}, 33)
    )
    assert rules["budget"].iterations == LENGTH
    again = make_rules(EVERYTHING)
    assert not any(rules[name] is again[name] for name in rules)


@pytest.mark.parametrize("stop", ["none", *(name for name in RULES if name != "budget")])
def test_only_stop_psnr_is_shown_the_truth(stop):
    for has_reference in (True, False):
        assert make_oracle(EVERYTHING.replace(stop=stop), has_reference=has_reference) is None


def test_past_peak_needs_the_truth():
    with pytest.raises(ConfigError) as caught:
        make_oracle(FitConfig(stop="psnr"), has_reference=False)
    assert caught.value.field == "stop"
    assert str(caught.value) == (
        "stop='psnr': needs the truth; give a reference (--gt) or write stop val"
    )
    oracle = make_oracle(FitConfig(stop="psnr", patience=33), has_reference=True)
    assert (oracle.name, oracle.patience) == ("psnr", 33)
