"""Trials of one picture for a program that compares them: run, loaded, written down."""

from dataclasses import dataclass

from rich.console import Console

from analysis import Sweep, load_sweep, write_figures, write_tables
from dipray.config import FitConfig
from dipray.store import Store
from dipray.sweep import Grid, SweepConfig, run_sweep
from dipray.sweep_config import Resources
from dipray.task_config import TaskConfig
from experiments.live import LiveTable
from experiments.problems import name_apart


@dataclass(frozen=True)
class Trials:
    """What came out: `asked` are the trials in the order of the grid, finished or not."""

    sweep: Sweep
    asked: tuple[str, ...]
    interrupted: int

    def with_outcome(self, trials: tuple[str, ...], *outcomes: str) -> list[str]:
        """Those of the trials that ended so."""
        table = self.sweep.trials
        return [each for each in trials if table["outcome"].get(each) in outcomes]


def run_trials(
    task: TaskConfig,
    grid: Grid,
    store: Store,
    *,
    base: FitConfig,
    resources: Resources,
    console: Console,
) -> Trials:
    """Run a grid on one picture, every fit to its end, and write the table of trials."""
    problems = name_apart([task])
    if base.holdout is None:
        base = base.replace(holdout=0.0)  # nothing here judges by it
    config = SweepConfig(scheduler="none", **resources.to_dict())
    has_truth = problems[0].reference is not None
    settled = config.settled(has_truth=has_truth, can_hold_out=base.holdout != 0)
    live = LiveTable(console, metric=settled.metric, mode=settled.mode)
    result = run_sweep(problems, grid, store, base=base, config=config, callbacks=[live])
    sweep = load_sweep(store)
    write_tables(sweep)
    write_figures(sweep)
    return Trials(sweep, result.trials, result.interrupted)
