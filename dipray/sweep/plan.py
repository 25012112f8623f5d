"""Plan: what a sweep is asked, settled and checked, and which of its trials are to be run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dipray
from dipray.config import FitConfig
from dipray.errors import ConfigError, FolderError
from dipray.folder import SWEEP, TRIALS, safe_name
from dipray.problem import Problem
from dipray.store import Store
from dipray.sweep.folder import draws_of, finished
from dipray.sweep.grid import settings
from dipray.sweep.points import expand, refusal
from dipray.sweep.search import ListSearch, OptunaPerPicture, Picture, Planned
from dipray.sweep.space import Space, as_define_by_run, draw, plain_space
from dipray.sweep_config import SweepConfig

DEFAULT_SAMPLES = 16


@dataclass(frozen=True)
class Request:
    """What is asked: `base` and `config` are settled, `space` is as it was given."""

    problems: Sequence[Problem]
    pictures: Sequence[Picture]
    space: Space
    base: FitConfig
    config: SweepConfig
    store: Store

    @classmethod
    def of(
        cls,
        problems: Sequence[Problem],
        space: Space,
        location: Store | str,
        *,
        base: FitConfig | None,
        config: SweepConfig | None,
    ) -> "Request":
        """Settle and check it; raises ConfigError, and FolderError for a folder of another kind."""
        base, asked = base or FitConfig(), config or SweepConfig()
        problems = [problem.to("cpu") for problem in problems]
        has_truth = all(problem.reference is not None for problem in problems)
        settled = asked.settled(has_truth=has_truth, can_hold_out=base.holdout != 0)
        base = settled.for_fits(base, has_truth=has_truth, varied=_varied(space))
        store = location if isinstance(location, Store) else Store(location)
        pictures = _check(problems, settled)
        if not store.exists(SWEEP) and (there := store.names()):
            raise FolderError(
                f"{store} holds something that is no sweep ({there[0]}...); give the sweep a "
                "folder of its own"
            )
        return cls(problems, pictures, space, base, settled, store)

    @property
    def trials(self) -> Store:
        """The folder of the trials' folders."""
        return self.store.child(TRIALS)

    def describe(self) -> dict[str, Any]:
        """Plain data on what was asked."""
        return {
            "dipray": dipray.__version__,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "problems": [picture.name for picture in self.pictures],
            "space": plain_space(self.space),
            "base": self.base.to_dict(),
            "mode": self.config.mode,
            **self.config.to_dict(),
        }

    def plan(self) -> "Plan":
        """See what is finished; raises ConfigError for a configuration that cannot be fitted."""
        search, kept = _search(self.pictures, self.space, self.base, self.config, self.store)
        return Plan(self, search, kept)


@dataclass(frozen=True)
class Plan:
    """A request, what gives its trials that are not finished, and how many are."""

    request: Request
    search: ListSearch | OptunaPerPicture
    kept: int


def _check(problems: Sequence[Problem], config: SweepConfig) -> list[Picture]:
    if not problems:
        raise ConfigError("a sweep needs at least one picture")
    names = [problem.name for problem in problems]
    if len(set(names)) < len(names):
        raise ConfigError(f"pictures of one sweep need different names; given: {', '.join(names)}")
    for problem in problems:
        if problem.name != safe_name(problem.name):
            raise ConfigError(f"picture name {problem.name!r}: write {safe_name(problem.name)!r}")
        if problem.reference is None and config.needs_reference:
            raise ConfigError(
                f"metric={config.metric!r}: needs the truth of {problem.name}; give it (--gt), or "
                "write --metric val_psnr_ema_peak, the held-out error",
                field="metric",
            )
    same_holdout = config.judges_by_holdout
    return [Picture.of(problem, same_holdout=same_holdout) for problem in problems]


def _varied(space: Space) -> set[str]:
    """The fields that a grid sets; of a function nobody knows before it is called."""
    if callable(space):
        return set()
    return {field for name, value in space.items() for field, _, _ in settings(name, value, ())}


def _search(
    pictures: Sequence[Picture], space: Space, base: FitConfig, config: SweepConfig, store: Store
) -> tuple[ListSearch | OptunaPerPicture, int]:
    """The searcher for what is not finished yet, and how many trials are."""
    known = finished(store.child(TRIALS), config.metric)
    if config.search != "optuna":
        planned = _plan(pictures, space, base, config)
        search = ListSearch(planned, [trial for each in known.values() for trial in each])
        return search, len(planned) - len(search)
    drawing = OptunaPerPicture(
        as_define_by_run(space),
        pictures,
        base,
        metric=config.metric,
        mode=config.mode,
        num_samples=config.num_samples or DEFAULT_SAMPLES,
        seed=config.search_seed,
        known=known,
        draws=draws_of(store, space, base, config),
    )
    return drawing, len(drawing.drawn)


def _plan(
    pictures: Sequence[Picture], space: Space, base: FitConfig, config: SweepConfig
) -> list[Planned]:
    """Every trial of a grid or random search, each once; raises ConfigError for a bad one."""
    if config.search == "random":
        points = draw(space, config.num_samples or DEFAULT_SAMPLES, seed=config.search_seed)
    elif callable(space):
        raise ConfigError("search='grid': this space has no grid; search random or optuna")
    else:
        points = expand(space)
    planned: dict[str, Planned] = {}
    for point in points:
        for picture in pictures:
            try:
                each = picture.plan(base, point)
            except ConfigError as error:
                raise refusal(error, space, base, point) from None
            planned.setdefault(each.trial, each)
    return list(planned.values())
