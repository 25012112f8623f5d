"""The fits behind a restored picture: a search that holds pixels out, then seeds of the winner."""

import math
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from analysis import Sweep
from dipray.config import HOLDOUT, FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import CONFIG, TRIALS
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep import SweepConfig, run_sweep
from dipray.sweep.cluster import alive_nodes, share_out
from dipray.sweep_config import Metric
from experiments.commands import RestoreCommand
from experiments.live import LiveTable
from search_spaces import SPACES

SEARCH_SHARE = 0.6  # of a time budget
GRACE = 600  # iterations that every configuration is given
METRIC: Metric = "val_psnr_ema_peak"


@dataclass(frozen=True)
class Choice:
    """The fit that explains the held-out pixels best, and the iteration at which it did."""

    trial: str
    config: FitConfig
    iterations: int
    seconds_each: float  # an iteration


def choose(sweep: Sweep, problem: str) -> Choice:
    """The best fit of the search by its held-out error; raises FolderError if there is none."""
    trials = sweep.trials
    ours = trials[(trials["problem"] == problem) & trials[METRIC].notna()]
    if ours.empty:
        reasons = trials["reason"].dropna().unique()
        why = f" ({reasons[0]})" if len(reasons) else "; give it more time"
        raise FolderError(f"{sweep.store}: no fit has come to a picture{why}")
    best = str(ours[METRIC].idxmax())
    row = ours.loc[[best]].to_dict("records")[0]
    config = FitConfig.from_dict(sweep.store.child(TRIALS, best).read_json(CONFIG))
    seconds = float(row["seconds"] / row["iterations_run"])
    return Choice(best, config, int(row["iteration_val_ema_peak"]), seconds)


@dataclass(frozen=True)
class Fits:
    """Runs them into a folder; call it while Ray runs."""

    command: RestoreCommand
    problem: Problem
    sigma: float  # of the noise where it is removed, on the scale 0 to 255, else 0
    store: Store
    console: Console

    def search(self) -> int:
        """Fit the space's configurations with some pixels held out; how many are not finished."""
        command, resources = self.command, self.command.resources
        _, height, width = self.problem.picture_shape
        base = FitConfig(
            iterations=command.iterations,
            seed=command.seed,
            device=command.device,
            holdout=command.holdout,
        )
        base = base.replace(depth=min(base.depth, base.max_depth(height, width)))
        budget = resources.time_budget_s
        config = SweepConfig(
            search="grid" if command.num_samples is None else "random",
            num_samples=command.num_samples,
            search_seed=0 if command.num_samples is None else command.seed % 2**32,
            scheduler="asha",
            metric=METRIC,
            grace_period=min(GRACE, command.iterations),
            reduction_factor=2.0,
            **resources.to_dict() | {"time_budget_s": budget and SEARCH_SHARE * budget},
        )
        space = SPACES["restore"].for_search(config.search)
        live = LiveTable(self.console, metric=METRIC, mode="max")
        result = run_sweep(
            [self.problem], space, self.store, base=base, config=config, callbacks=[live]
        )
        return result.interrupted

    def refit(self, choice: Choice, seconds: float | None) -> tuple[str, ...]:
        """Fit the choice to all pixels with as many seeds as there is time for; the trials."""
        count = self._affordable(choice, seconds)
        if not count:
            return ()
        base = choice.config.replace(
            iterations=choice.iterations, holdout=0.0, holdout_seed=0, stop="none"
        )
        resources = self.command.resources.to_dict() | {"time_budget_s": seconds}
        seeds = [self.command.seed + i for i in range(count)]
        runs: list[dict[str, Any]] = [{"seed": seed} for seed in seeds]
        if self.sigma:  # a second fit beside the first seed's says how good they are
            runs[0]["sure_sigma"] = self.sigma
        live = LiveTable(self.console, metric="loss", mode="min")
        config = SweepConfig(scheduler="none", **resources)
        result = run_sweep(
            [self.problem], {"runs": runs}, self.store, base=base, config=config, callbacks=[live]
        )
        return result.trials

    def _affordable(self, choice: Choice, seconds: float | None) -> int:
        """How many seeds come to their end in the time that is left."""
        if seconds is None:
            return self.command.seeds
        config = SweepConfig(**self.command.resources.to_dict())
        nodes = [node["Resources"] for node in alive_nodes()]
        slots = config.max_concurrent or share_out(config, self.command.device, nodes).slots
        rounds = math.floor(seconds / (choice.iterations * choice.seconds_each))
        doubled = 1 if self.sigma else 0  # the fit with a second one beside it takes two rounds
        return max(0, min(self.command.seeds, rounds * slots - doubled))


def check(command: RestoreCommand) -> None:
    """Raises ConfigError for what no run can have."""
    for name, least in (("seeds", 1), ("num_samples", 1), ("iterations", 1)):
        value = getattr(command, name)
        if value is not None and value < least:
            raise ConfigError(f"{name}={value}: allowed is {least} or more", field=name)
    if command.holdout is not None and not 0 < command.holdout < 1:
        raise ConfigError(
            f"holdout={command.holdout:g}: the search judges by what is held out; write a share "
            f"such as {HOLDOUT}",
            field="holdout",
        )
    if command.sigma is not None and not 0 <= command.sigma <= 255:
        raise ConfigError(
            f"sigma={command.sigma:g}: allowed is 0 to 255, the standard deviation of the noise",
            field="sigma",
        )
    if command.task == "inpaint" and command.mask is None:
        raise ConfigError(
            "mask: inpaint needs it, a picture that is white where known and black where missing",
            field="mask",
        )
