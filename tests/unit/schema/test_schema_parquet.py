"""Stored tables.

Stamped, atomic, the same bytes for the same rows, and never read in another meaning.
"""

from __future__ import annotations

import os

import little_lab
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from isocost.errors import IsocostError
from isocost.schema import parquet
from isocost.schema.frames import conform
from isocost.schema.parquet import read_stamp, read_table, read_tables, write_table


def test_round_trip_with_stamp(probe, rows, tmp_path):
    path = write_table(rows, probe.name, tmp_path / "deep" / "probe.parquet")
    assert read_stamp(path) == ("out_probe", 2)
    assert_frame_equal(read_table(path, probe.name), conform(rows, probe.name))
    assert not pq.read_schema(path).field("kind").nullable
    assert [p.name for p in path.parent.iterdir()] == ["probe.parquet"]


def test_the_same_rows_give_the_same_bytes(probe, rows, tmp_path):
    first = write_table(rows, probe.name, tmp_path / "a.parquet").read_bytes()
    assert write_table(rows.reverse(), probe.name, tmp_path / "b.parquet").read_bytes() == first


def test_a_refused_frame_leaves_the_file_alone(probe, rows, tmp_path):
    path = write_table(rows, probe.name, tmp_path / "probe.parquet")
    before = path.read_bytes()
    with pytest.raises(IsocostError):
        write_table(rows.drop("kind"), probe.name, path)
    assert path.read_bytes() == before


def test_a_failed_write_leaves_the_file_and_no_debris(probe, rows, tmp_path, monkeypatch):
    path = write_table(rows, probe.name, tmp_path / "probe.parquet")
    before = path.read_bytes()

    def full(*_args, **_more):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", full)
    with pytest.raises(IsocostError, match=r"probe\.parquet.*No space left.*intact"):
        write_table(rows, probe.name, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["probe.parquet"]


def test_an_older_meaning_is_refused_without_a_migration(probe, rows, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            parquet,
            "stamp",
            lambda name: {b"isocost.table": name.encode(), b"isocost.metric_schema_version": b"1"},
        )
        path = write_table(rows, probe.name, tmp_path / "old.parquet")
    with pytest.raises(
        IsocostError,
        match=r"schema version 1 of out_probe; in version 2 .*Materialize out_probe again",
    ):
        read_table(path, probe.name)


def test_an_older_meaning_is_lifted_by_its_migration(probe, rows, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            parquet,
            "stamp",
            lambda name: {b"isocost.table": name.encode(), b"isocost.metric_schema_version": b"1"},
        )
        path = write_table(rows, probe.name, tmp_path / "old.parquet")
    monkeypatch.setitem(
        parquet.MIGRATIONS,
        (probe.name, 1),
        lambda frame: frame.with_columns(pl.col("energy_j") * 1000),
    )
    assert read_table(path, probe.name)["energy_j"].to_list() == [0.0, None, 1500.0]


def test_a_newer_meaning_is_refused(probe, rows, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            parquet,
            "stamp",
            lambda name: {b"isocost.table": name.encode(), b"isocost.metric_schema_version": b"3"},
        )
        path = write_table(rows, probe.name, tmp_path / "new.parquet")
    with pytest.raises(IsocostError, match="version 3, this code knows 2"):
        read_table(path, probe.name)


def test_foreign_missing_and_broken_files_are_reported(probe, rows, tmp_path):
    write_table(rows, probe.name, tmp_path / "probe.parquet")
    with pytest.raises(IsocostError, match=r"contains table out_probe, not raw_generations"):
        read_table(tmp_path / "probe.parquet", "raw_generations")
    rows.write_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(IsocostError, match="no isocost stamp"):
        read_table(tmp_path / "foreign.parquet", probe.name)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(IsocostError, match="not a readable Parquet file"):
        read_table(tmp_path / "broken.parquet", probe.name)
    with pytest.raises(IsocostError, match="does not exist"):
        read_table(tmp_path / "none.parquet", probe.name)


def test_a_table_in_order_of_its_tasks_has_row_groups_of_one_task(tmp_path):
    rows = [
        {"sample_id": f"{task}{i}", "point_id": "pt", "problem_id": f"{task}{i}", "task": task}
        for task in "bca"
        for i in range(3)
    ]
    path = write_table(
        little_lab.rows("core_samples", rows), "core_samples", tmp_path / "samples.parquet"
    )
    groups = parquet.pq.ParquetFile(path)
    assert [
        groups.read_row_group(i)["task"].unique().to_pylist() for i in range(groups.num_row_groups)
    ] == [["a"], ["b"], ["c"]]
    assert read_table(path, "core_samples", pl.col("task") == "b")["sample_id"].to_list() == [
        "b0",
        "b1",
        "b2",
    ]
    assert read_table(path, "core_samples")["sample_id"].to_list() == [
        f"{task}{i}" for task in "abc" for i in range(3)
    ]


def test_several_files_read_as_each_of_them_in_their_order(probe, rows, tmp_path, monkeypatch):
    one, two = (
        write_table(rows, probe.name, tmp_path / "1.parquet"),
        write_table(rows, probe.name, tmp_path / "2.parquet"),
    )
    both = pl.concat([read_table(path, probe.name) for path in (two, one)])
    assert_frame_equal(read_tables([two, one], probe.name), both)
    is_known = pl.col("energy_j").is_not_null()
    cut = read_tables([two, one], probe.name, is_known, columns=["energy_j"])
    assert_frame_equal(cut, both.filter(is_known).select("energy_j"))
    with monkeypatch.context() as patch:
        patch.setattr(
            parquet,
            "stamp",
            lambda name: {b"isocost.table": name.encode(), b"isocost.metric_schema_version": b"1"},
        )
        old = write_table(rows, probe.name, tmp_path / "old.parquet")
    monkeypatch.setitem(
        parquet.MIGRATIONS,
        (probe.name, 1),
        lambda frame: frame.with_columns(pl.col("energy_j") * 1000),
    )
    lifted = read_tables([old, one], probe.name, is_known, columns=["energy_j"])
    assert lifted["energy_j"].to_list() == [0.0, 1500.0, 0.0, 1.5]


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["footer", "middle", "foreign", "gone"])
def test_of_several_files_the_one_at_fault_is_reported(probe, rows, tmp_path, harm):
    one, two = (
        write_table(rows, probe.name, tmp_path / "1.parquet"),
        write_table(rows, probe.name, tmp_path / "2.parquet"),
    )
    data = two.read_bytes()
    if harm == "foreign":
        rows.write_parquet(two)
    elif harm == "gone":
        two.unlink()
    else:
        two.write_bytes(data[:-20] if harm == "footer" else b"PAR1" + b"\xff" * 200 + data[204:])
    with pytest.raises(IsocostError) as alone:
        read_table(two, probe.name)
    with pytest.raises(IsocostError) as together:
        read_tables([one, two], probe.name)
    assert str(together.value) == str(alone.value) and "2.parquet" in str(alone.value)
