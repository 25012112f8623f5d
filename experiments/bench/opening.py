"""Opens a page of a report in headless Chromium and waits until all of it is there."""

import shutil
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_WEBGL = "--enable-unsafe-swiftshader"  # where there is no GPU; the rest of the page is without
_UNDRAWN = """[...document.querySelectorAll('main section:not([hidden]) .figure')]
    .filter((box) => box.getAttribute('role') === 'img' && !box.querySelector('.main-svg'))"""
_MOST_MS = 120_000


@dataclass(frozen=True)
class Opening:
    """Seconds from the navigation until the page is loaded, and until every figure is drawn.

    complaints: whatever the page logged as an error, or asked of the network.
    """

    loaded_s: float
    drawn_s: float
    figures: int
    complaints: tuple[str, ...]


def why_not() -> str:
    """What is missing for opening pages; empty if nothing is."""
    if find_spec("playwright") is None:
        return "playwright is not installed"
    return "" if _chromium() else "there is no chromium"


def open_page(page: Path, *, picture: Path | None = None) -> Opening:
    """Open a page in a browser that has just started; figures out of sight are drawn too.

    picture: where a PNG of the whole page goes. Needs playwright and a Chromium.
    """
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_chromium(), args=["--no-sandbox", _WEBGL])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "console",
            lambda line: complaints.append(line.text) if line.type == "error" else None,
        )
        tab.on(
            "request",
            lambda request: (
                complaints.append(request.url) if request.url.startswith("http") else None
            ),
        )
        started = time.perf_counter()
        tab.goto(page.resolve().as_uri(), timeout=_MOST_MS)
        loaded = time.perf_counter()
        tab.wait_for_function("window.Plotly !== undefined", timeout=_MOST_MS)
        tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")  # which draws all figures
        tab.wait_for_function(f"{_UNDRAWN}.length === 0", timeout=_MOST_MS)
        drawn = time.perf_counter()
        figures = tab.locator(".figure:has(.main-svg)").count()
        if picture is not None:
            tab.screenshot(path=picture, full_page=True)
        browser.close()
    return Opening(loaded - started, drawn - started, figures, tuple(complaints))


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")
