"""`dipray report`: one HTML file about a folder of results."""

from pathlib import Path

from analysis import load_sweep
from analysis.report import report_html
from analysis.report.page import REPORT
from dipray.store import Store
from experiments.commands import ReportCommand


def run_report(command: ReportCommand) -> int:
    """Write the report into the run's folder, or to a local file, and say where it is."""
    sweep = load_sweep(command.run)
    html = report_html(sweep, metric=command.metric)
    if command.output is None:
        store, name = sweep.store, REPORT
    else:
        place = Path(command.output).expanduser().resolve()
        store, name = Store(place.parent), place.name
    data = html.encode()
    store.write(name, data)
    print(f"{store}/{name}  {len(data) / 1e6:.1f} MB")
    return 0
