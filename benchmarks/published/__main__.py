"""``python -m benchmarks.published FOLDER``: published figures next to ours.

The folder holds the repositories by name: BIG-Bench-Hard, tree-of-thought-llm, Program-of-Thoughts,
ToRA, ESC. What is not there is skipped by name. ``--write`` puts the table where docs/results keeps
it.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.published.sets import ANY, MEAN, Figure, Published, published
from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.store import Store

HOME = Path(__file__).resolve().parent
TABLE = HOME.parents[1] / "docs" / "results" / "published_imports.csv"
PROVENANCE = {
    "model": "as published",
    "task_version": "1",
    "prompt": "as published",
    "sampling": "as published",
}
COLUMNS = (
    "project",
    "file",
    "judged_by",
    "measure",
    "published",
    "where",
    "ours",
    "difference",
    "samples",
    "problems",
    "note",
)


def measured(one: Published, path: Path, store: Store, number: int) -> pl.DataFrame:
    """The samples of one file, through the same door as ``isocost import``."""
    session_id = f"import-published-{number}"
    refresh.bring_in(
        store,
        session_id,
        format="generic",
        path=path,
        provenance=PROVENANCE | {"task": one.name},
        mapping=HOME / f"{one.mapping}.yaml",
        verifier=one.verifier,
    )
    refresh.curate_session(store, session_id)
    return store.read("core_samples", session_id)


def line(one: Published, figure: Figure, samples: pl.DataFrame) -> dict[str, Any]:
    """One figure of theirs and the same of ours, in percent."""
    valid = samples.filter("is_valid")
    problems = valid.group_by("problem_id").agg(pl.col("correct").any())
    counted = (
        valid["correct"].cast(pl.Float64)
        if figure.measure == MEAN
        else problems["correct"].cast(pl.Float64)
    )
    ours = 100 * float(counted.mean())
    theirs = figure.value
    return {
        "project": one.project,
        "file": one.name,
        "judged_by": one.verifier or "labels in the file",
        "measure": figure.measure,
        "published": None if theirs is None else round(theirs, 2),
        "where": figure.where,
        "ours": round(ours, 2),
        "difference": None if theirs is None else round(ours - theirs, 2),
        "samples": valid.height,
        "problems": problems.height,
        "note": figure.note,
    }


def main() -> int:
    """Print the table; 0 unless a file could not be imported."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="folder with the published repositories, each under its name"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"write docs/results/{TABLE.name}, too"
    )
    arguments = parser.parse_args()
    rows, failed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(published(arguments.folder)):
            path = arguments.folder / one.path
            if not path.is_file():
                print(f"skipped {one.project}, {one.name}: {one.path} is not there")
                continue
            try:
                samples = measured(one, path, Store(Path(folder)), number)
            except IsocostError as error:
                print(f"FAILED {one.project}, {one.name}: {error}", file=sys.stderr)
                failed += 1
                continue
            for figure in one.figures:
                rows.append(line(one, figure, samples))
                show(rows[-1])
    if arguments.write:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        with TABLE.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, fieldnames=COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return int(failed > 0)


def show(row: dict[str, Any]) -> None:
    """Print one line of the table."""
    theirs = "     -" if row["published"] is None else f"{row['published']:6.2f}"
    apart = "      " if row["difference"] is None else f"{row['difference']:+6.2f}"
    measure = " (any)" if row["measure"] == ANY else ""
    what = f"{row['project']:<20} {row['file'] + measure:<52}"
    print(
        f"{what} published {theirs}  ours {row['ours']:6.2f}  {apart}  {row['samples']:>6} samples",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
