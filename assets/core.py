"""The core layer: graded samples and their context, one file per session.

And the cards of models, devices and prices.

How they are computed is in ``isocost.tables``; which rows its rules reject in ``isocost.gates``;
``pipelines.checks`` shows it.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from assets.partitions import sessions
from assets.resources import MAKES_ROOT, StoreResource
from assets.specs import Result, result, table_spec
from isocost.build import refresh
from isocost.build.slices import Ledger
from isocost.errors import IsocostError

_RAW = ("raw_generations", "raw_answers", "raw_telemetry", "raw_imports")


@dg.multi_asset(
    name="core_session",
    specs=[table_spec(name, _RAW) for name in refresh.CORE_OF_SESSION],
    check_specs=[
        dg.AssetCheckSpec(
            "every_bank_is_readable",
            asset="core_samples",
            description=(
                "A session with a damaged bank does not stop the others: it is left out of every "
                "table and reported here."
            ),
        )
    ],
    partitions_def=sessions,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def core_session(
    context: dg.AssetExecutionContext, store: StoreResource
) -> Iterator[Result | dg.AssetCheckResult]:
    """Parse, verify, classify and check the samples of each session of the run.

    If there are several sessions, only those that are out of date.
    """
    place = store.existing()
    ledger = Ledger(place)
    is_single = len(context.partition_keys) == 1
    damaged: dict[str, str] = {}
    for session_id in context.partition_keys:
        try:
            # A single session requested by hand is always computed.
            one = refresh.curate_session(place, session_id, force=is_single, ledger=ledger)
        except IsocostError as error:
            is_kept = refresh.keep_or_leave_out(place, session_id, error, ledger)
            if is_single:
                raise
            damaged[session_id] = str(error)
            if is_kept:
                context.log.error("kept %s unchanged: %s", session_id, error)
                _report(
                    context,
                    session_id,
                    {name: {"kept_as_it_was": str(error)} for name in refresh.CORE_OF_SESSION},
                )
                continue
            context.log.error("left out %s: %s", session_id, error)
            _report(
                context,
                session_id,
                {
                    name: {"dagster/row_count": 0, "left_out": str(error)}
                    for name in refresh.CORE_OF_SESSION
                },
            )
            continue
        for note in one.set_aside:
            damaged[session_id] = "; ".join(filter(None, (damaged.get(session_id), note)))
            context.log.error("%s: %s", session_id, note)
        for run in one.without_manifest:
            context.log.error("%s: %s has lost its manifest", session_id, run)
        context.log.info("%s %s", "unchanged" if one.is_reused else "curated", session_id)
        for sentence in (*one.refused, *one.unjudged):
            context.log.error("%s: %s", session_id, sentence)
        reported = {
            name: {
                "dagster/row_count": rows,
                "dagster/uri": str(place.path(name, session_id)),
                "is_unchanged": one.is_reused,
            }
            for name, rows in one.rows.items()
        }
        _report(context, session_id, reported)
    for session_id in context.partition_keys:
        for sentence in refresh.clashes(place, session_id):
            context.log.warning("%s: %s", session_id, sentence)
    yield from (dg.MaterializeResult(asset_key=name) for name in refresh.CORE_OF_SESSION)
    yield dg.AssetCheckResult(
        passed=not damaged,
        asset_key="core_samples",
        check_name="every_bank_is_readable",
        metadata={"left_out": dg.MetadataValue.json(damaged)},
    )


def _report(
    context: dg.AssetExecutionContext, session_id: str, reported: Mapping[str, Mapping[str, object]]
) -> None:
    """Report each table on the session's page."""
    for name in refresh.CORE_OF_SESSION:
        context.add_asset_metadata(reported[name], asset_key=name, partition_key=session_id)


@dg.multi_asset(name="core_cards", specs=[table_spec(name) for name in refresh.CARDS])
def core_cards(context: dg.AssetExecutionContext, store: StoreResource) -> Iterator[Result]:
    """Write the packaged cards of models, devices and prices as tables."""
    place = store.open() if MAKES_ROOT in context.run.tags else store.existing()
    for name, rows in refresh.write_cards(place).rows.items():
        yield result(name, rows, place.path(name))
