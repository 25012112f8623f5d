"""Tasks: each makes a Problem from files."""

from collections.abc import Callable

from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks.denoise import denoise
from dipray.tasks.inpaint import inpaint
from dipray.tasks.superres import superres

TASKS: dict[str, Callable[[TaskConfig, str], Problem]] = {
    "denoise": denoise,
    "superres": superres,
    "inpaint": inpaint,
}


def build_problem(task: TaskConfig, *, name: str | None = None) -> Problem:
    """The problem that `task` describes, named after its file unless `name` is given.

    Raises ImageError or ProblemError.
    """
    return TASKS[task.task](task, name or task.source.stem)


__all__ = ["TASKS", "TaskConfig", "build_problem", "denoise", "inpaint", "superres"]
