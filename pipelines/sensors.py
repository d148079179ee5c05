"""Two watched folders: sweep files to measure, other tools' results to import.

Off until switched on in the UI.

A sensor only registers sessions and requests runs; planning is in ``isocost.build.refresh``,
importing in ``isocost.importers``.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import dagster as dg

from assets.partitions import sessions
from assets.raw import ImportConfig
from assets.resources import StoreResource
from isocost.build import refresh
from isocost.errors import IsocostError, one_source
from isocost.importers.reading import entries_of
from isocost.intake import source_key
from isocost.plain_files import load_plain, read_plain
from isocost.seals import Identity, identity
from isocost.store import Store
from pipelines.jobs import import_job, sweep_job

SWEEPS_VARIABLE = "ISOCOST_SWEEPS"
INBOX_VARIABLE = "ISOCOST_INBOX"
SIDECAR = ".import.yaml"
AT_FAULT_TAG = "isocost/files_at_fault"
"""Tag of a run that was requested while other files had mistakes: their messages."""
_TAG_LENGTH = 1000
MOST_TOLD = 20
"""Number of mistakes that a tick's message lists individually."""
MOST_TICK_SECONDS = 20.0
"""Maximum planning time in one tick; Dagster ends a tick after a minute."""
MOST_SECONDS = 1.0
"""Maximum time to examine the files of one sidecar: a tick examines all of them."""


def _folder(variable: str, name: str) -> Path:
    return Path(
        os.environ.get(variable) or Path(os.environ.get("ISOCOST_DATA") or "data") / name
    ).resolve()


def sweeps_folder() -> Path:
    """The watched folder of sweep files: ``$ISOCOST_SWEEPS``, or ``sweeps`` under the data root."""
    return _folder(SWEEPS_VARIABLE, "sweeps")


def inbox_folder() -> Path:
    """The watched folder of results to import.

    ``$ISOCOST_INBOX``, or ``inbox`` under the data root.
    """
    return _folder(INBOX_VARIABLE, "inbox")


@dg.sensor(
    name="sweep_folder",
    job=sweep_job,
    minimum_interval_seconds=30,
    description=(
        f"Watches {sweeps_folder()} (${SWEEPS_VARIABLE}, otherwise `sweeps` in the data root). A "
        f"new or changed sweep file is planned and measured, one run per session. A file with a "
        f"mistake is reported in the tick, with its line, and does not block the others."
    ),
)
def sweep_folder(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """Plan every new or changed sweep file and request one run per session.

    A file with a mistake is reported in the tick and retried when it changes; the other files are
    not blocked.
    """
    place, requests, told = store.open(), [], []
    files = sorted([*sweeps_folder().glob("*.yaml"), *sweeps_folder().glob("*.yml")])
    if not _planned.keys() <= set(files):
        _planned.clear()  # the sessions of a file depend on the other files with the same sweep
    latest = time.monotonic() + MOST_TICK_SECONDS
    for number, path in enumerate(files):
        if time.monotonic() > latest:
            told.append(f"{len(files) - number} sweep files are examined in the next tick")
            break
        try:
            with one_source(str(path)):
                digest, planned = _plan(place, path)
        except IsocostError as error:
            told.append(str(error))
            continue
        tags = {"isocost/sweep_file": path.name}
        requests += [
            dg.RunRequest(run_key=f"{key}:{digest}", partition_key=key, tags=tags)
            for key in planned
        ]
    return _evaluated(context, requests, told, nothing=f"no sweep file in {sweeps_folder()}")


_planned: dict[Path, tuple[str, list[str], list[Identity]]] = {}
"""Sweep files that this process has planned: digest, sessions, and what tells that the files of
these sessions lie there as they were written."""


def _plan(store: Store, path: Path) -> tuple[str, list[str]]:
    """Digest and sessions of a sweep file, which is planned unless nothing has changed."""
    digest = hashlib.sha256(read_plain(path)).hexdigest()[:16]
    known = _planned.pop(path, None)
    if known is None or known[0] != digest or known[2] != _written(store, known[1]):
        planned = refresh.plan_sweep(store, path)
        known = digest, planned, _written(store, planned)
    _planned[path] = known
    return digest, known[1]


def _written(store: Store, planned: list[str]) -> list[Identity]:
    try:
        return [identity(store.session_file(session_id)) for session_id in planned]
    except OSError:
        return []


@dg.sensor(
    name="inbox_folder",
    job=import_job,
    minimum_interval_seconds=30,
    description=(
        f"Watches {inbox_folder()} (${INBOX_VARIABLE}, otherwise `inbox` in the data root) for "
        f"NAME{SIDECAR}, which describes the results next to it. They are imported when either "
        f"changes. A sidecar with a mistake is reported in the tick and does not block the others."
    ),
)
def inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Request an import for every ``NAME.import.yaml`` in the inbox.

    The sidecar describes the file next to it: ``format``, ``path`` (relative to the sidecar), and
    ``provenance``, ``unknown`` or ``mapping`` if the format needs them. Write the data first and
    the sidecar last.
    """
    requests, told = [], []
    for sidecar in sorted(inbox_folder().glob(f"*{SIDECAR}")):
        try:
            with one_source(str(sidecar)):
                config, digest = _read_sidecar(sidecar)
        except IsocostError as error:
            told.append(str(error))
            continue
        key = source_key(sidecar.name.removesuffix(SIDECAR))
        run_config = dg.RunConfig(ops={"raw_imports": config})
        requests.append(
            dg.RunRequest(run_key=f"{key}:{digest}", partition_key=key, run_config=run_config)
        )
    return _evaluated(context, requests, told, nothing=f"no *{SIDECAR} in {inbox_folder()}")


def _evaluated(
    context: dg.SensorEvaluationContext,
    requests: list[dg.RunRequest],
    told: list[str],
    *,
    nothing: str,
) -> dg.SensorResult | dg.SkipReason:
    """The result of a tick: runs for what is new, and every mistake reported.

    A tick that requests runs has no message in Dagster: mistakes are in its log and, as a tag, on
    the runs that it requests. The next tick has nothing new to request, because the cursor records
    what was requested, and shows the mistakes as its message for as long as they exist.
    """
    for mistake in told:
        context.log.error(mistake)
    said = "; ".join(told[:MOST_TOLD])
    if len(told) > MOST_TOLD:
        said += f"; and {len(told) - MOST_TOLD} more, listed in the log"
    before = set(json.loads(context.cursor)) if context.cursor else set()
    fresh = [request for request in requests if request.run_key not in before]
    if not fresh:
        unchanged = (
            f"{len(requests)} runs were requested before and nothing has changed since"
            if requests
            else nothing
        )
        return dg.SkipReason(said or unchanged)
    if told:
        beside = {AT_FAULT_TAG: said[:_TAG_LENGTH]}
        fresh = [request.with_replaced_attrs(tags={**request.tags, **beside}) for request in fresh]
    keys = sorted({request.partition_key for request in fresh if request.partition_key})
    return dg.SensorResult(
        run_requests=fresh,
        dynamic_partitions_requests=[sessions.build_add_request(keys)],
        cursor=json.dumps(sorted(request.run_key for request in requests if request.run_key)),
    )


def _read_sidecar(sidecar: Path) -> tuple[ImportConfig, str]:
    told = load_plain(sidecar, what="sidecar (YAML)")
    if not isinstance(told, dict) or not {"format", "path"} <= told.keys():
        raise IsocostError("needs at least the keys format and path", where=str(sidecar))
    extra = sorted(str(key) for key in told.keys() - ImportConfig.model_fields.keys())
    if extra:
        known = ", ".join(sorted(ImportConfig.model_fields))
        raise IsocostError(
            f"has the unknown key {extra[0]!r}", where=str(sidecar), remedy=f"Known keys: {known}"
        )
    try:
        settings: dict[str, Any] = {**told, "path": str(told["path"])}
        config = ImportConfig(**settings)
    except ValueError as error:
        raise IsocostError(
            f"has a value of the wrong kind ({error})", where=str(sidecar)
        ) from error
    data = _data(sidecar, config.path)
    digest = hashlib.sha256(read_plain(sidecar))
    for file in entries_of(data, where=str(sidecar), seconds=MOST_SECONDS):
        status = file.stat()
        digest.update(f"{file}:{status.st_size}:{status.st_mtime_ns}".encode())
    return config.model_copy(update={"path": str(data)}), digest.hexdigest()[:16]


def _data(sidecar: Path, path: str) -> Path:
    where = f"{sidecar}, path"
    try:
        data = (sidecar.parent / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        why = (
            error.strerror if isinstance(error, OSError) else "it is a circular link, or not a path"
        )
        raise IsocostError(
            f"{path[:200]} cannot be read: {why}",
            where=where,
            remedy="Give a file or folder next to the sidecar",
        ) from None
    return data
