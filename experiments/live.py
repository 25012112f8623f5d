"""A compact live view of a sweep: what runs, how far it is, and the best so far."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dipray.sweep.dropped import is_dropped

ROWS = 12  # running trials shown at most


@dataclass
class Standing:
    """How far a running trial is."""

    what: str
    iteration: int = 0
    values: Mapping[str, float] = field(default_factory=dict)


def describe_point(config: Mapping[str, Any]) -> str:
    """The varied settings of a trial, short."""
    fixed = ("problem", "trial", "holdout")  # the last is the same for all of a picture
    return " ".join(f"{name}={value}" for name, value in config.items() if name not in fixed)


class LiveTable(tune.Callback):
    """Draws on a terminal; elsewhere prints a line for each trial that ends.

    metric: the column that the sweep compares; greater is better unless mode is "min".
    """

    def __init__(self, console: Console, *, metric: str, mode: str) -> None:
        self.console = console
        self.metric = metric
        self.mode = mode
        self.total = 0
        self.ended = 0
        self.failed = 0
        self.best: tuple[float, str] | None = None
        self.running: dict[str, Standing] = {}
        self.started = time.monotonic()
        self._live: Live | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks beside the experiment; a terminal does not pickle."""
        return {"metric": self.metric, "mode": self.mode}

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: Any,
    ) -> None:
        """Called when the search begins."""
        self.total = self.ended + (total_num_samples or 0)  # some may be run again after others
        if self.console.is_terminal:
            self._live = Live(console=self.console, transient=True, get_renderable=self.render)
            self._live.start()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial begins."""
        what = f"{trial.config['problem']}  {describe_point(trial.config)}"
        self.running[trial.trial_id] = Standing(what)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """A trial reports."""
        standing = self.running.get(trial.trial_id)
        if standing is None:
            return
        standing.iteration = int(result["iteration"])
        standing.values = result
        value = result.get(self.metric)
        if value is None:
            return
        sign = -1 if self.mode == "min" else 1
        if self.best is None or sign * value > sign * self.best[0]:
            self.best = (value, standing.what)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial ends, by itself or by a scheduler."""
        self._end(trial, "")

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial fails."""
        if is_dropped(trial):
            self.on_trial_recover(iteration, trials, trial)
            return
        self.failed += 1
        self._end(trial, "  failed")

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """A trial failed, or its worker did, and is tried again."""
        standing = self.running.pop(trial.trial_id, None)
        if standing is not None and self._live is None:
            self.console.print(
                f"{standing.what}  broke off after iteration {standing.iteration}, tried again",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    def _end(self, trial: Trial, how: str) -> None:
        self.ended += 1
        standing = self.running.pop(trial.trial_id, None)
        if standing is not None and self._live is None:
            value = standing.values.get(self.metric)
            quality = "" if value is None else f"  {self.metric} {self._text(value)}"
            self.console.print(
                f"[{self.ended}/{self.total}] {standing.what}  "
                f"iteration {standing.iteration}{quality}{how}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    def _text(self, value: float) -> str:
        return f"{value:.4g}" if self.metric == "loss" else f"{value:.2f}"

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """The search is over."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def render(self) -> Group:
        """What the terminal shows now."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        failed = f", {self.failed} failed" if self.failed else ""
        head = f"{self.ended} of {self.total} trials ended{failed}, {minutes}:{seconds:02d}"
        if self.best is not None:
            head += f", best {self.metric} {self._text(self.best[0])}: {self.best[1]}"
        table = Table(box=None, pad_edge=False)
        table.add_column("running", overflow="ellipsis", no_wrap=True)
        for name in ("iteration", self.metric, "loss"):
            table.add_column(name, justify="right")
        for standing in list(self.running.values())[:ROWS]:
            quality = standing.values.get(self.metric)
            loss = standing.values.get("loss")
            table.add_row(
                Text(standing.what),
                str(standing.iteration),
                "" if quality is None else self._text(quality),
                "" if loss is None else f"{loss:.3g}",
            )
        return Group(Text(head), table)
