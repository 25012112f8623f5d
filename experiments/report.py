"""`dipray report`: one HTML file about a folder of results, or several."""

from pathlib import Path

from analysis import load_sweep, write_report
from analysis.report.page import REPORT
from dipray.errors import ConfigError
from dipray.store import Store
from experiments.commands import ReportCommand


def run_report(command: ReportCommand) -> int:
    """Write the report into the run's folder, or to a local file, and say where it is."""
    if command.more and command.output is None:
        raise ConfigError(
            "output: several folders are given; say which file the page goes to", field="output"
        )
    place = None if command.output is None else _checked(command.output)
    sweep = load_sweep(command.run, *command.more)
    store, name = (sweep.store, REPORT) if place is None else (Store(place.parent), place.name)
    size = write_report(sweep, file=name, metric=command.metric, store=store)
    print(f"{store}/{name}  {size / 1e6:.1f} MB")
    return 0


def _checked(output: str) -> Path:
    """The file to write, in a folder that exists; raises ConfigError."""
    place = Path(output).expanduser().resolve()
    if place.is_dir():
        raise ConfigError(f"output={output}: is a folder; write a file's name", field="output")
    if not place.parent.is_dir():
        raise ConfigError(
            f"output={output}: there is no folder {place.parent}; make it, or write another",
            field="output",
        )
    return place
