"""SweepConfig: how a sweep searches, stops and spreads its trials."""

from typing import Literal, Self

from pydantic import Field, model_validator

from dipray.config import StrictModel
from dipray.errors import ConfigError

Metric = Literal["psnr_peak", "psnr_ema_peak", "loss"]


class SweepConfig(StrictModel):
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
    scheduler: Literal["asha", "hyperband", "median", "none"] = Field(
        "asha",
        description="what ends bad fits early, each picture for itself; hyperband is the "
        "asynchronous one, ASHA in three brackets",
    )
    metric: Metric = Field(
        "psnr_peak",
        description="what scheduler, Optuna and leaderboard compare: a running best, or the loss",
    )
    grace_period: int = Field(100, ge=1, description="iterations before a fit can be ended early")
    reduction_factor: float = Field(
        3.0, gt=1, le=100, description="asha, hyperband: of so many fits at a rung one goes on"
    )
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
    def _no_silent_field(self) -> Self:
        for field, used, by in (
            ("num_samples", self.search != "grid", "search random or optuna"),
            ("grace_period", self.scheduler != "none", "a scheduler"),
            ("reduction_factor", self.scheduler in ("asha", "hyperband"), "asha or hyperband"),
        ):
            value = getattr(self, field)
            if not used and value != type(self).model_fields[field].default:
                raise ConfigError(
                    f"{field}={value!r}: has no effect here; it is used with {by}", field=field
                )
        gpus = self.gpus_per_trial or 0
        if gpus > 1 and gpus != round(gpus):
            raise ConfigError(
                f"gpus_per_trial={gpus!r}: allowed is a share up to 1, or a whole number",
                field="gpus_per_trial",
            )
        return self

    @property
    def mode(self) -> Literal["max", "min"]:
        """Whether a greater metric is better."""
        return "min" if self.metric == "loss" else "max"

    @property
    def needs_reference(self) -> bool:
        """Whether anything in the sweep compares trials by a metric that needs the truth."""
        compares = self.scheduler != "none" or self.search == "optuna"
        return compares and self.metric != "loss"
