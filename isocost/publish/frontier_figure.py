"""The frontier figure: accuracy with its interval against cost, the frontier as a staircase.

Lives here: its layers. Not here: which rows are shown (``facts``), words (``labels``), colours (``theme``).
"""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import labels, theme
from isocost.publish.drawing import accuracy_domain, accuracy_encoding, cost_encoding, cost_tooltip, drawable, log_domain, rounded

_COLOURS = 6
_OTHERS = "other strategies"
COLUMNS = (
    "task",
    "configuration",
    "strategy",
    "budget",
    "cost",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "is_on_frontier",
    "frontier_probability",
)


def frontier_chart(
    points: pl.DataFrame,
    cost_axis: str,
    bound: pl.DataFrame | None = None,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> alt.TopLevelMixin:
    """Accuracy with its interval against cost on a logarithmic axis, the frontier as a staircase.

    Colour is the strategy, shape the prompt and model, size and opacity the probability of being on the frontier.

    Args:
        points: rows of one cost axis with ``COLUMNS``; costs above zero, accuracy and probability in 0..1.
        cost_axis: the axis that ``cost`` counts, for its title.
        bound: ``task``, ``cost``, ``accuracy`` of the frontier with a perfect verifier, drawn as a dashed staircase.
        width: of one panel in pixels, or "container" (one task only).
        height: of one panel in pixels.
        facet: one panel a task, side by side; False where all rows are of one task.

    Returns:
        A chart without configuration; ``figures.themed`` adds it.

    Raises:
        IsocostError: no row can be drawn.
    """
    drawn = drawable(points)
    if drawn.is_empty():
        raise IsocostError(
            f"no configuration has a known cost on the axis {cost_axis}", where="out_frontier_points", remedy="Choose another cost axis"
        )
    steps = drawable(bound) if bound is not None else drawn.clear()
    domain = log_domain(drawn["cost"], steps["cost"])
    named = _named_strategies(drawn)
    colour, shape = _colour(named, drawn), theme.shapes(drawn["configuration"].to_list())
    shape_scale = alt.Scale(domain=list(shape), range=list(shape.values()))
    layers = [_intervals(colour), *_bound_layers(), _staircase(), _points(colour, shape_scale, cost_axis), *_notes()]
    stairs = _stairs(drawn.filter("is_on_frontier"), domain[1], "stair") + _stairs(steps, domain[1], "bound")
    data = alt.Data(values=_rows(drawn, named) + stairs)
    chart = alt.layer(*layers, data=data).encode(
        x=cost_encoding(cost_axis, domain), y=accuracy_encoding(accuracy_domain(drawn, steps["accuracy"]))
    )
    chart = chart.properties(width=width, height=height)
    if not facet:
        return chart
    tasks = drawn["task"].unique().sort().to_list()
    return chart.facet(facet=alt.Facet("task:N", header=alt.Header(labelAnchor="start"), sort=tasks), columns=min(2, len(tasks)))


def _rows(drawn: pl.DataFrame, named: list[str]) -> list[dict[str, Any]]:
    rows = []
    noted = _noted(drawn)
    for row in drawn.select(COLUMNS).sort("task", "cost", "accuracy", "strategy", "budget", "configuration").iter_rows(named=True):
        sure = row["frontier_probability"] or 0.0
        label = labels.outcome(row["strategy"], row["budget"])
        made = {
            "kind": "point",
            "task": row["task"],
            "configuration": row["configuration"],
            "colour": labels.strategy_words(row["strategy"]) if row["strategy"] in named else _OTHERS,
            "label": label,
            "interval": labels.interval(row["accuracy_low"], row["accuracy_high"]),
            "note": noted.get((row["task"], label, row["configuration"])),
            "line_opacity": rounded(0.12 + 0.48 * sure),
            "mark_opacity": rounded(0.28 + 0.67 * sure),
        }
        numbers = ("cost", "accuracy", "accuracy_low", "accuracy_high", "is_on_frontier", "frontier_probability")
        rows.append(made | {name: rounded(row[name]) for name in numbers})
    return rows


def _noted(drawn: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    """First and last step of each staircase: the two that a reader names first and whose labels never collide."""
    noted: dict[tuple[str, str, str], str] = {}
    for _, group in drawn.filter("is_on_frontier").sort("cost").group_by("task", maintain_order=True):
        for place, row in (("first", group.row(0, named=True)), ("last", group.row(-1, named=True))):
            noted[row["task"], labels.outcome(row["strategy"], row["budget"]), row["configuration"]] = place
    return noted


def _stairs(steps: pl.DataFrame, right: float, kind: str) -> list[dict[str, Any]]:
    """The corners of each task's staircase, drawn out to the right edge."""
    rows = []
    for (task,), group in steps.sort("cost").group_by("task", maintain_order=True):
        corners = group.select("cost", "accuracy").rows()
        corners.append((right, corners[-1][1]))
        rows += [{"kind": kind, "task": task, "cost": rounded(c), "accuracy": rounded(a)} for c, a in corners]
    return rows


def _colour(named: list[str], drawn: pl.DataFrame) -> alt.Color:
    colour = {labels.strategy_words(name): shade for name, shade in theme.colours(named).items()}
    if set(drawn["strategy"]) - set(named):
        colour[_OTHERS] = theme.NEUTRAL
    scale = alt.Scale(domain=list(colour), range=list(colour.values()))
    return alt.Color("colour:N", scale=scale, title="Strategy")


def _named_strategies(drawn: pl.DataFrame) -> list[str]:
    """The strategies that get a colour of their own: those that may matter on the frontier, few enough for a legend."""
    ranked = (
        drawn.group_by("strategy")
        .agg(pl.col("is_on_frontier").sum().alias("steps"), pl.col("frontier_probability").max().alias("probability"))
        .sort("steps", "probability", "strategy", descending=[True, True, False])
    )
    return ranked["strategy"].head(_COLOURS).to_list()


def _staircase() -> alt.Chart:
    stairs = alt.Chart().transform_filter("datum.kind == 'stair'")
    return stairs.mark_line(interpolate="step-after", strokeWidth=1.6, opacity=0.8)


def _bound_layers() -> list[alt.Chart]:
    bound = alt.Chart().transform_filter("datum.kind == 'bound'")
    last = bound.transform_joinaggregate(right="max(cost)", groupby=["task"]).transform_filter("datum.cost == datum.right")
    place = {"align": "right", "baseline": "bottom", "dy": -5, "opacity": 0.75}
    return [
        bound.mark_line(interpolate="step-after", strokeWidth=1.2, strokeDash=[2, 3], opacity=0.7),
        last.mark_text(style="note", **place).encode(text=alt.value("with a perfect verifier")),
    ]


def _intervals(colour: alt.Color) -> alt.Chart:
    return (
        alt.Chart()
        .transform_filter("datum.kind == 'point' && isValid(datum.accuracy_low)")
        .mark_rule(strokeWidth=1.4)
        .encode(y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q", color=colour, opacity=_opacity("line_opacity"))
    )


def _opacity(field: str) -> alt.Opacity:
    # Computed here and not by a scale: a second channel on the probability would swallow the legend of the sizes.
    return alt.Opacity(f"{field}:Q", scale=None, legend=None)


def _points(colour: alt.Color, shape: alt.Scale, cost_axis: str) -> alt.Chart:
    size = alt.Size(
        "frontier_probability:Q",
        scale=alt.Scale(domain=[0, 1], range=[22, 190]),
        title="Probability of being on the frontier",
        legend=alt.Legend(format=".0%", values=[0.05, 0.5, 0.95]),
    )
    tooltip = [
        alt.Tooltip("label:N", title="Strategy"),
        alt.Tooltip("configuration:N", title="Configuration"),
        alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="Interval"),
        cost_tooltip(cost_axis),
        alt.Tooltip("is_on_frontier:N", title="On the frontier"),
        alt.Tooltip("frontier_probability:Q", title="in bootstrap draws", format=".0%"),
    ]
    return (
        alt.Chart()
        .transform_filter("datum.kind == 'point'")
        .mark_point(filled=True, strokeWidth=0)
        .encode(
            color=colour,
            shape=alt.Shape("configuration:N", scale=shape, title="Configuration"),
            size=size,
            opacity=_opacity("mark_opacity"),
            tooltip=tooltip,
        )
    )


def _notes() -> list[alt.Chart]:
    places = {
        "last": {"align": "right", "baseline": "bottom", "dx": -9, "dy": -7},
        "first": {"align": "left", "baseline": "top", "dx": 9, "dy": 7},
    }
    charts = []
    for name, place in places.items():
        base = alt.Chart().transform_filter(f"datum.note == '{name}'")
        charts += [base.mark_text(style=style, **place).encode(text="label:N") for style in ("halo", "note")]
    return charts
