"""Everything that the page says, as plain data."""

from typing import Any

import pandas as pd

from analysis.configuration import varying_settings
from analysis.palette import GREY
from analysis.report.board import board_table, boards
from analysis.report.curves import column_choices, draw_curves, draw_paths, method_levels
from analysis.report.factors import factor_section
from analysis.report.gallery import gallery
from analysis.report.lines import trial_lines
from analysis.report.origin import origin
from analysis.report.parallel import draw_parallel, parallel_data
from analysis.report.pictures import Shot
from analysis.report.rates import rate_sections
from analysis.report.seeds import seed_section
from analysis.report.series import curve_points, packed_series
from analysis.report.stability import stability_sections
from analysis.report.summary import described, headline, summary
from analysis.report.theme import CONFIG
from analysis.report.words import METRICS
from analysis.sweep import Sweep


def page_content(sweep: Sweep, *, metric: str | None = None) -> tuple[dict[str, Any], list[Shot]]:
    """The page's data and its pictures, a part for each problem; raises UnknownNameError."""
    settings = varying_settings(sweep.trials)
    parts, shots = [], []
    bests: list[str] = []
    for problem, (chosen, board) in boards(sweep, metric=metric).items():
        part, pictures = _problem(sweep, problem, board, chosen, settings)
        parts.append(part)
        shots += pictures
        bests += [line["trial"] for line in part["lines"][:1]]
    content = {
        "run": summary(sweep),
        "problems": parts,
        "stability": stability_sections(sweep),
        "factors": factor_section(sweep, metric=metric),
        "origin": origin(sweep, bests[0] if bests else None),
        "theme": {"grey": GREY, "config": CONFIG},
    }
    return content, _important_first(shots)


def _problem(
    sweep: Sweep, problem: str, board: pd.DataFrame, metric: str, settings: list[str]
) -> tuple[dict[str, Any], list[Shot]]:
    lines = trial_lines(board, metric, settings)
    order = [line["trial"] for line in lines]
    points = curve_points(sweep, order)
    levels = method_levels(sweep, problem)
    kind = "val_psnr" if metric.startswith("val") else "psnr"
    first = "loss" if metric == "loss_final" else f"{kind}_ema" if "ema" in metric else kind
    pictures = gallery(sweep, problem, lines)
    seeds = seed_section(sweep, problem, metric)
    trials = sweep.trials.loc[order]
    content = {
        "name": problem,
        "described": described(sweep, problem),
        "headline": headline(sweep, board, metric, settings),
        "metric": METRICS.get(metric, metric),
        "board": board_table(sweep, board, metric),
        "lines": lines,
        "series": packed_series(points, order),
        "columns": column_choices(points, first=first),
        "curves": draw_curves(levels),
        "parallel": draw_parallel(parallel_data(trials, metric), metric),
        "paths": draw_paths(points, lines, levels, averaged="ema" in metric),
        "rates": rate_sections(sweep, problem),
        "seeds": seeds.content,
        "gallery": pictures.content,
    }
    return content, [*pictures.shots, *seeds.shots]


def _important_first(shots: list[Shot]) -> list[Shot]:
    """What is kept without loss before the rest, else in the order given."""
    return sorted(shots, key=lambda shot: not shot.main)
