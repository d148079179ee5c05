"""Common parts of both figures: axes, domains, rounding, and conversion to an Altair chart.

Lives here: the logarithmic cost axis and the accuracy axis. Not here: marks (``frontier_figure``,
``scaling_figure``).

Specifications are written as plain dictionaries: a report has a hundred of them, and Altair takes
half a second to build each.
"""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import polars as pl

from isocost.aggregates import largest, smallest
from isocost.publish import labels

Specification = dict[str, Any]
# Width of a letter in a legend, and of a mark with the gaps around an entry, in pixels.
_LETTER, _MARK = 6.7, 46
# The mark with the gap between its label and the next column.
_SYMBOL = 36
# Pixels outside the plot: the axis with its labels and title, and the padding.
_AXIS = 90
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def as_chart(specification: Specification) -> alt.LayerChart | alt.FacetChart:
    """The specification as an Altair chart, for notebooks and for saving."""
    kind = alt.FacetChart if "facet" in specification else alt.LayerChart
    return kind.from_dict(specification, validate=False)


def panels(specification: Specification, field: str, names: list[str]) -> Specification:
    """One panel for every value of a field, two or three side by side."""
    inner = {key: value for key, value in specification.items() if key not in {"$schema", "data"}}
    return {
        "$schema": _SCHEMA,
        "data": specification["data"],
        "facet": {
            "field": field,
            "type": "nominal",
            "sort": names,
            "title": None,
            "header": {"labelAnchor": "start"},
        },
        "columns": 3 if len(names) % 3 == 0 else min(2, len(names)),
        "spec": inner,
    }


def layered(
    rows: list[dict[str, Any]], layers: list[Specification], *, width: int | str, height: int
) -> Specification:
    """Layers over rows embedded in the specification."""
    return {
        "$schema": _SCHEMA,
        "data": {"values": rows},
        "width": width,
        "height": height,
        "layer": layers,
    }


def where(test: str) -> list[dict[str, str]]:
    """A filter on ``datum``."""
    return [{"filter": test}]


def rounded(value: Any) -> Any:
    """Five significant digits are more than a pixel.

    The page stays small and its bytes do not depend on the last bit.
    """
    return float(f"{value:.5g}") if isinstance(value, float) else value


def forget_panel(rows: list[dict[str, Any]]) -> None:
    """Remove the panel field from the rows of a single-panel figure.

    A page has hundreds of figures.
    """
    for row in rows:
        row.pop("panel", None)


def drawable(points: pl.DataFrame) -> pl.DataFrame:
    """The rows that a logarithmic axis can show."""
    return points.filter(
        pl.col("cost").is_not_null() & (pl.col("cost") > 0) & pl.col("accuracy").is_not_null()
    )


def log_domain(*costs: pl.Series) -> list[float]:
    """Smallest and largest cost with a visually equal margin on a logarithmic axis."""
    known = [values for values in costs if len(values)]
    low, high = (
        min(smallest(values) for values in known),
        max(largest(values) for values in known),
    )
    margin = max((high / low) ** 0.06, 1.08)
    return [rounded(low / margin), rounded(high * margin)]


def cost_encoding(cost_axis: str, domain: list[float]) -> Specification:
    """The cost axis.

    Logarithmic, labels at 1, 2 and 5 of every decade, or at even steps if it is too short for
    these.
    """
    axis = {"title": labels.axis_label(cost_axis).title, "format": "~s", "values": _ticks(*domain)}
    return quantity("cost", axis=axis, scale={"type": "log", "nice": False, "domain": domain})


def accuracy_encoding(domain: list[float]) -> Specification:
    """The accuracy axis, in percent."""
    axis = {"title": "Accuracy", "format": ".0%", "tickCount": 6}
    return quantity("accuracy", axis=axis, scale={"domain": domain, "nice": False})


def accuracy_domain(drawn: pl.DataFrame, further: pl.Series | None = None) -> list[float]:
    """From zero, unless everything drawn is high; values above one are cut."""
    lows = [smallest(v) for v in (drawn["accuracy_low"], drawn["accuracy"]) if v.count()]
    highs = [largest(v) for v in (drawn["accuracy_high"], drawn["accuracy"]) if v.count()]
    if further is not None and further.count():
        highs.append(min(1.0, largest(further)))
    low, high = min(lows), max(highs)
    bottom = 0.0 if low < 0.5 * high else max(0.0, low - 0.1 * (high - low))
    # A chart of only zeros still needs an axis.
    return [rounded(bottom), rounded(max(min(1.0, high + 0.06 * (high - bottom)), bottom + 0.02))]


def quantity(field: str, **more: Any) -> Specification:
    """A channel on a number."""
    return {"field": field, "type": "quantitative", **more}


def name(field: str, **more: Any) -> Specification:
    """A channel on a name."""
    return {"field": field, "type": "nominal", **more}


def legend(names: list[str], *, is_panel: bool) -> Specification:
    """As many entries side by side as whole names fit.

    For one panel of several, the total width is unknown, and the theme decides.
    """
    if is_panel:
        return {}
    entry = max(len(name) for name in names) * _LETTER + _MARK
    # Not from the plot's width: it shrinks when the axis is laid out, and the additional rows would
    # be cut off.
    room = f"(containerSize()[0] > 0 ? containerSize()[0] - {_AXIS} : width)"
    columns = f"max(1, min(4, floor({room} / {entry:.0f})))"
    return {
        "columns": {"expr": columns},
        "labelLimit": {"expr": f"max(80, {room} / {columns} - {_SYMBOL})"},
    }


def told(row: dict[str, Any]) -> str:
    """Accuracy with its interval, formatted as in the tables.

    The drawing library's own format rounds halves differently.
    """
    accuracy, spread = (
        labels.percent(row["accuracy"]),
        labels.interval(row["accuracy_low"], row["accuracy_high"]),
    )
    return accuracy if row["accuracy_low"] is None else f"{accuracy} ({spread})"


def outcome_tooltip(cost_axis: str) -> list[Specification]:
    """The tooltip of a mark."""
    return [
        name("label", title="Strategy"),
        name("configuration", title="Configuration"),
        name("told", title="Accuracy (interval)"),
        quantity("cost", title=labels.axis_label(cost_axis).title, format=",.4~g"),
    ]


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low <= 2000 else (1,)
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    values = [v for v in values if low <= v <= high]
    return values if values and (len(values) > 1 or high / low < 1.2) else _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> list[float]:
    """A handful of round values at even steps.

    For a range without 1, 2 or 5 of a decade, such as 12 to 17.
    """
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(step * power for step in (1, 2, 5, 10) if step * power * 4 >= high - low)
    return [
        float(f"{place * step:.6g}")
        for place in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]
