"""The bank of judgements: what judges said, kept by the content of what they were asked.

Lives here: reading it, adding to it so that a judgement that was paid for survives a kill, and the
form of its files. Not here: whom to ask (``asking``), what a judgement means
(``isocost.tasks.rubrics``).

Layout under the folder `judgements` of the lake::

    judge=<model>-<hash>/part-<random>.parquet    sealed, one row per judgement; never changed
    judge=<model>-<hash>/pending-<random>.jsonl   judgements of a run that was not sealed yet
    judge=<model>-<hash>/.lock                    held while judgements are added

A row is appended to the pending as soon as it arrives, each line with its own checksum. The run
seals its pending as a part when it ends; the next run does it for one that was killed. The key of a
row is the hash of the whole request, so equal questions to equal judges have one row, whichever
session, import or run asked.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from isocost import atomic
from isocost.hashing import sha256_hex, slug
from isocost.lock_files import exclusive
from isocost.schema.parquet import write_sealed
from isocost.seals import Damaged, prove_parquet

FOLDER = "judgements"
ROLE = "judge"
_SCHEMA = {
    "key": pl.String,
    "role": pl.String,
    "model": pl.String,
    "request": pl.String,
    "output_text": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int32,
    "cached_tokens": pl.Int32,
    "output_tokens": pl.Int32,
    "asked_unix_s": pl.Float64,
    "latency_s": pl.Float64,
    "num_retries": pl.Int32,
    "served_model": pl.String,
}
REMEDY = (
    "Move the file away and refresh: its judgements are asked again. A backup saves the price of"
    " that."
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said, as it was received.

    Attributes:
        key: of the request.
        model: the judge's model, as it was asked for.
        request: the body of the request, canonical JSON; it has no key and no address.
        output_text: the reply.
        finish_reason: why it ended, as the server says.
        prompt_tokens: as the server counts them; None if it does not say.
        cached_tokens: of these, served from a cache.
        output_tokens: generated tokens.
        asked_unix_s: when it was asked.
        latency_s: seconds until the reply was whole.
        num_retries: attempts that failed before.
        served_model: the model that the server says it is.
        role: of the call.
    """

    key: str
    model: str
    request: str
    output_text: str
    finish_reason: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    asked_unix_s: float
    latency_s: float
    num_retries: int
    served_model: str | None
    role: str = ROLE


def judge_folder(lake: Path, model: str) -> Path:
    """Where the judgements of a model are."""
    return lake / FOLDER / f"judge={slug(model, 40)}-{sha256_hex(model, 8)}"


def read_judgements(folder: Path, keys: Collection[str] | None = None) -> dict[str, Judgement]:
    """Judgements in a folder by their keys, also those that are not sealed yet.

    Args:
        folder: of one model.
        keys: only these; all of them if None.

    Raises:
        Damaged: a part is not what was sealed.
    """
    found: dict[str, Judgement] = {}
    for path in sorted(folder.glob("part-*.parquet")):
        if not prove_parquet(path):
            raise Damaged.of(path, "carries no checksum", REMEDY)
        rows = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(*_SCHEMA)
        if keys is not None:
            rows = rows.filter(pl.col("key").is_in(list(keys)))
        found |= {row["key"]: Judgement(**row) for row in rows.collect().to_dicts()}
    for path in sorted(folder.glob("pending-*.jsonl")):
        found |= {one.key: one for one in _lines_of(path) if keys is None or one.key in keys}
    return found


@contextmanager
def adding(folder: Path) -> Iterator[Pending]:
    """Hold a folder to add judgements; seal what was added when the block ends, however it ends.

    Waits for another process that adds to it. First seals what killed runs left.

    Raises:
        MachineError: the folder cannot be written.
    """
    with exclusive(folder / ".lock"):
        for path in sorted(folder.glob("pending-*.jsonl")):
            _seal(folder, path)
        pending = Pending(folder / f"pending-{os.urandom(8).hex()}.jsonl")
        try:
            yield pending
        finally:
            pending.close()
            if pending.path.exists():
                _seal(folder, pending.path)


class Pending:
    """Judgements of the run, one line each as soon as they arrive."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is created with the first line."""
        self.path = path
        self._handle: int | None = None

    def add(self, judgement: Judgement) -> None:
        """Append one; it survives a kill of this process."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        body = json.dumps(asdict(judgement), ensure_ascii=False)
        try:
            _write(self._handle, f"{zlib.crc32(body.encode()):08x} {body}\n".encode())
        except OSError as error:
            raise atomic.refused(error, self.path) from error

    def close(self) -> None:
        """Close the file, with its bytes on the disk."""
        if self._handle is not None:
            os.fsync(self._handle)
            os.close(self._handle)
            self._handle = None


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _lines_of(path: Path) -> Iterator[Judgement]:
    """The whole lines of a pending; the last may have been cut by a kill."""
    for line in path.read_bytes().split(b"\n"):
        checksum, _, body = line.partition(b" ")
        if body and checksum == f"{zlib.crc32(body):08x}".encode():
            row: Mapping[str, Any] = json.loads(body)
            yield Judgement(**row)


def _seal(folder: Path, pending: Path) -> None:
    rows = list({one.key: asdict(one) for one in _lines_of(pending)}.values())
    if rows:
        frame = pl.DataFrame(
            [{name: row[name] for name in _SCHEMA} for row in rows], schema=_SCHEMA, orient="row"
        )
        with atomic.replacing(folder / f"part-{os.urandom(8).hex()}.parquet") as temporary:
            write_sealed([frame.to_arrow()], temporary)
    pending.unlink()
