"""The out layer: strategies, frontiers, curves, derived costs and item statistics, rebuilt whole from core.

One body a group of tables that are computed together; each calls one step of ``isocost.refresh``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from assets.resources import StoreResource
from assets.specs import result, table_spec
from isocost import refresh
from isocost.store import Store


def _step(
    name: str, tables: Sequence[str], deps: Sequence[str], run: Callable[[Store], refresh.Frames], figure=None
) -> dg.AssetsDefinition:
    """The asset of one group of tables; ``figure`` makes the picture that the first of them shows."""

    @dg.multi_asset(name=name, specs=[table_spec(t, deps, kinds=("polars", "parquet")) for t in tables])
    def body(store: StoreResource) -> Iterator[dg.MaterializeResult]:
        place = store.open()
        frames = run(place)
        for table in tables:
            extra = {"figure": dg.MetadataValue.md(figure(frames))} if figure and table == tables[0] and frames[table].height else {}
            yield result(table, frames[table].height, place.path(table), **extra)

    return body
