"""Searchers: which configuration Tune runs next, each picture for itself."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.folder import trial_id
from dipray.held_out import count_held_out, known_pixels
from dipray.problem import Problem
from dipray.sweep.draws import Draws
from dipray.sweep.points import Point
from dipray.sweep.space import DefineByRun

_DRAWS = 50  # attempts at a configuration that is valid and new


@dataclass(frozen=True)
class Picture:
    """What a search must know of a problem."""

    name: str
    fingerprint: str
    height: int
    width: int
    has_reference: bool
    known: int  # measured pixels
    same_holdout: bool  # whether its fits are compared by what they hold out
    source: str = field(default="", compare=False)  # its file, for messages

    @classmethod
    def of(cls, problem: Problem, *, same_holdout: bool = False) -> "Picture":
        """Taken from a problem."""
        _, height, width = problem.picture_shape
        return cls(
            problem.name,
            problem.fingerprint(),
            height,
            width,
            problem.reference is not None,
            known_pixels(problem),
            same_holdout,
            problem.source,
        )

    def owns(self, trial: str) -> bool:
        """Whether a trial of that name is of this picture."""
        return trial.rpartition("-")[0] == self.name

    def settled(self, config: FitConfig) -> FitConfig:
        """The configuration with a number for what is held out of this picture."""
        return config.settled(
            has_reference=self.has_reference, known=self.known, judged=self.same_holdout
        )

    def plan(self, base: FitConfig, point: Point) -> "Planned":
        """The trial of a point on this picture; raises ConfigError if it cannot be fitted."""
        config = base.replace(**point)  # which refuses what is no field
        config.check_size(self.height, self.width, picture=self.source)
        varied = next((name for name in ("holdout", "holdout_seed") if name in point), None)
        if varied is not None and self.same_holdout:
            raise ConfigError(
                f"{varied}: fits are compared by what they hold out, so it must be the same for "
                f"all; write it outside of the space, or another --metric",
                field=varied,
            )
        config = self.settled(config)
        count_held_out(config, self.known, self.name)
        if base.holdout is None:
            point = {**point, "holdout": config.holdout}  # a worker does not know who judges
        if config.stop == "psnr" and not self.has_reference:
            raise ConfigError(f"stop='psnr': needs the truth of {self.name}", field="stop")
        return Planned(trial_id(self.name, self.fingerprint, config), self.name, point)


@dataclass(frozen=True)
class Planned:
    """A trial that is to be run: the folder's name, the picture's, and the varied fields."""

    trial: str
    problem: str
    point: Point

    def tune_config(self) -> dict[str, Any]:
        """What Tune is given, shows in its tables and hands to the trainable."""
        return {**self.point, "problem": self.problem, "trial": self.trial}


class ListSearch(Searcher):
    """Runs a list of trials in its order, but for those that are known.

    drawn: all their ids. waiting: those still to be run. given: those that Tune was given.
    """

    def __init__(self, planned: Iterable[Planned], known: Collection[str] = ()) -> None:
        super().__init__()
        planned = list(planned)
        self.drawn = [each.trial for each in planned]
        self.waiting = [each for each in planned if each.trial not in known]
        self.given: dict[str, Planned] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
        """The next trial's configuration."""
        if not self.waiting:
            return Searcher.FINISHED
        planned = self.waiting.pop(0)
        self.given[planned.trial] = planned
        return planned.tune_config()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing to learn."""


class OptunaPerPicture(Searcher):
    """One Optuna study for each picture, asked in turn.

    num_samples: trials that each picture shall have of this search in the end.
    known: for each picture, trial id -> metric of the trials that are finished already; a study
    that draws one of them is told its metric instead of running it.
    draws: what earlier calls of this search have drawn, and the place for what this one draws. Of
    these the study is told before it draws anything, and the unfinished ones are drawn first.
    given: those that Tune was given.
    Raises ConfigError where a space holds no valid point, and FolderError.
    """

    def __init__(
        self,
        define: DefineByRun,
        pictures: Iterable[Picture],
        base: FitConfig,
        *,
        metric: str,
        mode: str,
        num_samples: int,
        seed: int,
        known: Mapping[str, Mapping[str, float]],
        draws: Draws,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._define = define
        self._base = base
        self._known = {trial: value for each in known.values() for trial, value in each.items()}
        self._draws = draws
        self.given: dict[str, Planned] = {}
        earlier = draws.read()
        self.drawn = {trial for trial in earlier if trial in self._known}
        self._left: dict[Picture, int] = {}
        self._studies: dict[Picture, optuna.Study] = {}
        for index, picture in enumerate(pictures):
            own = {trial: draw for trial, draw in earlier.items() if picture.owns(trial)}
            finished = self.drawn.intersection(own)
            self._left[picture] = max(0, num_samples - len(finished))
            # other numbers than an earlier call drew, or it would draw the same once more
            sampler = optuna.samplers.TPESampler(seed=(seed + index + 1_000_003 * len(own)) % 2**32)
            study = optuna.create_study(
                direction="minimize" if mode == "min" else "maximize", sampler=sampler
            )
            for trial, draw in own.items():
                if trial in finished:
                    study.add_trial(draw.told(_finite(self._known[trial])))
                else:
                    study.enqueue_trial(dict(draw.params))
            self._studies[picture] = study
        # Tune's id of a trial -> its study and the study's trial
        self._asked: dict[str, tuple[optuna.Study, optuna.Trial]] = {}
        self._turn = 0

    def __len__(self) -> int:
        return sum(self._left.values())

    def suggest(self, trial_id: str) -> Any:
        """The next configuration for the picture whose turn it is."""
        pictures = list(self._left)
        for _ in pictures:
            picture = pictures[self._turn % len(pictures)]
            self._turn += 1
            planned = self._draw(picture, trial_id)
            if planned is not None:
                self._left[picture] -= 1
                self.drawn.add(planned.trial)
                self.given[planned.trial] = planned
                return planned.tune_config()
        return Searcher.FINISHED

    def _draw(self, picture: Picture, trial_id: str) -> Planned | None:
        """A valid, new trial; None, for good, where the space seems to be used up."""
        study, complaints = self._studies[picture], []
        for _ in range(_DRAWS):
            if not self._left[picture]:
                return None
            asked = study.ask()
            try:
                planned = picture.plan(self._base, self._define(asked))
            except ConfigError as error:
                complaints.append(error)
                study.tell(asked, state=TrialState.FAIL)
                continue
            if planned.trial not in self.given and planned.trial not in self._known:
                self._asked[trial_id] = (study, asked)
                self._draws.add(planned.trial, asked)
                return planned
            _tell(study, asked, self._known.get(planned.trial))
            if planned.trial in self._known and planned.trial not in self.drawn:
                self.drawn.add(planned.trial)  # somebody else's, but as good as run
                self._draws.add(planned.trial, asked)
                self._left[picture] -= 1
        if len(complaints) == _DRAWS:
            last = complaints[-1]
            said = f"{_DRAWS} draws gave no configuration that fits: {last}"
            raise type(last)(said, field=last.field)
        self._left[picture] = 0
        return None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the picture's study."""
        study, asked = self._asked.pop(trial_id)
        _tell(study, asked, None if error or not result else result.get(self.metric))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _tell(study: optuna.Study, asked: optuna.Trial, value: float | None) -> None:
    if _finite(value) is None:
        study.tell(asked, state=TrialState.FAIL)
    else:
        study.tell(asked, value)
