"""Watch: follows a fit with a rule, and writes down what it picks."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dipray.stopping import Measured, Rule, load_memory, memory
from dipray.trace import Rows


@dataclass(frozen=True)
class Pick:
    """What a rule would hand out, scored where the truth is known.

    iteration: the one picked, 0 if none; fired: the iteration at which the rule decided for it,
    None if it never did; psnr, psnr_ema: dB of the output and its average there, None without the
    truth.
    """

    iteration: int = 0
    fired: int | None = None
    psnr: float | None = None
    psnr_ema: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain data, ready for JSON."""
        return asdict(self)


class Watch:
    """A rule and its pick so far. The scores are looked up here, out of the rule's sight."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pick = Pick()

    def update(self, rows: Rows, *, due: bool) -> bool:
        """Take in the next rows; True if the rule fires now. due: whether it may."""
        if self.pick.fired is not None or not len(rows["iteration"]):
            return False
        fires = self.rule.fires(Measured(rows)) and due
        iteration, last = self.rule.picked, int(rows["iteration"][-1])
        at = iteration - int(rows["iteration"][0])
        scores = {"psnr": self.pick.psnr, "psnr_ema": self.pick.psnr_ema}
        if at >= 0:
            values = {name: float(rows[name][at]) for name in scores}
            scores = {name: v if np.isfinite(v) else None for name, v in values.items()}
        self.pick = Pick(iteration, last if fires else None, **scores)
        return fires

    def state(self) -> dict[str, Any]:
        """The pick, and what the rule remembers."""
        return {"pick": self.pick.to_dict(), "rule": memory(self.rule)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.pick = Pick(**state["pick"])
        load_memory(self.rule, state["rule"])
