"""What stands at the head of the page: the run, its pictures, and what came out best."""

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.leaderboard import COMPARABLE, iterations_saved
from analysis.report.board import trial_label
from analysis.report.restored import PICTURE, restored_note
from analysis.report.words import METRICS, number_text
from analysis.sweep import Sweep
from dipray.trace import PEAKS

_OUTCOMES = {
    "BUDGET": "ran to their end",
    "STOPPED": "stopped early",
    "DIVERGED": "diverged",
    "FAILED": "failed",
    "INTERRUPTED": "interrupted",
    "RUNNING": "not ended",
}
_ASKED = ("search", "num_samples", "scheduler", "metric", "started")


def run_name(sweep: Sweep) -> str:
    """The name of the run's folder, or of all of them."""
    names = [Path(each.location.partition("?")[0]).name or str(each) for each in sweep.stores]
    if len(set(names)) < len(names):  # runs of the same name in different places
        names = [str(each) for each in sweep.stores]
    return " + ".join(names)


def summary(sweep: Sweep) -> dict[str, Any]:
    """Name, number of trials by outcome, what was asked for, iterations saved."""
    trials = sweep.trials
    counts = trials["outcome"].value_counts()
    order = [*_OUTCOMES, *(name for name in counts.index if name not in _OUTCOMES)]
    saved = iterations_saved(sweep)
    return {
        "name": run_name(sweep),
        "trials": len(trials),
        "outcomes": [
            [int(counts[name]), _OUTCOMES.get(name, str(name).lower())]
            for name in order
            if name in counts.index
        ],
        "asked": [
            [name.replace("_", " "), str(sweep.asked[name])]
            for name in _ASKED
            if sweep.asked.get(name) not in (None, "auto")
        ],
        "saved": f"{saved['saved']:,} of {saved['planned']:,} iterations ({saved['share']:.0%})"
        if saved["saved"]
        else "",
    }


def described(sweep: Sweep, problem: str) -> str:
    """A picture in a line: task, size, and whether the truth is known."""
    problems = sweep.problems
    rows = problems[problems["name"] == problem].to_dict("records")
    if not rows:
        return ""
    row = rows[0]
    parts = [] if pd.isna(row["task"]) else [str(row["task"])]
    if isinstance(row["shape"], tuple) and len(row["shape"]) == 3:
        channels, height, width = row["shape"]
        kind = {1: "gray", 3: "colour"}.get(channels, f"{channels} channels")
        parts.append(f"{width} × {height} pixels, {kind}")
    for name, unit in (("noise_sigma", "noise of sigma {:g}"), ("scale", "enlarged {:g} times")):
        if name in row and isinstance(row[name], int | float) and not pd.isna(row[name]):
            parts.append(unit.format(row[name]))
    parts.append("truth known" if row["has_reference"] else "truth not known")
    return ", ".join(parts)


def headline(sweep: Sweep, board: pd.DataFrame, metric: str, settings: list[str]) -> dict[str, str]:
    """The best trial of a problem in words: configuration, score, and gains over known methods."""
    trials = board[board["trial"].notna() & board[metric].notna()]
    if trials.empty:
        return {"best": "", "score": "No trial has a result yet.", "gain": "", "restored": ""}
    best = trials.iloc[0]
    unit = " dB" if metric.startswith(("psnr", "val_psnr")) else ""
    score = f"{number_text(metric, best[metric])}{unit}, {METRICS.get(metric, metric)}"
    peak = next((peak for peak in PEAKS if peak.value == metric), None)
    if peak is not None and not pd.isna(best[peak.iteration]):
        score += f", at iteration {int(best[peak.iteration]):,}"
    if peak is not None and peak.scored and not pd.isna(best[peak.scored[1]]):
        score += f", where its PSNR is {best[peak.scored[1]]:.2f} dB"
    return {
        "best": trial_label(best, settings),
        "score": score,
        "gain": _gains(sweep, str(best["problem"]), float(best[metric]), metric),
        "restored": _restored(sweep, str(best["problem"])),
    }


def _restored(sweep: Sweep, problem: str) -> str:
    note = restored_note(sweep, problem)
    return f"{PICTURE}: {note}." if note else ""


def _gains(sweep: Sweep, problem: str, value: float, metric: str) -> str:
    if metric == "loss_final":
        return (
            "Without a PSNR trials are ranked by how closely they follow the measurement, "
            "its noise included: the first is not always the best picture."
        )
    methods = sweep.baselines.dropna(subset="psnr")
    methods = methods[methods["problem"] == problem]
    if metric not in COMPARABLE or methods.empty:
        return ""
    is_input = methods["method"].str.contains("input")
    best = methods.sort_values("psnr").iloc[-1]
    parts = []
    for row in methods[is_input].head(1).to_dict("records"):
        parts.append(_gain(value, row["psnr"], f"the {row['method']} ({row['psnr']:.2f} dB)"))
    if "input" not in best["method"]:
        known = f"{best['method']} ({best['psnr']:.2f} dB), the best known method here"
        parts.append(_gain(value, best["psnr"], known))
    return "; ".join(parts) + "." if parts else ""


def _gain(value: float, level: float, name: str) -> str:
    return f"{abs(value - level):.2f} dB {'above' if value >= level else 'below'} {name}"
