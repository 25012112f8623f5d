"""Finding: one line of the benchmark's table."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from experiments.bench.timing import Times


@dataclass(frozen=True)
class Goal:
    """A bound, at least or at most, for a finding's ratio or for its own value."""

    sense: Literal["at least", "at most"]
    bound: float
    of: Literal["ratio", "value"] = "ratio"

    def __str__(self) -> str:
        return f"{self.sense} {self.bound:g}" + ("x" if self.of == "ratio" else "")


@dataclass(frozen=True)
class Finding:
    """Something measured, and what it was measured beside in the same run.

    what: the thing, with its size; ours: its value, in `unit`; theirs: of the baseline, which
    `beside` names. ratio: how many times better ours is, whatever that means for the unit.
    A value is Times where it was measured more than once. ours is None where it could not be
    measured here, and remark says why.
    """

    what: str
    ours: Times | float | None
    unit: str = "s"
    beside: str = ""
    theirs: Times | float | None = None
    ratio: float | None = None
    goal: Goal | None = None
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal or a figure."""
        if self.goal is None:
            return None
        value = self.ratio if self.goal.of == "ratio" else _middle(self.ours)
        if value is None:
            return None
        return (
            value >= self.goal.bound
            if self.goal.sense == "at least"
            else (value <= self.goal.bound)
        )

    def cells(self) -> list[str]:
        """The line of the table."""
        met = self.met
        verdict = "" if self.goal is None else f"{self.goal}"
        if met is not None:
            verdict += ", met" if met else ", missed"
        return [
            self.what,
            "not measured" if self.ours is None else _text(self.ours, self.unit),
            self.beside,
            "" if self.theirs is None else _text(self.theirs, self.unit),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            verdict,
            self.remark,
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return asdict(self) | {"met": self.met}


HEADER = ("what", "here", "beside", "there", "ratio", "goal", "remark")


def table(findings: list[Finding]) -> str:
    """In Markdown."""
    lines = [f"| {' | '.join(HEADER)} |", "|" + "---|" * len(HEADER)]
    lines += [f"| {' | '.join(finding.cells())} |" for finding in findings]
    return "\n".join(lines)


def _middle(value: Times | float | None) -> float | None:
    return value.median if isinstance(value, Times) else value


def _text(value: Times | float, unit: str) -> str:
    if not isinstance(value, Times):
        return f"{value:.3g} {unit}"
    return f"{value.median:.3g} {unit} ({value.low:.3g} to {value.high:.3g})"
