"""Reading a sweep of 1,000 trials, beside ray.tune.ExperimentAnalysis, and its report.

Command: python -m experiments.bench --only tables
Cost: 15 minutes the first time, most of it for making the two folders and for Tune's reading, then
5; 3 GB of disk in runs/bench, and about 2 GB of memory for Tune's reading.
Expected: the table of all trials within 1 s, one column of all traces within 3 s, never above
500 MB of memory, and the report open with all its figures within 5 s.
"""

import time
from pathlib import Path

from analysis import load_sweep, write_report
from dipray.store import Store
from experiments.bench.finding import Finding, Goal
from experiments.bench.made_folder import Size, make_folder
from experiments.bench.made_tune import make_experiment
from experiments.bench.opening import open_page, why_not
from experiments.bench.reading import COLUMN, Reading, read_in_process
from experiments.bench.timing import Times

FOLDER = Path("runs/bench")
_TUNE = "ray.tune.ExperimentAnalysis"


def measure(*, device: str, quick: bool) -> list[Finding]:  # noqa: ARG001 # files have no device
    """Make the folders if they are not there, read each in processes of its own, open the report.

    Files have been read before, so they come from memory as far as it reaches. Tune reads once.
    """
    size = Size(4, 60) if quick else Size()
    ours, theirs = _made(size)
    readings = [read_in_process("dipray", ours) for _ in range(1 if quick else 5)]
    beside = read_in_process("tune", theirs)
    expected = (size.trials, size.trials * size.iterations)
    for each in (*readings, beside):
        if (each.trials, each.rows) != expected:
            raise ValueError(f"read {each.trials} trials and {each.rows} rows, not all of {size}")
    return [*_reading_findings(size, readings, beside), *_report_findings(size, ours)]


def _made(size: Size) -> tuple[Path, Path]:
    """The sweep's folder and Tune's, made where they are not there or not whole."""
    stem = f"{size.trials}x{size.iterations}"
    ours, theirs = FOLDER / f"made-{stem}", FOLDER / f"tune-{stem}"
    if not (ours / "sweep.json").exists():
        make_folder(ours, size)
    if not list(theirs.glob("experiment_state-*.json")):
        make_experiment(theirs, size)
    return ours, theirs


def _reading_findings(size: Size, readings: list[Reading], beside: Reading) -> list[Finding]:
    def side_by_side(
        what: str, number: str, goal: Goal | None, *, unit: str = "s", remark: str = ""
    ) -> Finding:
        times = Times.of([getattr(each, number) for each in readings])
        there = getattr(beside, number)
        return Finding(
            what, times, unit, _TUNE, there, there / times.median, goal=goal, remark=remark
        )

    whole = "Tune's reads all there is before it answers anything"
    return [
        side_by_side(
            f"table of all trials, {size}", "trials_s", Goal("at most", 1, "value"), remark=whole
        ),
        side_by_side(
            f"{COLUMN} of all traces, {size}",
            "traces_s",
            Goal("at most", 3, "value"),
            remark="from the folder alone, the table included",
        ),
        side_by_side(
            "most memory of the process",
            "peak_mb",
            Goal("at most", 500, "value"),
            unit="MB",
            remark="imports included",
        ),
        side_by_side("imports before that", "import_s", None),
    ]


def _report_findings(size: Size, folder: Path) -> list[Finding]:
    started = time.perf_counter()
    store = Store(FOLDER)
    name = f"report-{size.trials}x{size.iterations}.html"
    weight = write_report(load_sweep(folder), file=name, store=store)
    written = time.perf_counter() - started
    what = f"report of {size.trials:,} trials"
    found = [Finding(f"{what}, written", written, remark=f"{weight / 1e6:.1f} MB")]
    goal = Goal("at most", 5, "value")
    reason = why_not()
    if reason:
        return [*found, Finding(f"{what}, opened", None, goal=goal, remark=reason)]
    turns = 3
    openings = [open_page(FOLDER / name) for _ in range(turns)]
    said = [complaint for opening in openings for complaint in opening.complaints]
    remark = f"headless Chromium, all {openings[0].figures} figures drawn"
    return [
        *found,
        Finding(f"{what}, loaded", Times.of([each.loaded_s for each in openings])),
        Finding(
            f"{what}, opened",
            Times.of([each.drawn_s for each in openings]),
            goal=goal,
            remark=f"{remark}; {said[0]}" if said else remark,
        ),
    ]
