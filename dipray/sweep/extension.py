"""More iterations: fits whose state was kept, for those with a larger budget and else alike."""

from collections.abc import Mapping

from dipray.config import FitConfig
from dipray.errors import DiprayError
from dipray.folder import CHECKPOINTS, CONFIG, is_finished, problem_said
from dipray.store import Store

Shorter = Mapping[str, list[tuple[int, str]]]  # what is alike -> budgets and trials


def alike(problem: str, config: FitConfig) -> str:
    """The same for fits of a problem that differ in their budgets alone."""
    return f"{problem}/{config.replace(iterations=1).digest()}"


def kept_states(trials: Store) -> dict[str, list[tuple[int, str]]]:
    """Of the finished trials those that left their state."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in trials.names():
        folder = trials.child(name)
        if not (folder.exists(CHECKPOINTS) and is_finished(folder)):
            continue
        try:
            config = FitConfig.from_dict(folder.read_json(CONFIG))
        except (DiprayError, TypeError):
            continue  # said where it is read for tables
        key = alike(problem_said(folder, "name"), config)
        found.setdefault(key, []).append((config.iterations, name))
    return found


def longest_below(states: Shorter, problem: str, config: FitConfig) -> str | None:
    """The trial that has come furthest on the way of this fit; None if there is none."""
    below = [each for each in states.get(alike(problem, config), ()) if each[0] < config.iterations]
    return max(below)[1] if below else None
