"""The raw layer: what an engine generated, what its steps and its power looked like, and what was imported.

The generating body starts the payload (``python -m isocost.generate``) as a child process through Dagster Pipes, so that a crash
or an out-of-memory kill of the engine never reaches the orchestrator. Generation itself is not here (``isocost.generate``).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import dagster as dg

from assets.partitions import is_import, sessions
from assets.resources import StoreResource
from assets.specs import table_spec

MEASUREMENT_POOL = "measurement"
_TABLES = ("raw_generations", "raw_steps", "raw_telemetry")


@dg.multi_asset(
    name="raw_session",
    specs=[table_spec(name, kinds=("vllm", "parquet")) for name in _TABLES],
    partitions_def=sessions,
    pool=MEASUREMENT_POOL,
)
def raw_session(context: dg.AssetExecutionContext, store: StoreResource, pipes: dg.PipesSubprocessClient) -> Iterator[dg.MaterializeResult]:
    """Generates the samples that one engine session still lacks, and nothing else."""
    place, session_id = store.open(), context.partition_key
    if is_import(session_id):
        raise dg.Failure(f"{session_id} is an imported source: materialize raw_imports for it", allow_retries=False)
    session_file = place.session_file(session_id)
    if not session_file.exists():
        raise dg.Failure(
            f"no session file for partition {session_id}: plan its sweep first (`isocost plan SWEEP.yaml`, or the sweep sensor)",
            allow_retries=False,
        )
    command = [
        sys.executable,
        "-m",
        "isocost.generate",
        "--session",
        str(session_file),
        "--lake",
        str(place.lake),
        "--run-id",
        context.run_id,
    ]
    yield from _results(place, session_id, _run(context, pipes, command))
