"""Study: a sweep that answers a question; how one is run from the command line."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tyro
from rich.console import Console

from analysis import load_sweep, write_tables
from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.store import Store
from dipray.sweep import Grid, SweepConfig, SweepResult, expand, run_sweep
from dipray.sweep_config import Metric
from experiments.exits import FAILED, INTERRUPTED, exit_code
from experiments.live import LiveTable
from experiments.outcomes import Lines
from experiments.studies.findings import Findings
from experiments.studies.flags import StudyFlags
from experiments.studies.pictures import MOST_NOISES, PICTURES, noisy_problem

_PART = re.compile(r"\n([A-Z][a-z ]+: )")  # of what is said of a study: Cost: ...
_REASONS = 3  # failed fits that are named


@dataclass(frozen=True)
class Study:
    """A question, the fits that it takes, and what is made of them.

    said: question, command, cost and expected outcome. full, smoke: the flags where none is given.
    on_gpu: those of --full, where `full` is for two cores.
    run: the folder of its fits, which studies can share; the default is its name.
    base: what all fits share. space: in what they differ, seeds included; run on every picture.
    answer: writes tables and figures, and says what they show.
    fewest_pictures, fewest_seeds: below which there is no answer. most_noises: on each picture.
    """

    name: str
    said: str
    full: StudyFlags
    smoke: StudyFlags
    base: Callable[[StudyFlags], FitConfig]
    space: Callable[[StudyFlags], Grid]
    answer: Callable[[Findings], None]
    metric: Metric = "psnr_ema_peak"
    on_gpu: StudyFlags | None = None
    run: str = ""
    fewest_pictures: int = 1
    fewest_seeds: int = 1
    most_noises: int = MOST_NOISES

    def flags(self, arguments: Sequence[str] | None = None) -> StudyFlags:
        """The flags of a command line; a smoke test has other defaults."""
        flags = self._parse(arguments, self.full)
        if flags.full and flags.smoke_test:
            raise ConfigError("full: not together with smoke_test; write one of them", field="full")
        if flags.full and self.on_gpu is None:
            raise ConfigError(f"full: {self.name} has one size; drop it", field="full")
        if flags.smoke_test:
            return self._parse(arguments, self.smoke)
        return self._parse(arguments, self.on_gpu) if flags.full and self.on_gpu else flags

    def plan(self, flags: StudyFlags) -> "Plan":
        """The fits that the flags ask for; raises ConfigError."""
        for field, given, fewest in (
            ("pictures", len(flags.pictures), self.fewest_pictures),
            ("seeds", flags.seeds, self.fewest_seeds),
        ):
            if given < fewest:
                raise ConfigError(
                    f"{field}: {given} given; this study needs at least {fewest}", field=field
                )
        if flags.noises > self.most_noises:
            raise ConfigError(
                f"noises: {flags.noises} given; this study takes at most {self.most_noises}",
                field="noises",
            )
        return Plan(self.base(flags), self.space(flags), flags.problems)

    def _parse(self, arguments: Sequence[str] | None, default: StudyFlags) -> StudyFlags:
        return tyro.cli(
            StudyFlags,
            prog=f"python -m experiments.studies.{self.name}",
            description=_PART.sub(r"\n\n\1", self.said),
            args=arguments,
            default=default,
            config=(tyro.conf.OmitArgPrefixes,),
        )


@dataclass(frozen=True)
class Plan:
    """The fits of a study: every point of the space on each of so many problems."""

    base: FitConfig
    space: Grid
    problems: int

    @cached_property
    def configs(self) -> list[FitConfig]:
        """The configurations that each problem is fitted with."""
        return [self.base.replace(**point) for point in expand(self.space)]

    @property
    def num_fits(self) -> int:
        """Of all problems."""
        return self.problems * len(self.configs)

    @property
    def num_iterations(self) -> int:
        """Of all fits together."""
        return self.problems * sum(config.iterations for config in self.configs)


def run_study(study: Study, flags: StudyFlags) -> int:
    """Run the fits that are not finished, then answer; the exit code."""
    console = Console()
    lines = Lines(console)
    plan = study.plan(flags)
    lines.say(
        f"{study.name}: {plan.num_fits:,} fits on {flags.problems} pictures, "
        f"{plan.num_iterations:,} iterations in all"
    )
    kind = "-smoke" if flags.smoke_test else "-full" if flags.full else ""
    name = flags.name or (study.run or study.name) + kind
    store = Store(flags.save_dir or f"{flags.storage_path.rstrip('/')}/{name}")
    problems = [
        noisy_problem(picture, noise, size=flags.size, folder=Path(PICTURES))
        for picture in flags.pictures
        for noise in range(flags.noises)
    ]
    # paired comparisons need equal budgets, so nothing ends a fit early
    config = SweepConfig(scheduler="none", metric=study.metric, **flags.resources.to_dict())
    live = LiveTable(console, metric=config.metric, mode=config.mode)
    result = run_sweep(problems, plan.space, store, base=plan.base, config=config, callbacks=[live])
    return _conclude(study, flags, result, lines)


def _conclude(study: Study, flags: StudyFlags, result: SweepResult, lines: Lines) -> int:
    sweep = load_sweep(result.store)
    write_tables(sweep)
    lines.say(f"{result.run} fits run, {result.kept} kept from before, {result.failed} failed")
    if result.interrupted:
        lines.say(f"{result.interrupted} are not finished; the same command goes on with them")
        return 0 if flags.resources.time_budget_s else INTERRUPTED
    table = sweep.trials
    table = table.loc[[trial for trial in result.trials if trial in table.index]]
    failed = table[table["outcome"] == "FAILED"]
    for trial, reason in failed["reason"].head(_REASONS).items():
        lines.say(f"failed: {trial}: {reason}")
    there = [str(trial) for trial in table.index.drop(failed.index)]
    if not there:
        return FAILED
    found = Findings(sweep, tuple(there), flags, lines)
    study.answer(found)
    if flags.smoke_test:
        lines.say("a smoke test: these numbers mean nothing")
    lines.say(f"tables, figures   {found.folder}")
    lines.say(f"page              dipray report {result.store}")
    return 0


def main(study: Study, arguments: Sequence[str] | None = None) -> int:
    """Run a study as its command line says; the exit code."""
    return exit_code(study.name, lambda: run_study(study, study.flags(arguments)))
