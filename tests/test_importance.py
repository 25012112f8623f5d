import numpy as np
import pytest

from analysis import draw_importance
from analysis.importance import importance
from tests.made_sweep import grid, made_sweep

NETS = ("skip", "encdec")
NORMS = ("batch", "instance", "group", "none")


def score(arm, problem):
    """Variance 0.25 from net, 0.0625 from norm; none from upsampling."""
    return 30.0 * (problem == "a") + (arm["net"] == "skip") + 0.5 * (arm["norm"] in NORMS[:2])


ARMS = [
    {"net": net, "norm": norm, "upsampling": upsampling}
    for net in NETS
    for norm in NORMS
    for upsampling in ("bilinear", "nearest")
]


def test_importance_is_the_share_of_the_variance(tmp_path):
    sweep = made_sweep(tmp_path, grid(ARMS, score, problems="ab", seeds=range(4)))
    frame = importance(sweep)
    shares = frame.set_index("setting")["importance"]
    assert list(shares.index[:2]) == ["net", "norm"]
    whole = 0.25 + 0.0625 + 0.01
    assert shares["net"] == pytest.approx(0.25 / whole, abs=0.12)
    assert shares["norm"] == pytest.approx(0.0625 / whole, abs=0.06)
    assert abs(shares["upsampling"]) < 0.02
    assert abs(shares["picture"]) < 0.02  # 30 dB easier, and not a setting's doing
    assert 0.9 < frame.attrs["r2"] < 1
    assert (frame["std"] >= 0).all()


def test_a_forest_that_explains_nothing_says_so(tmp_path):
    frame = importance(made_sweep(tmp_path, grid(ARMS, lambda *_: 0.0, seeds=(0, 1))))
    assert frame.attrs["r2"] < 0.1
    assert "mean nothing" in draw_importance(frame).axes[0].get_title(loc="left")


def test_picture_matters_where_settings_do_otherwise_on_it(tmp_path):
    def turned(arm, problem):
        return (arm["net"] == "skip") * (1 if problem == "a" else -1)

    frame = importance(made_sweep(tmp_path, grid(ARMS, turned, problems="ab")))
    shares = frame.set_index("setting")["importance"]
    assert min(shares["net"], shares["picture"]) > 0.5
    assert shares.drop(["net", "picture"]).abs().max() < 0.05


def test_numbers_nothings_and_words_are_all_settings(tmp_path):
    worth = {None: 0.0, 0: 1.0, 4: 0.0}
    arms = [
        {"skip_channels": channels, "lr": float(lr), "betas": betas}
        for channels in worth
        for lr in np.geomspace(1e-4, 1e-1, 4)
        for betas in ((0.9, 0.999), (0.5, 0.99))
    ]

    def scored(arm, problem):
        return worth[arm["skip_channels"]] + 0.2 * np.log10(arm["lr"])

    frame = importance(made_sweep(tmp_path, grid(arms, scored, problems="a")))
    assert list(frame["setting"]) == ["skip_channels", "lr", "betas"]
    assert frame["importance"].iloc[1] > 0.1 > frame["importance"].iloc[2]


def test_settings_that_follow_have_no_row_and_drawn_ones_have(tmp_path):
    rng = np.random.default_rng(0)
    arms = [
        {"net": net, "features": features, "lr": float(rng.uniform(0.001, 0.01))}
        for net, features in (("skip", 4), ("encdec", 8))
        for _ in range(20)
    ]
    sweep = made_sweep(tmp_path, grid(arms, lambda arm, _: 100 * arm["lr"], problems="a"))
    frame = importance(sweep)
    assert list(frame["setting"]) == ["lr", "net"]
    assert frame["importance"].iloc[0] > 0.5


@pytest.mark.parametrize(
    ("arms", "seeds"), [(ARMS[:3], range(3)), (ARMS[:1], range(12)), (ARMS, ())]
)
def test_too_few_fits_or_settings_give_no_rows(tmp_path, arms, seeds):
    rows = grid(arms, score, problems="a", seeds=seeds)
    frame = importance(made_sweep(tmp_path, rows))
    assert frame.empty
    assert list(frame.columns) == ["setting", "importance", "std"]
    assert np.isnan(frame.attrs["r2"])
    assert frame.attrs["trials"] == len(rows)
    assert not draw_importance(frame).axes


def test_scores_that_are_all_alike_give_no_rows(tmp_path):
    assert importance(made_sweep(tmp_path, grid(ARMS, lambda *_: 27.3, noise=0))).empty


def test_importance_repeats_with_its_seed(tmp_path):
    sweep = made_sweep(tmp_path, grid(ARMS, score, problems="a", seeds=[0]))
    frame = importance(sweep)
    assert frame.equals(importance(sweep))
    assert not frame.equals(importance(sweep, seed=1))


def test_fits_that_a_scheduler_ended_do_not_count(tmp_path):
    rows = grid(ARMS, score, problems="a")
    for row in rows[::4]:
        row |= {"outcome": "STOPPED", "stopped_by": "asha", "psnr_ema_peak": -500.0}
    frame = importance(made_sweep(tmp_path, rows))
    assert frame.attrs["trials"] == 36
    assert frame["setting"].iloc[0] == "net"
    assert "12 of 48 fits ended early by asha" in frame.attrs["notes"][0]


def test_the_same_fit_looked_at_otherwise_is_not_there_twice(tmp_path):
    rows = grid(ARMS, score, problems="a")
    again = [{**row, "snapshots": 3} for row in rows]
    assert importance(made_sweep(tmp_path, rows + again)).attrs["trials"] == len(rows)


def test_figure_has_the_most_important_on_top(tmp_path):
    frame = importance(made_sweep(tmp_path, grid(ARMS, score, problems="ab")))
    (axes,) = draw_importance(frame).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names[::-1] == list(frame["setting"])
    widths = [bar.get_width() for bar in axes.patches]
    assert widths[::-1] == pytest.approx(list(frame["importance"]))
    assert "explains 9" in axes.get_title(loc="left")
