"""SweepConfig: how a sweep searches, stops and spreads its trials."""

from collections.abc import Collection
from typing import Literal, Self

from pydantic import Field, model_validator

from dipray.config import FitConfig
from dipray.errors import ConfigError
from dipray.strict_model import StrictModel

Metric = Literal[
    "auto",
    "psnr_peak",
    "psnr_ema_peak",
    "val_psnr_peak",
    "val_psnr_ema_peak",
    "psnr",
    "psnr_ema",
    "val_psnr",
    "val_psnr_ema",
    "loss",
]


def table_number(metric: str) -> str:
    """The number of a trial in tables that a metric of a sweep is at the trial's end."""
    return metric if metric.endswith("_peak") else f"{metric}_final"


class Resources(StrictModel):
    """What each fit of a sweep may use, and where it runs."""

    report_every: int = Field(
        25, ge=1, description="iterations between two reports to Tune at least"
    )
    reports_per_s: float | None = Field(
        20.0,
        gt=0,
        description="reports a second at most of all fits together, and of each at most one; None "
        "is without limit. asha and hyperband are told at their rungs, and median stopping of "
        "everything, whatever this says",
    )
    cpus_per_trial: float = Field(1.0, gt=0, le=4096, description="also the threads of a fit")
    gpus_per_trial: float | None = Field(
        None,
        ge=0,
        le=64,
        description="a share such as 0.25 puts several fits on a GPU; None: one, if there are any",
    )
    max_concurrent: int | None = Field(
        None, ge=1, description="fits at a time; None: as many as the resources hold"
    )
    max_failures: int = Field(
        3,
        ge=-1,
        description="times that a trial is tried again, from its last checkpoint, after its worker "
        "or node died or it raised an error; -1 is without end",
    )
    checkpoint_every_s: float | None = Field(
        30.0,
        ge=0,
        description="seconds between two checkpoints of a fit; 0 is one every report_every "
        "iterations, None only when it is interrupted. They take a twentieth of the time at most, "
        "unless it is 0",
    )
    keep_states: bool = Field(
        False,
        description="keep the state of each fit that runs to its budget, so that a later call with "
        "more iterations goes on from it; as much disk as a checkpoint for each",
    )
    time_budget_s: float | None = Field(
        None, gt=0, description="seconds after which the sweep ends; a later call goes on"
    )
    address: str | None = Field(
        None,
        description="a running Ray cluster, auto or host:port; None: RAY_ADDRESS, or a local one",
    )

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        gpus = self.gpus_per_trial or 0
        if gpus > 1 and gpus != round(gpus):
            raise ConfigError(
                f"gpus_per_trial={gpus!r}: allowed is a share up to 1, or a whole number",
                field="gpus_per_trial",
            )
        return self


class SweepConfig(Resources):
    """How configurations are chosen, which fits are ended early, and what each may use."""

    search: Literal["grid", "random", "optuna"] = Field(
        "grid", description="every combination, a random draw, or Optuna's TPE, for each picture"
    )
    num_samples: int | None = Field(
        None,
        ge=1,
        description="samples a picture of random and optuna, earlier calls included; None: 16",
    )
    search_seed: int = Field(0, ge=0, lt=2**32, description="seed of random and optuna")
    scheduler: Literal["auto", "asha", "hyperband", "median", "none"] = Field(
        "auto",
        description="what ends bad fits early, each picture for itself; hyperband is the "
        "asynchronous one, ASHA in three brackets; auto is asha",
    )
    metric: Metric = Field(
        "auto",
        description="what scheduler, Optuna and leaderboard compare: a running best (peak) or the "
        "value of the moment, against the truth (psnr) or the held-out measurements (val), of the "
        "output or its average (ema); auto is psnr_peak, without the truth val_psnr_ema_peak",
    )
    stop_past_peak: bool | None = Field(
        None,
        description="end a fit whose metric has not improved for --patience iterations; None: "
        "where a scheduler compares running bests and --stop says nothing else",
    )
    grace_period: int = Field(100, ge=1, description="iterations before a fit can be ended early")
    reduction_factor: float = Field(
        3.0, gt=1, le=100, description="asha, hyperband: of so many fits at a rung one goes on"
    )

    @model_validator(mode="after")
    def _no_silent_field(self) -> Self:
        for field, used, by in (
            ("num_samples", self.search != "grid", "search random or optuna"),
            ("grace_period", self.scheduler != "none", "a scheduler"),
            (
                "reduction_factor",
                self.scheduler in ("auto", "asha", "hyperband"),
                "asha or hyperband",
            ),
        ):
            if not used and self._is_set(field):
                raise ConfigError(
                    f"{field}={getattr(self, field)!r}: has no effect here; it is used with {by}",
                    field=field,
                )
        return self

    def _is_set(self, field: str) -> bool:
        return bool(getattr(self, field) != type(self).model_fields[field].default)

    def settled(self, *, has_truth: bool, can_hold_out: bool = True) -> Self:
        """A copy with a scheduler and a metric in place of auto.

        With neither the truth nor anything held out there is nothing to compare but losses, which
        would favour the fit that follows the noise fastest: every fit then runs to its end, unless
        more is asked.
        """
        scheduler, metric = self.scheduler, self.metric
        if metric == "auto" and (has_truth or can_hold_out):
            metric = "psnr_peak" if has_truth else "val_psnr_ema_peak"
        if scheduler == "auto":
            asked = any(self._is_set(name) for name in ("grace_period", "reduction_factor"))
            scheduler = "none" if metric == "auto" and not asked else "asha"
        return self.replace(scheduler=scheduler, metric="loss" if metric == "auto" else metric)

    @property
    def mode(self) -> Literal["max", "min"]:
        """Whether a greater metric is better."""
        return "min" if self.metric == "loss" else "max"

    @property
    def compares(self) -> bool:
        """Whether anything in the sweep depends on how trials compare, but for its tables."""
        return self.scheduler != "none" or self.search == "optuna"

    @property
    def needs_reference(self) -> bool:
        """Whether anything in the sweep compares trials by a metric that needs the truth."""
        return self.compares and self.metric.startswith("psnr")

    @property
    def judges_by_holdout(self) -> bool:
        """Whether trials are ranked by their error on held-out measurements."""
        return self.metric.startswith("val")

    def for_fits(
        self, base: FitConfig, *, has_truth: bool, varied: Collection[str] = ()
    ) -> FitConfig:
        """`base` as this (settled) sweep needs it, for the fields that the space does not vary.

        holdout becomes 0 where the truth is known and the metric does not judge by it; else each
        picture settles it.
        stop becomes the rule that ends a fit past the peak of its metric, where that is wanted.
        Raises ConfigError where the metric has no peak, or nothing is held out that it is of.
        """
        if self.judges_by_holdout and base.holdout == 0:
            raise ConfigError(
                f"metric={self.metric!r}: is of held-out measurements, and holdout is 0; write "
                "holdout, e.g. 0.03",
                field="metric",
            )
        changes: dict[str, object] = {}
        past_peak = self.stop_past_peak
        if past_peak is None:
            past_peak = self.scheduler != "none" and self.metric.endswith("_peak")
        if past_peak and base.stop == "none" and "stop" not in varied:
            if not self.metric.startswith(("psnr", "val")):
                raise ConfigError(
                    f"stop_past_peak: the metric {self.metric} has no peak; write --stop loss",
                    field="stop_past_peak",
                )
            changes["stop"] = "val" if self.judges_by_holdout else "psnr"
        if base.holdout is None and "holdout" not in varied:
            stop = str(changes.get("stop", base.stop))
            judged = self.judges_by_holdout or not has_truth or stop == "val" or "stop" in varied
            changes |= {} if judged else {"holdout": 0.0}
        return base.replace(**changes) if changes else base
