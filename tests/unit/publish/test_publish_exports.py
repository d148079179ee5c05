"""The exports: the same bytes for the same tables, and a descriptor that is true."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest

from isocost.publish.exports import stage_exports, write_exports
from isocost.publish.handover import Handover, in_order
from isocost.schema.registry import all_tables

pytestmark = pytest.mark.slow


def package(store) -> dict:
    return json.loads((store.exports / "datapackage.json").read_text(encoding="utf-8"))


def test_every_stored_table_is_exported_and_described(lab, lab_store):
    report = write_exports(lab_store)
    assert (
        report.rows == {name: frame.height for name, frame in sorted(lab.items())}
        and report.failures == {}
    )
    assert {p.name for p in lab_store.exports.iterdir()} == {
        *(f"{name}.parquet" for name in lab),
        "datapackage.json",
    }
    for resource in package(lab_store)["resources"]:
        data = (lab_store.exports / resource["path"]).read_bytes()
        assert resource["hash"] == "sha256:" + hashlib.sha256(data).hexdigest() and resource[
            "bytes"
        ] == len(data)
        frame = pl.read_parquet(lab_store.exports / resource["path"])
        assert resource["rows"] == frame.height
        assert [field["name"] for field in resource["schema"]["fields"]] == frame.columns
        assert resource["schema"]["primaryKey"] == list(all_tables()[resource["title"]].keys)


def test_fields_say_type_unit_and_constraints(lab_store):
    write_exports(lab_store)
    samples = next(r for r in package(lab_store)["resources"] if r["title"] == "core_samples")
    fields = {field["name"]: field for field in samples["schema"]["fields"]}
    assert (
        fields["energy_j"]["type"] == "number"
        and fields["energy_j"]["unit"] == "J"
        and "constraints" not in fields["energy_j"]
    )
    assert fields["invalid_reasons"]["type"] == "array" and fields["invalid_reasons"][
        "constraints"
    ] == {"required": True}
    assert fields["parse_status"]["constraints"]["enum"] == ["parsed", "no_answer", "error"]


def test_the_same_tables_give_the_same_bytes(lab_store):
    write_exports(lab_store)
    first = {p.name: p.read_bytes() for p in lab_store.exports.iterdir()}
    write_exports(lab_store)
    assert {p.name: p.read_bytes() for p in lab_store.exports.iterdir()} == first


def test_an_unreadable_table_is_reported_and_its_old_file_goes(lab_store):
    write_exports(lab_store)
    lab_store.path("out_frontiers").write_bytes(b"no parquet")
    report = write_exports(lab_store)
    assert (
        list(report.failures) == ["out_frontiers"]
        and "not a readable Parquet file" in report.failures["out_frontiers"]
    )
    assert [entry["table"] for entry in package(lab_store)["missing"]] == ["out_frontiers"]
    assert not (lab_store.exports / "out_frontiers.parquet").exists()


def test_only_files_of_an_earlier_export_are_removed(lab_store):
    write_exports(lab_store)
    mine = lab_store.exports / "notes.parquet"
    mine.write_bytes(b"somebody's own")
    described = package(lab_store)
    described["resources"].append({"path": "../core/outside.parquet"})
    (lab_store.exports / "datapackage.json").write_text(json.dumps(described), encoding="utf-8")
    outside = lab_store.root / "core" / "outside.parquet"
    outside.write_bytes(b"not ours")
    lab_store.path("out_point_summary").unlink()
    write_exports(lab_store)
    assert mine.exists() and outside.exists()
    assert not (lab_store.exports / "out_point_summary.parquet").exists()


def test_what_is_read_once_is_handed_on(lab_store):
    handover = Handover(lab_store.stored_tables())
    lab_store.path("out_frontiers").write_bytes(b"no parquet")
    staged = stage_exports(lab_store, handover)
    assert handover.frame("out_point_summary").equals(lab_store.read("out_point_summary"))
    assert handover.file("out_point_summary") == staged.folder / "out_point_summary.parquet"
    assert handover.frame("out_frontiers") is None and handover.file("out_frontiers") is None
    assert handover.frame("out_point_summary") is None and handover.frame("core_calls") is None


def test_the_order_of_writing_is_not_the_order_of_the_descriptor(lab_store):
    write_exports(lab_store)
    alone = (lab_store.exports / "datapackage.json").read_bytes()
    write_exports(lab_store, Handover(lab_store.stored_tables()))
    assert (lab_store.exports / "datapackage.json").read_bytes() == alone
    titles = [resource["title"] for resource in package(lab_store)["resources"]]
    assert titles == lab_store.stored_tables() != in_order(titles)


def test_tables_that_do_not_fit_give_the_same_bytes(lab, lab_store, monkeypatch):
    from isocost.publish import streams
    from isocost.schema import parquet
    from isocost.store import Store

    for name in (
        "core_samples",
        "core_points",
        "core_problems",
    ):  # rows that two sessions hold, and rows of one alone
        lab_store.write(lab[name].tail(-3), name, "other")
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 7)
    monkeypatch.setattr(streams, "ROW_GROUP_ROWS", 5)
    write_exports(lab_store, memory=1 << 40)
    whole = {p.name: p.read_bytes() for p in lab_store.exports.iterdir()}
    assert not streams.is_large(lab_store, "core_samples", 1 << 40) and streams.is_large(
        lab_store, "core_samples", 1
    )
    # Only what is written may be read at once: whoever reads a table here loads it.
    shown = Handover(lab_store.stored_tables()).awaited()
    real = Store.read
    monkeypatch.setattr(
        Store,
        "read",
        lambda self, name, *a, **k: (
            real(self, name, *a, **k) if name in shown else pytest.fail(name)
        ),
    )
    write_exports(lab_store, memory=1)
    assert {p.name: p.read_bytes() for p in lab_store.exports.iterdir()} == whole
    assert not [path for path in lab_store.root.iterdir() if path.name.startswith(".spill")]


def test_a_damaged_file_of_a_table_that_does_not_fit_is_reported(lab_store):
    path = next(iter(lab_store.files("core_samples")))
    data = bytearray(path.read_bytes())
    data[len(data) // 8 : len(data) // 4] = bytes(len(data) // 4 - len(data) // 8)
    path.write_bytes(bytes(data))
    report = write_exports(lab_store, memory=1)
    assert (
        list(report.failures) == ["core_samples"] and str(path) in report.failures["core_samples"]
    )


def test_the_warehouse_holds_the_same_rows_within_little_memory(lab, lab_store):
    import duckdb

    from isocost.publish.warehouse import build_warehouse

    lab_store.write(lab["core_samples"].tail(-3), "core_samples", "other")
    found = []
    for memory in (1 << 40, 1):
        assert not build_warehouse(lab_store, memory=memory).failures
        with duckdb.connect(str(lab_store.warehouse), read_only=True) as connection:
            found.append({name: connection.sql(f'FROM "{name}"').pl() for name in lab})
    assert all(frame.equals(found[1][name]) for name, frame in found[0].items())
