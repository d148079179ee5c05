"""The frontier figure: accuracy with its interval against cost, the frontier as a staircase.

Lives here: its layers. Not here: which rows are shown (``facts``), words (``labels``), colours
(``theme``).
"""

from __future__ import annotations

import json
import math
from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import drawing, labels, naming, theme
from isocost.publish.drawing import Specification, name, quantity, rounded, where

_COLOURS = 6
_OTHERS = "other strategies"
_OTHER_CONFIGURATIONS = "other configurations"
_BOUND_GAP = 0.08
# Share of the width that a label needs on its side of the mark.
_EDGE = 0.35
_NUMBERS = ("cost", "accuracy", "accuracy_low", "accuracy_high", "frontier_probability")


def frontier_chart(
    points: pl.DataFrame,
    cost_axis: str,
    bound: pl.DataFrame | None = None,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> alt.LayerChart | alt.FacetChart:
    """``frontier_specification`` as an Altair chart."""
    return drawing.as_chart(
        frontier_specification(points, cost_axis, bound, width=width, height=height, facet=facet)
    )


def frontier_specification(
    points: pl.DataFrame,
    cost_axis: str,
    bound: pl.DataFrame | None = None,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> Specification:
    """Accuracy with its interval against cost on a logarithmic axis, the frontier as a staircase.

    Colour is the strategy, shape the configuration, size and opacity the probability of being on
    the frontier. If there are more configurations than marks, those that matter most for the
    frontier have one each and the others share a dash.

    Args:
        points: rows of out_frontier_points on one cost axis with ``configuration``; costs above
            zero.
        cost_axis: the axis that ``cost`` counts, for its title.
        bound: ``task``, ``cost``, ``accuracy`` of the frontier with a perfect verifier, drawn as a
            dotted staircase.
        width: of one panel in pixels, or "container" (one task only).
        height: of one panel in pixels.
        facet: one panel per task, side by side; False if all rows are from one task.

    Returns:
        A Vega-Lite specification without configuration; ``figures.themed`` adds it.

    Raises:
        IsocostError: no row can be drawn.
    """
    drawn = drawing.drawable(points).with_columns(strategy=naming.plain_strategy())
    drawn = drawn if "label" in drawn.columns else naming.labelled(drawn)
    if drawn.is_empty():
        raise IsocostError(
            f"no configuration has a known cost on the axis {cost_axis}",
            where="out_frontier_points",
            remedy="Choose another cost axis",
        )
    steps = drawing.drawable(bound) if bound is not None else drawn.clear()
    domain = drawing.log_domain(drawn["cost"], steps["cost"])
    y_domain = drawing.accuracy_domain(drawn, steps["accuracy"])
    named = _named_strategies(drawn)
    rows = (
        _rows(drawn, named, domain, y_domain)
        + _stairs(drawn.filter("is_on_frontier"), domain[1], "stair")
        + _bound(drawn, steps, domain[1])
    )
    marked = _marked(drawn)
    colour, shape = _colour(named, drawn, facet), _shape(marked, facet)
    if not facet:
        drawing.forget_panel(rows)
    layers = [
        _intervals(colour),
        *_bound_layers(),
        _staircase(),
        _points(colour, shape, cost_axis),
        *_notes(),
    ]
    specification = drawing.layered(rows, layers, width=width, height=height)
    if _OTHER_CONFIGURATIONS in marked:
        # Here and not in every row: a page has tens of thousands of them.
        own = json.dumps(
            [name for name in marked if name != _OTHER_CONFIGURATIONS], ensure_ascii=False
        )
        chosen = (
            f"indexof({own}, datum.configuration) < 0 ? {json.dumps(_OTHER_CONFIGURATIONS)} :"
            " datum.configuration"
        )
        specification["transform"] = [{"calculate": chosen, "as": "mark"}]
    specification["encoding"] = {
        "x": drawing.cost_encoding(cost_axis, domain),
        "y": drawing.accuracy_encoding(y_domain),
    }
    if not facet:
        return specification
    return drawing.panels(
        specification,
        "panel",
        [labels.task_words(task) for task in labels.ordered_tasks(drawn["task"].to_list())],
    )


def _rows(
    drawn: pl.DataFrame, named: list[str], domain: list[float], y_domain: list[float]
) -> list[dict[str, Any]]:
    noted = _noted(drawn)
    rows = []
    for row in drawn.sort(
        "task", "cost", "accuracy", "strategy", "budget", "configuration"
    ).iter_rows(named=True):
        sure = row["frontier_probability"] or 0.0
        made = {
            "kind": "point",
            "panel": labels.task_words(row["task"]),
            "configuration": row["configuration"],
            "colour": (
                labels.strategy_words(row["strategy"]) if row["strategy"] in named else _OTHERS
            ),
            "label": row["label"],
            "accuracy_text": drawing.accuracy_text(row),
            "on_frontier": "yes" if row["is_on_frontier"] else "no",
            "line_opacity": rounded(0.12 + 0.48 * sure),
            "mark_opacity": rounded(0.28 + 0.67 * sure),
        }
        note = noted.get((row["task"], row["outcome_id"]))
        placed = {"note": note} | _place(note, row, domain, y_domain) if note else {}
        rows.append(made | placed | {field: rounded(row[field]) for field in _NUMBERS})
    return rows


def _place(
    note: str, row: dict[str, Any], domain: list[float], y_domain: list[float]
) -> dict[str, Any]:
    """The position of a label relative to its mark.

    The first step's below right, the last one's above left, both inside the chart.
    """
    across = math.log(row["cost"] / domain[0]) / math.log(domain[1] / domain[0])
    height = (row["accuracy"] - y_domain[0]) / (y_domain[1] - y_domain[0])
    is_left = across > _EDGE if note == "last" else across > 1 - _EDGE
    is_above = note == "last" or height < 0.1
    return {
        "note_align": "right" if is_left else "left",
        "note_dx": -9 if is_left else 9,
        "note_baseline": "bottom" if is_above else "top",
        "note_dy": -7 if is_above else 7,
    }


def _noted(drawn: pl.DataFrame) -> dict[tuple[str, str], str]:
    """First and last step of each staircase.

    The two most useful labels, which never collide.
    """
    noted: dict[tuple[str, str], str] = {}
    for (task,), group in (
        drawn.filter("is_on_frontier").sort("cost").group_by("task", maintain_order=True)
    ):
        noted[task, group["outcome_id"][0]] = "first"
        noted[task, group["outcome_id"][-1]] = "last"
    return noted


def _stairs(steps: pl.DataFrame, right: float, kind: str) -> list[dict[str, Any]]:
    """The corners of each task's staircase, extended to the right edge."""
    rows = []
    for (task,), group in steps.sort("cost").group_by("task", maintain_order=True):
        corners = group.select("cost", "accuracy").rows()
        corners.append((right, corners[-1][1]))
        rows += [
            {
                "kind": kind,
                "panel": labels.task_words(task),
                "cost": rounded(c),
                "accuracy": rounded(a),
            }
            for c, a in corners
        ]
    return rows


def _bound(drawn: pl.DataFrame, steps: pl.DataFrame, right: float) -> list[dict[str, Any]]:
    """The dotted staircase; labelled where its end is clear of the frontier."""
    rows = _stairs(steps, right, "bound")
    reached = drawn.filter("is_on_frontier").group_by("task").agg(pl.col("accuracy").max())
    best = {labels.task_words(task): accuracy for task, accuracy in reached.iter_rows()}
    for row in rows:
        if row["cost"] == right and row["accuracy"] - best.get(row["panel"], 1.0) > _BOUND_GAP:
            row["note"] = "bound"
    return rows


def _named_strategies(drawn: pl.DataFrame) -> list[str]:
    """The strategies with their own colour.

    Those that may matter on the frontier, few enough for a legend.
    """
    ranked = (
        drawn.group_by("strategy")
        .agg(
            pl.col("is_on_frontier").sum().alias("steps"),
            pl.col("frontier_probability").max().alias("probability"),
        )
        .sort("steps", "probability", "strategy", descending=[True, True, False], nulls_last=True)
    )
    return ranked["strategy"].head(_COLOURS).to_list()


def _colour(named: list[str], drawn: pl.DataFrame, facet: bool) -> Specification:
    colour = {
        labels.strategy_words(strategy): shade for strategy, shade in theme.colours(named).items()
    }
    if set(drawn["strategy"]) - set(named):
        colour[_OTHERS] = theme.NEUTRAL
    scale = {"domain": list(colour), "range": list(colour.values())}
    return name(
        "colour", scale=scale, title="Strategy", legend=drawing.legend(list(colour), is_panel=facet)
    )


def _marked(drawn: pl.DataFrame) -> dict[str, str]:
    """A mark for each configuration.

    If there are too many, one for each of the likeliest, and one for all the others.
    """
    names = sorted(set(drawn["configuration"]))
    if len(names) <= len(theme.SHAPES):
        return theme.shapes(names)
    ranked = (
        drawn.group_by("configuration")
        .agg(
            pl.col("is_on_frontier").sum().alias("steps"),
            pl.col("frontier_probability").max(),
            pl.col("accuracy").max(),
        )
        .sort(
            "steps",
            "frontier_probability",
            "accuracy",
            "configuration",
            descending=[True, True, True, False],
            nulls_last=True,
        )
    )
    return theme.shapes(ranked["configuration"].head(len(theme.SHAPES) - 1).to_list()) | {
        _OTHER_CONFIGURATIONS: theme.OTHER_SHAPE
    }


def _shape(marked: dict[str, str], facet: bool) -> Specification:
    scale = {"domain": list(marked), "range": list(marked.values())}
    field = "mark" if _OTHER_CONFIGURATIONS in marked else "configuration"
    return name(
        field,
        scale=scale,
        title="Configuration",
        legend=drawing.legend(list(marked), is_panel=facet),
    )


def _opacity(field: str) -> Specification:
    # Computed here and not by a scale: a second channel on the probability would hide the legend of
    # the sizes.
    return quantity(field, scale=None, legend=None)


def _intervals(colour: Specification) -> Specification:
    return {
        "transform": where("datum.kind == 'point' && isValid(datum.accuracy_low)"),
        "mark": {"type": "rule", "strokeWidth": 1.4},
        "encoding": {
            "y": quantity("accuracy_low"),
            "y2": {"field": "accuracy_high"},
            "color": colour,
            "opacity": _opacity("line_opacity"),
        },
    }


def _staircase() -> Specification:
    mark = {"type": "line", "interpolate": "step-after", "strokeWidth": 1.6, "opacity": 0.8}
    return {"transform": where("datum.kind == 'stair'"), "mark": mark, "encoding": {}}


def _bound_layers() -> list[Specification]:
    line = {
        "type": "line",
        "interpolate": "step-after",
        "strokeWidth": 1.2,
        "strokeDash": [2, 3],
        "opacity": 0.7,
    }
    text = {
        "type": "text",
        "style": "note",
        "align": "right",
        "baseline": "bottom",
        "dy": -5,
        "opacity": 0.75,
    }
    return [
        {"transform": where("datum.kind == 'bound'"), "mark": line, "encoding": {}},
        {
            "transform": where("datum.note == 'bound'"),
            "mark": text,
            "encoding": {"text": {"value": "with a perfect verifier"}},
        },
    ]


def _points(colour: Specification, shape: Specification, cost_axis: str) -> Specification:
    size = quantity(
        "frontier_probability",
        scale={"domain": [0, 1], "range": [22, 190]},
        title="Probability of being on the frontier",
        legend={"format": ".0%", "values": [0.05, 0.5, 0.95], "columns": 3},
    )
    tooltip = [
        *drawing.outcome_tooltip(cost_axis),
        name("on_frontier", title="On the frontier"),
        quantity("frontier_probability", title="in bootstrap draws", format=".1%"),
    ]
    return {
        "transform": where("datum.kind == 'point'"),
        "mark": {"type": "point", "filled": True, "strokeWidth": 0},
        "encoding": {
            "color": colour,
            "shape": shape,
            "size": size,
            "opacity": _opacity("mark_opacity"),
            "tooltip": tooltip,
        },
    }


def _notes() -> list[Specification]:
    place = {
        channel: {"expr": f"datum.note_{channel}"} for channel in ("align", "baseline", "dx", "dy")
    }
    return [
        {
            "transform": where("datum.kind == 'point' && isValid(datum.note)"),
            "mark": {"type": "text", "style": style, **place},
            "encoding": {"text": name("label")},
        }
        for style in ("halo", "note")
    ]
