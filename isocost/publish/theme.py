"""Colours, type and sizes of every figure, in a light and a dark mode.

Lives here: the one Vega-Lite configuration and the palette. Not here: what a figure shows
(``figures``) and the page's own CSS (``page/report.css``), which uses the same inks.
"""

from __future__ import annotations

from typing import Any, Literal

from isocost.publish import labels

Mode = Literal["light", "dark"]

# Mid-tone, so that they read on white and on near-black; neighbours differ in lightness too, for
# colour-blind readers.
PALETTE = (
    "#3b7dd8",
    "#e0861a",
    "#2a9d74",
    "#a05fd0",
    "#d64f5c",
    "#1fa2b8",
    "#8a7a2b",
    "#c8589f",
    "#7fae3a",
    "#9a5b3c",
)
NEUTRAL = "#949cab"
_STAR = "M0,-1L.23,-.32L.95,-.31L.37,.12L.59,.81L0,.4L-.59,.81L-.37,.12L-.95,-.31L-.23,-.32Z"
_SALTIRE = "M-.8,-.5L-.5,-.8L0,-.3L.5,-.8L.8,-.5L.3,0L.8,.5L.5,.8L0,.3L-.5,.8L-.8,.5L-.3,0Z"
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    _STAR,
    "triangle-right",
    _SALTIRE,
    "triangle-left",
)
OTHER_SHAPE = "M-.9,-.25L.9,-.25L.9,.25L-.9,.25Z"
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif"

_INK = {
    "light": {
        "text": "#1d2330",
        "muted": "#5b6475",
        "grid": "#e7eaf0",
        "axis": "#b9c0cc",
        "ground": "#ffffff",
    },
    "dark": {
        "text": "#e8ebf1",
        "muted": "#a1abba",
        "grid": "#2b313c",
        "axis": "#4b5463",
        "ground": "#161a21",
    },
}


def colour(place: int) -> str:
    """The n-th colour of several names."""
    return PALETTE[place % len(PALETTE)]


def colours(strategies: list[str]) -> dict[str, str]:
    """One colour per strategy, in display order."""
    ordered = labels.ordered_strategies(strategies)
    return {name: colour(place) for place, name in enumerate(ordered)}


def shapes(configurations: list[str]) -> dict[str, str]:
    """One mark shape per configuration (prompt and model), by name."""
    return {
        name: SHAPES[place % len(SHAPES)] for place, name in enumerate(sorted(set(configurations)))
    }


def config(mode: Mode = "light") -> dict[str, Any]:
    """The Vega-Lite configuration of one mode.

    Lines and text without a colour encoding are drawn in ink, so that one specification serves both
    modes.
    """
    ink = _INK[mode]
    return {
        "background": ink["ground"],
        # The page gives the whole figure one text; hundreds of marks without text are noise to a
        # screen reader.
        "aria": False,
        "font": FONT,
        "padding": {"left": 4, "top": 8, "right": 14, "bottom": 4},
        "view": {"stroke": None, "continuousWidth": 420, "continuousHeight": 300},
        "axis": {
            "labelColor": ink["muted"],
            "titleColor": ink["text"],
            "labelFontSize": 12,
            "titleFontSize": 12.5,
            "titleFontWeight": 500,
            "titlePadding": 10,
            "gridColor": ink["grid"],
            "domainColor": ink["axis"],
            "tickColor": ink["axis"],
            "labelOverlap": "greedy",
            "labelPadding": 5,
        },
        "axisY": {"domain": False, "ticks": False},
        "header": {
            "labelColor": ink["text"],
            "labelFontSize": 14,
            "labelFontWeight": 600,
            "labelPadding": 8,
            "title": None,
        },
        "legend": {
            "labelColor": ink["muted"],
            "titleColor": ink["text"],
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "orient": "bottom",
            "direction": "horizontal",
            "symbolStrokeWidth": 1.5,
            "symbolOpacity": 1,
            "symbolBaseFillColor": ink["muted"],
            "symbolBaseStrokeColor": ink["muted"],
            "columnPadding": 14,
            "offset": 12,
            "labelLimit": 260,
            "titleLimit": 320,
            # Legends stacked vertically: strategies have long names.
            "columns": 4,
            "layout": {"bottom": {"direction": "vertical", "anchor": "start", "margin": 6}},
        },
        "title": {
            "color": ink["text"],
            "fontSize": 15,
            "fontWeight": 600,
            "anchor": "start",
            "subtitleColor": ink["muted"],
        },
        "line": {"color": ink["text"]},
        "text": {"color": ink["text"], "fontSize": 13},
        "style": {
            "note": {"fontSize": 12, "fontWeight": 500},
            "halo": {
                "stroke": ink["ground"],
                "strokeWidth": 3.5,
                "fontSize": 12,
                "fontWeight": 500,
            },
        },
    }
