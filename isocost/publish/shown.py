"""Read what the report and the terminal show of tables that may be too large for memory.

Lives here: which rows of a large table can be shown at all. Not here: their use (``facts``), when a
table is large (``streams``).
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from isocost.publish.points_shown import likeliest
from isocost.publish.scaling_figure import axes_shown, on_axes
from isocost.publish.streams import is_large
from isocost.schema.frames import empty
from isocost.store import Store

_CURVES = ("out_scaling_points", "out_scaling_fits")
_FRONTIER = ("task", "frontier_kind", "quality_measure", "cost_axis")


def read_shown(store: Store, name: str, memory: int) -> pl.DataFrame:
    """A table, or the rows of it that can be shown if all would exceed a budget.

    Args:
        store: the tables.
        name: the table.
        memory: bytes.

    Raises:
        IsocostError: a file is damaged.
    """
    if name == "out_frontier_points" and is_large(store, name, memory):
        frames = list(_frontiers(store))
        return pl.concat(frames) if frames else empty(name)
    if name in _CURVES and is_large(store, name, memory):
        return _curves(store, name)
    return store.read(name)


def _frontiers(store: Store) -> Iterator[pl.DataFrame]:
    """The rows to show for each task, kind and axis; only one at a time is in memory."""
    for path in store.files("out_frontier_points"):
        keys = store.read("out_frontier_points", path.stem, columns=_FRONTIER).unique(
            maintain_order=True
        )
        for key in keys.iter_rows():
            mine = pl.all_horizontal(
                pl.col(column) == value for column, value in zip(_FRONTIER, key, strict=True)
            )
            yield likeliest(store.read_only("out_frontier_points", [path.stem], mine))


def _curves(store: Store, name: str) -> pl.DataFrame:
    """The rows of each task that are on the axis of its curves."""
    columns = ("task", "cost_axis", "point_kind", "cost")
    axes = axes_shown(store.read("out_scaling_points", columns=columns))
    pieces = [path.stem for path in store.files(name)]
    return on_axes(
        store.read_only(name, pieces, pl.col("cost_axis").is_in(sorted(set(axes.values())))), axes
    )
