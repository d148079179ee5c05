"""The parts of a campaign: what each runs, and its share of the time.

Lives here: `Part`, and the list of parts that a kit carries. Not here: planning sweeps
(`planning`), running parts (`campaign`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from isocost import atomic
from isocost.errors import IsocostError

PARTS = "parts.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        name: its name; parts of one sweep begin with the sweep's.
        command: arguments of the kit's Python; ``{kit}``, ``{out}`` and ``{data}`` stand for the
            kit's folder, the folder of results and the data root.
        share_s: the most seconds that it may take in one call.
        least_s: it is not started with fewer seconds left.
        writes: files under ``{out}`` without which it has not done its work.
    """

    name: str
    command: tuple[str, ...]
    share_s: float
    least_s: float
    writes: tuple[str, ...] = ()


_MODULE = "benchmarks.accelerator"
_FIRST = Part(
    "environment",
    ("-m", f"{_MODULE}.environment", "--out", "{out}/environment.json"),
    share_s=30,
    least_s=2,
    writes=("environment.json",),
)
_GPU_TESTS = Part(
    "gpu-tests",
    ("-m", "pytest", "{kit}/source/tests/gpu", "-m", "gpu", "-s", "-q", "-p", "no:cacheprovider"),
    share_s=170,
    least_s=90,
    writes=("gpu-tests/counter_against_integral.parquet", "gpu-tests/joules_per_token.parquet"),
)
_OVERHEAD = Part(
    "overhead",
    (
        "-m",
        "benchmarks.overhead",
        "--rounds",
        "4",
        "--dtype",
        "bfloat16",
        "--csv",
        "{out}/overhead.csv",
    ),
    share_s=120,
    least_s=60,
    writes=("overhead.csv",),
)
# Seconds per session: an engine start, ten seconds of idle power, the samples.
_SHARES = {"gpu-lengths": 110.0, "cpu-quickstart": 300.0}
_SHARE_S, _LEAST_S = 75.0, 40.0
# What matters most comes first: what does not fit into the time of one call is left to the next.
_ORDER = (
    "gpu-quickstart",
    "gpu-batch-large",
    "gpu-batch-small",
    "gpu-formats",
    "gpu-lengths",
    "gpu-kv-cache-fp8",
    "gpu-speculation-ngram",
    "gpu-speculation-draft",
)


def parts_of(sessions: Sequence[tuple[str, str]], *, cpu: bool) -> list[Part]:
    """All parts, in order.

    Args:
        sessions: sweep and session id of every planned session.
        cpu: whether this is a rehearsal without a GPU; payload and bare vLLM are not compared then.
    """
    ranked = sorted(sessions, key=lambda s: _ORDER.index(s[0]) if s[0] in _ORDER else len(_ORDER))
    measured = [_session(sweep, session_id) for sweep, session_id in ranked]
    if cpu:
        return [_FIRST, replace(_GPU_TESTS, least_s=2), *measured]
    return [_FIRST, _GPU_TESTS, *measured, _OVERHEAD]


def _session(sweep: str, session_id: str) -> Part:
    command = (
        "-m",
        "isocost.generate",
        "--session",
        "{data}/lake/sessions/" + f"{session_id}.json",
    )
    return Part(
        session_id,
        (*command, "--lake", "{data}/lake", "--error-file", "{out}/error.txt"),
        share_s=_SHARES.get(sweep, _SHARE_S),
        least_s=_LEAST_S,
    )


def write_parts(path: Path, parts: Sequence[Part]) -> None:
    """Write the list of parts."""
    atomic.write_text(path, json.dumps([asdict(part) for part in parts], indent=1))


def read_parts(path: Path) -> list[Part]:
    """Read the list of parts.

    Raises:
        IsocostError: it is missing or damaged.
    """
    try:
        manifests = json.loads(path.read_text(encoding="utf-8"))
        return [
            Part(**{**p, "command": tuple(p["command"]), "writes": tuple(p["writes"])})
            for p in manifests
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IsocostError(
            f"cannot be read: {error}", where=str(path), remedy="Unpack the kit again."
        ) from None
