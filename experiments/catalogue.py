"""`dipray list`: everything that a setting may name, from the tables that define it."""

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dipray.models import NETWORKS
from dipray.operators import KERNELS
from dipray.optim import LR_SCHEDULES, OPTIMIZERS
from dipray.tasks import TASKS
from dipray.trace import COLUMNS
from experiments.commands import ListCommand

Row = tuple[str, str]


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def _networks() -> Iterable[Row]:
    return ((name, _first_line(network)) for name, network in NETWORKS.items())


def _optimizers() -> Iterable[Row]:
    yield from ((name, _first_line(make)) for name, make in OPTIMIZERS.items())
    yield "lr_schedule", ", ".join(LR_SCHEDULES)


def _spaces() -> Iterable[Row]:
    try:
        from search_spaces import SPACES
    except ImportError:
        yield "", "sweeps need ray and optuna, which are not installed"
        return
    for name, space in SPACES.items():
        yield name, space.question


def _tasks() -> Iterable[Row]:
    for name, task in TASKS.items():
        yield name, _first_line(task).split("; raises")[0].rstrip(".")
    yield "kernel", ", ".join(KERNELS)


def _columns() -> Iterable[Row]:
    return ((column.name, f"{column.meaning} [{column.unit}]") for column in COLUMNS)


LISTS: dict[str, Callable[[], Iterable[Row]]] = {
    "networks": _networks,
    "optimizers": _optimizers,
    "spaces": _spaces,
    "tasks": _tasks,
    "columns": _columns,
}


def run_list(command: ListCommand) -> int:
    """Print one list, or all."""
    console = Console()
    for title, rows in LISTS.items():
        if command.what in ("all", title):
            table = Table(title, "", box=None, pad_edge=False, title_justify="left")
            for name, meaning in rows():
                table.add_row(Text(name), Text(meaning))
            console.print(table)
            console.print()
    return 0
