"""How much memory does a fit take, by network and megapixel, and how near is the estimate?

Command: python -m experiments.footprints [CASE ...]
Cost: six minutes on two CPU cores; Linux alone. CASE is cases or networks; both without.
Expected: measured memory within 30 % of the estimate for every network. One that is far off would
give wrong advice where memory runs out.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CASES: list[tuple[int, dict[str, Any]]] = [
    # pixels a side, settings
    (128, {"depth": 4, "features": 32}),
    (256, {"depth": 4, "features": 32}),
    (256, {}),
    (256, {"net": "unet", "features": 32}),
    (256, {"net": "resunet", "features": 32}),
    (256, {"net": "convnext", "features": 32}),
    (256, {"net": "encdec", "features": 64, "optimizer": "lbfgs"}),
    (384, {"features": 64, "norm": "none"}),
    (512, {"depth": 4, "features": 32, "variance_window": 0}),
]
NETWORKS = ("skip", "encdec", "unet", "resunet", "convnext")
SMALL = {"depth": 4, "features": 32}
MIB, MEGA = 2**20, 10**6


@dataclass(frozen=True)
class Memory:
    """Bytes that a fit adds to the process at its peak, and what was estimated."""

    measured: int
    estimated: int

    @property
    def ratio(self) -> float:
        """Measured over estimated."""
        return self.measured / self.estimated


@dataclass(frozen=True)
class PerMegapixel:
    """MiB for each megapixel, and MiB whatever the size: the line through two square pictures."""

    measured: float
    estimated: float
    constant: float
    constant_estimated: float


def main(asked: list[str]) -> int:
    """Measure each case in a process of its own, whose greatest memory is its own."""
    if not asked or "cases" in asked:
        for side, settings in CASES:
            found = measured(side, settings)
            said = ", ".join(f"{name} {value}" for name, value in settings.items())
            print(
                f"{side}x{side}, {said or 'the defaults'}: {found.measured / MIB:.0f} MiB "
                f"measured, {found.estimated / MIB:.0f} estimated, ratio {found.ratio:.2f}",
                flush=True,
            )
    if not asked or "networks" in asked:
        print("\n| network | MiB a megapixel | estimated | and MiB | estimated |")
        print("|---|---|---|---|---|", flush=True)
        for net in NETWORKS:
            for settings, sides in ((SMALL, (256, 512)), ({}, (128, 256))):
                line = per_megapixel({"net": net, **settings}, sides)
                title = f"{net} {settings.get('features', 128)}x{settings.get('depth', 5)}"
                print(
                    f"| {title} | {line.measured:,.0f} | {line.estimated:,.0f} | "
                    f"{line.constant:,.0f} | {line.constant_estimated:,.0f} |",
                    flush=True,
                )
    return 0


def per_megapixel(
    settings: dict[str, Any], sides: tuple[int, int], *, device: str = "cpu"
) -> PerMegapixel:
    """Measure two square pictures, and draw the line through them."""
    small, large = (measured(side, settings, device=device) for side in sides)
    pixels = [side * side / MEGA for side in sides]

    def line(low: int, high: int) -> tuple[float, float]:
        slope = (high - low) / MIB / (pixels[1] - pixels[0])
        return slope, low / MIB - slope * pixels[0]

    slope, constant = line(small.measured, large.measured)
    slope_estimated, constant_estimated = line(small.estimated, large.estimated)
    return PerMegapixel(slope, slope_estimated, constant, constant_estimated)


def measured(
    side: int, settings: dict[str, Any], *, tile: int | None = None, device: str = "cpu"
) -> Memory:
    """A few iterations of a square picture with the truth known, in a process of their own."""
    case = json.dumps([side, {**settings, "device": device}, tile])
    done = subprocess.run(
        [sys.executable, "-m", "experiments.footprints", case],
        capture_output=True,
        text=True,
        check=True,
    )
    return Memory(*map(int, done.stdout.split()))


def _measure(side: int, settings: dict[str, Any], tile: int | None) -> tuple[int, int]:
    import torch

    from dipray.config import FitConfig
    from dipray.footprint import footprint
    from dipray.loop import fit
    from dipray.problem import Problem
    from dipray.tiled_fit import fit_tiles

    torch.set_num_threads(1)
    config = FitConfig(iterations=4, snapshots=0, **settings)
    on_gpu = config.device.startswith("cuda")

    def run(size: int, config: FitConfig, tile: int | None = None) -> None:
        truth = torch.rand(1, 3, size, size)
        problem = Problem(truth, reference=truth)
        if tile is None:
            fit(problem, config)
        else:
            fit_tiles(problem, config, tile=tile)

    def greatest() -> int:
        return torch.cuda.max_memory_allocated(config.device) if on_gpu else _greatest()

    run(32, config.replace(depth=2, features=4))  # what a first fit loads
    before = greatest() if not on_gpu else 0
    run(side, config, tile)
    length = min(side, tile or side)
    return greatest() - before, footprint(config, (3, length, length))


def _greatest() -> int:
    """The greatest resident memory of this process so far, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("["):
        print(*_measure(*json.loads(sys.argv[1])))
    else:
        sys.exit(main(sys.argv[1:]))
