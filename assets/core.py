"""The core layer: graded samples and what they hang on, one file a session; and the cards of models, devices and prices.

How they are computed is in ``isocost.tables``; that they hold is checked in ``pipelines.checks``.
"""

from collections.abc import Iterator

import dagster as dg

from assets.partitions import sessions
from assets.resources import StoreResource
from assets.specs import result, table_spec
from isocost import refresh
from isocost.pieces import Ledger

_RAW = ("raw_generations", "raw_telemetry", "raw_imports")


@dg.multi_asset(
    name="core_session",
    specs=[table_spec(name, _RAW) for name in refresh.CORE_OF_SESSION],
    partitions_def=sessions,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def core_session(context: dg.AssetExecutionContext, store: StoreResource) -> Iterator[dg.MaterializeResult]:
    """Parses, verifies, classifies and judges the samples of each session of the run; of several, those that do not fit the bank."""
    place, ledger = store.open(), Ledger(store.open())
    done: dict[str, refresh.Curated] = {}
    for session_id in context.partition_keys:
        # Who asks for one session by hand wants it computed.
        done[session_id] = refresh.curate_session(place, session_id, force=len(context.partition_keys) == 1, ledger=ledger)
        context.log.info("%s %s", "unchanged" if done[session_id].is_reused else "curated", session_id)
    for session_id in context.partition_keys:
        for sentence in refresh.clashes(place, session_id):
            context.log.warning("%s: %s", session_id, sentence)
    for session_id, one in done.items():
        for name in refresh.CORE_OF_SESSION:
            told = {"dagster/row_count": one.rows[name], "dagster/uri": str(place.path(name, session_id)), "is_unchanged": one.is_reused}
            context.add_asset_metadata(told, asset_key=name, partition_key=session_id)
    yield from (dg.MaterializeResult(asset_key=name) for name in refresh.CORE_OF_SESSION)


@dg.multi_asset(name="core_cards", specs=[table_spec(name) for name in refresh.CARDS])
def core_cards(store: StoreResource) -> Iterator[dg.MaterializeResult]:
    """Writes the packaged cards of models, devices and prices as tables."""
    place = store.open()
    for name, rows in refresh.write_cards(place).rows.items():
        yield result(name, rows, place.path(name))
