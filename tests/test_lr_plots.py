"""Plots of learning rates: the data behind them, and that everything there is gets drawn."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from analysis import load_sweep, save_figure
from analysis.lr_bias import EQUAL
from analysis.lr_plots import CURVES, draw_at_equal, draw_lr_curves, lr_colours, lr_curve_data
from analysis.names import UnknownNameError
from tests.synthetic import BASE, add_trial, empty_sweep, trace_rows

LRS = (0.1, 1.0, 10.0)


def swept(folder, *, lrs=LRS, seeds=1, steps=40, truth=True, loss=None):
    store = empty_sweep(folder)
    for lr, seed in itertools.product(lrs, range(seeds)):
        way = lr * np.arange(steps)
        own = 0.06 * np.exp(-way / 20) + 0.01 * (1 + seed) if loss is None else np.asarray(loss)
        columns = {"tv": 0.1 + 0.01 * seed**2 + own, "hf_energy": own, "laplacian": 2 * own}
        if truth:
            columns |= {"psnr": -10 * np.log10(own), "psnr_ema": -10 * np.log10(own)}
        rows = trace_rows(own, lr=lr, every=10, **columns)
        add_trial(store, BASE.replace(lr=lr, seed=seed), rows=rows)
    return load_sweep(store)


def test_curve_data_is_mean_and_extremes_over_seeds(tmp_path):
    sweep = swept(tmp_path, seeds=3)
    trials = list(sweep.trials.index)
    data = lr_curve_data(sweep, "tv", trials=trials)
    assert list(data.columns) == ["lr", "iteration", "mean", "lowest", "highest"]
    assert len(data) == len(LRS) * 40
    rows = sweep.traces(["tv"])
    for lr in LRS:
        ours = sweep.trials.index[sweep.trials["lr"] == lr]
        values = np.stack([rows.loc[rows["trial"] == trial, "tv"] for trial in ours])
        drawn = data[data["lr"] == lr].sort_values("iteration")
        np.testing.assert_allclose(drawn["mean"], values.mean(axis=0))
        np.testing.assert_allclose(drawn["lowest"], values.min(axis=0))
        np.testing.assert_allclose(drawn["highest"], values.max(axis=0))
    costly = lr_curve_data(sweep, "hf_energy", trials=trials[:1])
    assert list(costly["iteration"]) == [10, 20, 30, 40]
    assert lr_curve_data(sweep, "psnr_hole", trials=trials).empty
    with pytest.raises(UnknownNameError, match="no trial 'nobody'"):
        lr_curve_data(sweep, "tv", trials=["nobody"])


def test_curve_data_is_of_the_seeds_that_still_run(tmp_path):
    store = empty_sweep(tmp_path)
    for seed, steps in enumerate((5, 3)):
        loss = np.full(steps, 1.0 + seed)
        loss[-1] = np.nan if seed else loss[-1]
        add_trial(store, BASE.replace(seed=seed), rows=trace_rows(loss, lr=0.01))
    sweep = load_sweep(store)
    data = lr_curve_data(sweep, "loss", trials=sweep.trials.index)
    assert list(data["iteration"]) == [1, 2, 3, 4, 5]
    assert list(data["mean"]) == [1.5, 1.5, 1, 1, 1]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("columns", [CURVES, ("tv", "psnr"), ("loss",)])
def test_every_learning_rate_is_a_line_in_every_panel(tmp_path, seeds, columns):
    sweep = swept(tmp_path, seeds=seeds)
    figure = draw_lr_curves(sweep, trials=list(sweep.trials.index), columns=columns)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == len(columns)
    assert [axes.get_ylabel().partition(" ")[0] for axes in shown] == list(columns)
    for axes, column in zip(shown, columns, strict=True):
        assert len(axes.get_lines()) == len(LRS)
        has_bands = len(axes.collections) > 0
        assert has_bands == (seeds > 1)
        assert axes.get_yscale() == ("linear" if column == "psnr" else "log")
        data = lr_curve_data(sweep, column, trials=sweep.trials.index)
        for line, lr in zip(axes.get_lines(), LRS, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), data.loc[data["lr"] == lr, "mean"])
            assert line.get_color() == lr_colours(LRS)[lr]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["lr 0.1", "lr 1", "lr 10"]
    save_figure(figure, tmp_path / "curves.png")


def test_long_curves_are_thinned(tmp_path):
    sweep = swept(tmp_path, lrs=(0.1, 1.0), steps=4000)
    figure = draw_lr_curves(sweep, trials=list(sweep.trials.index), columns=("tv",))
    for line in figure.axes[0].get_lines():
        assert 300 <= len(line.get_xdata()) <= 800


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_same_paths_along_three_axes(tmp_path, seeds):
    sweep = swept(tmp_path, seeds=seeds)
    figure = draw_at_equal(sweep, trials=list(sweep.trials.index))
    assert len(figure.axes) == 2 * len(EQUAL)
    assert {axes.get_title(loc="left") for axes in figure.axes[:3]} == set(EQUAL.values())
    for place, axes in enumerate(figure.axes):
        assert len(axes.get_lines()) == len(LRS) * seeds
        assert axes.get_xlabel() == ("iteration", "training loss", "lr x iterations")[place % 3]
        assert axes.get_xscale() == ("linear", "log", "log")[place % 3]
        assert axes.xaxis_inverted() == (place % 3 == 1)
        assert axes.get_ylabel().startswith(("tv", "psnr")[place // 3])
    save_figure(figure, tmp_path / "at_equal.png")


def test_columns_that_are_missing_leave_empty_panels(tmp_path):
    sweep = swept(tmp_path, truth=False)
    trials = list(sweep.trials.index)
    save_figure(draw_lr_curves(sweep, trials=trials), tmp_path / "curves.png")
    figure = draw_at_equal(sweep, trials=trials, columns=("psnr",))
    assert [len(axes.get_lines()) for axes in figure.axes] == [0, 0, 0]
    save_figure(figure, tmp_path / "at_equal.png")


@pytest.mark.parametrize(
    "loss", [[np.nan], [0.07], [0.07, np.nan], [0.07, 0.07, 0.07], [0.07, 0.0, 0.0]]
)
def test_fits_that_end_at_once_or_stand_still_are_drawn(tmp_path, loss):
    store = empty_sweep(tmp_path)
    for lr in (1.0, 10.0):
        rows = trace_rows(np.array(loss), lr=lr, tv=np.full(len(loss), 0.1))
        add_trial(store, BASE.replace(lr=lr), rows=rows, outcome="DIVERGED")
    sweep = load_sweep(store)
    trials = list(sweep.trials.index)
    columns = ("loss", "tv")
    figure = draw_lr_curves(sweep, trials=trials, columns=columns)
    save_figure(figure, tmp_path / "curves.png")
    figure = draw_at_equal(sweep, trials=trials, columns=columns)
    save_figure(figure, tmp_path / "at_equal.png")


def test_colours_get_brighter_with_the_learning_rate():
    colours = lr_colours([1.0, 0.1, 10.0, 0.1])
    assert list(colours) == [0.1, 1.0, 10.0]
    brightness = [np.dot([0.299, 0.587, 0.114], to_rgb(colour)) for colour in colours.values()]
    assert brightness == sorted(brightness) and len(set(brightness)) == 3
    assert brightness[-1] < 0.8
    assert len(lr_colours([0.1])) == 1 and lr_colours([]) == {}
