"""The out layer: strategies, frontiers, curves, derived costs and item statistics, rebuilt whole from core.

One body a group of tables that are computed together; each calls one step of ``isocost.refresh``.
"""

from collections.abc import Iterator

import dagster as dg

from assets.resources import StoreResource
from assets.specs import result, table_spec
from isocost import refresh

_STRATEGIES = refresh.STEPS["strategies"][0]
_READS: dict[str, tuple[str, ...]] = {
    "strategies": ("core_samples",),
    "frontiers": (*_STRATEGIES, "core_points", "core_problems"),
    "scaling": (*_STRATEGIES, "core_samples", "core_problems"),
    "costs": (
        "core_samples",
        "core_sessions",
        "core_points",
        "core_energy_attribution",
        "core_models",
        "core_devices",
        "core_prices",
    ),
    "items": ("core_samples", "core_points", "core_sessions", "core_calls"),
    "summary": ("core_samples",),
}


def _figure(name: str, frames: refresh.Frames) -> dict[str, dg.MetadataValue]:
    """The picture that the first table of a group shows on its page."""
    from isocost.publish import figures

    draw = {"frontiers": figures.frontier_figure, "scaling": figures.curves_figure}.get(name)
    return {"figure": dg.MetadataValue.md(figures.markdown_image(draw(frames)))} if draw else {}


def _group(name: str) -> dg.AssetsDefinition:
    tables, run = refresh.STEPS[name]
    language = "sql" if name == "summary" else "polars"

    @dg.multi_asset(name=name, specs=[table_spec(table, _READS[name], kinds=(language, "parquet")) for table in tables])
    def body(store: StoreResource) -> Iterator[dg.MaterializeResult]:
        place = store.open()
        frames = run(place)
        for table in tables:
            shown = _figure(name, frames) if table == tables[0] else {}
            yield result(table, frames[table].height, place.path(table), **shown)

    return body


strategies, frontiers, scaling, costs, items, summary = (_group(name) for name in refresh.STEPS)

ALL_OUT = tuple(table for tables, _ in refresh.STEPS.values() for table in tables)
