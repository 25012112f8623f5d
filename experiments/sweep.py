"""`dipray sweep`: a sweep over the pictures and the space that the flags name."""

from rich.console import Console

from analysis import load_sweep, write_figures, write_tables
from dipray.errors import ConfigError, FolderError
from dipray.folder import SWEEP
from dipray.store import Store
from dipray.sweep import Request, Space, forecast, read_grid, run_sweep
from experiments.commands import SweepCommand
from experiments.dry_run import say_forecast
from experiments.exits import INTERRUPTED
from experiments.invocation import command_line
from experiments.live import LiveTable
from experiments.outcomes import Lines
from experiments.problems import name_apart
from experiments.show import show
from search_spaces import SPACES


def run_sweep_command(command: SweepCommand) -> int:
    """Run what is not finished yet, then print and save the tables."""
    console = Console()
    space = choose_space(command)
    problems = name_apart(command.problem.tasks())
    has_truth = all(problem.reference is not None for problem in problems)
    can_hold_out = command.config.holdout != 0
    settled = command.sweep.settled(has_truth=has_truth, can_hold_out=can_hold_out)
    store = Store(command.save_dir or f"{command.storage_path.rstrip('/')}/{command.name}")
    if command.resume and not store.exists(SWEEP):
        raise FolderError(f"{store}: no sweep to go on with; drop --resume to begin one")
    if command.dry_run:
        request = Request.of(problems, space, store, base=command.config, config=command.sweep)
        say_forecast(Lines(console), forecast(request), request.config)
        return 0
    result = run_sweep(
        problems,
        space,
        store,
        base=command.config,
        config=command.sweep,
        callbacks=[LiveTable(console, metric=settled.metric, mode=settled.mode)],
    )
    sweep = load_sweep(store)
    write_tables(sweep)
    write_figures(sweep, metric=None if settled.metric == "loss" else settled.metric)
    show(sweep, console)
    left = f", {result.interrupted} not finished"
    console.print(
        f"{result.run} trials run, {result.kept} kept from before, {result.failed} failed"
        f"{left if result.interrupted else ''}; tables and pictures in {store}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if result.interrupted:
        Lines(console).say(f"go on with: {command_line() or 'the same command'}")
    if result.interrupted and command.sweep.time_budget_s is None:
        return INTERRUPTED  # Ctrl-C, which Tune keeps to itself
    return 1 if result.run and result.failed == result.run else 0


def choose_space(command: SweepCommand) -> Space:
    """The named space or the grid file; raises ConfigError unless exactly one is given."""
    if (command.space is None) == (command.grid is None):
        raise ConfigError("give a space: either --space NAME (see dipray list) or --grid FILE")
    if command.grid is not None:
        return read_grid(command.grid)
    named = SPACES.get(str(command.space))
    if named is None:
        raise ConfigError(f"space={command.space!r}: there are {', '.join(SPACES)}", field="space")
    return named.for_search(command.sweep.search)
