"""Averages over seeds against sums written out, and members made with a known correlation."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ortho_group
from skimage.metrics import peak_signal_noise_ratio

from analysis import load_sweep, save_figure
from analysis.ensemble import (
    AGGREGATES,
    Ensemble,
    deviation_tells,
    ensemble_data,
    ensemble_table,
    saved_pictures,
    seed_groups,
)
from analysis.ensemble_plots import draw_deviation, draw_gain
from analysis.gain import gain_data
from analysis.pictures import Picture, decode, encode
from dipray.errors import ConfigError, FolderError
from tests.synthetic import BASE, add_problem, add_trial, empty_sweep, png_of

SHAPE = (6, 8, 3)


def ensemble_of(errors, truth=None) -> Ensemble:
    """Members with these errors (K, H, W, C) round a truth of 1/2."""
    truth = np.full(errors.shape[1:], 0.5) if truth is None else truth
    images = truth + errors
    names = tuple(f"t{place}" for place in range(len(errors)))
    return Ensemble("p", "ema", names, images, truth, Picture(images[0]))


def correlated(count: int, rho: float, mse: float = 1e-3):
    """Errors (count, *SHAPE) of exactly that mean square and correlation of any two."""
    size = math.prod(SHAPE)
    directions = ortho_group.rvs(size, random_state=0)[: count + 1] * math.sqrt(size * mse)
    errors = math.sqrt(rho) * directions[0] + math.sqrt(1 - rho) * directions[1:]
    return errors.reshape(count, *SHAPE)


def uneven(count: int, seed: int = 0):
    """Errors of different sizes, some shared."""
    random = np.random.default_rng(seed)
    own = random.standard_normal((count, *SHAPE)) * random.uniform(0.01, 0.05, (count, 1, 1, 1))
    return own + 0.03 * random.standard_normal(SHAPE)


def in_decibels(mse):
    return -10 * np.log10(mse)


# the aggregates


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 9])
def test_aggregates_are_those_of_sorted_values(count):
    ensemble = ensemble_of(uneven(count))
    ranked = np.sort(ensemble.images, axis=0)
    off = count // 4
    expected = {
        "mean": ranked.sum(axis=0) / count,
        "median": (ranked[(count - 1) // 2] + ranked[count // 2]) / 2,
        "trimmed mean": ranked[off : count - off].sum(axis=0) / (count - 2 * off),
    }
    assert tuple(ensemble.aggregates) == AGGREGATES
    for name, pixels in ensemble.aggregates.items():
        np.testing.assert_allclose(pixels, expected[name], rtol=0, atol=1e-15)


def test_one_wild_member_moves_the_mean_alone():
    errors = np.zeros((5, *SHAPE))
    errors[2] = 0.5
    ensemble = ensemble_of(errors)
    np.testing.assert_allclose(ensemble.aggregates["mean"], 0.6)
    for name in ("median", "trimmed mean"):
        np.testing.assert_array_equal(ensemble.aggregates[name], ensemble.truth)


def test_deviation_is_of_a_sample_and_over_channels():
    ensemble = ensemble_of(uneven(4))
    assert ensemble.deviation.shape == SHAPE[:2]
    for row, column in ((0, 0), (3, 5)):
        variances = []
        for channel in range(3):
            values = [image[row, column, channel] for image in ensemble.images]
            middle = sum(values) / 4
            variances.append(sum((value - middle) ** 2 for value in values) / (4 - 1))
        expected = math.sqrt(sum(variances) / 3)
        assert ensemble.deviation[row, column] == pytest.approx(expected)


# what each further seed gains


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_law_is_the_mean_over_all_subsets_whatever_the_members(count):
    ensemble = ensemble_of(uneven(count, seed=count))
    gain = gain_data(ensemble)
    assert list(gain["size"]) == list(range(1, count + 1))
    for row in gain.to_dict("records"):
        errors = [
            np.square(ensemble.images[list(chosen)].mean(axis=0) - ensemble.truth).mean()
            for chosen in itertools.combinations(range(count), row["size"])
        ]
        assert row["law"] == pytest.approx(in_decibels(np.mean(errors)), abs=1e-9)
        levels = in_decibels(np.array(errors))
        assert row["psnr"] == pytest.approx(levels.mean(), abs=1e-9)
        assert row["lowest"] == pytest.approx(levels.min(), abs=1e-9)
        assert row["highest"] == pytest.approx(levels.max(), abs=1e-9)
        first = ensemble.images[: row["size"]].mean(axis=0)
        own = peak_signal_noise_ratio(ensemble.truth, first, data_range=1)
        assert row["first"] == pytest.approx(own, abs=1e-9)
        assert row["psnr"] >= row["law"] - 1e-12
    assert gain["law"].is_monotonic_increasing


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
def test_the_correlation_of_errors_is_found(rho):
    gain = gain_data(ensemble_of(correlated(5, rho)))
    assert gain.attrs["mse"] == pytest.approx(1e-3)
    assert gain.attrs["rho"] == pytest.approx(rho, abs=1e-12)
    expected = in_decibels(1e-3 * (rho + (1 - rho) / np.arange(1, 6)))
    for column in ("psnr", "lowest", "highest", "first", "law"):
        np.testing.assert_allclose(gain[column], expected, atol=1e-9)
    assert gain.attrs["rho_low"] == pytest.approx(rho, abs=1e-9)
    assert gain.attrs["rho_high"] == pytest.approx(rho, abs=1e-9)
    if rho:
        assert gain.attrs["limit"] == pytest.approx(in_decibels(1e-3 * rho))


def test_the_same_fit_many_times_gains_nothing():
    gain = gain_data(ensemble_of(np.repeat(uneven(1), 4, axis=0)))
    assert gain.attrs["rho"] == pytest.approx(1)
    assert np.ptp(gain[["psnr", "law", "first"]].to_numpy()) < 1e-9
    exact = gain_data(ensemble_of(np.zeros((3, *SHAPE))))
    assert (exact["psnr"] == 150).all()
    assert exact.attrs["rho"] == 1


def test_the_interval_is_the_spread_of_pseudo_values():
    errors = uneven(6)
    gain = gain_data(ensemble_of(errors))

    def rho_of(chosen):
        flat = chosen.reshape(len(chosen), -1)
        pairs = [np.dot(a, b) for a, b in itertools.permutations(flat, 2)]
        return np.mean(pairs) / np.mean([np.dot(a, a) for a in flat])

    pseudo = [6 * rho_of(errors) - 5 * rho_of(np.delete(errors, each, 0)) for each in range(6)]
    half = 2.5705818 * np.std(pseudo, ddof=1) / math.sqrt(6)  # Student, five degrees of freedom
    assert gain.attrs["rho"] == pytest.approx(rho_of(errors))
    assert gain.attrs["rho_low"] == pytest.approx(rho_of(errors) - half)
    assert gain.attrs["rho_high"] == pytest.approx(rho_of(errors) + half)


def test_the_interval_covers_the_correlation_of_all_seeds():
    random = np.random.default_rng(0)
    shared = random.standard_normal(SHAPE)
    shared /= np.sqrt(np.square(shared).mean())
    covered = 0
    for _ in range(200):
        own = 0.7 * random.standard_normal((5, *SHAPE))
        attrs = gain_data(ensemble_of(0.03 * (shared + own))).attrs
        covered += attrs["rho_low"] <= 1 / 1.49 <= attrs["rho_high"]
    assert 0.92 <= covered / 200 <= 0.99


def test_two_members_have_no_interval():
    attrs = gain_data(ensemble_of(uneven(2))).attrs
    assert math.isnan(attrs["rho_low"]) and math.isnan(attrs["rho_high"])


def test_many_members_are_drawn_the_same_each_time():
    ensemble = ensemble_of(uneven(13))
    gain = gain_data(ensemble)
    assert gain.equals(gain_data(ensemble))
    assert (gain["lowest"] <= gain["psnr"]).all() and (gain["psnr"] <= gain["highest"]).all()
    np.testing.assert_allclose(gain["psnr"].iloc[3:], gain["law"].iloc[3:], atol=0.1)
    assert gain["psnr"].iloc[-1] == pytest.approx(gain["law"].iloc[-1])


# where the seeds disagree


@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, -1.0)])
def test_deviation_tells_where_the_mean_is_wrong(sign, expected):
    wrong = np.linspace(0.01, 0.2, 48).reshape(6, 8, 1)
    spread = wrong if sign > 0 else wrong[::-1, ::-1]
    ensemble = ensemble_of(np.stack([wrong - spread, wrong, wrong + spread]))
    assert deviation_tells(ensemble) == pytest.approx(expected)


def test_deviation_tells_nothing_of_equal_seeds():
    assert math.isnan(deviation_tells(ensemble_of(np.repeat(uneven(1), 3, axis=0))))
    shift = uneven(1)[0]
    even = ensemble_of(np.stack([0.1 + shift, 0.1 - shift]))  # the mean is as wrong everywhere
    assert math.isnan(deviation_tells(even))


# from folders


def random_picture(seed, channels, bits):
    top = 2**bits - 1
    return np.random.default_rng(seed).integers(0, top + 1, (5, 7, channels)) / top


@pytest.mark.parametrize(
    ("channels", "bits", "has_alpha"), [(1, 8, False), (1, 16, True), (3, 8, True), (3, 16, True)]
)
def test_gray_and_deep_pictures_and_alpha(tmp_path, channels, bits, has_alpha):
    store = empty_sweep(tmp_path)
    truth = random_picture(99, channels, bits)
    alpha = random_picture(98, 1, bits)
    add_problem(store, "p", png_of(truth, bits=bits))
    planes = [random_picture(seed, channels, bits) for seed in range(3)]
    whole = [np.concatenate([each, alpha], axis=2) if has_alpha else each for each in planes]
    trials = [
        add_trial(store, BASE.replace(seed=seed), images={"ema": png_of(each, bits=bits)})
        for seed, each in enumerate(whole)
    ]
    ensemble = ensemble_data(load_sweep(store), trials)
    assert ensemble.members == tuple(trials)
    np.testing.assert_array_equal(ensemble.images, np.stack(planes))
    np.testing.assert_array_equal(ensemble.truth, truth)
    saved = decode(encode(ensemble.sample.with_pixels(ensemble.aggregates["mean"])))
    assert saved.bits == bits
    np.testing.assert_allclose(saved.pixels, np.mean(planes, axis=0), atol=0.51 / (2**bits - 1))
    if has_alpha:
        np.testing.assert_array_equal(saved.alpha, alpha)
    else:
        assert saved.alpha is None
    levels = ensemble.psnr.set_index("name")["psnr"]
    assert list(levels.index) == [*trials, *AGGREGATES]
    expected = peak_signal_noise_ratio(truth, planes[1], data_range=1)
    assert levels[trials[1]] == pytest.approx(expected)


def test_without_the_truth_there_is_an_average_and_no_number(tmp_path):
    store = empty_sweep(tmp_path)
    add_problem(store, "p")
    trials = [
        add_trial(store, BASE.replace(seed=s), images={"ema": png_of(random_picture(s, 3, 8))})
        for s in range(3)
    ]
    sweep = load_sweep(store)
    ensemble = ensemble_data(sweep, trials)
    assert ensemble.truth is None
    assert set(ensemble.aggregates) == set(AGGREGATES)
    assert list(ensemble.psnr.columns) == ["name", "psnr"] and ensemble.psnr.empty
    assert math.isnan(deviation_tells(ensemble))
    gain = gain_data(ensemble)
    assert gain.empty and list(gain.columns)[:2] == ["size", "psnr"]
    table = ensemble_table(sweep, trials)
    assert table.empty and {"name", "kind"} <= set(table.columns)
    with pytest.raises(FolderError, match="errors need the truth"):
        _ = ensemble.error_products
    assert len(draw_deviation(ensemble).axes) == 3  # two panels and a scale


@pytest.fixture
def store(tmp_path):
    """Three seeds and a control; all have ema and final, and all but one seed a peak."""
    store = empty_sweep(tmp_path)
    add_problem(store, "p", png_of(random_picture(99, 3, 8)))
    for place, config in enumerate([*(BASE.replace(seed=s) for s in range(3)), CONTROL]):
        names = ["final", "ema", "peak_ema"] + ["peak"] * (place != 1)
        pictures = {
            name: png_of(random_picture(10 * place + number, 3, 8))
            for number, name in enumerate(names)
        }
        add_trial(store, config, images=pictures)
    return store


CONTROL = BASE.replace(iterations=300)


def ids(sweep, **wanted):
    trials = sweep.trials
    for name, value in wanted.items():
        trials = trials[trials[name] == value]
    return list(trials.sort_values("seed").index)


def test_the_table_has_seeds_aggregates_and_control_in_common_pictures(store):
    sweep = load_sweep(store)
    members, (control,) = ids(sweep, iterations=100), ids(sweep, iterations=300)
    assert saved_pictures(sweep, members) == ["final", "ema", "peak_ema"]
    table = ensemble_table(sweep, members, control=control).set_index("name")
    assert list(table.columns) == ["kind", "final", "ema", "peak_ema"]
    kinds = dict.fromkeys(members, "seed") | dict.fromkeys(AGGREGATES, "aggregate")
    assert table["kind"].to_dict() == kinds | {control: "control"}
    truth = decode(sweep.problem_image("p", "reference")).pixels
    for picture in ("final", "ema", "peak_ema"):
        pixels = {each: decode(sweep.image(each, picture)).pixels for each in [*members, control]}
        pixels["median"] = np.median([pixels[each] for each in members], axis=0)
        for name, each in pixels.items():
            expected = peak_signal_noise_ratio(truth, each, data_range=1)
            assert table.loc[name, picture] == pytest.approx(expected)
    alone = ensemble_table(sweep, members)
    assert list(alone["kind"].value_counts()) == [3, 3]


def test_what_is_no_ensemble_is_refused_in_one_line(store):
    config = BASE.replace(seed=7)
    other = add_trial(store, config, problem="q", images={"ema": png_of(np.zeros((5, 7, 3)))})
    broken = add_trial(store, config, images={"ema": png_of(np.zeros((5, 7, 3)))[:45]})
    sweep = load_sweep(store)
    one, two, three = ids(sweep, iterations=100, problem="p")[:3]
    cases = [
        ([one], {}, ConfigError, "two or more trials of one picture; given: 1 of p"),
        ([one, one], {}, ConfigError, "given: 1 of p"),
        ([], {}, ConfigError, "given: 0 of none"),
        ([one, other], {}, ConfigError, "given: 2 of p, q"),
        ([one, "nobody"], {}, FolderError, "no trial 'nobody'"),
        ([one, two, three], {"picture": "peak"}, FolderError, "no picture 'peak'"),
        ([one, two], {"picture": "best"}, FolderError, "no picture 'best'; there are ema"),
        ([one, broken], {}, FolderError, f"{broken}/ema.png: broken PNG"),
    ]
    for trials, more, kind, message in cases:
        with pytest.raises(kind, match=message) as caught:
            ensemble_data(sweep, trials, **more)
        assert "\n" not in str(caught.value)


# which trials are an ensemble


def seeds_of(sweep, found):
    trials = sweep.trials
    return sorted(
        (str(trials.loc[each[0], "problem"]), float(trials.loc[each[0], "lr"]),
         list(trials.loc[each, "seed"]))
        for each in found
    )  # fmt: skip


def test_seed_groups_are_whole_fits_that_differ_in_seeds_alone(tmp_path):
    store = empty_sweep(tmp_path)
    for problem, lr, seed, outcome in [
        ("p", 0.01, 2, "BUDGET"),
        ("p", 0.01, 0, "STOPPED"),
        ("p", 0.01, 1, "BUDGET"),
        ("p", 0.01, 3, "DIVERGED"),
        ("p", 0.01, 4, "FAILED"),
        ("p", 0.01, 5, "INTERRUPTED"),
        ("p", 0.01, 6, "RUNNING"),
        ("p", 0.01, 7, "asha"),
        ("p", 0.1, 0, "BUDGET"),
        ("p", 0.1, 1, "DIVERGED"),
        ("p", 1.0, 0, "BUDGET"),
        ("p", 1.0, 1, "BUDGET"),
        ("q", 1.0, 1, "BUDGET"),
        ("q", 1.0, 2, "BUDGET"),
    ]:
        add_trial(store, BASE.replace(lr=lr, seed=seed), problem=problem, outcome=outcome)
    sweep = load_sweep(store)
    assert seeds_of(sweep, seed_groups(sweep)) == [
        ("p", 0.01, [0, 1, 2]),
        ("p", 1.0, [0, 1]),
        ("q", 1.0, [1, 2]),
    ]


def test_seed_groups_do_not_count_a_fit_twice(tmp_path):
    store = empty_sweep(tmp_path)
    for more in ({}, {"device": "cuda"}, {"snapshots": 3}, {"metrics_every": 7}):
        add_trial(store, BASE.replace(**more))
    assert seed_groups(load_sweep(store)) == []
    for seed, more in enumerate(({"device": "auto"}, {"snapshots": 3}, {"metrics_every": 7}), 1):
        add_trial(store, BASE.replace(seed=seed, **more))
    add_trial(store, BASE.replace(seed_weights=5))
    sweep = load_sweep(store)
    (members,) = seed_groups(sweep)
    found = sweep.trials.loc[members, ["seed", "seed_weights"]].astype("Int64")
    assert sorted(map(tuple, found.fillna(-1).to_numpy())) == [
        *((0, -1), (0, 5), (1, -1), (2, -1), (3, -1))
    ]


def test_no_trials_are_no_groups(tmp_path):
    assert seed_groups(load_sweep(empty_sweep(tmp_path))) == []


# drawing


@pytest.mark.parametrize("count", [2, 5, 20])
def test_gain_is_drawn(tmp_path, count):
    gain = gain_data(ensemble_of(uneven(count)))
    figure = draw_gain(gain, title="p")
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["the first K seeds"], gain["first"])
    (law,) = [label for label in lines if label.startswith("m (")]
    np.testing.assert_array_equal(lines[law], gain["law"])
    assert (" to " in law) == (count > 2)
    save_figure(figure, tmp_path / "gain.png")


@pytest.mark.parametrize("channels", [1, 3])
def test_deviation_is_drawn(tmp_path, channels):
    for errors in (uneven(3)[..., :channels], np.zeros((3, 6, 8, channels))):
        figure = draw_deviation(ensemble_of(errors))
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[:3] == ["mean of 3", "standard deviation over seeds", "error of the mean"]
        save_figure(figure, tmp_path / "deviation.png")
