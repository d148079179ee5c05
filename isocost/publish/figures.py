"""Figures as specifications, PNG bytes and Markdown, for the report, Dagster and notebooks.

Lives here: theming, rendering, and the two figures of a set of tables. Not here: their layers
(``frontier_figure``, ``scaling_figure``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import altair as alt
import polars as pl

from isocost.errors import IsocostError
from isocost.publish import facts as facts_module
from isocost.publish import theme
from isocost.publish.frontier_figure import frontier_chart
from isocost.publish.points_shown import thinned
from isocost.publish.scaling_figure import scaling_chart

PNG_LIMIT_BYTES = 100_000
# More panels than this are illegible; the report has a chart for each.
_PANELS = 4
_SCALES = (2.0, 1.5, 1.0, 0.75)

__all__ = [
    "curves_figure",
    "empty_chart",
    "frontier_chart",
    "frontier_figure",
    "scaling_chart",
    "themed",
    "to_png",
]


def frontier_figure(
    frames: Mapping[str, pl.DataFrame], cost_axis: str | None = None
) -> alt.TopLevelMixin:
    """The frontier of the tasks of some tables on one cost axis.

    The first axis by default.

    Args:
        frames: out_frontier_points, and other available tables, by table name.
        cost_axis: a cost axis of these.
    """
    facts = facts_module.from_frames(frames)
    axis = cost_axis or facts.first_axis
    if axis is None:
        return empty_chart("No configuration has both an accuracy and a cost yet.")
    points = facts.frontier.filter(
        (pl.col("cost_axis") == axis) & pl.col("task").is_in(list(facts.tasks[:_PANELS]))
    )
    bound = facts.bound.filter(
        (pl.col("cost_axis") == axis) & pl.col("task").is_in(list(facts.tasks[:_PANELS]))
    )
    return frontier_chart(thinned(points), axis, bound)


def curves_figure(
    frames: Mapping[str, pl.DataFrame], cost_axis: str | None = None, strategy: str | None = None
) -> alt.TopLevelMixin:
    """The scaling curves of the tasks of some tables: one strategy on one cost axis.

    The first of each by default.

    Args:
        frames: out_scaling_points and out_scaling_fits, and other available tables, by table name.
        cost_axis: a cost axis of these.
        strategy: a strategy of these.
    """
    facts = facts_module.from_frames(frames)
    axes, strategies = facts.curve_axes, facts.curve_strategies
    if not axes:
        return empty_chart(
            "No curve yet: a curve needs a configuration measured at several budgets."
        )
    axis, chosen = cost_axis or axes[0], strategy or strategies[0]
    points, fits = facts.curves_of(chosen, axis)
    shown = pl.col("task").is_in(list(facts.tasks[:_PANELS]))
    drawn = points.filter(shown)
    if not drawn.filter(pl.col("cost") > 0).height:
        return empty_chart("No curve yet: nothing was measured at several budgets.")
    return scaling_chart(drawn, fits.filter(shown), axis)


def themed(chart: alt.TopLevelMixin, mode: theme.Mode = "light") -> dict[str, Any]:
    """The chart's Vega-Lite specification with the theme of one mode."""
    specification = chart.to_dict(validate=True)
    specification["config"] = theme.config(mode)
    return specification


def to_png(
    chart: alt.TopLevelMixin, *, mode: theme.Mode = "light", limit_bytes: int = PNG_LIMIT_BYTES
) -> bytes:
    """The chart as PNG bytes, small enough for asset metadata.

    Args:
        chart: a chart of this package.
        mode: light or dark.
        limit_bytes: size not to exceed; the resolution is lowered until the image fits.

    Raises:
        IsocostError: even the coarsest rendering is larger.
    """
    import vl_convert  # 0.1 s and 60 MB: not for every import of a figure
    from PIL import Image

    specification = themed(chart, mode)
    image = b""
    for scale in _SCALES:
        drawn = Image.open(
            io.BytesIO(vl_convert.vegalite_to_png(specification, scale=scale))
        ).convert("RGB")
        buffer = io.BytesIO()
        # A palette: vl-convert's output is hardly compressed, ten times the size for the same
        # image.
        drawn.quantize(192).save(buffer, "PNG", optimize=True)
        image = buffer.getvalue()
        if len(image) <= limit_bytes:
            return image
    raise IsocostError(
        f"the figure takes {len(image)} bytes, more than {limit_bytes}",
        remedy="Draw fewer tasks in one figure",
    )


def empty_chart(text: str) -> alt.Chart:
    """A chart that states why there is nothing to see."""
    return (
        alt.Chart(alt.Data(values=[{"text": text}]))
        .mark_text()
        .encode(text="text:N")
        .properties(width=420, height=80)
    )
