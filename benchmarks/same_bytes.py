"""Check whether two builds of one bank publish the same files.

Every file by its SHA-256, the warehouse by its content.

``python -m benchmarks.same_bytes`` banks small synthetic sessions and an import, copies the bank
into a folder of another name, builds both, the second one later and with another number of threads,
and compares everything that is derived or published. ``FOLDER FOLDER`` compares two data roots that
stand already.

``warehouse.duckdb`` is compared by what is in it: tables with their rows in order, columns with
types and comments, views, macros. DuckDB gives every file a random identifier that is part of its
headers, and leaves unused bytes of a block as they were in memory; nothing in its interface sets
either. Not here: records of pieces (``core/_made``, ``out/_made``), which say when a file was
written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.refresh import Layout, bank
from isocost.build import refresh
from isocost.store import Store

REPOSITORY = Path(__file__).resolve().parents[1]
WAREHOUSE = "warehouse.duckdb"
PROVENANCE = {
    "model": "borrowed",
    "task": "adding",
    "task_version": "1",
    "prompt": "direct",
    "sampling": "{}",
}
_CATALOGUE = {
    "tables": "table_name, comment, sql",
    "columns": "table_name, column_index, column_name, data_type, is_nullable, comment",
    "views": "view_name, comment, sql",
    "functions": "function_name, parameters, macro_definition, comment",
}


def content(warehouse: Path) -> dict[str, str]:
    """Checksums of what a warehouse holds.

    Its catalogue, and every table's rows in the order in which they are stored.
    """
    with duckdb.connect(str(warehouse), read_only=True, config={"threads": 1}) as connection:
        catalogue = repr(
            [
                connection.execute(
                    f"SELECT {columns} FROM duckdb_{kind}() WHERE NOT internal ORDER BY ALL"
                ).fetchall()
                for kind, columns in _CATALOGUE.items()
            ]
        )
        found = {"catalogue": hashlib.sha256(catalogue.encode()).hexdigest()}
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1"
        ).fetchall():
            digest = hashlib.sha256()
            rows = connection.execute(f'FROM "{name}"')
            while batch := rows.fetchmany(10_000):
                digest.update(repr(batch).encode("utf-8", "surrogatepass"))
            found[name] = digest.hexdigest()
    return {f"{WAREHOUSE}: {name}": digest for name, digest in found.items()}


def digests(root: Path) -> dict[str, str]:
    """Checksums of everything under a data root that is derived or published, by path.

    The warehouse has one for each table.
    """
    files = [
        path
        for folder in ("core", "out", "exports", "report")
        for path in (root / folder).rglob("*")
        if path.is_file()
    ]
    derived = [path for path in files if "_made" not in path.parts]
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in derived
    }
    return found | content(root / WAREHOUSE)


def unlike(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What only one of the two holds, or both do and differ in."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def build(root: Path, *, seed: int, threads: int) -> None:
    """Run ``isocost refresh`` as a process of its own."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "POLARS_MAX_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "isocost.cli", "--data", str(root), "refresh"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def built_twice(folder: Path) -> tuple[Path, Path]:
    """Two data roots with one bank, built one after the other."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    store, layout = Store(folder / "one"), Layout("tasks", 2, 2, False, 5, 2)
    for session in layout.sessions():
        bank(store, sources, layout, *session)
    counts = sources / "counts.jsonl"
    counts.write_text(
        "".join(json.dumps({"id": f"p{i}", "c": i % 5, "n": 4}) + "\n" for i in range(12)),
        encoding="utf-8",
    )
    refresh.bring_in(store, "import-counts", format="counts", path=counts, provenance=PROVENANCE)
    other = folder / "a folder of another name" / "two"
    shutil.copytree(store.root, other, copy_function=shutil.copyfile)  # with times of its own
    build(store.root, seed=1, threads=1)
    time.sleep(1.1)  # another second, should one be written down anywhere
    build(other, seed=2, threads=2)
    return store.root, other


def main() -> int:
    """Compare, and print what differs; status 1 where anything does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_bytes")
    parser.add_argument(
        "roots",
        nargs="*",
        type=Path,
        help="two data roots that were built already (default: builds two)",
    )
    arguments = parser.parse_args()
    if len(arguments.roots) not in (0, 2):
        parser.error("give two data roots, or none")
    with tempfile.TemporaryDirectory() as folder:
        one, other = arguments.roots or built_twice(Path(folder))
        found, again = digests(one), digests(other)
        are_same = (one / WAREHOUSE).read_bytes() == (other / WAREHOUSE).read_bytes()
    different = unlike(found, again)
    inside = sum(name.startswith(WAREHOUSE) for name in found)
    files = f"{len(found) - inside} derived and published files"
    print(f"{files}, and {inside} parts of {WAREHOUSE}, of {one} and {other}:")
    print(f"  {len(different)} differ" + "".join(f"\n    {name}" for name in different))
    verdict = "the same" if are_same else "not the same: each file has an identifier of its own"
    print(f"  the bytes of {WAREHOUSE} itself are {verdict}")
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
