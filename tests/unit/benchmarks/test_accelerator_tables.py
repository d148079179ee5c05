"""The small tables of a campaign: what is in them, and what the page says of a device or of none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator.small_tables import QUERIES, write_tables
from isocost.errors import IsocostError
from isocost.schema.registry import all_tables

BOARD = {"name": "NVIDIA H100", "driver": "580.1", "power_limit_w": 700.0}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table, without rows."""
    from isocost.schema.frames import empty

    file = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        for table in all_tables():
            frame = empty(table)
            connection.register("frame", frame.to_arrow())
            connection.sql(f"CREATE TABLE {table} AS SELECT * FROM frame")
            connection.unregister("frame")
    return file


def parts(folder: Path, *boards: dict[str, object]) -> Path:
    folder.mkdir()
    stated = {
        "date": "2026-01-01 00:00 UTC",
        "boards": list(boards),
        "boards_unknown_reason": None if boards else "no driver",
        "system": "Linux",
        "processor": "x86_64",
        "python": "3.12.3",
        "isocost": "0.2.0",
        "packages": {"vllm": "0.26.0"},
    }
    record = {"name": "x", "status": "failed", "seconds": 1.5, "reason": "a | b"}
    (folder / "environment.json").write_text(json.dumps(stated))
    (folder / "campaign.json").write_text(json.dumps([record]))
    (folder / "command.txt").write_text("typed")
    return folder


def test_a_device_is_named_and_the_tests_tables_are_kept(tmp_path: Path, warehouse: Path) -> None:
    place, out = parts(tmp_path / "parts", BOARD), tmp_path / "out"
    (place / "gpu-tests").mkdir()
    counted = pl.DataFrame([{"ratio": 1.01, "errors": {"read": 0}, "reasons": ["a", "b"]}])
    counted.write_parquet(place / "gpu-tests" / "counter_against_integral.parquet")
    (place / "overhead.csv").write_text("way,ratio_to_bare\npayload,0.99\n")
    out.mkdir()
    (out / "old.csv").write_text("of an earlier campaign")
    names = write_tables(warehouse, place, out)
    assert names == ["counter_against_integral", "overhead", "parts", "provenance"]
    assert {f.stem for f in out.glob("*.csv")} == set(names)
    facts = dict(pl.read_csv(out / "provenance.csv").iter_rows())
    assert facts["GPU 0 name"] == "NVIDIA H100" and facts["GPU 0 driver"] == "580.1"
    assert facts["command"] == "typed" and facts["vllm"] == "0.26.0"
    row = pl.read_csv(out / "counter_against_integral.csv").row(0, named=True)
    assert row == {"ratio": 1.01, "errors": '{"read":0}', "reasons": "a b"}
    page = (out / "README.md").read_text()
    assert "No device" not in page and "| payload | 0.99 |" in page and "a \\| b" in page


def test_without_a_device_the_page_says_so(tmp_path: Path, warehouse: Path) -> None:
    write_tables(warehouse, parts(tmp_path / "parts"), tmp_path / "out")
    assert "No device has been measured yet" in (tmp_path / "out" / "README.md").read_text()
    assert "no GPU: no driver" in (tmp_path / "out" / "provenance.csv").read_text()


def test_without_the_environment_the_remedy_is_the_part(tmp_path: Path, warehouse: Path) -> None:
    place = parts(tmp_path / "parts")
    (place / "environment.json").unlink()
    with pytest.raises(IsocostError, match="part `environment`"):
        write_tables(warehouse, place, tmp_path / "out")


@pytest.mark.parametrize("query", sorted(QUERIES.glob("*.sql")), ids=lambda p: p.stem)
def test_every_query_fits_the_tables(query: Path, warehouse: Path) -> None:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        assert connection.sql(query.read_text()).fetchall() == []
