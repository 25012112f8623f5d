"""Faults in running sweeps: what do they cost the results?

Command: make faults, or python -m experiments.faults
Cost: under 15 minutes on two CPU cores. Linux alone; two kinds need the right to mount.
Expected: no trial lost, no row of a trace lost or doubled, no number or picture changed to the
last bit, against the same sweep without faults. Anything else is a bug.
"""

import argparse
import json
import random
import shutil
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from dipray.errors import FolderError
from experiments.exits import exit_code
from experiments.faults.endurance import Endurance, endurance
from experiments.faults.scenarios import SCENARIOS, Bench, Result
from experiments.faults.workload import Run, Workload
from experiments.machine import in_words, machine

COLUMNS = ("trials_lost", "rows_lost", "rows_doubled", "values_changed", "pictures_changed")


def main() -> int:
    """Run every scenario and print the table; 1 if anything was harmed."""
    asked = _arguments()
    folder = Path(asked.folder).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    work = Workload(folder, iterations=asked.iterations)
    work.prepare()
    started = time.perf_counter()
    reference = Run.start(work.command(folder / "whole"), folder / "whole", folder / "whole.log")
    if reference.await_end():
        print((folder / "whole.log").read_text(), file=sys.stderr)
        raise FolderError(f"{folder}/whole.log: the sweep without faults failed")
    took = time.perf_counter() - started
    trials = len(reference.store.names("trials"))
    print(f"without faults: {trials} trials of {work.iterations} iterations, {took:.0f} s")
    results, left_out = [], []
    for number, (kind, scenario) in enumerate(SCENARIOS.items()):
        if asked.kinds and kind not in asked.kinds:
            continue
        bench = Bench(work, reference.store, asked.times, random.Random(asked.seed + number))
        begun = time.perf_counter()
        try:
            result = scenario(bench)
        except FolderError as error:
            left_out.append(f"{kind}: left out, {error}")
            print(left_out[-1])
            continue
        result.seconds = time.perf_counter() - begun
        results.append(result)
        print(f"{kind}: {result.injected} faults, {result.damage}, {result.remarks}", flush=True)
    run = None
    if not asked.kinds or "endurance" in asked.kinds:
        run = endurance(folder / "endurance", trials=asked.trials)
        print(run.lines())
    text = table(results, run, left_out, trials=trials, iterations=work.iterations)
    print("\n" + text)
    (folder / "faults.md").write_text(text)
    record = {"faults": [asdict(each) for each in results], "left_out": left_out}
    record |= {"endurance": asdict(run) if run else None, "machine": machine()}
    (folder / "faults.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {folder}/faults.md and faults.json")
    return int(not all(each.damage.is_none for each in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.faults", description=__doc__)
    parser.add_argument("--folder", default="runs/faults", help="where all of it goes; emptied")
    parser.add_argument("--times", type=int, default=3, help="faults of each kind")
    parser.add_argument("--iterations", type=int, default=400, help="of each fit")
    parser.add_argument("--trials", type=int, default=200, help="of the endurance run")
    parser.add_argument("--seed", type=int, default=0, help="of when and where faults strike")
    kinds = [*SCENARIOS, "endurance"]
    parser.add_argument("--kinds", nargs="*", choices=kinds, help="these alone")
    return parser.parse_args()


def table(
    results: list[Result],
    run: Endurance | None,
    left_out: list[str],
    *,
    trials: int,
    iterations: int,
) -> str:
    """What came out, in Markdown."""
    lines = [
        f"{trials} trials of {iterations} iterations, {in_words()}, {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| fault | injected | trials lost | rows lost | rows doubled | values changed | "
        "pictures changed | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in results:
        numbers = [getattr(each.damage, name) for name in COLUMNS]
        cells = [each.kind, each.injected, *numbers, f"{each.seconds:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", *left_out]
    if run is not None:
        lines += ["", *run.lines().splitlines()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(exit_code("faults", main))
