"""`dipray restore`: a picture of which nobody has the truth, restored without knowing DIP."""

import time
from pathlib import Path

from rich.console import Console

from analysis import load_sweep
from dipray.config import FitConfig
from dipray.device import resolve_device
from dipray.folder import safe_name
from dipray.store import Store
from dipray.sweep.cluster import running_ray
from experiments.commands import RestoreCommand
from experiments.exits import INTERRUPTED
from experiments.outcomes import Lines
from experiments.restoring.fits import Fits, check, choose
from experiments.restoring.picture import damaged
from experiments.restoring.results import leave

LARGE = 300 * 300  # pixels; 128x128 takes minutes


def run_restore(command: RestoreCommand) -> int:
    """Search with held-out pixels, fit the winner to all of them with several seeds, average."""
    started = time.monotonic()
    budget = command.resources.time_budget_s
    lines = Lines(Console())
    check(command)
    picture = damaged(command)
    store = Store(command.save_dir or f"runs/restore-{safe_name(Path(command.image).stem)}")
    for line in picture.remarks():
        lines.say(line)
    _, height, width = picture.problem.picture_shape
    on_cpu = resolve_device(FitConfig(device=command.device)).type == "cpu"
    if on_cpu and budget is None and height * width > LARGE:
        lines.say(
            f"size         {height}x{width} pixels: on a CPU that may take hours; "
            "--time-budget-s says how long it may"
        )
    removed = picture.sigma if command.task == "denoise" else 0.0
    fits = Fits(command, picture.problem, removed, store, lines.console)
    with running_ray(command.resources.address):
        missing = fits.search()
        if missing and budget is None:
            lines.say(f"{missing} fits are not finished; the same command goes on")
            return INTERRUPTED
        choice = choose(load_sweep(store), picture.problem.name)
        left = None if budget is None else budget - (time.monotonic() - started)
        members = fits.refit(choice, left)
    sweep = load_sweep(store)
    outcomes = sweep.trials["outcome"]
    done = tuple(trial for trial in members if outcomes.get(trial) == "BUDGET")
    failed = [trial for trial in members if outcomes.get(trial) in ("FAILED", "DIVERGED")]
    if len(done) + len(failed) < len(members) and budget is None:
        lines.say(f"{len(members) - len(done)} fits are not finished; the same command goes on")
        return INTERRUPTED
    seconds = time.monotonic() - started
    for line in leave(sweep, picture, choice, done, seconds=seconds):
        lines.say(line)
    return 0
