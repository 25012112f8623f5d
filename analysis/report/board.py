"""The leaderboard of one problem as cells of text, each number with the value to sort it by."""

from typing import Any

import pandas as pd

from analysis.configuration import label, setting_text, varying_settings
from analysis.leaderboard import COMPARABLE, leaderboard, ranking_metric
from analysis.report.words import HEADINGS, MISSING, number_text
from analysis.sweep import Sweep
from analysis.trials import NUMBERS

_MAIN = ("ended_by", "iterations_run", "seconds")


def boards(sweep: Sweep, *, metric: str | None = None) -> dict[str, tuple[str, pd.DataFrame]]:
    """Of each problem the metric it is ranked by, and its part of the leaderboard.

    metric: None or a metric of trials, see `ranking_metric`, which decides for each problem.
    Raises UnknownNameError for a metric that trials do not have.
    """
    frames: dict[str, pd.DataFrame] = {}
    trials = sweep.trials
    parts = {}
    for problem in dict.fromkeys([*sweep.problems["name"], *trials["problem"]]):
        ours = trials[trials["problem"] == problem]
        chosen = ranking_metric(sweep, metric, trials=ours)
        if chosen not in frames:
            frames[chosen] = leaderboard(sweep, metric=chosen)
        frame = frames[chosen]
        parts[str(problem)] = (chosen, frame[frame["problem"] == problem].reset_index(drop=True))
    return parts


def board_table(sweep: Sweep, board: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Columns and rows of the page's table.

    columns: key, title, whether it holds numbers, whether it shows at first. rows: trial (None
    for a known method), problems they ran into (`alarm`), and cells of text and number to sort by.
    """
    settings = varying_settings(sweep.trials)
    numbers = [name for name in board.columns if name in NUMBERS]
    shown = ["rank", "configuration", *(name for name in numbers if name not in _MAIN), *_MAIN]
    extras = [name for name in NUMBERS if name not in shown]
    whole = board.merge(sweep.trials[extras].reset_index(), on="trial", how="left", sort=False)
    extras = [name for name in extras if whole[name].notna().any()]
    shown = [name for name in shown if name not in numbers or _is_known(whole, name, metric)]
    outcomes = sweep.trials["outcome"].to_dict()
    rows = []
    for row in whole.to_dict("records"):
        is_method = pd.isna(row["trial"])
        outcome = "" if is_method else str(outcomes[row["trial"]])
        rows.append(
            {
                "trial": None if is_method else row["trial"],
                "alarm": outcome.lower() if outcome in ("FAILED", "DIVERGED") else "",
                "cells": [_cell(name, row, settings, metric) for name in [*shown, *extras]]
                + [_setting_cell(row[name], is_method) for name in settings],
            }
        )
    columns = [_column(name, name in numbers or name == "rank", True) for name in shown]
    columns += [_column(name, True, False) for name in extras]
    columns += [
        _column(name, pd.api.types.is_numeric_dtype(whole[name].dtype), False) for name in settings
    ]
    return {"columns": columns, "rows": rows, "metric": metric}


def trial_label(row: dict[Any, Any] | pd.Series, settings: list[str]) -> str:
    """A row of the leaderboard in words: configuration, or the name of a known method."""
    if pd.isna(row["trial"]):
        return str(row["method"])
    return label(row, settings) or "the only configuration"


def _is_known(board: pd.DataFrame, name: str, metric: str) -> bool:
    return name == metric or name in _MAIN or bool(board[name].notna().any())


def _column(name: str, is_number: bool, shown: bool) -> dict[str, Any]:
    title = "#" if name == "rank" else HEADINGS.get(name, name.replace("_", " "))
    return {"key": name, "title": title, "number": is_number, "shown": shown}


def _cell(name: str, row: dict[Any, Any], settings: list[str], metric: str) -> list[Any]:
    if name == "configuration":
        return [trial_label(row, settings)]
    if name == "ended_by":
        return [MISSING if pd.isna(row[name]) else str(row[name])]
    if name in COMPARABLE and name != metric and pd.isna(row["trial"]):
        return [MISSING, None]  # a method has one PSNR; once in a row is enough
    value = row[name]
    return [number_text(name, value), None if pd.isna(value) else float(value)]


def _setting_cell(value: Any, is_method: bool) -> list[Any]:
    missing = not isinstance(value, tuple) and pd.isna(value)
    if missing and is_method:
        return [MISSING, None]
    number = isinstance(value, int | float) and not isinstance(value, bool) and not missing
    return [setting_text(value), float(value)] if number else [setting_text(value), None]
