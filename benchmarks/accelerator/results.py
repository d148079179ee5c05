"""What a campaign brings home: few files of limited size, and how they become a data root again.

Lives here: `pack_results` (on the machine) and `unpack_results` (at home). Not here: the tables
made of them (`bring_back`).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.accelerator.pieces import write_pieces
from benchmarks.accelerator.unpack import MANIFEST, Incomplete, join
from isocost.errors import IsocostError

MOST_FILES = 8  # the manifest among them
PIECE_BYTES = 15 * 10**6
_STEM = "results"
_LONGEST_LOG = 200_000


def pack_results(kit: Path, out: Path) -> list[str]:
    """Pack the data root and the files of all parts; lines that say how much that is.

    Raises:
        IsocostError: it is more than can be brought home; the pieces are there all the same.
    """
    out.mkdir(parents=True, exist_ok=True)
    for log in (kit / "work" / "logs").glob("*.log"):
        _cut(log)
    pieces = write_pieces(
        {"data/lake": kit / "data" / "lake", "work": kit / "work"},
        out,
        stem=_STEM,
        piece_bytes=PIECE_BYTES,
        compress=True,
    )
    size = sum(piece["bytes"] for piece in pieces)
    if len(pieces) >= MOST_FILES:
        raise IsocostError(
            f"the results are {len(pieces)} files of up to {PIECE_BYTES // 10**6} MB;"
            f" {MOST_FILES - 1} can be brought home",
            where=str(out),
            remedy="Bring them home in two calls: all are needed.",
        )
    return [f"results: {len(pieces) + 1} files, {size / 1e6:.1f} MB in {out}"]


def _cut(log: Path) -> None:
    """Keep the end of a log."""
    text = log.read_bytes()
    if len(text) > _LONGEST_LOG:
        log.write_bytes(text[-_LONGEST_LOG:])


def unpack_results(brought: Path, root: Path) -> Path:
    """Add the banked sessions to a data root; the folder with the files of the parts.

    Sealed parts never change, so one that is in the data root already stays as it is. Manifests of
    runs and session files grow from call to call: the ones brought last replace the earlier ones.

    Args:
        brought: the folder with the manifest and the pieces.
        root: the data root; created if it does not exist.

    Raises:
        IsocostError: a piece is missing or damaged; nothing was added.
    """
    place = root / "accelerator"
    scratch = root / ".accelerator.tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        join(brought, scratch)
    except Incomplete as error:
        raise IsocostError(
            str(error), where=str(brought / MANIFEST), remedy="Nothing was added."
        ) from None
    for file in sorted(p for p in (scratch / "data").rglob("*") if p.is_file()):
        target = root / file.relative_to(scratch / "data")
        if not (target.suffix == ".parquet" and target.exists()):
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    shutil.rmtree(place, ignore_errors=True)
    (scratch / "work").replace(place)
    shutil.rmtree(scratch)
    return place
