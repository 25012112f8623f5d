"""`dipray audit`: what choosing without the truth loses, where the truth is known."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis import load_sweep, save_figure, write_table
from analysis.audit import TOLERANCE
from analysis.audit_findings import audit_sentences
from analysis.audit_plots import draw_ranks, draw_regret
from analysis.audit_runs import Audited, audited
from analysis.audit_tables import audit_table, correlation_table
from analysis.regret import CHOSEN_BY
from dipray.errors import ConfigError
from dipray.store import Store
from experiments.commands import AuditCommand
from experiments.outcomes import Lines
from experiments.terminal import Terminal

FOLDER = "audit"  # of the tables and plots
SHARES = ("early", "late", "never")

EXPLAINED = (
    "Regret: PSNR of the best picture that any fit of the sweep passed through, minus that of the "
    "picture handed out (the moving average at the picked iteration), in dB; 0 is best. It is lost "
    "by the configuration (best of the sweep minus best of this fit) and by the iteration (best of "
    "this fit minus what was picked)."
)
TERMS = (
    "Means over pictures with 95 % bootstrap intervals. early, late: more than {tolerance:g} dB is "
    "lost because the pick lies before or after the best average of its fit. never: the budget "
    "ended before the rule fired, and its last pick stands. val peak: the least held-out error of "
    "the whole fit, without patience."
)


def run_audit(command: AuditCommand) -> int:
    """Audit one folder or several, print what came out, and write tables and figures."""
    if not command.tolerance >= 0:
        raise ConfigError(
            f"tolerance={command.tolerance!r}: allowed is 0 or more, in dB", field="tolerance"
        )
    audit(
        command.runs,
        Lines(Terminal()),
        metric=command.metric,
        tolerance=command.tolerance,
        save_dir=command.save_dir,
    )
    return 0


def audit(
    runs: Sequence[str],
    lines: Lines,
    *,
    metric: str = CHOSEN_BY,
    tolerance: float = TOLERANCE,
    save_dir: str | None = None,
) -> Audited:
    """Audit folders together, say what came out, and write tables and figures.

    save_dir: where they go; None: audit/ in the folder, or in the one that holds all of the runs.
    Raises ConfigError, FolderError or UnknownNameError.
    """
    stores = [Store(run) for run in runs]
    if not stores:
        raise ConfigError("runs: give a folder of results, or several", field="runs")
    if len({str(store) for store in stores}) < len(stores):
        raise ConfigError("runs: give each folder of results once", field="runs")
    sweeps = [load_sweep(store) for store in stores]
    place = Store(save_dir) if save_dir is not None else _place(stores)
    found = audited(sweeps, metric=metric, tolerance=tolerance)
    _print(lines, found)
    _write(place, found)
    lines.say(f"tables, plots     {place}")
    return found


def _place(stores: Sequence[Store]) -> Store:
    """The folder of the audit; raises ConfigError if the runs do not suggest one."""
    if len(stores) == 1:
        return stores[0].child(FOLDER)
    parent = ""
    if all(store.is_local for store in stores):
        parents = [Path(str(store)).parent for store in stores]
        parent = os.path.commonpath(parents)
    if parent.strip(os.sep) == "":
        raise ConfigError(
            "save_dir: no folder holds all of the runs; write where the tables go",
            field="save_dir",
        )
    return Store(parent).child(FOLDER)


def _print(lines: Lines, found: Audited) -> None:
    choice, fits = audit_table(found.choice), audit_table(found.fits)
    lines.console.print(EXPLAINED, highlight=False)
    lines.say("")
    for task in dict.fromkeys([*choice["task"], *fits["task"]]):
        for table, what, about in (
            (choice, "the fit that the held-out error chooses", "regret"),
            (fits, "every fit", "iteration_loss"),
        ):
            ours = table[table["task"] == task]
            if len(ours):
                lines.console.print(_table(ours, f"{task}: {what}", about=about))
    lines.console.print(TERMS.format(tolerance=found.tolerance), highlight=False)
    lines.say("")
    for sentence in audit_sentences(found):
        lines.console.print(sentence, highlight=False, markup=False)


def _table(rows: pd.DataFrame, title: str, *, about: str) -> Table:
    """The rules of one task; about: the loss that is shown with its interval and its worst."""
    pictures = f"{rows['pictures'].max()} pictures" if rows["pictures"].max() > 1 else "1 picture"
    shown = Table(
        title=Text(f"{title} (dB, {pictures})", style="table.title"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
    )
    shown.add_column("rule", no_wrap=True)
    losses = {"regret": "regret", "configuration_loss": "config.", "iteration_loss": "iteration"}
    headings = ["picks"]
    for loss, heading in losses.items():
        headings += [heading, "95 %"] if loss == about else [heading]
    for heading in (*headings, "worst", *SHARES):
        shown.add_column(heading, justify="right", no_wrap=True)
    for _, row in rows.iterrows():
        cells = [row["rule"], str(row["picks"])]
        for loss in losses:
            cells.append(f"{row[loss]:.2f}")
            if loss == about:
                low, high = row[f"{loss}_low"], row[f"{loss}_high"]
                cells.append("–" if pd.isna(low) else f"{low:.2f} to {high:.2f}")
        cells.append(f"{row['worst' if about == 'regret' else 'worst_iteration']:.2f}")
        shown.add_row(*cells, *(f"{row[share]:.0%}" for share in SHARES))
    return shown


def _write(place: Store, found: Audited) -> None:
    tables = {
        "fits": found.fits,
        "choice": found.choice,
        "rank_correlation": found.correlation,
        "fits_by_rule": audit_table(found.fits),
        "choice_by_rule": audit_table(found.choice),
        "rank_correlation_by_task": correlation_table(found.correlation),
    }
    for name, table in tables.items():
        write_table(place, name, table)
    save_figure(draw_regret(found), place, "regret.png")
    save_figure(draw_ranks(found), place, "ranks.png")
