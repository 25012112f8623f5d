"""How much memory does a fit take for each megapixel, beside the estimate, and in tiles?

Command: python -m experiments.bench --only memory
Cost: four minutes on two CPU cores; Linux alone, or a GPU.
Expected: measured within 30 % of the estimate; a picture in tiles takes about what one tile does.
"""

from typing import Any

from experiments.bench.finding import Finding, Goal
from experiments.footprints import MIB, NETWORKS, SMALL, measured, per_megapixel

TINY: dict[str, Any] = {"depth": 2, "features": 8, "variance_window": 10}


def measure(*, device: str, quick: bool) -> list[Finding]:
    """A line for each network at its default width and at 32x4, and one for tiles."""
    if quick:
        cases: list[tuple[str, dict[str, Any], tuple[int, int]]] = [("skip 8x2", TINY, (64, 192))]
    else:
        cases = [(f"{net} 32x4", {"net": net, **SMALL}, (256, 512)) for net in NETWORKS]
        cases += [(f"{net} 128x5", {"net": net}, (128, 256)) for net in NETWORKS]
    findings = [_of_network(title, settings, sides, device) for title, settings, sides in cases]
    return [*findings, _of_tiles(TINY if quick else SMALL, 192 if quick else 512, device)]


def _of_network(
    title: str, settings: dict[str, Any], sides: tuple[int, int], device: str
) -> Finding:
    line = per_megapixel(settings, sides, device=device)
    return Finding(
        f"memory of a fit, {title}, each megapixel",
        line.measured,
        unit="MiB",
        beside="estimate before the fit",
        theirs=line.estimated,
        ratio=line.measured / line.estimated,
        goal=Goal("at most", 1.3),
        remark=f"and {line.constant:.0f} MiB whatever the size; from {sides[0]} and {sides[1]} "
        "pixels a side",
    )


def _of_tiles(settings: dict[str, Any], side: int, device: str) -> Finding:
    tile = side // 3
    whole = measured(side, settings, device=device)
    tiled = measured(side, settings, tile=tile, device=device)
    return Finding(
        f"memory of {side}x{side} pixels in tiles of {tile}",
        tiled.measured / MIB,
        unit="MiB",
        beside="the same picture whole",
        theirs=whole.measured / MIB,
        ratio=whole.measured / tiled.measured,
        goal=Goal("at least", 4.0),
        remark=f"one tile is a ninth; estimated {tiled.estimated / MIB:.0f} and "
        f"{whole.estimated / MIB:.0f} MiB",
    )
