"""The scaling figure: measured accuracy against cost, fitted curve, asymptote band.

Lives here: its layers. Not here: fitting (``isocost.curves``), which rows are shown (``facts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import drawing, labels, theme
from isocost.publish.drawing import Specification, name, quantity, rounded, where

_SHARED = ("task", "strategy", "configuration")
_NUMBERS = ("cost", "accuracy", "accuracy_low", "accuracy_high")
# Distinguishable colours, and readable curves, in one panel.
MOST_CURVES = 10


def scaling_chart(
    points: pl.DataFrame,
    fits: pl.DataFrame,
    cost_axis: str,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> alt.LayerChart | alt.FacetChart:
    """``scaling_specification`` as an Altair chart."""
    return drawing.as_chart(
        scaling_specification(points, fits, cost_axis, width=width, height=height, facet=facet)
    )


def scaling_specification(
    points: pl.DataFrame,
    fits: pl.DataFrame,
    cost_axis: str,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> Specification:
    """Measured points with intervals, the fitted curve, and the asymptote band.

    The band is beyond the last point.

    Args:
        points: out_scaling_points of one cost axis with ``configuration``; measured and fitted
            ones.
        fits: out_scaling_fits of the same curves, the chosen families; see ``decided`` for those
            that draw a band.
        cost_axis: the axis that ``cost`` counts.
        width: of one panel in pixels, or "container" (one panel only).
        height: of one panel in pixels.
        facet: one panel per task and strategy; False if all rows belong to one panel.

    Returns:
        A Vega-Lite specification without configuration; ``figures.themed`` adds it.

    Raises:
        IsocostError: there is no measured point to draw.
    """
    shown = drawing.drawable(points)
    measured, fitted = (
        shown.filter(pl.col("point_kind") == kind) for kind in ("measured", "fitted")
    )
    if measured.is_empty():
        raise IsocostError(
            "there is no measured point to draw",
            where="out_scaling_points",
            remedy="Choose another cost axis",
        )
    known = fits.filter(decided())
    domain = drawing.log_domain(measured["cost"], fitted["cost"])
    rows = _rows(measured, "point") + _rows(_joined(fitted), "curve") + _bands(known, domain[1])
    x = drawing.cost_encoding(cost_axis, domain)
    y = drawing.accuracy_encoding(drawing.accuracy_domain(measured, known["asymptote"]))
    colour = _colour(measured, facet)
    layers = [*_asymptote_layers(x, colour), *_curve_layers(x, y, colour, cost_axis)]
    if not facet:
        drawing.forget_panel(rows)
    specification = drawing.layered(rows, layers, width=width, height=height)
    return (
        drawing.panels(specification, "panel", sorted({row["panel"] for row in rows}))
        if facet
        else specification
    )


def axes_shown(points: pl.DataFrame) -> dict[str, str]:
    """The cost axis of each task's curves: the first in display order with a measured point.

    Args:
        points: out_scaling_points.
    """
    drawn = (
        points.filter((pl.col("point_kind") == "measured") & (pl.col("cost") > 0))
        .select("task", "cost_axis")
        .unique()
    )
    order = labels.ordered_axes(drawn["cost_axis"].to_list())
    found: dict[str, str] = {}
    for task, axis in sorted(drawn.iter_rows(), key=lambda row: (row[0], order.index(row[1]))):
        found.setdefault(task, axis)
    return found


def on_axes(frame: pl.DataFrame, axes: Mapping[str, str]) -> pl.DataFrame:
    """The rows of each task that are on its cost axis."""
    schema = {"task": pl.String, "cost_axis": pl.String}
    wanted = pl.DataFrame({"task": list(axes), "cost_axis": list(axes.values())}, schema=schema)
    return frame.join(wanted, on=("task", "cost_axis"), how="semi", maintain_order="left")


def curves_drawn(
    points: pl.DataFrame, fits: pl.DataFrame, axes: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Points and chosen fits on each task's axis, of the configurations with the highest accuracy.

    Per strategy.

    Args:
        points: out_scaling_points with ``configuration``.
        fits: out_scaling_fits with ``configuration``.
        axes: see ``axes_shown``.
    """
    key = ["task", "strategy", "configuration"]
    on_axis = on_axes(points, axes)
    reached = (
        on_axis.filter(pl.col("point_kind") == "measured")
        .group_by(key)
        .agg(pl.col("accuracy").max())
    )
    ranked = reached.sort(
        "task",
        "strategy",
        "accuracy",
        "configuration",
        descending=[False, False, True, False],
        nulls_last=True,
    )
    drawn = ranked.group_by("task", "strategy", maintain_order=True).head(MOST_CURVES)
    chosen = on_axes(fits.filter("is_chosen"), axes)
    return on_axis.join(drawn, on=key, how="semi", maintain_order="left"), chosen.join(
        drawn, on=key, how="semi", maintain_order="left"
    )


def decided() -> pl.Expr:
    """Curve fits with an asymptote determined by the data.

    Fitted without reaching a bound, on a rising curve.
    """
    is_fitted = (pl.col("asymptote_kind") == "fitted") & pl.col("asymptote").is_not_null()
    return is_fitted & (pl.col("status") == "ok") & (pl.col("trend") == "rising")


def _joined(fitted: pl.DataFrame) -> pl.DataFrame:
    """Repeat the last point inside the data as the first beyond it.

    So that the dashed line starts where the solid one ends.
    """
    inside = fitted.filter(~pl.col("is_extrapolated")).sort("cost")
    ends = inside.unique("curve_id", keep="last", maintain_order=True).with_columns(
        is_extrapolated=pl.lit(True)
    )
    return pl.concat([fitted, ends])


def _rows(frame: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    rows = []
    needed = {*_SHARED, *_NUMBERS, "budget", "is_extrapolated"}
    for row in (
        frame.sort(*_SHARED, "cost")
        .select(c for c in frame.columns if c in needed)
        .iter_rows(named=True)
    ):
        made = {
            "kind": kind,
            "configuration": row["configuration"],
            "panel": _panel(row["task"], row["strategy"]),
        }
        for number in (
            _NUMBERS if kind == "point" else _NUMBERS[:2]
        ):  # the interval of a fit is its asymptote's, in a band
            made[number] = rounded(row[number])
        if kind == "point":
            made["label"] = labels.outcome(row["strategy"], row["budget"])
            made["accuracy_text"] = drawing.accuracy_text(row)
        else:
            made["is_extrapolated"] = row["is_extrapolated"]
        rows.append(made)
    return rows


def _bands(fits: pl.DataFrame, right: float) -> list[dict[str, Any]]:
    """From a curve's last measured cost to the right edge.

    The asymptote is about the region beyond it.
    """
    rows = []
    for row in fits.sort(*_SHARED).iter_rows(named=True):
        made = {
            "kind": "asymptote",
            "configuration": row["configuration"],
            "panel": _panel(row["task"], row["strategy"]),
        }
        made |= {"left": rounded(row["cost_max"]), "right": right}
        rows.append(
            made | {n: rounded(row[n]) for n in ("asymptote", "asymptote_low", "asymptote_high")}
        )
    return rows


@lru_cache(maxsize=4096)
def _panel(task: str, strategy: str) -> str:
    return f"{labels.task_words(task)} · {labels.strategy_words(strategy)}"


def _colour(measured: pl.DataFrame, facet: bool) -> Specification:
    names = sorted(set(measured["configuration"].to_list()))
    scale = {"domain": names, "range": [theme.colour(place) for place in range(len(names))]}
    return name(
        "configuration", scale=scale, title=None, legend=drawing.legend(names, is_panel=facet)
    )


def _asymptote_layers(x: Specification, colour: Specification) -> list[Specification]:
    across = {
        "x": quantity("left", scale=x["scale"], axis=x["axis"]),
        "x2": {"field": "right"},
        "color": colour,
    }
    both = (
        "datum.kind == 'asymptote' && isValid(datum.asymptote_low) && isValid(datum.asymptote_high)"
    )
    return [
        {
            "transform": where(both),
            "mark": {"type": "rect", "opacity": 0.14, "clip": True},
            "encoding": across
            | {"y": quantity("asymptote_low"), "y2": {"field": "asymptote_high"}},
        },
        {
            "transform": where("datum.kind == 'asymptote'"),
            "mark": {"type": "rule", "strokeDash": [2, 4], "strokeWidth": 1.4, "clip": True},
            "encoding": across | {"y": quantity("asymptote")},
        },
    ]


def _curve_layers(
    x: Specification, y: Specification, colour: Specification, cost_axis: str
) -> list[Specification]:
    placed = {"x": x, "y": y, "color": colour}
    tooltip = drawing.outcome_tooltip(cost_axis)
    line = {"type": "line", "strokeWidth": 2, "clip": True}
    interval = placed | {"y": quantity("accuracy_low"), "y2": {"field": "accuracy_high"}}
    return [
        {
            "transform": where("datum.kind == 'curve' && !datum.is_extrapolated"),
            "mark": line,
            "encoding": placed,
        },
        {
            "transform": where("datum.kind == 'curve' && datum.is_extrapolated"),
            "mark": line | {"strokeDash": [5, 4]},
            "encoding": placed,
        },
        {
            "transform": where("datum.kind == 'point'"),
            "mark": {"type": "rule", "strokeWidth": 1.4, "opacity": 0.55},
            "encoding": interval,
        },
        {
            "transform": where("datum.kind == 'point'"),
            "mark": {"type": "point", "filled": True, "size": 64, "opacity": 1, "strokeWidth": 0},
            "encoding": placed | {"tooltip": tooltip},
        },
    ]
