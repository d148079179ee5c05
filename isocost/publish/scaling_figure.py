"""The scaling figure: measured accuracy against cost, the chosen family's curve, and the band in which its asymptote lies.

Lives here: its layers. Not here: fitting (``isocost.curves``), which rows are shown (``facts``).
"""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import labels, theme
from isocost.publish.drawing import accuracy_domain, accuracy_encoding, cost_encoding, cost_tooltip, drawable, log_domain, rounded

_SHARED = ("task", "configuration", "strategy")
_NUMBERS = ("cost", "accuracy", "accuracy_low", "accuracy_high")


def scaling_chart(
    points: pl.DataFrame, fits: pl.DataFrame, cost_axis: str, *, width: int | str = 420, height: int = 320, facet: bool = True
) -> alt.TopLevelMixin:
    """Measured points with intervals, the fitted curve, and the band of its asymptote beyond the last point.

    Args:
        points: out_scaling_points of one cost axis with ``configuration``; measured and fitted ones.
        fits: out_scaling_fits of the same curves, the chosen families; one whose asymptote was not fitted draws no band.
        cost_axis: the axis that ``cost`` counts.
        width: of one panel in pixels, or "container" (one panel only).
        height: of one panel in pixels.
        facet: one panel a task and strategy; False where all rows belong to one panel.

    Raises:
        IsocostError: there is no measured point to draw.
    """
    shown = drawable(points)
    measured, fitted = (shown.filter(pl.col("point_kind") == kind) for kind in ("measured", "fitted"))
    if measured.is_empty():
        raise IsocostError("there is no measured point to draw", where="out_scaling_points", remedy="Choose another cost axis")
    known = fits.filter(pl.col("asymptote").is_not_null() & (pl.col("asymptote_kind") == "fitted") & (pl.col("trend") == "rising"))
    domain = log_domain(measured["cost"], fitted["cost"])
    rows = _rows(measured, "point") + _rows(fitted, "curve") + _bands(known, domain[1])
    x = cost_encoding(cost_axis, domain)
    y = accuracy_encoding(accuracy_domain(measured, known["asymptote"]))
    colour = _colour(measured)
    layers = [*_asymptote_layers(colour), *_curve_layers(x, y, colour, cost_axis)]
    panel = alt.layer(*layers, data=alt.Data(values=rows)).properties(width=width, height=height)
    if not facet:
        return panel
    panels = sorted({row["panel"] for row in rows})
    return panel.facet(facet=alt.Facet("panel:N", header=alt.Header(labelAnchor="start"), sort=panels), columns=min(2, len(panels)))


def _rows(frame: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    rows = []
    for row in frame.sort(*_SHARED, "cost").iter_rows(named=True):
        made = {"kind": kind, "configuration": row["configuration"], "panel": _panel(row)} | {n: rounded(row[n]) for n in _NUMBERS}
        if kind == "point":
            made["label"] = labels.outcome(row["strategy"], row["budget"])
            made["interval"] = labels.interval(row["accuracy_low"], row["accuracy_high"])
            rows.append(made)
        else:
            rows.append(made | {"is_extrapolated": row["is_extrapolated"]})
    return rows


def _bands(fits: pl.DataFrame, right: float) -> list[dict[str, Any]]:
    """From a curve's last measured cost to the right edge: the asymptote speaks of what lies beyond."""
    rows = []
    for row in fits.sort(*_SHARED).iter_rows(named=True):
        made = {"kind": "asymptote", "configuration": row["configuration"], "panel": _panel(row)}
        made |= {"left": rounded(row["cost_max"]), "right": right}
        rows.append(made | {n: rounded(row[n]) for n in ("asymptote", "asymptote_low", "asymptote_high")})
    return rows


def _panel(row: dict[str, Any]) -> str:
    return f"{row['task']} · {labels.strategy_words(row['strategy'])}"


def _colour(measured: pl.DataFrame) -> alt.Color:
    names = sorted(set(measured["configuration"].to_list()))
    scale = alt.Scale(domain=names, range=[theme.PALETTE[i % len(theme.PALETTE)] for i in range(len(names))])
    return alt.Color("configuration:N", scale=scale, title=None)


def _asymptote_layers(colour: alt.Color) -> list[alt.Chart]:
    base = alt.Chart().transform_filter("datum.kind == 'asymptote'")
    banded = base.transform_filter("isValid(datum.asymptote_low) && isValid(datum.asymptote_high)")
    x, x2 = alt.X("left:Q"), "right:Q"
    return [
        banded.mark_rect(opacity=0.14, clip=True).encode(x=x, x2=x2, y="asymptote_low:Q", y2="asymptote_high:Q", color=colour),
        base.mark_rule(strokeDash=[2, 4], strokeWidth=1.4, clip=True).encode(x=x, x2=x2, y="asymptote:Q", color=colour),
    ]


def _curve_layers(x: alt.X, y: alt.Y, colour: alt.Color, cost_axis: str) -> list[alt.Chart]:
    curve = alt.Chart().transform_filter("datum.kind == 'curve'")
    point = alt.Chart().transform_filter("datum.kind == 'point'")
    tooltip = [
        alt.Tooltip("label:N", title="Strategy"),
        alt.Tooltip("configuration:N", title="Configuration"),
        alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="Interval"),
        cost_tooltip(cost_axis),
    ]
    inside = curve.transform_filter("!datum.is_extrapolated").mark_line(strokeWidth=2, clip=True)
    beyond = curve.transform_filter("datum.is_extrapolated").mark_line(strokeWidth=2, strokeDash=[5, 4], clip=True)
    return [
        inside.encode(x=x, y=y, color=colour),
        beyond.encode(x=x, y=y, color=colour),
        point.mark_rule(strokeWidth=1.4, opacity=0.55).encode(x=x, y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q", color=colour),
        point.mark_point(filled=True, size=64, opacity=1, strokeWidth=0).encode(x=x, y=y, color=colour, tooltip=tooltip),
    ]
