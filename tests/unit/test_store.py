"""The table store: where files lie, and how the files of several sessions read as one table."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from isocost import store as store_module
from isocost.build.slices import Rows
from isocost.errors import IsocostError
from isocost.schema import registry
from isocost.schema.model import Column, Table
from isocost.sql import rows_of
from isocost.store import Store

CORE = Table(
    "core_probe",
    "one thing",
    (
        Column("probe_id", "string", "Names the thing"),
        Column("session_id", "string", "Who saw it"),
        Column("n", "int64", "A number"),
    ),
    keys=("probe_id",),
)
OUT = Table(
    "out_probe", "one thing", (Column("probe_id", "string", "Names the thing"),), keys=("probe_id",)
)


@pytest.fixture
def store(monkeypatch, tmp_path) -> Store:
    tables = {**registry.all_tables(), CORE.name: CORE, OUT.name: OUT}
    monkeypatch.setattr(registry, "all_tables", lambda: tables)
    monkeypatch.setattr(store_module, "all_tables", lambda: tables)
    return Store(tmp_path / "data")


def frame(ids: list[str], session: str, n: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"probe_id": ids, "session_id": [session] * len(ids), "n": [n] * len(ids)})


def test_paths_are_one_a_session_for_core_and_one_a_piece_for_out(store):
    assert (
        store.path("core_probe", "s1").relative_to(store.root).as_posix()
        == "core/core_probe/session=s1.parquet"
    )
    assert store.path("core_probe").name == "session=_.parquet"
    assert store.path("out_probe").relative_to(store.root).as_posix() == "out/out_probe/all.parquet"
    assert (
        store.path("out_probe", "task-sums-01").relative_to(store.root).as_posix()
        == "out/out_probe/task-sums-01.parquet"
    )
    with pytest.raises(IsocostError, match="kept by the bank"):
        store.path("raw_generations")


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b"])
def test_a_session_id_cannot_leave_the_folder(store, name):
    with pytest.raises(IsocostError, match="not a session id"):
        store.session_file(name)


def test_sessions_read_as_one_table_in_key_order(store):
    store.write(frame(["b", "d"], "s2"), "core_probe", "s2")
    store.write(frame(["c", "a"], "s1"), "core_probe", "s1")
    assert store.read("core_probe")["probe_id"].to_list() == ["a", "b", "c", "d"]
    assert store.read("core_probe", "s2")["probe_id"].to_list() == ["b", "d"]
    assert store.stored_tables() == ["core_probe"]


def test_a_row_of_two_sessions_is_kept_once_from_the_first(store):
    store.write(frame(["a"], "s2", n=2), "core_probe", "s2")
    store.write(frame(["a", "b"], "s1", n=1), "core_probe", "s1")
    assert store.read("core_probe").rows() == [("a", "s1", 1), ("b", "s1", 1)]


JUDGED = Table(
    "core_judged",
    "one thing that may be refused",
    (*CORE.columns, Column("is_valid", "bool", "Whether it counts", nullable=False)),
    keys=("probe_id",),
)


def judged(validity: dict[str, bool], session: str) -> pl.DataFrame:
    reported = pl.Series(validity.values(), dtype=pl.Boolean)
    return frame(list(validity), session).with_columns(is_valid=reported)


def test_a_refused_row_hides_no_valid_copy(store):
    registry.all_tables()[JUDGED.name] = JUDGED
    store.write(judged({"a": False, "b": True, "c": False, "d": False}, "s1"), JUDGED.name, "s1")
    store.write(judged({"a": True, "b": True, "c": False}, "s2"), JUDGED.name, "s2")
    store.write(judged({"a": True, "d": True}, "s3"), JUDGED.name, "s3")
    expected = [("a", "s2"), ("b", "s1"), ("c", "s1"), ("d", "s3")]
    assert store.read(JUDGED.name, columns=["probe_id", "session_id"]).rows() == expected
    assert store.read(JUDGED.name).select("probe_id", "session_id").rows() == expected
    # Tables that do not fit into memory are read by DuckDB, which keeps the same rows.
    query = f"SELECT probe_id, session_id FROM ({rows_of(JUDGED, store.files(JUDGED.name))})"
    assert sorted(duckdb.sql(query).fetchall()) == expected
    # What describes one session leaves out what counts of an earlier one, and nothing else.
    for session, shadows, kept in (("s2", ("s1",), "a"), ("s3", ("s1", "s2"), "d")):
        own = Rows(store, "session", (session,), shadows=shadows).read(JUDGED.name)
        assert own.filter("is_valid")["probe_id"].to_list() == [kept]


def test_some_columns_of_the_same_rows_in_the_same_order(store):
    store.write(frame(["c", "a"], "s2", n=2), "core_probe", "s2")
    assert store.read("core_probe", columns=["n"]).to_dict(as_series=False) == {"n": [2, 2]}
    store.write(frame(["a", "b"], "s1", n=1), "core_probe", "s1")
    assert store.read("core_probe", columns=["n"]).to_dict(as_series=False) == {"n": [1, 1, 2]}
    assert store.read("core_probe", "s1", columns=["n", "probe_id"]).rows() == [(1, "a"), (1, "b")]
    assert store.read("out_probe", columns=["probe_id"]).rows() == []
    assert store.read_only(
        "core_probe", ["s2", "s1", "s9"], pl.col("probe_id") != "b", columns=["n"]
    )["n"].to_list() == [1, 2]


def test_a_table_that_was_never_built_is_empty_but_a_missing_session_is_reported(store):
    assert store.read("core_probe").is_empty() and store.read("out_probe").columns == ["probe_id"]
    with pytest.raises(IsocostError, match="does not exist"):
        store.read("core_probe", "s9")


def test_session_ids_are_those_that_were_planned(store):
    for name in ("b", "a"):
        path = store.session_file(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}", encoding="utf-8")
    assert store.session_ids() == ["a", "b"]
