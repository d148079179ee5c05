"""One publication or the one before: nothing in between."""

from __future__ import annotations

import errno
from pathlib import Path

import duckdb
import pytest

from isocost.errors import MachineError
from isocost.publish import exports, report, warehouse
from isocost.publish.handover import in_order
from isocost.publish.together import publish


def everything(store) -> dict[str, bytes]:
    files = [store.warehouse, store.report, *store.exports.iterdir()]
    return {path.name: path.read_bytes() for path in files}


def full(*_args, **_more):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
@pytest.mark.parametrize("where", ["table", "descriptor", "warehouse", "report"])
def test_what_fails_half_way_leaves_the_earlier_publication_whole(
    lab, lab_store, monkeypatch, where
):
    library = "window.vegaEmbed = 1"
    monkeypatch.setattr(report, "drawing_library", lambda folder: library)
    publish(lab_store)
    before = everything(lab_store)
    lab_store.write(lab["out_point_summary"].head(1), "out_point_summary")

    def last(frame, name, path, **options):
        return (
            full()
            if name == in_order(lab_store.stored_tables())[-1]
            else written(frame, name, path, **options)
        )

    written = exports.write_table
    with monkeypatch.context() as patch:
        if where == "table":
            patch.setattr(exports, "write_table", last)
        elif where == "descriptor":
            patch.setattr(exports, "_write_descriptor", full)
        elif where == "report":
            opened = Path.open

            def refuse_the_page(self, *args, **options):
                return full() if ".index.html." in self.name else opened(self, *args, **options)

            patch.setattr(Path, "open", refuse_the_page)
        else:

            def refused(*_args):
                raise duckdb.IOException("Could not write file: No space left on device")

            patch.setattr(warehouse, "_describe", refused)
        with pytest.raises(
            MachineError, match=r"could not be written.*No space left.*intact"
        ) as caught:
            publish(lab_store)
    assert caught.value.exit_code == 1 and len(str(caught.value).splitlines()) == 1
    assert everything(lab_store) == before
    assert not [path for path in lab_store.root.rglob(".*") if path.name != ".pieces.lock"]
    publish(lab_store)
    assert everything(lab_store) != before


@pytest.mark.slow
def test_a_budget_changes_no_rows_and_a_full_disk_under_it_changes_nothing(
    lab, lab_store, monkeypatch
):
    monkeypatch.setattr(report, "drawing_library", lambda folder: "window.vegaEmbed = 1")
    publish(lab_store, memory=2**40)
    before = everything(lab_store)
    publish(lab_store, memory=3)  # every table is streamed
    assert {
        name: data
        for name, data in everything(lab_store).items()
        if name != lab_store.warehouse.name
    } == {name: data for name, data in before.items() if name != lab_store.warehouse.name}
    before = everything(lab_store)
    lab_store.write(lab["out_point_summary"].head(1), "out_point_summary")
    monkeypatch.setattr("isocost.schema.parquet.write_sealed", full)
    with pytest.raises(MachineError, match=r"could not be written.*No space left.*intact"):
        publish(lab_store, memory=3)
    assert everything(lab_store) == before
