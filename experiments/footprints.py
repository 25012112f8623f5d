"""How near is the estimate of a fit's memory to what a fit takes?

Command: python -m experiments.footprints
Cost: two minutes on two CPU cores; Linux alone.
Expected: measured memory within 30 % of the estimate for every network. One that is far off would
give wrong advice where memory runs out.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CASES: list[tuple[int, dict[str, Any]]] = [
    # pixels a side, settings
    (128, {"depth": 4, "features": 32}),
    (256, {"depth": 4, "features": 32}),
    (256, {}),
    (256, {"net": "unet", "features": 32}),
    (256, {"net": "convnext", "features": 32}),
    (256, {"net": "encdec", "features": 64, "optimizer": "lbfgs"}),
    (384, {"features": 64, "norm": "none"}),
    (512, {"depth": 4, "features": 32, "variance_window": 0}),
]


def main() -> int:
    """Measure each case in a process of its own, whose greatest memory is its own."""
    for side, settings in CASES:
        case = json.dumps([side, settings])
        done = subprocess.run(
            [sys.executable, "-m", "experiments.footprints", case],
            capture_output=True,
            text=True,
            check=True,
        )
        measured, estimated = map(int, done.stdout.split())
        said = ", ".join(f"{name} {value}" for name, value in settings.items()) or "the defaults"
        print(
            f"{side}x{side}, {said}: {measured / 2**20:.0f} MiB measured, "
            f"{estimated / 2**20:.0f} estimated, ratio {measured / estimated:.2f}",
            flush=True,
        )
    return 0


def measure(side: int, settings: dict[str, Any]) -> tuple[int, int]:
    """Bytes that a few iterations add to the process, and what was estimated."""
    import torch

    from dipray.config import FitConfig
    from dipray.footprint import footprint
    from dipray.loop import Fit
    from dipray.problem import Problem

    torch.set_num_threads(1)
    config = FitConfig(iterations=12, snapshots=0, device="cpu", **settings)

    def run(size: int, config: FitConfig) -> None:
        truth = torch.rand(1, 3, size, size)
        blocks = Fit(Problem(truth, reference=truth), config).blocks(4)
        next(blocks)

    run(32, config.replace(depth=2, features=4))  # what a first fit loads
    before = _greatest()
    run(side, config)
    return _greatest() - before, footprint(config, (3, side, side))


def _greatest() -> int:
    """The greatest resident memory of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(*measure(*json.loads(sys.argv[1])))
    else:
        sys.exit(main())
