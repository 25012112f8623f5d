"""The folder of a problem: what was measured, the truth, and what known methods make of it."""

from dipray.baselines import baselines
from dipray.folder import BASELINES, PROBLEM, safe_name
from dipray.images import encode_png
from dipray.problem import Problem
from dipray.store import Store


def write_problem(folder: Store, problem: Problem, *, with_baselines: bool = True) -> None:
    """Write measurement, reference, known methods, and last of all problem.json."""
    folder.write("measurement.png", encode_png(problem.y, bits=problem.bits))
    if problem.reference is not None:
        folder.write("reference.png", encode_png(problem.reference, bits=problem.bits))
    rows = []
    for baseline in baselines(problem) if with_baselines else ():
        file = f"{safe_name(baseline.method)}.png"
        folder.write(file, encode_png(baseline.picture, bits=problem.bits))
        rows.append(
            {
                "method": baseline.method,
                "psnr": baseline.psnr,
                "seconds": baseline.seconds,
                "picture": file,
            }
        )
    folder.write_json(BASELINES, rows)
    folder.write_json(PROBLEM, problem.describe())
