"""The page as one file: skeleton, style, script, plotly and data."""

import html
import json
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from analysis.report.content import page_content
from analysis.report.pictures import Album, pack
from analysis.sweep import Sweep
from dipray.store import Store

REPORT = "report.html"
MOST_BYTES = 14_500_000  # of the whole file, as far as pictures can see to it
PICTURE_BYTES = 6_000_000  # of all pictures together
_FEWEST_PICTURE_BYTES = 2_000_000


def write_report(
    sweep: Sweep, *, file: str = REPORT, metric: str | None = None, store: Store | None = None
) -> int:
    """Write the report into a folder, whole or not at all; its size in bytes.

    store: the folder; None: the sweep's own, which a merged one does not have. metric: what trials
    are ranked by; None: the sweep's own, or loss_final without the truth.
    Raises UnknownNameError for a metric that trials do not have, FolderError if it cannot be
    written.
    """
    home = store or sweep.home
    data = report_html(sweep, metric=metric).encode()
    home.write(file, data)
    return len(data)


def report_html(sweep: Sweep, *, metric: str | None = None) -> str:
    """The report as HTML that needs nothing but itself; about 15 MB at most.

    Pictures are lossless while they fit, else WebP, else also smaller, and the page says so.
    Raises UnknownNameError for a metric that trials do not have.
    """
    content, shots = page_content(sweep, metric=metric)
    data, plotly = as_json(content), get_plotlyjs()
    left = MOST_BYTES - len(data.encode()) - len(plotly.encode())
    album = pack(shots, max(_FEWEST_PICTURE_BYTES, min(PICTURE_BYTES, left)))
    parts = {
        "title": html.escape(content["run"]["name"]),
        "css": _resource("page.css"),
        "content": data,
        "pictures": as_json({"by_key": album.pictures, "note": album_note(album)}),
        "plotly": plotly,
        "js": _resource("page.js"),
    }
    return _filled(_resource("page.html"), parts)


def as_json(value: Any) -> str:
    """Plain data as JSON that can stand inside an HTML script element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def album_note(album: Album) -> str:
    """What was done to the pictures to keep the page small, in a sentence; empty for nothing."""
    said = []
    if album.lossy:
        said.append(f"{album.lossy} are compressed with a small loss")
    if album.shrunk:
        said.append(f"{album.shrunk} of them shrunk")
    if album.dropped:
        said.append(f"{album.dropped} left out")
    return f"To keep this page small, of its pictures {', '.join(said)}." if said else ""


def _filled(page: str, parts: dict[str, str]) -> str:
    """The page with `{{name}}` replaced, each once; what is put in is not looked at again."""
    pieces = []
    for name, text in parts.items():
        before, mark, page = page.partition(f"{{{{{name}}}}}")
        assert mark, name
        pieces += [before, text]
    return "".join([*pieces, page])


def _resource(name: str) -> str:
    return files("analysis.report").joinpath(name).read_text("utf-8")
