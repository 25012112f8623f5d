"""`dipray lr-bias`: one picture, several learning rates, compared where they are equally far."""

import math
from collections.abc import Sequence
from typing import get_args

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from analysis import Sweep, save_figure, write_table
from analysis.lr_bias import (
    EQUAL,
    change_text,
    furthest,
    level_sentences,
    lr_sentences,
    lr_slopes,
    lr_table,
)
from analysis.lr_plots import CURVES, draw_at_equal, draw_lr_curves
from analysis.matched import COLLAPSED, By, matched
from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.folder import safe_name
from dipray.store import Store
from experiments.commands import LrBiasCommand
from experiments.exits import INTERRUPTED
from experiments.outcomes import Lines
from experiments.trials import run_trials

FOLDER = "lr_bias"  # of the tables and plots, in the run's folder
NUMBERS = {"psnr": "PSNR dB", "tv": "TV", "hf_energy": "high freq.", "laplacian": "Laplacian"}


def run_lr_bias(command: LrBiasCommand) -> int:
    """Run every learning rate with every seed, and say what it changes, and where."""
    _check(command)
    console = Console()
    lines = Lines(console)
    store = Store(command.save_dir or f"runs/lr-bias-{safe_name(command.problem.source.stem)}")
    seeds = [command.config.seed + i for i in range(command.seeds)]
    trials = run_trials(
        command.problem,
        {"lr": list(command.lrs), "seed": seeds},
        store,
        base=command.config,
        resources=command.resources,
        console=console,
    )
    if trials.interrupted:
        lines.say(f"{trials.interrupted} fits are not finished; the same command goes on")
        return 0 if command.resources.time_budget_s else INTERRUPTED
    ran = trials.with_outcome(trials.asked, "BUDGET", "STOPPED", "DIVERGED")
    failed = trials.with_outcome(trials.asked, "FAILED")
    for trial in failed:
        row = trials.sweep.trials.loc[trial]
        lines.say(f"failed: lr {row['lr']:g}, seed {row['seed']}: {row['reason']}")
    if not ran:
        return 1
    report_lr_bias(lines, store, trials.sweep, ran)
    lines.say(f"tables, plots     {store}/{FOLDER}")
    lines.say(f"page              dipray report {store}")
    return 0


def _check(command: LrBiasCommand) -> None:
    for lr in command.lrs:
        command.config.replace(lr=lr)  # which says what is allowed
    given = ", ".join(f"{lr:g}" for lr in command.lrs)
    if len(set(command.lrs)) < 2 or len(set(command.lrs)) < len(command.lrs):
        raise ConfigError(f"lrs={given}: give two or more different learning rates", field="lrs")
    if command.config.lr != FitConfig().lr:
        raise ConfigError(
            f"lr={command.config.lr!r}: has no effect here; the learning rates are --lrs",
            field="lr",
        )
    if command.seeds < 1:
        raise ConfigError(f"seeds={command.seeds}: allowed is at least 1", field="seeds")


def report_lr_bias(lines: Lines, store: Store, sweep: Sweep, trials: list[str]) -> None:
    """Tables and plots of trials that differ in learning rate and seed alone; what they say."""
    columns = [name for name in CURVES if sweep.traces(name, trials)[name].notna().any()]
    compared = [name for name in columns if name != "loss"]
    said: list[str] = []
    store.remove(FOLDER)  # what an earlier call made of other trials
    for by in get_args(By):
        frame = matched(sweep, by=by, trials=trials, columns=compared)
        if by == get_args(By)[0]:
            _say_astray(lines, frame)
        table, slopes = lr_table(frame), lr_slopes(frame)
        write_table(store, f"{FOLDER}/at_equal_{by}", table)
        write_table(store, f"{FOLDER}/slopes_at_equal_{by}", slopes)
        of_tv = furthest(slopes[slopes["column"] == "tv"], by=by)
        if of_tv.empty:
            lines.say(f"{EQUAL[by]}: nothing to compare, no two learning rates came as far")
            continue
        lines.console.print(_table(table, by, level=float(of_tv["level"].iloc[0])))
        named = [name for name in ("psnr", "tv") if name in compared]
        if by == "loss":
            lines.console.print(_slope_table(slopes, named))
            said += level_sentences(slopes, by=by, columns=named)
        else:
            said += lr_sentences(slopes, by=by, columns=named)
    save_figure(
        draw_lr_curves(sweep, trials=trials, columns=columns), store, f"{FOLDER}/curves.png"
    )
    plotted = [name for name in ("psnr", "tv") if name in compared]
    figure = draw_at_equal(sweep, trials=trials, columns=plotted)
    save_figure(figure, store, f"{FOLDER}/at_equal.png")
    for sentence in said:
        lines.say(sentence)


def _say_astray(lines: Lines, frame: pd.DataFrame) -> None:
    for lr, part in frame.drop_duplicates("trial").groupby("lr"):
        for outcome, said in (
            ("DIVERGED", "diverged"),
            (COLLAPSED, "ended above the loss it began with"),
        ):
            count = int((part["outcome"] == outcome).sum())
            if count:
                lines.say(f"lr {lr:g}: {count} of {len(part)} fits {said}; not compared")


def _table(table: pd.DataFrame, by: By, *, level: float) -> Table:
    """The learning rates at one level."""
    title = f"{EQUAL[by]}: {level:g}"
    if (table["reached"] > 1).any():
        title += " (± half of the 95 % interval over seeds)"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = {name: title for name, title in NUMBERS.items() if name in table}
    for title in ("lr", "there", "at", *numbers.values()):
        shown.add_column(title, justify="right")
    for _, row in table[table["level"] == level].iterrows():
        shown.add_row(
            f"{row['lr']:g}",
            f"{row['reached']} of {row['trials']}",
            "–" if math.isnan(row["iteration"]) else f"{row['iteration']:,.0f}",
            *(_number(row, name) for name in numbers),
        )
    return shown


def _slope_table(slopes: pd.DataFrame, columns: Sequence[str]) -> Table:
    """What a tenfold learning rate changes at each level of equal loss."""
    title = "at equal training loss, change for a tenfold learning rate (95 % interval)"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("loss", "rates", "seeds", *(NUMBERS[name] for name in columns)):
        shown.add_column(heading, justify="right")
    for level, part in slopes.groupby("level"):
        cells = []
        for name in columns:
            ours = part[part["column"] == name]
            cells.append(change_text(ours.iloc[0]) if len(ours) else "–")
        rates, seeds = part.iloc[0][["lrs", "seeds"]]
        shown.add_row(f"{level:g}", str(rates), str(seeds), *cells)
    return shown


def _number(row: pd.Series, name: str) -> str:
    if math.isnan(row[name]):
        return "–"
    digits = ".2f" if name == "psnr" else ".4f"
    if name not in ("psnr", "tv"):
        return f"{row[name]:{digits}}"  # the others are in the files
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return f"{row[name]:{digits}}" + ("" if math.isnan(half) else f" ± {half:{digits}}")
