"""Problems from the files that a command names."""

import itertools

from dipray.folder import safe_name
from dipray.problem import Problem
from dipray.task_config import TaskConfig
from dipray.tasks import build_problem


def name_apart(tasks: list[TaskConfig]) -> list[Problem]:
    """The problems, named after their files; files of the same name get a number behind it."""
    taken: set[str] = set()
    problems = []
    for task in tasks:
        stem = safe_name(task.source.stem)
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        problems.append(build_problem(task, name=name))
    return problems
