"""Deep Image Prior: fit an untrained network to a damaged picture, and study what that does.

`fit(problem, config)` is one fit; `sweep` runs many on Ray Tune. Nothing heavy is imported before
it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dipray.config import FitConfig as FitConfig
    from dipray.images import read_picture as read_picture
    from dipray.loop import Fit as Fit
    from dipray.loop import FitResult as FitResult
    from dipray.loop import Outcome as Outcome
    from dipray.loop import fit as fit
    from dipray.problem import Problem as Problem
    from dipray.task_config import TaskConfig as TaskConfig
    from dipray.tasks import build_problem as build_problem
    from dipray.tiled_fit import TiledResult as TiledResult
    from dipray.tiled_fit import fit_tiles as fit_tiles

__version__ = "0.1.0"

_HOME = {
    "FitConfig": "dipray.config",
    "Fit": "dipray.loop",
    "FitResult": "dipray.loop",
    "Outcome": "dipray.loop",
    "fit": "dipray.loop",
    "Problem": "dipray.problem",
    "TaskConfig": "dipray.task_config",
    "build_problem": "dipray.tasks",
    "read_picture": "dipray.images",
    "TiledResult": "dipray.tiled_fit",
    "fit_tiles": "dipray.tiled_fit",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'dipray' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
