"""The figures: accuracy against cost with its frontier, and scaling curves with their asymptotes.

Lives here: Vega-Lite charts built from frames that hold all a figure shows, and their way into PNG bytes. Not here: which rows
are shown (``facts``), words (``labels``), colours (``theme``).
"""

from __future__ import annotations

import io
import math
from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import labels, theme

PNG_LIMIT_BYTES = 100_000
FRONTIER_COLUMNS = (
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
    points: pl.DataFrame, cost_axis: str, *, width: int | str = 420, height: int = 320, facet: bool = True
) -> alt.TopLevelMixin:
    """Accuracy with its interval against cost on a logarithmic axis, the frontier as a staircase.

    Colour is the strategy, shape the prompt and model, size and opacity the probability of being on the frontier.

    Args:
        points: rows of one cost axis with ``FRONTIER_COLUMNS``; costs above zero, accuracy and probability in 0..1.
        cost_axis: the axis that ``cost`` counts, for its title.
        width: of one panel in pixels, or "container" (one task only).
        height: of one panel in pixels.
        facet: one panel a task, side by side; False where all rows are of one task.

    Returns:
        A chart without configuration; ``themed`` adds it.

    Raises:
        IsocostError: no row can be drawn.
    """
    drawn = points.filter(pl.col("cost").is_not_null() & (pl.col("cost") > 0) & pl.col("accuracy").is_not_null())
    if drawn.is_empty():
        raise IsocostError(
            f"no configuration has a known cost on the axis {cost_axis}", where="out_frontier_points", remedy="Choose another cost axis"
        )
    colour, shape = theme.colours(drawn["strategy"].to_list()), theme.shapes(drawn["configuration"].to_list())
    rows = _rows(drawn)
    layers = [
        _intervals(_colour_scale(colour)),
        _staircase(),
        _points(_colour_scale(colour), alt.Scale(domain=list(shape), range=list(shape.values())), cost_axis),
        *_notes(),
    ]
    x = _cost_axis(cost_axis, _log_domain(drawn))
    y = alt.Y(
        "accuracy:Q",
        scale=alt.Scale(domain=_accuracy_domain(drawn), nice=False),
        axis=alt.Axis(title="Accuracy", format=".0%", tickCount=6),
    )
    chart = alt.layer(*layers, data=alt.Data(values=rows + _stairs(drawn))).encode(x=x, y=y).properties(width=width, height=height)
    if not facet:
        return chart
    tasks = drawn["task"].unique().sort().to_list()
    return chart.facet(facet=alt.Facet("task:N", header=alt.Header(labelAnchor="start"), sort=tasks), columns=min(2, len(tasks)))


def scaling_chart(
    points: pl.DataFrame,
    curves: pl.DataFrame,
    asymptotes: pl.DataFrame,
    cost_axis: str,
    *,
    width: int | str = 420,
    height: int = 320,
    facet: bool = True,
) -> alt.TopLevelMixin:
    """Measured points with intervals, the fitted curve, and the band in which its asymptote lies.

    Args:
        points: ``task``, ``configuration``, ``strategy``, ``cost``, ``accuracy``, ``accuracy_low``, ``accuracy_high``, ``budget``.
        curves: ``task``, ``configuration``, ``strategy``, ``family``, ``cost``, ``accuracy``, ``is_extrapolated``: fitted curves on
            a grid of costs.
        asymptotes: ``task``, ``configuration``, ``strategy``, ``family``, ``asymptote``, ``asymptote_low``, ``asymptote_high``;
            rows without an asymptote draw no band.
        cost_axis: the axis that ``cost`` counts.
        width: of one panel in pixels, or "container" (one panel only).
        height: of one panel in pixels.
        facet: one panel a task and strategy; False where all rows belong to one panel.

    Raises:
        IsocostError: there is no point to draw.
    """
    drawn = points.filter((pl.col("cost") > 0) & pl.col("accuracy").is_not_null())
    if drawn.is_empty():
        raise IsocostError("there is no point to draw a curve through", where="out_scaling_points")
    names = sorted(set(drawn["configuration"].to_list()))
    scale = alt.Scale(domain=names, range=[theme.PALETTE[i % len(theme.PALETTE)] for i in range(len(names))])
    colour = alt.Color("configuration:N", scale=scale, title=None)
    known = asymptotes.filter(pl.col("asymptote").is_not_null())
    left, right = _log_domain(pl.concat([drawn.select("cost"), curves.select("cost")]) if curves.height else drawn)
    banded = known.with_columns(left=pl.lit(left), right=pl.lit(right), kind=pl.lit("asymptote"))
    rows = _tagged(drawn, "point") + _tagged(curves, "curve") + banded.to_dicts()
    x = _cost_axis(cost_axis, [left, right])
    y_scale = alt.Scale(domain=_accuracy_domain(drawn, known), nice=False, clamp=False)
    y = alt.Y("accuracy:Q", scale=y_scale, axis=alt.Axis(title="Accuracy", format=".0%", tickCount=6))
    layers = [*_asymptote_layers(colour), *_curve_layers(x, y, colour, cost_axis)]
    panel = alt.layer(*layers, data=alt.Data(values=rows)).properties(width=width, height=height)
    if not facet:
        return panel
    for row in rows:
        row["panel"] = f"{row['task']} · {labels.strategy_words(row['strategy'])}"
    panels = sorted({row["panel"] for row in rows})
    return panel.facet(facet=alt.Facet("panel:N", header=alt.Header(labelAnchor="start"), sort=panels), columns=min(2, len(panels)))


def themed(chart: alt.TopLevelMixin, mode: theme.Mode = "light") -> dict[str, Any]:
    """The chart's Vega-Lite specification with the theme of one mode."""
    specification = chart.to_dict(validate=True)
    specification["config"] = theme.config(mode)
    return specification


def to_png(chart: alt.TopLevelMixin, *, mode: theme.Mode = "light", limit_bytes: int = PNG_LIMIT_BYTES) -> bytes:
    """The chart as PNG bytes, small enough for asset metadata.

    Args:
        chart: a chart of this module.
        mode: light or dark.
        limit_bytes: size not to exceed; the resolution is lowered until the image fits.

    Raises:
        IsocostError: even the coarsest rendering is larger.
    """
    import vl_convert  # 0.1 s and 60 MB: not for everyone who imports a figure
    from PIL import Image

    specification = themed(chart, mode)
    image = b""
    for scale in (2.0, 1.5, 1.0, 0.75):
        drawn = Image.open(io.BytesIO(vl_convert.vegalite_to_png(specification, scale=scale))).convert("RGB")
        buffer = io.BytesIO()
        # A palette: what vl-convert writes is hardly compressed, ten times the size for the same picture.
        drawn.quantize(192).save(buffer, "PNG", optimize=True)
        image = buffer.getvalue()
        if len(image) <= limit_bytes:
            return image
    raise IsocostError(f"the figure takes {len(image)} bytes, more than {limit_bytes}", remedy="Draw fewer tasks in one figure")


def empty_chart(text: str) -> alt.Chart:
    """A chart that says why there is nothing to see."""
    return alt.Chart(alt.Data(values=[{"text": text}])).mark_text().encode(text="text:N").properties(width=420, height=80)


def _colour_scale(colour: dict[str, str]) -> alt.Color:
    words = {name: labels.strategy_words(name) for name in colour}
    return alt.Color("strategy_words:N", scale=alt.Scale(domain=list(words.values()), range=list(colour.values())), title="Strategy")


def _rows(drawn: pl.DataFrame) -> list[dict[str, Any]]:
    rows = []
    noted = _noted(drawn)
    for row in drawn.select(FRONTIER_COLUMNS).sort("task", "cost", "accuracy", "strategy", "budget").iter_rows(named=True):
        row = {k: _rounded(v) for k, v in row.items()}
        row["strategy_words"] = labels.strategy_words(row["strategy"])
        row["label"] = labels.configuration(row["strategy"], row["budget"])
        row["interval"] = labels.interval(row["accuracy_low"], row["accuracy_high"])
        row["note"] = noted.get((row["task"], row["label"], row["configuration"]))
        sure = row["frontier_probability"] or 0.0
        row["line_opacity"], row["mark_opacity"] = _rounded(0.12 + 0.48 * sure), _rounded(0.28 + 0.67 * sure)
        row["kind"] = "point"
        rows.append(row)
    return rows


def _noted(drawn: pl.DataFrame) -> dict[tuple[str, str, str], str]:
    """First and last step of each staircase: the two that a reader names first and whose labels never collide."""
    noted: dict[tuple[str, str, str], str] = {}
    for (_task,), group in drawn.filter("is_on_frontier").sort("cost").group_by("task", maintain_order=True):
        for place, row in (("first", group.row(0, named=True)), ("last", group.row(-1, named=True))):
            noted[row["task"], labels.configuration(row["strategy"], row["budget"]), row["configuration"]] = place
    return noted


def _stairs(drawn: pl.DataFrame) -> list[dict[str, Any]]:
    """The corners of each task's staircase, drawn out to the dearest configuration."""
    right = _log_domain(drawn)[1]
    rows = []
    for (task,), group in drawn.filter("is_on_frontier").sort("cost").group_by("task", maintain_order=True):
        corners = group.select("cost", "accuracy").rows()
        corners.append((right, corners[-1][1]))
        rows += [{"task": task, "cost": _rounded(c), "accuracy": _rounded(a), "kind": "stair"} for c, a in corners]
    return rows


def _staircase() -> alt.Chart:
    return alt.Chart().transform_filter("datum.kind == 'stair'").mark_line(interpolate="step-after", strokeWidth=1.6, opacity=0.8)


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
        alt.Tooltip("cost:Q", title=labels.axis_label(cost_axis).title, format=",.4~g"),
        alt.Tooltip("is_on_frontier:N", title="On the frontier"),
        alt.Tooltip("frontier_probability:Q", title="in bootstrap draws", format=".0%"),
    ]
    return (
        alt.Chart()
        .transform_filter("datum.kind == 'point'")
        .mark_point(filled=True, strokeWidth=0)
        .encode(
            color=colour,
            shape=alt.Shape("configuration:N", scale=shape, title="Prompt and model"),
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


def _asymptote_layers(colour: alt.Color) -> list[alt.Chart]:
    base = alt.Chart().transform_filter("datum.kind == 'asymptote'")
    banded = base.transform_filter("isValid(datum.asymptote_low) && isValid(datum.asymptote_high)")
    return [
        banded.mark_rect(opacity=0.12, clip=True).encode(
            x="left:Q", x2="right:Q", y="asymptote_low:Q", y2="asymptote_high:Q", color=colour
        ),
        base.mark_rule(strokeDash=[2, 4], strokeWidth=1.4, opacity=0.9, clip=True).encode(
            x="left:Q", x2="right:Q", y="asymptote:Q", color=colour
        ),
    ]


def _curve_layers(x: alt.X, y: alt.Y, colour: alt.Color, cost_axis: str) -> list[alt.Chart]:
    curve = alt.Chart().transform_filter("datum.kind == 'curve'")
    point = alt.Chart().transform_filter("datum.kind == 'point'")
    dash = alt.StrokeDash("is_extrapolated:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [6, 4]]), legend=None)
    detail = ["family:N", "configuration:N"]
    tooltip = [
        alt.Tooltip("configuration:N", title="Configuration"),
        alt.Tooltip("budget:N", title="Budget"),
        alt.Tooltip("accuracy:Q", title="Accuracy", format=".1%"),
        alt.Tooltip("interval:N", title="Interval"),
        alt.Tooltip("cost:Q", title=labels.axis_label(cost_axis).title, format=",.4~g"),
    ]
    return [
        curve.mark_line(strokeWidth=2, clip=True).encode(x=x, y=y, color=colour, strokeDash=dash, detail=detail),
        point.mark_rule(strokeWidth=1.4, opacity=0.55).encode(x=x, y=alt.Y("accuracy_low:Q"), y2="accuracy_high:Q", color=colour),
        point.mark_point(filled=True, size=64, opacity=1, strokeWidth=0).encode(x=x, y=y, color=colour, tooltip=tooltip),
    ]


def _tagged(frame: pl.DataFrame, kind: str) -> list[dict[str, Any]]:
    rows = []
    for row in frame.iter_rows(named=True):
        row = {k: _rounded(v) for k, v in row.items()}
        if kind == "point":
            row["interval"] = labels.interval(row["accuracy_low"], row["accuracy_high"])
        rows.append({**row, "kind": kind})
    return rows


def _rounded(value: Any) -> Any:
    """Five significant digits are more than a pixel; the page stays small and its bytes do not hang on the last bit."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _log_domain(frame: pl.DataFrame) -> list[float]:
    low, high = float(frame["cost"].min()), float(frame["cost"].max())
    margin = max((high / low) ** 0.06, 1.08)
    return [_rounded(low / margin), _rounded(high * margin)]


def _cost_axis(cost_axis: str, domain: list[float]) -> alt.X:
    axis = alt.Axis(title=labels.axis_label(cost_axis).title, format="~s", values=_ticks(*domain))
    return alt.X("cost:Q", scale=alt.Scale(type="log", nice=False, domain=domain), axis=axis)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... inside a logarithmic domain; whole decades only where it spans many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low <= 2000 else (1,)
    values = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [v for v in values if low <= v <= high]


def _accuracy_domain(drawn: pl.DataFrame, asymptotes: pl.DataFrame | None = None) -> list[float]:
    """From zero, unless all that is drawn lies in the upper half; a band wider than the data may run out of the picture."""
    low = min(v for v in (drawn["accuracy_low"].min(), drawn["accuracy"].min()) if v is not None)
    high = max(v for v in (drawn["accuracy_high"].max(), drawn["accuracy"].max()) if v is not None)
    if asymptotes is not None and asymptotes.height:
        high = max(high, min(1.0, asymptotes["asymptote"].max()))
    bottom = 0.0 if low < 0.5 * high else max(0.0, low - 0.1 * (high - low))
    return [_rounded(bottom), _rounded(min(1.0, high + 0.06 * (high - bottom)))]
