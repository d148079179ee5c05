"""The report's charts as Markdown images, for the pages of the assets that they show.

Lives here: which charts a page shows, and their form. Not here: the charts (``frontier_figure``,
``scaling_figure``), which are drawn with the report's own arguments, so that a colour means the
same in both.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from isocost.publish import facts as facts_module
from isocost.publish import labels, theme
from isocost.publish.frontier_figure import frontier_specification
from isocost.publish.points_shown import thinned
from isocost.publish.scaling_figure import scaling_specification

_PANELS = 4
"""More images than this make a metadata page too long.

The report has a chart for each task.
"""
_WIDTH = 720
_SCREEN_READER = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')
_DIGITS = re.compile(r"(\.\d\d)\d+")
# Arial and its metric-compatible substitutes are equally wide everywhere: legends are laid out here
# and drawn in the reader's browser.
_FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"


def frontier_pictures(frames: Mapping[str, pl.DataFrame]) -> str:
    """The frontier of the first tasks on the first cost axis, one image per task.

    Args:
        frames: out_frontier_points, and other available tables (core_points names the
            configurations), by table name.
    """
    facts = facts_module.from_frames(frames)
    drawn = {}
    for task in facts.tasks[:_PANELS]:
        axis = facts.axis_of(task)
        mine = facts.frontier.filter(
            (pl.col("cost_axis") == axis) & (pl.col("task") == task) & (pl.col("cost") > 0)
        )
        if axis is not None and mine.height:
            mine = thinned(mine.sort("cost", "accuracy", "outcome_id"))
            drawn[task] = frontier_specification(
                mine, axis, facts.bound_of(task, axis), height=380, width=_WIDTH, facet=False
            )
    return _pictures(drawn, "No configuration has both an accuracy and a cost yet.")


def curve_pictures(frames: Mapping[str, pl.DataFrame]) -> str:
    """The scaling curves of the first tasks, one image per task.

    The first strategy on the first cost axis.

    Args:
        frames: out_scaling_points and out_scaling_fits, and other available tables, by table name.
    """
    facts = facts_module.from_frames(frames)
    if not facts.curve_axes:
        return _pictures(
            {}, "No curve yet: a curve needs a configuration measured at several budgets."
        )
    axis, strategy = facts.curve_axes[0], facts.curve_strategies[0]
    points, fits = facts.curves_of(strategy, axis)
    drawn = {}
    for task in facts.tasks[:_PANELS]:
        mine = points.filter(pl.col("task") == task)
        if mine.filter((pl.col("point_kind") == "measured") & (pl.col("cost") > 0)).height:
            theirs = fits.filter(pl.col("task") == task)
            drawn[task] = scaling_specification(
                mine, theirs, axis, height=320, width=_WIDTH, facet=False
            )
    return _pictures(drawn, "No curve yet: nothing was measured at several budgets.")


def _pictures(drawn: Mapping[str, dict[str, Any]], otherwise: str) -> str:
    named = {labels.task_words(task): chart for task, chart in drawn.items()}
    return (
        "\n\n".join(f"**{name}**\n\n{picture(chart, name)}" for name, chart in named.items())
        or otherwise
    )


def picture(specification: Mapping[str, Any], title: str) -> str:
    """A chart as a self-contained Markdown image.

    A drawing in exactly its colours, narrower than the dialog that shows it.
    """
    import vl_convert  # 0.1 s and 60 MB: not for every import of a figure

    svg = vl_convert.vegalite_to_svg(
        {**specification, "config": {**theme.config("light"), "font": _FONT}}
    )
    svg = _DIGITS.sub(r"\1", _SCREEN_READER.sub("", svg))
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
