"""`dipray replay`: a scheduler's decisions over a finished sweep, from its traces."""

import contextlib
from typing import Any

import pandas as pd

from analysis import Sweep, load_sweep, write_table
from dipray.errors import ConfigError
from dipray.store import Store
from dipray.sweep.replay import Replay, replay
from dipray.sweep_config import SweepConfig
from experiments.commands import ReplayCommand
from experiments.outcomes import Lines
from experiments.replaying.fits import whole_fits
from experiments.replaying.orders import drawn_order
from experiments.replaying.printed import endings, scores_table, truth_lines
from experiments.replaying.scores import scores
from experiments.terminal import Terminal

FOLDER = "replay"  # of the tables


def run_replay(command: ReplayCommand) -> int:
    """Replay in several orders, print what was saved and lost, and write the tables."""
    if not command.runs:
        raise ConfigError("runs: give a folder of results", field="runs")
    if command.seeds < 1:
        raise ConfigError(f"seeds={command.seeds}: allowed is 1 or more", field="seeds")
    lines = Lines(Terminal())
    sweep = load_sweep(*command.runs)
    config = _config(command, sweep)
    place = sweep.home.child(FOLDER) if command.save_dir is None else Store(command.save_dir)
    whole = whole_fits(sweep, config, clock=command.clock)
    rows, ended = [], []
    for seed in range(command.seeds):
        replayed = replay(drawn_order(whole.fits, seed), config, parallel=command.parallel)
        rows.append(scores(replayed, whole, config).assign(seed=seed))
        ended.append(_ends(replayed).assign(seed=seed))
    table, ends = pd.concat(rows, ignore_index=True), pd.concat(ended, ignore_index=True)
    lines.say(_title(command, config))
    lines.console.print(scores_table(table, config.metric))
    lines.say(endings(ends))
    if not config.metric.startswith("psnr"):
        for line in truth_lines(table):
            lines.say(line)
    for line in whole.left_out:
        lines.say(f"left out: {line}")
    write_table(place, "scores", table)
    write_table(place, "ends", ends)
    lines.say(f"tables            {place}")
    return 0


def _config(command: ReplayCommand, sweep: Sweep) -> SweepConfig:
    """What the command asks, and where it leaves that open what the sweep was asked."""
    asked: dict[str, Any] = {"scheduler": "none"}
    for name in ("metric", "report_every"):
        with contextlib.suppress(ConfigError):  # of a foreign sweep.json: the default
            given: Any = {name: sweep.asked.get(name)}
            SweepConfig(scheduler="none", **given)
            asked |= given
    changes: dict[str, Any] = {} if command.metric == "auto" else {"metric": command.metric}
    config = SweepConfig(**asked).replace(
        scheduler=command.scheduler,
        grace_period=command.grace_period,
        reduction_factor=command.reduction_factor,
        **changes,
    )
    trials = sweep.trials
    has_truth, can_hold_out = (
        bool(trials[name].notna().groupby(trials["problem"]).any().all())
        for name in ("psnr_peak", "val_psnr_peak")
    )
    return config.settled(has_truth=has_truth, can_hold_out=can_hold_out)


def _ends(replayed: Replay) -> pd.DataFrame:
    last = {each.trial: each for each in replayed.told}
    return pd.DataFrame(
        {
            "problem": [each.problem for each in last.values()],
            "trial": list(last),
            "iteration": [each.iteration for each in last.values()],
            "stopped": [trial in replayed.stopped for trial in last],
        }
    )


def _title(command: ReplayCommand, config: SweepConfig) -> str:
    said: list[str] = [config.scheduler]
    if config.scheduler != "none":
        said.append(f"grace period {config.grace_period:,}")
    if config.scheduler in ("asha", "hyperband"):
        said.append(f"factor {config.reduction_factor:g}")
    orders = f"means of {command.seeds} orders" if command.seeds > 1 else "one order"
    return (
        f"{', '.join(said)}: {config.metric}, a report each {config.report_every:,} iterations, "
        f"{command.parallel} fits at a time, {orders}"
    )
