"""The out layer: strategies, frontiers, curves, derived costs and item statistics, from core.

One body per group of tables that are computed together; each calls one step of
``isocost.build.refresh``, which builds the pieces that are out of date. A piece that cannot be
built is in no table, and does not stop the others.
"""

from collections.abc import Iterator

import dagster as dg

from assets.resources import StoreResource
from assets.specs import Result, result, table_spec
from isocost.build import refresh
from isocost.store import Store

EVERY_PIECE = "every_piece_is_built"
_EVERY_PIECE = (
    "If the tables of this group cannot be built for a task, point or session, the others are not "
    "affected: it is in none of them and reported here."
)


def _reads(name: str) -> tuple[str, ...]:
    """The tables of other groups that a group reads."""
    read = (
        table
        for rule in refresh.RULES
        if rule.step == name
        for table in (*rule.reads, *(refresh.CARDS if rule.uses_cards else ()))
    )
    return tuple(dict.fromkeys(table for table in read if table not in refresh.STEPS[name]))


def _figure(name: str, store: Store) -> dict[str, dg.MetadataValue]:
    """The figures that the first table of a group shows on its page."""
    from isocost.publish import asset_figures

    draw = {
        "frontiers": asset_figures.frontier_pictures,
        "scaling": asset_figures.curve_pictures,
    }.get(name)
    if draw is None:
        return {}
    return {
        "figure": dg.MetadataValue.md(
            draw({table: store.read(table) for table in ("core_points", *refresh.STEPS[name])})
        )
    }


def _group(name: str) -> dg.AssetsDefinition:
    tables = refresh.STEPS[name]
    language = "sql" if name == "summary" else "polars"

    @dg.multi_asset(
        name=name,
        specs=[table_spec(table, _reads(name), kinds=(language, "parquet")) for table in tables],
        check_specs=[dg.AssetCheckSpec(EVERY_PIECE, asset=tables[0], description=_EVERY_PIECE)],
    )
    def body(
        context: dg.AssetExecutionContext, store: StoreResource
    ) -> Iterator[Result | dg.AssetCheckResult]:
        place = store.existing()
        done = refresh.derive(place, name)
        for error in done.failed:
            context.log.error("left out %s", error)
        for table in tables:
            shown = _figure(name, place) if table == tables[0] else {}
            told = {"pieces_built": done.built, "pieces_unchanged": done.reused}
            yield result(table, done.rows[table], place.path(table).parent, **told, **shown)
        left_out = {error.piece: str(error) for error in done.failed}
        yield dg.AssetCheckResult(
            passed=not left_out,
            asset_key=tables[0],
            check_name=EVERY_PIECE,
            description="; ".join(left_out.values()) or None,
            metadata={"left_out": dg.MetadataValue.json(left_out)},
        )

    return body


GROUPS = [_group(name) for name in refresh.STEPS]

ALL_OUT = tuple(table for tables in refresh.STEPS.values() for table in tables)
