"""The warehouse.

Whole, described, swapped in atomically, readable meanwhile, the same for the same tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import duckdb
import polars as pl
import pytest

from isocost import sql
from isocost.errors import IsocostError
from isocost.publish import warehouse
from isocost.publish.exports import stage_exports, write_exports
from isocost.publish.handover import Handover
from isocost.publish.report import write_report
from isocost.publish.warehouse import build_warehouse
from isocost.schema.registry import all_tables
from isocost.store import Store

pytestmark = pytest.mark.slow

SESSION = "quickstart-0123456789"


def read(store, query: str):
    with duckdb.connect(str(store.warehouse), read_only=True) as connection:
        return connection.sql(query).fetchall()


@pytest.fixture(scope="module")
def built(lab, tmp_path_factory):
    """One warehouse for the tests that only read, with its report."""
    store = Store(tmp_path_factory.mktemp("built") / "data")
    for name, frame in lab.items():
        store.write(frame, name, SESSION if name.startswith("core_") else None)
    return store, build_warehouse(store)


def test_every_core_and_out_table_is_there_with_its_rows(lab, built):
    lab_store, report = built
    assert report.failures == () and report.path == lab_store.warehouse and report.size_bytes > 0
    wanted = {name for name, table in all_tables().items() if table.layer != "raw"}
    assert {entry.name for entry in report.entries if entry.kind == "table"} == wanted
    for name, frame in lab.items():
        assert read(lab_store, f"SELECT count(*) FROM {name}") == [(frame.height,)]
    assert report.rows == sum(frame.height for frame in lab.values())
    assert (
        dict(read(lab_store, "SELECT table_name, n_rows FROM _tables"))["core_samples"]
        == lab["core_samples"].height
    )


def test_columns_carry_their_meaning(built):
    lab_store, _ = built
    found = dict(
        read(
            lab_store,
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'core_samples'",
        )
    )
    assert found["latency_s"].startswith("prefill_s + decode_s") and found["latency_s"].endswith(
        "Unit: s."
    )
    assert all(found.values())
    assert read(lab_store, "SELECT comment FROM duckdb_tables() WHERE table_name = 'core_samples'")[
        0
    ][0].startswith("One row: one sample")
    rows = read(
        lab_store,
        "SELECT type, unit, is_nullable FROM _columns WHERE table_name = 'core_samples' AND column_name = 'energy_j'",
    )
    assert rows == [("DOUBLE", "J", True)]


def test_the_content_is_in_key_order_and_repeats(built):
    lab_store, _ = built
    query = "SELECT * FROM core_samples"
    with duckdb.connect(str(lab_store.warehouse), read_only=True) as connection:
        first = connection.sql(query).pl()
    assert first.equals(lab_store.read("core_samples"))
    build_warehouse(lab_store)
    with duckdb.connect(str(lab_store.warehouse), read_only=True) as connection:
        assert connection.sql(query).pl().equals(first)


def test_older_duckdb_can_read_the_file(built):
    lab_store, _ = built
    # Byte 12 of a DuckDB file is its storage version: 67 is that of 1.4; DuckDB 2 writes 69 of its
    # own accord.
    version = int.from_bytes(lab_store.warehouse.read_bytes()[12:20], "little")
    assert version <= 67


def checks_of(store) -> pl.DataFrame:
    build_warehouse(store)
    with duckdb.connect(str(store.warehouse), read_only=True) as connection:
        return connection.sql("FROM _checks").pl()


def test_checks_are_a_table(built):
    rows = read(
        built[0], "SELECT table_name, check_name, is_passed, failing_rows, problem FROM _checks"
    )
    assert {f"{row[0]}__{row[1]}" for row in rows} == {
        path.stem for path in sql.sql_files("checks")
    }
    assert rows == sorted(rows) and {row[2:] for row in rows} == {(True, 0, None)}


def test_a_failing_check_is_reported_with_its_rows(lab, lab_store):
    frame = lab["core_samples"].with_columns(energy_unknown_reason=pl.lit(None, dtype=pl.String))
    lab_store.write(frame, "core_samples", SESSION)
    failed = checks_of(lab_store).filter(~pl.col("is_passed"))
    assert failed.select("check_name", "failing_rows").rows() == [
        ("energy_has_its_method", frame.height)
    ]


def test_a_check_that_cannot_run_has_neither_passed_nor_failed(lab_store):
    lab_store.path("out_frontiers").write_bytes(b"no parquet")
    checks = checks_of(lab_store)
    lost = checks.filter(checks["is_passed"].is_null())
    assert (
        set(lost["table_name"]) == {"out_frontiers"}
        and lost["failing_rows"].null_count() == lost.height
    )
    assert (
        lost["problem"]
        .str.contains(r"^sql/checks/out_frontiers__.*out_frontiers/all\.parquet: is not a readable")
        .all()
    )
    rest = checks.filter(checks["is_passed"].is_not_null())
    assert (
        rest.height > 20 and rest["is_passed"].all() and rest["problem"].null_count() == rest.height
    )


def test_a_table_that_cannot_be_read_is_reported_and_the_others_are_published(lab, lab_store):
    lab_store.path("out_frontiers").write_bytes(b"no parquet")
    report = build_warehouse(lab_store)
    assert [part.name for part in report.failures if part.kind == "table"] == ["out_frontiers"]
    assert (
        "not a readable Parquet file"
        in read(lab_store, "SELECT problem FROM _tables WHERE table_name = 'out_frontiers'")[0][0]
    )
    assert read(lab_store, "SELECT count(*) FROM core_samples") == [(lab["core_samples"].height,)]


def test_a_log_that_a_killed_writer_left_is_not_replayed(lab, lab_store):
    build_warehouse(lab_store)
    wal = lab_store.warehouse.with_name("warehouse.duckdb.wal")
    wal.write_bytes(b"half a log of somebody who was killed")
    build_warehouse(lab_store)
    assert not wal.exists()
    assert read(lab_store, "SELECT count(*) FROM core_points") == [(4,)]


def test_a_reader_keeps_its_file_while_a_new_one_is_swapped_in(lab, lab_store):
    build_warehouse(lab_store)
    program = (
        "import sys, duckdb\n"
        "con = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print(con.sql('SELECT count(*) FROM core_samples').fetchall()[0][0], flush=True)\n"
        "sys.stdin.readline()\n"
        "print(con.sql('SELECT count(*) FROM core_problems').fetchall()[0][0], flush=True)\n"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(lab_store.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout.readline() == f"{lab['core_samples'].height}\n"
    lab_store.write(lab["core_problems"].head(3), "core_problems", SESSION)
    build_warehouse(lab_store)
    assert read(lab_store, "SELECT count(*) FROM core_problems") == [(3,)]
    out, _ = reader.communicate("\n", timeout=30)
    assert out == f"{lab['core_problems'].height}\n" and reader.returncode == 0


def test_a_failed_build_leaves_the_old_file_and_no_debris(lab_store, monkeypatch):
    build_warehouse(lab_store)
    before = lab_store.warehouse.read_bytes()

    def full(*_args, **_more):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(warehouse, "_write", full)
    with pytest.raises(IsocostError, match=r"warehouse\.duckdb.*No space left.*intact"):
        build_warehouse(lab_store)
    assert lab_store.warehouse.read_bytes() == before
    assert [p.name for p in lab_store.root.iterdir() if "warehouse" in p.name] == [
        "warehouse.duckdb"
    ]


def test_what_a_killed_build_left_goes_and_what_runs_now_stays(lab_store):
    old, young = (lab_store.root / f".warehouse.duckdb.{word}.tmp" for word in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    build_warehouse(lab_store)
    assert not old.exists() and young.exists()


def test_a_new_machine_gets_a_warehouse_of_empty_tables(tmp_path):
    store = Store(tmp_path / "new")
    report = build_warehouse(store)
    assert report.rows == 0 and report.failures == ()
    assert read(store, "SELECT count(*) FROM core_samples") == [(0,)]


def test_an_exported_table_gives_the_same_warehouse_as_its_pieces(lab, lab_store):
    for place, frame in enumerate(
        lab["core_samples"].partition_by("point_id")
    ):  # more than one file of one table
        lab_store.write(frame, "core_samples", f"part-{place}")
    lab_store.path("core_samples", SESSION).unlink()
    lab_store.path("out_frontiers").write_bytes(b"no parquet")
    apart = build_warehouse(lab_store)
    one = contents(lab_store)
    handover = Handover(lab_store.stored_tables())
    with ThreadPoolExecutor(max_workers=2) as pool:
        built = pool.submit(build_warehouse, lab_store, handover)
        staged = pool.submit(stage_exports, lab_store, handover).result(timeout=60)
        together, exported = built.result(timeout=60), staged.commit()
    assert together.entries == apart.entries and [entry.name for entry in together.failures] == [
        "out_frontiers"
    ] == list(exported.failures)
    assert contents(lab_store) == one


def contents(store) -> dict[str, list]:
    names = [
        row[0] for row in read(store, "SELECT table_name FROM duckdb_tables() ORDER BY table_oid")
    ]
    found = {name: read(store, f'FROM "{name}"') for name in names}
    return found | {
        "columns": read(
            store,
            "SELECT * EXCLUDE (database_oid, schema_oid, table_oid) FROM duckdb_columns() WHERE NOT internal",
        )
    }


def test_exports_that_cannot_be_written_keep_nobody_waiting(lab, lab_store):
    lab_store.exports.write_text("in the way")
    handover = Handover(lab_store.stored_tables())
    with pytest.raises(IsocostError, match="could not be written"):
        write_exports(lab_store, handover)
    assert build_warehouse(lab_store, handover).rows == sum(frame.height for frame in lab.values())
    assert write_report(lab_store, handover).exists()
