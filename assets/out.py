"""The out layer: strategies, frontiers, curves, derived costs and item statistics, rebuilt whole from core.

One body a group of tables that are computed together; each calls one step of ``isocost.refresh``.
"""

import base64
from collections.abc import Callable, Iterator

import dagster as dg

from assets.resources import StoreResource
from assets.specs import result, table_spec
from isocost import refresh
from isocost.store import Store

_STRATEGIES = refresh.STEPS["strategies"][0]
_READS: dict[str, tuple[str, ...]] = {
    "strategies": ("core_samples",),
    "frontiers": (*_STRATEGIES, "core_points", "core_problems"),
    "scaling": (*_STRATEGIES, "core_samples", "core_problems"),
    "costs": ("core_samples", "core_sessions", "core_points", "core_models", "core_devices", "core_prices"),
    "items": ("core_samples", "core_points", "core_sessions", "core_calls"),
    "summary": ("core_samples",),
}


def _figure(name: str) -> Callable[[Store], bytes | None] | None:
    """The picture that the first table of a group shows on its page."""
    from isocost.publish import figures

    return {"frontiers": figures.frontier_png, "scaling": figures.scaling_png}.get(name)


def _group(name: str) -> dg.AssetsDefinition:
    tables, run = refresh.STEPS[name]

    @dg.multi_asset(
        name=name, specs=[table_spec(t, _READS[name], kinds=("sql" if name == "summary" else "polars", "parquet")) for t in tables]
    )
    def body(store: StoreResource) -> Iterator[dg.MaterializeResult]:
        place = store.open()
        frames = run(place)
        draw = _figure(name)
        image = draw(place) if draw else None
        for table in tables:
            shown = {"figure": dg.MetadataValue.md(_markdown(image))} if image and table == tables[0] else {}
            yield result(table, frames[table].height, place.path(table), **shown)

    return body


def _markdown(image: bytes) -> str:
    return f"![figure](data:image/png;base64,{base64.b64encode(image).decode()})"


strategies, frontiers, scaling, costs, items, summary = (_group(name) for name in refresh.STEPS)

ALL_OUT = tuple(table for tables, _ in refresh.STEPS.values() for table in tables)
