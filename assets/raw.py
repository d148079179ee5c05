"""The raw layer: generated samples, engine steps, power samples, and imports.

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
from assets.specs import Result, result, table_spec
from isocost.bank.layout import FOLDERS
from isocost.bank.reader import read_manifests
from isocost.build import refresh
from isocost.intake import EngineSession, source_of
from isocost.store import Store

MEASUREMENT_POOL = "measurement"
_TABLES = tuple(FOLDERS)


@dg.multi_asset(
    name="raw_session",
    specs=[table_spec(name, kinds=("parquet",)) for name in _TABLES],
    partitions_def=sessions,
    pool=MEASUREMENT_POOL,
)
def raw_session(
    context: dg.AssetExecutionContext, store: StoreResource, pipes: dg.PipesSubprocessClient
) -> Iterator[Result]:
    """Generate the samples that one engine session still lacks, and nothing else."""
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
        "-P",  # the code of this process, whatever checkout the working directory contains
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
    """Run the payload; its error becomes a failure with the payload's message as its first line."""
    with TemporaryDirectory(prefix="isocost-error-") as folder:
        error_file = Path(folder) / "error.txt"
        try:
            pipes.run(
                context=context,
                command=[*command, "--error-file", str(error_file)],
                env={"PYTHONPATH": _same_code()},
            )
        except Exception as error:  # Dagster names no class for a process that failed
            said = (
                error_file.read_text(encoding="utf-8")
                if error_file.exists()
                else _recorded_error(place, context)
            )
            # Without the cause: Dagster's message about exit codes would be shown below, as if it
            # added information.
            raise dg.Failure(
                said or f"the payload stopped; its last lines are in the log ({error})"
            ) from None


def _same_code() -> str:
    """A search path on which the payload finds exactly the packages of this process.

    An environment may contain another checkout's.
    """
    own = Path(isocost.__file__).resolve().parents[1]
    return os.pathsep.join([str(own), *filter(None, [os.environ.get("PYTHONPATH")])])


def _recorded_error(place: Store, context: dg.AssetExecutionContext) -> str | None:
    """The error in the run's manifest, for a payload that could not report one."""
    errors = (
        m.info.get("error")
        for m in read_manifests(place.lake, context.partition_key)
        if m.run_id == context.run_id
    )
    return next((str(t) for t in errors if t), None)


def _results(place: Store, session_id: str) -> Iterator[Result]:
    """The samples banked for the session, including those of this run."""
    manifests = read_manifests(place.lake, session_id)
    for name in _TABLES:
        parts = [part for manifest in manifests for part in manifest.parts if part.table == name]
        rows = sum(part.rows for part in parts)
        yield result(name, rows, place.lake / "raw", parts=len(parts), attempts=len(manifests))


class ImportConfig(dg.Config):
    """Configuration of an import.

    Attributes:
        format: name of an importer, as listed by `isocost import --help`.
        path: file or folder.
        provenance: model, task, task_version, prompt and sampling, as far as the source does not
            state them.
        unknown: names of unknown provenance.
        mapping: mapping file for the generic importer; empty otherwise.
        verifier: verifier that grades every text; "none" uses the source's own labels, as does an
            empty value if no verifier graded this source before.
        condition: settings that the source does not state, such as the hardware.
        metric: the metric that provides the verdict, if the source has several; empty for its
            default.
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
) -> Result:
    """Import another tool's results under a partition key that starts with ``import-``."""
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
    shown = {
        "status": report.status,
        "import_id": report.import_id,
        "warnings": "; ".join(report.warnings) or "none",
    }
    return result("raw_imports", report.records, store.open().lake, **shown)
