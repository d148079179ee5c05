"""The raw layer: what an engine generated, what its steps and its power looked like, and what was
imported.

The generating body starts the payload (``python -m isocost.generate``) as a child process through
Dagster Pipes, so that a crash or an out-of-memory kill of the engine never reaches the
orchestrator. Generation itself is not here (``isocost.generate``).
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from pydantic import Field

import isocost
from assets.partitions import sessions
from assets.resources import StoreResource
from assets.specs import result, table_spec
from isocost.bank.reader import read_manifests
from isocost.build import refresh
from isocost.intake import EngineSession, source_of
from isocost.store import Store

MEASUREMENT_POOL = "measurement"
_TABLES = ("raw_generations", "raw_steps", "raw_telemetry")


@dg.multi_asset(
    name="raw_session",
    specs=[table_spec(name, kinds=("parquet",)) for name in _TABLES],
    partitions_def=sessions,
    pool=MEASUREMENT_POOL,
)
def raw_session(
    context: dg.AssetExecutionContext, store: StoreResource, pipes: dg.PipesSubprocessClient
) -> Iterator[dg.MaterializeResult]:
    """Generates the samples that one engine session still lacks, and nothing else."""
    place, session_id = store.open(), context.partition_key
    source = source_of(place, session_id)
    if not isinstance(source, EngineSession):
        raise dg.Failure(
            f"{session_id} is an imported source: materialize raw_imports for it",
            allow_retries=False,
        )
    if not source.is_known:
        raise dg.Failure(
            f"no session file for partition {session_id}: plan its sweep first (`isocost plan"
            " SWEEP.yaml`, or the sweep sensor)",
            allow_retries=False,
        )
    command = [
        sys.executable,
        "-P",  # the code of this process, whatever checkout the working folder is
        "-m",
        "isocost.generate",
        "--session",
        str(source.file),
        "--lake",
        str(place.lake),
        "--run-id",
        context.run_id,
    ]
    _run(context, pipes, command, place)
    yield from _results(place, session_id)


def _run(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    command: list[str],
    place: Store,
) -> None:
    """Runs the payload; its refusal becomes a failure whose first line is what the payload said."""
    with TemporaryDirectory(prefix="isocost-told-") as folder:
        told = Path(folder) / "told"
        try:
            pipes.run(
                context=context,
                command=[*command, "--told", str(told)],
                env={"PYTHONPATH": _same_code()},
            )
        except Exception as error:  # Dagster names no class for a process that failed
            said = (
                told.read_text(encoding="utf-8")
                if told.exists()
                else _recorded_error(place, context)
            )
            # Without the cause: what Dagster says of exit codes would be shown below, as if it told
            # more.
            raise dg.Failure(
                said or f"the payload stopped; its last lines are in the log ({error})"
            ) from None


def _same_code() -> str:
    """A search path on which the payload finds the very packages of this process.

    An environment may hold another checkout's.
    """
    own = Path(isocost.__file__).resolve().parents[1]
    return os.pathsep.join([str(own), *filter(None, [os.environ.get("PYTHONPATH")])])


def _recorded_error(place: Store, context: dg.AssetExecutionContext) -> str | None:
    """What the run's manifest says, of a payload that could not leave a word."""
    told = (
        m.info.get("error")
        for m in read_manifests(place.lake, context.partition_key)
        if m.run_id == context.run_id
    )
    return next((str(t) for t in told if t), None)


def _results(place: Store, session_id: str) -> Iterator[dg.MaterializeResult]:
    """What is banked for the session now, this run's share included."""
    manifests = read_manifests(place.lake, session_id)
    for name in _TABLES:
        parts = [part for manifest in manifests for part in manifest.parts if part.table == name]
        rows = sum(part.rows for part in parts)
        yield result(name, rows, place.lake / "raw", parts=len(parts), attempts=len(manifests))


class ImportConfig(dg.Config):
    """What is brought in.

    Attributes:
        format: name of an importer, as `isocost import --help` lists them.
        path: file or folder.
        provenance: model, task, task_version, prompt and sampling, as far as the source does not
            hold them.
        unknown: names of provenance that nobody knows.
        mapping: mapping file for the generic importer; empty otherwise.
        verifier: verifier that judges every text; "none" where the source's own labels judge, which
            they also do where it is empty and no verifier judged this source before.
        condition: settings that the source does not state, such as the hardware.
        metric: the metric whose score is the verdict, where the source has several; empty for its
            usual one.
    """

    format: str
    path: str
    provenance: dict[str, str] = Field(default_factory=dict)
    unknown: list[str] = Field(default_factory=list)
    mapping: str = ""
    verifier: str = ""
    condition: dict[str, str] = Field(default_factory=dict)
    metric: str = ""


@dg.asset(
    key="raw_imports",
    partitions_def=sessions,
    group_name="raw",
    kinds={"parquet"},
    description=table_spec("raw_imports").description,
    metadata=table_spec("raw_imports").metadata,
)
def raw_imports(
    context: dg.AssetExecutionContext, config: ImportConfig, store: StoreResource
) -> dg.MaterializeResult:
    """Brings in another tool's results under a partition whose key starts with ``import-``."""
    report = refresh.bring_in(
        store.open(),
        context.partition_key,
        format=config.format,
        path=Path(config.path),
        provenance=config.provenance,
        unknown=frozenset(config.unknown),
        mapping=Path(config.mapping) if config.mapping else None,
        verifier=config.verifier or None,
        condition=config.condition,
        metric=config.metric or None,
    )
    told = {
        "status": report.status,
        "import_id": report.import_id,
        "warnings": "; ".join(report.warnings) or "none",
    }
    return result("raw_imports", report.records, store.open().lake, **told)
