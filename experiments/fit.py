"""`dipray fit`: one fit into a folder, whole or in tiles."""

from typing import Any

from rich.console import Console

from analysis import Sweep, load_sweep, write_figures, write_tables
from dipray.errors import FolderError
from dipray.folder import (
    CONFIG,
    FIGURES,
    PROBLEM,
    TILING,
    is_finished,
    problem_said,
    read_outcome,
    trial_id,
)
from dipray.problem import Problem
from dipray.recorder import clear
from dipray.store import Store
from experiments.commands import FitCommand
from experiments.fit_into import fit_into
from experiments.invocation import command_line
from experiments.outcomes import Lines
from experiments.problems import name_apart
from experiments.tiled import describe_tiles, fit_tiles_into
from experiments.work import Work, divided, needs

_BEST: tuple[tuple[str, str], ...] = (
    # the first of these that is there is the restored picture
    ("peak_ema.png", "peak_ema.png (best average)"),
    ("peak_val_ema.png", "peak_val_ema.png (average at its best held-out error)"),
    ("ema.png", "ema.png (last average)"),
)


def run_fit(command: FitCommand) -> int:
    """Fit, save, and say in a few lines what came out."""
    console = Console()
    lines = Lines(console)
    problem = name_apart([command.problem])[0]
    work = divided(problem, command.config, tile=command.tile, overlap=command.tile_overlap)
    if command.dry_run:
        for line in needs(problem, work):
            lines.say(line)
        return 0
    identity = trial_id(problem.name, problem.fingerprint(), work.config) + work.suffix
    store = Store(command.save_dir or f"runs/{identity}")
    if _holds_this(store, problem, work, overwrite=command.overwrite):
        lines.say(f"{store} holds this very fit already; --overwrite runs it again")
        _tell(lines, load_sweep(store))
        return 0
    if command.overwrite:
        clear(store)
    every_s = command.checkpoint_every_s
    try:
        if work.tiles is None:
            is_whole = fit_into(store, problem, work.config, console, checkpoint_every_s=every_s)
        else:
            is_whole = fit_tiles_into(store, problem, work, console, checkpoint_every_s=every_s)
    except KeyboardInterrupt:
        _leave(lines, store)  # what there is of it
        raise
    _leave(lines, store)
    if is_whole:
        return 0
    if command_line():
        lines.say(f"go on      {command_line()}")
    raise KeyboardInterrupt


def _leave(lines: Lines, store: Store) -> None:
    """Write table and figures of the fit in the folder, and say what came out."""
    sweep = load_sweep(store)
    write_tables(sweep)
    write_figures(sweep)
    _tell(lines, sweep)


def _tell(lines: Lines, sweep: Sweep) -> None:
    outcome = read_outcome(sweep.store)
    said = describe_tiles(outcome) if sweep.store.exists(TILING) else describe(outcome)
    for line in [*said, *_places(sweep)]:
        lines.say(line)


def _places(sweep: Sweep) -> list[str]:
    """What known methods come to, and where the results lie."""
    methods = sweep.baselines.dropna(subset="psnr")
    known = [f"{row['method']} {row['psnr']:.2f} dB" for row in methods.to_dict("records")]
    picture = next((text for file, text in _BEST if sweep.store.exists(file)), None)
    return [
        *([f"known      {', '.join(known)}"] if known else []),
        *([f"restored   {sweep.store}/{picture}"] if picture else []),
        *([f"figures    {sweep.store}/{FIGURES}"] if sweep.store.exists(FIGURES) else []),
        f"folder     {sweep.store}",
    ]


def _holds_this(store: Store, problem: Problem, work: Work, *, overwrite: bool) -> bool:
    """Whether this fit is there, finished; raises FolderError if something else is."""
    if not store.names():
        return False
    if not (store.exists(CONFIG) and store.exists(PROBLEM)):
        raise FolderError(f"{store} holds something that is no fit; choose another --save-dir")
    if overwrite:
        return False
    before = store.read_json(CONFIG)
    differing = [
        name
        for name, value in work.config.to_dict().items()
        if not isinstance(before, dict) or before.get(name) != value
    ]
    tiles = store.read_json(TILING) if store.exists(TILING) else None
    if tiles != (None if work.tiles is None else work.tiles.to_dict()):
        differing.insert(0, "tiles")
    if problem_said(store, "fingerprint") != problem.fingerprint():
        differing.insert(0, "picture or truth")
    if differing:
        raise FolderError(
            f"{store} holds another fit (other {', '.join(differing[:4])}); choose another "
            "--save-dir, or --overwrite it"
        )
    return is_finished(store)


def describe(outcome: dict[str, object]) -> list[str]:
    """What a fit came to, in lines for a terminal."""

    def number(name: str, digits: int = 2) -> str:
        value = outcome.get(name)
        return f"{value:.{digits}f}" if isinstance(value, float) else "-"

    by = f" by {outcome['stopped_by']}" if outcome.get("stopped_by") else ""
    lines = [
        f"outcome    {outcome['outcome']}{by} after {outcome.get('iterations_run')} iterations, "
        f"{number('seconds', 1)} s",
        f"loss       {number('loss_final', 6)}",
    ]
    if outcome.get("psnr_peak") is not None:
        for title, prefix in (("output ", "psnr"), ("average", "psnr_ema")):
            at = outcome.get("iteration_peak" if prefix == "psnr" else "iteration_ema_peak")
            lines.append(
                f"{title}    {number(f'{prefix}_peak')} dB at iteration {at}, "
                f"{number(f'{prefix}_final')} dB at the end"
            )
    if outcome.get("val_psnr_ema_peak") is not None:
        lines.append(
            f"held out   {number('val_psnr_ema_peak')} dB (average) at its best, iteration "
            f"{outcome.get('iteration_val_ema_peak')}"
        )
    picks = outcome.get("picks")
    if isinstance(picks, dict):
        picked = [_pick(*item) for item in picks.items() if item[1].get("iteration")]
        lines.append(f"picks      {', '.join(picked)}")
    return lines


def _pick(rule: str, pick: dict[str, Any]) -> str:
    """A rule and its iteration, in brackets the PSNR of the average there."""
    level = pick.get("psnr_ema")
    details = [] if level is None else [f"{level:.2f} dB"]
    if pick.get("fired") is None and rule != "budget":
        details.append("undecided")
    said = f"{rule} {pick.get('iteration')}"
    return f"{said} ({', '.join(details)})" if details else said
