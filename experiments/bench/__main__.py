"""What do a fit, a sweep and its tables cost, beside what one would write without dipray?

Command: make bench, or python -m experiments.bench [--only SECTION ...] [--device cuda]
Expected: the goals in the table met. Those that are missed are said to be, and stay in the table.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from experiments.bench.finding import Finding, table
from experiments.exits import exit_code
from experiments.machine import in_words, machine

# section -> its module, whose `measure(device, quick)` makes the findings
SECTIONS: dict[str, str] = {
    "fit": "experiments.bench.fit",
    "precision": "experiments.bench.precision",
    "probe": "experiments.bench.probe",
    "many": "experiments.bench.many",
    "tables": "experiments.bench.tables",
    "imports": "experiments.bench.imports",
    "overhead": "experiments.bench.overhead",
    "memory": "experiments.bench.memory",
    "asha": "experiments.bench.asha",
}


@dataclass(frozen=True)
class Measured:
    """A section's findings."""

    section: str
    findings: list[Finding]


def main() -> int:
    """Measure the sections, print the table, write it to a dated file."""
    asked = _arguments()
    measured = []
    for section in asked.only or SECTIONS:
        run: Callable[..., list[Finding]] = import_module(SECTIONS[section]).measure
        print(f"{section} ...", file=sys.stderr, flush=True)
        measured.append(Measured(section, run(device=asked.device, quick=asked.quick)))
    now = datetime.now(UTC)
    text = f"# Benchmark of {now:%Y-%m-%d}\n\n{in_words(asked.device)}.\n"
    for each in measured:
        text += f"\n## {each.section}\n\n{table(each.findings)}\n"
    print(text)
    folder = Path(asked.output)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"bench-{now:%Y-%m-%d-%H%M}"
    (folder / f"{stem}.md").write_text(text)
    record = {
        "date": now.isoformat(timespec="seconds"),
        "machine": machine(asked.device),
        "quick": asked.quick,
        "sections": {
            each.section: [finding.to_dict() for finding in each.findings] for each in measured
        },
    }
    (folder / f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"written to {folder}/{stem}.md and {stem}.json")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="these sections alone")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--output", default="runs/bench", help="folder of the dated files")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(exit_code("bench", main))
