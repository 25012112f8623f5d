"""The restored picture of a run, if it left one, and what was estimated of it."""

from typing import Any

from analysis.sweep import Sweep
from dipray.errors import FolderError

PICTURE, RECORD = "restored.png", "restored.json"


def restored_note(sweep: Sweep, problem: str) -> str | None:
    """What to say under the restored picture of a problem; None if the run left none of it.

    Nor has a merged sweep one, as it is not a run.
    """
    if len(sweep.stores) > 1 or len(sweep.problems) != 1 or PICTURE not in sweep.store.names():
        return None
    try:
        record: Any = sweep.store.read_json(RECORD)
    except FolderError:  # or none at all
        record = {}
    if not isinstance(record, dict) or record.get("picture") != problem:
        return ""
    return estimate_text(record)


def estimate_text(record: dict[str, Any]) -> str:
    """The estimated PSNR of a restored picture with its interval, in words; empty for none."""
    numbers = [record.get(f"estimated_psnr{end}") for end in ("", "_low", "_high")]
    middle, low, high = (each if isinstance(each, int | float) else None for each in numbers)
    of = record.get("estimated_psnr_of", "")
    if low is None:
        return ""
    if middle is None:
        return f"estimated PSNR above {low:.1f} dB {of}".strip()
    to = "any" if high is None else f"{high:.1f}"
    return f"estimated PSNR {middle:.1f} dB ({low:.1f} to {to}) {of}".strip()
