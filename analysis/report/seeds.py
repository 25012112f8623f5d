"""What averaging over seeds brings: the curve beside its law, and where the seeds disagree."""

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.configuration import label, varying_settings
from analysis.ensemble import Ensemble, ensemble_data, seed_groups
from analysis.gain import gain_data
from analysis.groups import SEEDS
from analysis.leaderboard import higher_is_better
from analysis.palette import OKABE_ITO
from analysis.pictures import encode
from analysis.report.pictures import Shot
from analysis.report.theme import Drawing, axis, layout, plain
from analysis.sweep import Sweep
from dipray.codec import encode_png
from dipray.errors import DiprayError

_BLUE, _RED, _GREEN = OKABE_ITO[:3]
_LEGEND = (
    (_BLUE, "mean over subsets of that size, and from the worst to the best of them"),
    (_GREEN, "the first seeds in order, as one would run them"),
    (_RED, "law of correlated errors: MSE = m (ρ + (1 − ρ) / K)"),
)
_PERCENTILE = 99.5  # of the deviation; brighter pixels look alike


@dataclass(frozen=True)
class SeedSection:
    """What the page says of a group of seeds, and the shots behind its pictures."""

    content: dict[str, Any]
    shots: list[Shot]


def seed_section(sweep: Sweep, problem: str, metric: str) -> SeedSection:
    """The largest group of a problem's trials that differ in the seed alone, the best of those.

    The content is empty where there is no such group with pictures.
    """
    for members in _groups(sweep, problem, metric):
        try:
            ensemble = ensemble_data(sweep, members, picture="ema")
        except (DiprayError, OSError):
            continue
        trials = sweep.trials
        fixed = [name for name in varying_settings(trials) if name not in SEEDS]
        ours = trials.loc[members]
        words = label(ours.iloc[0], fixed) or "the only configuration"
        names = {trial: f"seed {seed}" for trial, seed in zip(members, ours["seed"], strict=True)}
        return _section(ensemble, problem, words, names)
    return SeedSection({}, [])


def draw_gain(gain: pd.DataFrame) -> Drawing:
    """PSNR against the number of pictures averaged: the first K seeds, all subsets, the law."""
    sizes = [int(size) for size in gain["size"]]

    def line(name: str, column: str, **more: Any) -> Drawing:
        values = [float(value) for value in gain[column]]
        hover = f"{plain(name)}<br>%{{x}} pictures: %{{y:.2f}} dB<extra></extra>"
        return {"type": "scatter", "x": sizes, "y": values, "hovertemplate": hover, **more}

    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure = layout(x=axis("pictures averaged", dtick=1), y=axis("PSNR (dB)"), height=360)
    limit = gain.attrs.get("limit")
    if limit is not None and np.isfinite(limit):
        figure["shapes"] = [_limit_line(float(limit))]
        figure["annotations"] = [_limit_name(float(limit))]
    return {
        "data": [
            line("worst subset", "lowest", **edge),
            line(
                "best subset", "highest", **edge, fill="tonexty", fillcolor="rgba(0,114,178,0.15)"
            ),
            line("mean of the subsets", "psnr", mode="markers", marker={"color": _BLUE, "size": 9}),
            line("law", "law", mode="lines", line={"color": _RED, "dash": "dash"}),
            line("the first seeds", "first", mode="lines", line={"color": _GREEN, "width": 1.5}),
        ],
        "layout": figure,
    }


def _groups(sweep: Sweep, problem: str, metric: str) -> list[list[str]]:
    """Groups of the problem's seeds, the largest first, and of those the best on average."""
    trials = sweep.trials
    sign = -1.0 if higher_is_better(metric) else 1.0

    def order(members: list[str]) -> tuple[float, float]:
        mean = float(trials.loc[members, metric].mean())
        return -len(members), sign * mean if np.isfinite(mean) else np.inf

    groups = [
        members
        for members in seed_groups(sweep)
        if trials.loc[members, "problem"].eq(problem).all()
    ]
    return sorted(groups, key=order)


def _section(ensemble: Ensemble, problem: str, words: str, names: dict[str, str]) -> SeedSection:
    spread = np.asarray(ensemble.deviation, np.float64)
    top = float(np.percentile(spread, _PERCENTILE)) if spread.size else 0.0
    mean = ensemble.aggregates["mean"]
    shots = [
        Shot(f"{problem}/seeds/deviation", lambda: heat_png(spread, top), main=True),
        Shot(f"{problem}/seeds/mean", lambda: encode(ensemble.sample.with_pixels(mean)), main=True),
    ]
    content: dict[str, Any] = {
        "label": words,
        "members": len(ensemble.members),
        "deviation": shots[0].key,
        "mean": shots[1].key,
        "top": f"{top:.3g}",
        "psnr": [],
        "figure": None,
        "legend": [],
        "law": "",
    }
    if len(ensemble.psnr):
        gain = gain_data(ensemble)
        content["psnr"] = [
            [names.get(str(name), str(name)), f"{value:.2f}"]
            for name, value in zip(ensemble.psnr["name"], ensemble.psnr["psnr"], strict=True)
        ]
        content["figure"] = draw_gain(gain)
        content["legend"] = [list(entry) for entry in _LEGEND]
        content["law"] = (
            f"Errors of two seeds correlate by {gain.attrs['rho']:.2f}; "
            f"averaging ever more seeds would come to {gain.attrs['limit']:.2f} dB."
        )
    return SeedSection(content, shots)


def heat_png(values: NDArray[np.float64], top: float) -> bytes:
    """A map (H, W) as PNG in the colours of cividis, dark at 0 and bright at `top` and above."""
    colours = mpl.colormaps["cividis"](np.clip(values / (top or 1.0), 0, 1), bytes=True)
    return encode_png(np.ascontiguousarray(colours[..., :3]))


def _limit_line(level: float) -> Drawing:
    line = {"color": "#555555", "width": 1.2, "dash": "dot"}
    return {
        **{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level},
        "line": line,
    }


def _limit_name(level: float) -> Drawing:
    return {
        **{"xref": "paper", "x": 0, "xanchor": "left", "y": level, "yanchor": "bottom"},
        "text": f"limit of the law {level:.2f} dB",
        "showarrow": False,
        "font": {"size": 12, "color": "#555555"},
    }
