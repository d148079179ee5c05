"""The small tables of a campaign: CSV files, and one page that shows them.

Lives here: `write_tables`. The queries are in ``tables``, one file per table. Not here: the full
tables, which `isocost refresh` builds and publishes from the same samples.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from isocost import atomic
from isocost.errors import IsocostError

QUERIES = Path(__file__).parent / "tables"
PAGE = "README.md"
_NOTHING_YET = "No device has been measured yet."
_DIGITS = 4


def write_tables(warehouse: Path, parts: Path, folder: Path) -> list[str]:
    """Write every table that has rows, and the page; the names of the tables.

    Args:
        warehouse: the published DuckDB file of the data root.
        parts: the files that the parts of the campaign left.
        folder: where the tables go; tables of an earlier campaign are replaced.

    Raises:
        IsocostError: the file of a part is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    found = {"provenance": provenance(parts), "parts": _of_parts(parts)}
    found |= _of_warehouse(warehouse) | _of_gpu_tests(parts)
    if (parts / "overhead.csv").is_file():
        found["overhead"] = pl.read_csv(parts / "overhead.csv")
    kept = {name: table for name, table in found.items() if table.height}
    for name, table in kept.items():
        atomic.write_text(folder / f"{name}.csv", _flat(table).write_csv())
    atomic.write_text(folder / PAGE, page(kept))
    return sorted(kept)


def provenance(parts: Path) -> pl.DataFrame:
    """Command, date, device, driver, clocks, limits and versions, a row each."""
    environment = _json(parts / "environment.json")
    command = (parts / "command.txt").read_text(encoding="utf-8")
    rows: list[tuple[str, Any]] = [("command", command), ("date", environment["date"])]
    for index, board in enumerate(environment["boards"]):
        rows += [(f"GPU {index} {name}", value) for name, value in sorted(board.items())]
    if not environment["boards"]:
        rows.append(("device", f"no GPU: {environment['boards_unknown_reason']}"))
    rows += [(name, environment[name]) for name in ("system", "processor", "python", "isocost")]
    rows += sorted(environment["packages"].items())
    return pl.DataFrame([(n, str(v)) for n, v in rows], schema=["fact", "value"], orient="row")


def _of_parts(parts: Path) -> pl.DataFrame:
    schema = {"name": pl.String, "status": pl.String, "seconds": pl.Float64, "reason": pl.String}
    return pl.DataFrame(_json(parts / "campaign.json"), schema=schema)


def _of_warehouse(warehouse: Path) -> dict[str, pl.DataFrame]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {
            query.stem: connection.sql(query.read_text(encoding="utf-8")).pl()
            for query in sorted(QUERIES.glob("*.sql"))
        }


def _of_gpu_tests(parts: Path) -> dict[str, pl.DataFrame]:
    """What the tests on the GPU measured by themselves, without the payload."""
    files = sorted((parts / "gpu-tests").glob("*.parquet"))
    return {file.stem: pl.read_parquet(file) for file in files}


def page(tables: dict[str, pl.DataFrame]) -> str:
    """Every table in Markdown; without a GPU it says so first."""
    lines = ["# Tables of the accelerator kit", ""]
    facts = tables["provenance"]
    if facts.filter(pl.col("fact") == "device").height:
        lines += [f"{_NOTHING_YET} This is a rehearsal on a processor.", ""]
    for name, table in tables.items():
        lines += [f"## {name}", "", *_markdown(_flat(table)), ""]
    return "\n".join(lines)


def _markdown(table: pl.DataFrame) -> list[str]:
    rows = [table.columns, ["---"] * table.width]
    rows += [[_cell(value) for value in row] for row in table.iter_rows()]
    return [f"| {' | '.join(row)} |" for row in rows]


def _cell(value: object) -> str:
    text = f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
    return "" if value is None else text.replace("|", "\\|").replace("\n", " ")


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    """Lists and records as text, which CSV has no other form for."""
    kinds = table.schema.items()
    lists = [name for name, kind in kinds if isinstance(kind, pl.List)]
    records = [name for name, kind in kinds if isinstance(kind, pl.Struct)]
    return table.with_columns(
        *(pl.col(name).cast(pl.List(pl.String)).list.join(" ") for name in lists),
        *(pl.col(name).struct.json_encode() for name in records),
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IsocostError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="Run the campaign's part `environment` and bring its results home again.",
        ) from None
