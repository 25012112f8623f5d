"""`dipray fit --tile`: a folder for the fit of each tile, and the picture that they make."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from analysis.pictures import decode
from dipray.config import FitConfig
from dipray.device import resolve_device
from dipray.errors import FolderError
from dipray.folder import (
    CONFIG,
    FAILED,
    INTERRUPTED,
    OUTCOME,
    PROBLEM,
    PROVENANCE,
    TILES,
    TILING,
    is_finished,
    read_outcome,
)
from dipray.images import encode_png
from dipray.kept import PICTURES
from dipray.metrics import Panel
from dipray.problem import Problem
from dipray.provenance import provenance
from dipray.recorder import clear, one_line
from dipray.store import Store
from dipray.tiled_fit import blended, scores, worst_outcome
from dipray.tiling import Tiling
from dipray.trace import PEAKS, Summary
from experiments.fit_into import fit_into, write_own_problem
from experiments.outcomes import Lines
from experiments.work import Work

NUMBERS = frozenset(Summary().outcome_row())  # that tables show of a fit
# of them, the PSNR of each picture that is kept at a peak
_PEAKS = {peak.scored[1] if peak.scored else peak.value: peak.picture for peak in PEAKS}


def fit_tiles_into(
    store: Store,
    problem: Problem,
    work: Work,
    console: Console,
    *,
    checkpoint_every_s: float | None = None,
) -> bool:
    """Fit each tile that is not finished, then blend them; whether it came to its end."""
    assert work.tiles is not None
    config, tiles, problems = work.config, work.tiles, work.problems
    lines = Lines(console)
    if not store.exists(TILES):
        clear(store)
        store.write_json(TILING, tiles.to_dict())
        store.write_json(CONFIG, config.to_dict())
        store.write_json(PROBLEM, problem.describe())
        store.write_json(PROVENANCE, provenance(config, resolve_device(config)))
        write_own_problem(store, problem)
    store.remove(OUTCOME)
    try:
        for number, (name, each) in enumerate(problems.items(), start=1):
            folder = store.child(TILES, name)
            if is_finished(folder):
                continue
            lines.say(f"tile       {name}, {number} of {len(problems)}")
            if not fit_into(
                folder,
                each,
                config,
                console,
                checkpoint_every_s=checkpoint_every_s,
                with_baselines=False,
            ):
                store.write_json(OUTCOME, {"outcome": INTERRUPTED})
                return False
    except KeyboardInterrupt:
        store.write_json(OUTCOME, {"outcome": INTERRUPTED})
        raise
    except Exception as error:
        store.write_json(OUTCOME, {"outcome": FAILED, "reason": one_line(error)})
        raise
    _join(store, problem, config, tiles)
    return True


def _join(store: Store, problem: Problem, config: FitConfig, tiles: Tiling) -> None:
    """Write the blended pictures, and last of all what came out."""
    folders = [store.child(TILES, name) for name in tiles.places]
    images = blended(tiles, [_images(folder) for folder in folders])
    for name, image in images.items():
        store.write(f"{name}.png", encode_png(image, alpha=problem.alpha, bits=problem.bits))
    psnr = scores(images, problem)
    outcomes = [read_outcome(folder) for folder in folders]
    outcome = worst_outcome(each["outcome"] for each in outcomes)
    row: dict[str, Any] = {
        "outcome": outcome,
        "stopped_by": config.stop if outcome == "STOPPED" else None,
        "tiles": len(folders),
        "iterations_run": max(each["iterations_run"] for each in outcomes),
        "seconds": sum(each["seconds"] for each in outcomes),
        **_last_numbers(images, problem),
        **{name: psnr.get(picture) for name, picture in _PEAKS.items()},
        "picks": {
            rule: {"psnr_ema": psnr.get(f"pick_{rule}", psnr.get("ema"))}
            for rule in outcomes[0]["picks"]
        },
    }
    store.write_json(OUTCOME, row)


def _last_numbers(images: Mapping[str, Tensor], problem: Problem) -> dict[str, float]:
    """The metrics of the last pictures, by what tables call them."""
    if "final" not in images:
        return {}  # a tile went non-finite at its first iteration
    panel = Panel(problem.reference, hole=problem.hole, luma=problem.luma, trim=problem.trim)
    row = panel.measure(images["final"], images["ema"], costly=True)
    named = {f"{name}_final": float(value) for name, value in row.items()}
    return {name: value for name, value in named.items() if name in NUMBERS}


def _images(folder: Store) -> dict[str, Tensor]:
    """The pictures of a tile's fit, by kind."""
    found = {}
    for kind in PICTURES:
        file = f"{kind}.png"
        if folder.exists(file):
            try:
                pixels = decode(folder.read(file)).pixels
            except ValueError as error:
                raise FolderError(f"{folder}/{file}: {error}") from None
            planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
            found[kind] = torch.from_numpy(planes)[None].float()
    return found


def describe_tiles(outcome: Mapping[str, Any]) -> list[str]:
    """What a tiled fit came to, in lines for a terminal."""
    if "tiles" not in outcome:
        why = outcome.get("reason")
        return [f"outcome    {outcome['outcome']}" + (f" ({why})" if why else "")]
    lines = [
        f"outcome    {outcome['outcome']} of {outcome['tiles']} tiles after "
        f"{outcome['iterations_run']} iterations at most, {outcome['seconds']:.1f} s"
    ]
    for title, prefix in (("output ", "psnr"), ("average", "psnr_ema")):
        peak, final = outcome.get(f"{prefix}_peak"), outcome.get(f"{prefix}_final")
        if peak is not None and final is not None:
            lines.append(
                f"{title}    {peak:.2f} dB of each tile's best, {final:.2f} dB of their last"
            )
    picks = {rule: pick["psnr_ema"] for rule, pick in outcome["picks"].items()}
    said = [f"{rule} {psnr:.2f} dB" for rule, psnr in picks.items() if psnr is not None]
    return [*lines, *([f"picks      {', '.join(said)}"] if said else [])]
