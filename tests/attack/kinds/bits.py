"""Stored files change behind its back: a bit, twenty, a cut, a zeroed block, another file of the kind in its place, or nothing there."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from tests.attack.ground import SETTLED, Ground, command
from tests.attack.outcomes import AGAIN, SAME, WRONG, Broken, Impossible, judged

WHAT = "a stored file of any kind changed, cut, swapped or removed under its old time; then `refresh` and `bank verify`"
SHARE, SAMPLE, LIMIT_S = 40, 5, 90
PATTERNS = {
    "raw part": "lake/raw/generations/*/*.parquet",
    "run's manifest": "lake/raw/manifests/*/*.json",
    "session file": "lake/sessions/*.json",
    "note of an import": "lake/sessions/*.source",
    "import part": "lake/raw/imports/*/*/part-*",
    "import manifest": "lake/raw/imports/*/*/manifest.json",
    "import index": "lake/raw/imports/*/index.json",
    "core table": "core/core_*/*.parquet",
    "derived table": "out/out_*/*.parquet",
    "record": "*/_made/*/*.json",
    "export": "exports/*.parquet",
    "descriptor": "exports/datapackage.json",
    "warehouse": "warehouse.duckdb",
    "report": "report/*",
}
TARGETS = tuple(PATTERNS)
HARMS = ("bit", "bit", "bit", "bit", "bits", "cut", "zeros", "swap", "empty", "gone")


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    root = ground.copy(SETTLED, place)
    files = sorted(path for path in root.glob(PATTERNS[target]) if path.is_file())
    if not files:
        raise Impossible(f"this version has no file like {PATTERNS[target]}")
    path, how = dice.choice(files), dice.choice(HARMS)
    before = ground.lake(root)
    what = f"{how} of {path.relative_to(root)}"
    if dice.randrange(4) == 0:
        command(root, "refresh")  # settles what a copied root has to sum again
    harm(path, how, dice, files)
    said = command(root, "refresh")
    names = (
        path.name,
        path.stem.removeprefix("session="),
        *(part.split("=", 1)[-1] for part in path.relative_to(root).parts[:-1]),
    )
    result = judged(said, names=names + _sources(target), undisturbed_s=ground.refresh_s)
    if said.code == 0:
        ground.must_be(root, SETTLED, f"{what}; {said.tail(300)}")
        if (
            target == "report"
            and path.suffix == ".html"
            and path.read_bytes() != (ground.home / SETTLED / path.relative_to(root)).read_bytes()
        ):
            raise Broken(WRONG, f"{what}: the page stays as it was harmed")
    elif said.code == 3 or "the rest is published" in said.text:
        ground.must_be_part(root, SETTLED, f"{what}; {said.tail(300)}")
    elif target not in ("export", "warehouse", "descriptor", "report"):
        ground.must_be(root, SETTLED, f"{what}; refused, and yet changed; {said.tail(300)}")
    ground.nothing_lost(root, before, but=path.relative_to(root).as_posix())
    if dice.randrange(3) == 0:
        proof = command(root, "bank", "verify")
        judged(proof, undisturbed_s=1)
    return (
        AGAIN
        if result == SAME
        and said.code == 0
        and _was_put_right(path, ground.home / SETTLED / path.relative_to(root))
        else result
    ), what


def _sources(target: str) -> tuple[str, ...]:
    return (
        ("import-answers", "import-counts")
        if target in ("import part", "import manifest", "import index")
        else ()
    )


def _was_put_right(path: Path, whole: Path) -> bool:
    return path.is_file() and path.read_bytes() == whole.read_bytes()


def harm(path: Path, how: str, dice: random.Random, others: list[Path]) -> None:
    """Changes a file under its old time."""
    data, times = bytearray(path.read_bytes()), path.stat()
    at = dice.randrange(len(data)) if data else 0
    if how == "gone":
        path.unlink()
        return
    if how == "swap":
        others = [one for one in others if one != path and one.read_bytes() != data]
        if others:
            shutil.copyfile(dice.choice(others), path)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            return
        how = "bit"
    if how in ("bit", "bits") and data:
        for spot in [at] if how == "bit" else [dice.randrange(len(data)) for _ in range(20)]:
            data[spot] ^= 1 << dice.randrange(8)
    elif how == "cut":
        del data[at:]
    elif how == "zeros":
        end = min(len(data), at + dice.randrange(1, 512))
        data[at:end] = bytes(end - at)
    elif how == "empty":
        data.clear()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
