"""How long one waits for --help and for `import analysis`, beside importing torch and Ray first.

Command: python -m experiments.bench --only imports
Cost: a minute.
Expected: --help of every command within half a second, since nothing heavy is loaded for it.
"""

import subprocess
import sys
from functools import partial
from typing import get_args

from experiments.bench.finding import Finding, Goal
from experiments.bench.timing import Times, ratio, take_turns
from experiments.cli import Command

# of the command line, which names each beside its type
COMMANDS: tuple[str, ...] = tuple(get_args(each)[1].name for each in get_args(Command))
_GOAL = Goal("at most", 0.5, "value")
_EAGER = "import torch; from ray import tune"
_READER = "from ray.tune import ExperimentAnalysis"


def measure(*, device: str, quick: bool) -> list[Finding]:  # noqa: ARG001 # nothing is computed
    """Each in a fresh interpreter, in turns; the first round is not counted."""
    turns = 1 if quick else 7
    commands = COMMANDS[:1] if quick else COMMANDS
    candidates: dict[str, list[str]] = {
        "help": ["-m", "experiments.cli", "--help"],
        **{name: ["-m", "experiments.cli", name, "--help"] for name in commands},
        "analysis": ["-c", "import analysis"],
        _EAGER: ["-c", _EAGER],
        _READER: ["-c", _READER],
    }
    seconds = take_turns(
        {name: partial(_run, given) for name, given in candidates.items()},
        turns=turns,
        warm_up=0 if quick else 1,
    )
    slowest = max(commands, key=lambda name: Times.of(seconds[name]).median)

    def beside(what: str, name: str, other: str, goal: Goal | None, remark: str = "") -> Finding:
        ours, theirs = seconds[name], seconds[other]
        return Finding(
            what,
            Times.of(ours),
            "s",
            other,
            Times.of(theirs),
            ratio(theirs, ours),
            goal=goal,
            remark=remark,
        )

    return [
        beside("dipray --help", "help", _EAGER, _GOAL),
        beside(
            f"dipray {slowest} --help", slowest, _EAGER, _GOAL, "the slowest of all the commands"
        ),
        beside("import analysis", "analysis", _READER, None, "without torch and Ray"),
    ]


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
