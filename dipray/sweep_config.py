"""SweepConfig: how a sweep searches, stops and spreads its trials."""

from typing import Literal, Self

from pydantic import Field, model_validator

from dipray.config import StrictModel
from dipray.errors import ConfigError

Metric = Literal["auto", "psnr_peak", "psnr_ema_peak", "loss"]


class Resources(StrictModel):
    """What each fit of a sweep may use, and where it runs."""

    report_every: int = Field(25, ge=1, description="iterations between two reports to Tune")
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
        "asynchronous one, ASHA in three brackets; auto is asha, or none without the truth",
    )
    metric: Metric = Field(
        "auto",
        description="what scheduler, Optuna and leaderboard compare: a running best, or the loss; "
        "auto is psnr_peak, or loss where nothing compares without the truth",
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

    def settled(self, *, has_truth: bool) -> Self:
        """A copy with a scheduler and a metric in place of auto.

        Without the truth there is no PSNR to compare, and to compare losses would favour the fit
        that follows the noise fastest: every fit then runs to its end, unless more is asked.
        """
        scheduler, metric = self.scheduler, self.metric
        asked = any(self._is_set(name) for name in ("grace_period", "reduction_factor"))
        if scheduler == "auto":
            scheduler = "asha" if has_truth or metric == "loss" or asked else "none"
        if metric == "auto":
            compares = scheduler != "none" or self.search == "optuna"
            metric = "psnr_peak" if has_truth or compares else "loss"
        return self.replace(scheduler=scheduler, metric=metric)

    @property
    def mode(self) -> Literal["max", "min"]:
        """Whether a greater metric is better."""
        return "min" if self.metric == "loss" else "max"

    @property
    def needs_reference(self) -> bool:
        """Whether anything in the sweep compares trials by a metric that needs the truth."""
        compares = self.scheduler != "none" or self.search == "optuna"
        return compares and self.metric != "loss"
