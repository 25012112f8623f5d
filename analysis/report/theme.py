"""The look that all figures of the page share, as a plotly layout."""

from typing import Any

Drawing = dict[str, Any]  # a plotly figure as plain data

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, LINE, RULE = "#222222", "#8a8a8a", "#e6e6e6"
CONFIG = {"responsive": True, "displaylogo": False, "modeBarButtonsToRemove": ["lasso2d"]}


def axis(title: str, *, log: bool = False, **more: Any) -> Drawing:
    """An axis with its title, in the shared look."""
    return {
        "title": {"text": title, "standoff": 8},
        "type": "log" if log else "linear",
        "gridcolor": RULE,
        "linecolor": LINE,
        "showline": True,
        "ticks": "outside",
        "tickcolor": LINE,
        "zeroline": False,
        "automargin": True,
        "exponentformat": "power",
        **more,
    }


def layout(*, x: Drawing | None = None, y: Drawing | None = None, **more: Any) -> Drawing:
    """A layout of two axes: white, system font, the legend below, room for the labels."""
    axes = {name: each for name, each in (("xaxis", x), ("yaxis", y)) if each is not None}
    return {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "margin": {"l": 64, "r": 16, "t": 16, "b": 56},
        "height": 440,
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1, "bgcolor": "#ffffff"},
        "showlegend": False,
        **axes,
        **more,
    }


def plain(text: str) -> str:
    """Text for plotly, which takes some tags for markup, shown as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
