"""`dipray ensemble`: one picture, several seeds side by side, averaged."""

import math

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from analysis import Sweep, save_figure, write_table
from analysis.ensemble import AGGREGATES, Ensemble, deviation_tells, ensemble_data, ensemble_table
from analysis.ensemble_plots import draw_deviation, draw_gain
from analysis.gain import gain_data
from analysis.pictures import Picture, encode
from dipray.errors import ConfigError
from dipray.folder import safe_name
from dipray.store import Store
from experiments.commands import EnsembleCommand
from experiments.exits import INTERRUPTED
from experiments.outcomes import Lines, explain_missing
from experiments.trials import run_trials

FOLDER = "ensemble"  # of the tables and plots, in the run's folder
WARM = 5  # times the memory of the moving average, after which its start is forgotten
TITLES = {
    "final": "last output",
    "ema": "last average",
    "peak": "best output",
    "peak_ema": "best average",
}


def run_ensemble(command: EnsembleCommand) -> int:
    """Run the seeds and the control, average, and say what averaging gained."""
    if command.seeds < 2:
        raise ConfigError(f"seeds={command.seeds}: an ensemble needs at least 2", field="seeds")
    if command.aggregate == "trimmed" and command.seeds < 4:
        raise ConfigError(
            f"aggregate='trimmed': of {command.seeds} seeds a quarter is none; write at least 4 "
            "seeds, or mean or median",
            field="aggregate",
        )
    console = Console()
    lines = Lines(console)
    store = Store(command.save_dir or f"runs/ensemble-{safe_name(command.problem.source.stem)}")
    base = command.config
    runs: list[dict[str, object]] = [{"seed": [base.seed + i for i in range(command.seeds)]}]
    if command.control:
        runs.append({"seed": base.seed, "iterations": base.iterations * command.seeds})
    trials = run_trials(
        command.problem,
        {"runs": runs},
        store,
        base=base,
        resources=command.resources,
        console=console,
    )
    seeds = trials.asked[: command.seeds]
    members = trials.with_outcome(seeds, "BUDGET", "STOPPED")
    controls = trials.with_outcome(trials.asked[command.seeds :], "BUDGET", "STOPPED")
    explain_missing(lines, trials.sweep, trials.asked, [*members, *controls])
    if trials.interrupted:
        lines.say(f"{trials.interrupted} fits are not finished; the same command goes on")
        return 0 if command.resources.time_budget_s else INTERRUPTED
    if len(members) < 2:
        lines.say(f"{len(members)} of {command.seeds} seeds came to an end: nothing to average")
        return 1
    control = controls[0] if controls else None
    picture = "ema" if base.ema_decay else "final"
    ensemble = ensemble_data(trials.sweep, members, picture=picture)
    chosen = "trimmed mean" if command.aggregate == "trimmed" else command.aggregate
    store.remove(FOLDER)  # what an earlier call made of other trials
    store.write("restored.png", encode(ensemble.sample.with_pixels(ensemble.aggregates[chosen])))
    _save_pictures(store, trials.sweep, members)
    save_figure(draw_deviation(ensemble), store, f"{FOLDER}/deviation.png")
    table = ensemble_table(trials.sweep, members, control=control)
    lines.say(
        f"{ensemble.problem}: {len(members)} seeds of {base.iterations:,} iterations, "
        f"restored.png is the {chosen} of their {TITLES[picture]}s"
    )
    if base.iterations * (1 - base.ema_decay) < WARM and picture == "ema":
        lines.say(
            f"the moving average (decay {base.ema_decay:g}) remembers longer than these short fits "
            "run: it may lag behind the outputs; --ema-decay 0 averages the outputs"
        )
    if len(table):
        _report_quality(lines, store, ensemble, table, control is not None)
    spread = float(ensemble.deviation.mean())
    lines.say(f"the seeds differ by {spread:.4f} (standard deviation, range 1, mean over pixels)")
    if len(table):
        lines.say(
            "rank correlation of this deviation with the mean's true error, over pixels: "
            f"{deviation_tells(ensemble):.2f}"
        )
    for file, what in (
        ("restored.png", "restored picture"),
        (f"{FOLDER}/deviation.png", "uncertainty"),
        (FOLDER, "tables, plots" if len(table) else "pictures"),
    ):
        lines.say(f"{what:18}{store}/{file}")
    return 0


def _save_pictures(store: Store, sweep: Sweep, members: list[str]) -> None:
    """Each aggregate of the last outputs and averages, and the map of the seeds' deviation."""
    for picture in ("final", "ema"):
        ensemble = ensemble_data(sweep, members, picture=picture)
        for name, pixels in ensemble.aggregates.items():
            file = f"{FOLDER}/{name.replace(' ', '_')}_{picture}.png"
            store.write(file, encode(ensemble.sample.with_pixels(pixels)))
        # 16 bit: the deviation itself, in units of the picture's range
        deviation = Picture(ensemble.deviation[..., None], bits=16)
        store.write(f"{FOLDER}/deviation_{picture}_16bit.png", encode(deviation))


def _report_quality(
    lines: Lines, store: Store, ensemble: Ensemble, table: pd.DataFrame, has_control: bool
) -> None:
    write_table(store, f"{FOLDER}/psnr", table)
    gain = gain_data(ensemble)
    write_table(store, f"{FOLDER}/gain", gain)
    save_figure(draw_gain(gain, title=ensemble.problem), store, f"{FOLDER}/gain.png")
    lines.console.print(_quality_table(table))
    rho, low, high = (gain.attrs[name] for name in ("rho", "rho_low", "rho_high"))
    interval = "" if math.isnan(low) else f" ({low:.2f} to {high:.2f})"
    gained = gain["law"].iloc[-1] - gain["law"].iloc[0]
    lines.say(
        f"averaging {len(ensemble.members)} gains {gained:.2f} dB ({TITLES[ensemble.picture]}); "
        f"errors of two seeds correlate by {rho:.2f}{interval}, so endless seeds would come to "
        f"{gain.attrs['limit']:.2f} dB"
    )
    if has_control:
        means = table[table["name"] == "mean"].iloc[0]
        one = table[table["kind"] == "control"].iloc[0]
        best = max(one[name] for name in ("peak", "peak_ema") if name in table)
        lines.say(
            "the control, one fit as long as all seeds that were asked for, ends at "
            f"{one[ensemble.picture]:.2f} dB and is {best:.2f} dB at its best, against "
            f"{means[ensemble.picture]:.2f} dB of the mean"
        )


def _quality_table(table: pd.DataFrame) -> Table:
    """PSNR of one seed, the aggregates and the control, a column for each kind of picture."""
    pictures = [name for name in TITLES if name in table]
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("PSNR, dB")
    for name in pictures:
        shown.add_column(TITLES[name], justify="right")
    seeds = table[table["kind"] == "seed"]
    shown.add_row("one seed ± sd", *(_mean_and_spread(seeds[name]) for name in pictures))
    for aggregate in AGGREGATES:
        row = table[table["name"] == aggregate].iloc[0]
        shown.add_row(
            f"{aggregate} of {len(seeds)}", *(f"{row[name]:.2f}       " for name in pictures)
        )
    for _, row in table[table["kind"] == "control"].iterrows():
        shown.add_row("control", *(f"{row[name]:.2f}       " for name in pictures))
    return shown


def _mean_and_spread(values: pd.Series) -> str:
    return f"{values.mean():.2f} ± {np.std(values, ddof=1):.2f}"
