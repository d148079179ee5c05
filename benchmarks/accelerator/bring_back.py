"""Bring a campaign's results home: a data root, its usual tables and report, and the small tables.

Lives here: the order of steps. Not here: what the results consist of (`results`), the small tables
(`small_tables`), building tables (`isocost refresh`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks.accelerator.results import unpack_results
from benchmarks.accelerator.small_tables import write_tables
from isocost.errors import IsocostError
from isocost.store import Store

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results" / "accelerator"


def bring_back(brought: Path, root: Path, results: Path) -> list[str]:
    """Add results to a data root, refresh it, write the small tables; their names.

    Raises:
        IsocostError: a piece is missing or damaged, or the tables cannot be built.
    """
    root.mkdir(parents=True, exist_ok=True)
    parts = unpack_results(brought, root)
    refreshed = subprocess.run(
        [sys.executable, "-m", "isocost", "--data", str(root), "refresh"], check=False
    )
    warehouse = Store(root).warehouse
    if refreshed.returncode not in (0, 3) or not warehouse.is_file():
        raise IsocostError(
            f"`isocost refresh` ended with exit code {refreshed.returncode}",
            where=str(root),
            remedy="Its message is above; the samples are in the data root.",
        )
    return write_tables(warehouse, parts, results)


def main(argv: list[str] | None = None) -> int:
    """Add a campaign's results to a data root, refresh it and write the small tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator.bring_back", description=main.__doc__
    )
    parser.add_argument("brought", type=Path, help="folder with the packed results")
    parser.add_argument("--data", type=Path, required=True, help="data root")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of the small tables (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    try:
        tables = bring_back(
            arguments.brought.resolve(),
            arguments.data.resolve(),
            arguments.results.resolve(),
        )
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{len(tables)} tables in {arguments.results}: {', '.join(tables)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
