"""Pieces: what fits is not built again, what does not is, and nothing else decides."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from isocost.build import curate, derive, refresh, sources
from isocost.build import slices as pieces
from isocost.build.slices import Ledger, Rows, task_piece
from isocost.intake import ImportedSource
from isocost.schema.registry import all_tables
from isocost.store import Store

pytestmark = pytest.mark.slow
KNOWN = {"model": "borrowed", "task_version": "1", "prompt": "direct", "sampling": "{}"}


class Bank:
    """Sources of counts, each of one task, and the step `summary` over them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "data")

    def bring(self, name: str, task: str, correct: int = 2, **more: str) -> None:
        path = self.folder / f"{name}.jsonl"
        path.write_text(
            "".join(json.dumps({"id": f"p{i}", "c": correct + i, "n": 6}) + "\n" for i in range(3)),
            encoding="utf-8",
        )
        refresh.bring_in(
            self.store,
            f"import-{name}",
            format="counts",
            path=path,
            provenance={**KNOWN, "task": task, **more},
        )

    def refresh(self, **options: bool) -> refresh.Derived:
        ledger = Ledger(self.store)
        self.curated = {
            s: refresh.curate_session(self.store, s, ledger=ledger)
            for s in refresh.known_sources(self.store)
        }
        return refresh.derive(self.store, "summary", ledger=ledger, **options)

    def rebuilt(self) -> list[str]:
        return [session_id for session_id, done in self.curated.items() if not done.is_reused]

    def piece(self, task: str) -> Path:
        return self.store.path("out_point_summary", task_piece(task))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Bank(tmp_path_factory.mktemp("template"))
    made.bring("a", "adding")
    made.bring("b", "sorting")
    assert made.refresh().built == 2
    return made.folder


@pytest.fixture
def bank(template: Path, tmp_path: Path) -> Bank:
    shutil.copytree(template, tmp_path / "place")
    return Bank(tmp_path / "place")


def test_nothing_new_builds_nothing(bank: Bank) -> None:
    before = {path: path.stat().st_mtime_ns for path in bank.store.root.rglob("*.parquet")}
    done = bank.refresh()
    assert (done.built, done.reused, done.rows) == (
        0,
        2,
        {"out_point_summary": 2},
    ) and bank.rebuilt() == []
    assert {path: path.stat().st_mtime_ns for path in bank.store.root.rglob("*.parquet")} == before
    assert (bank.refresh(force=True).built, bank.refresh().built) == (2, 0)


def test_a_new_source_builds_itself_and_its_task(bank: Bank) -> None:
    other = bank.piece("sorting").stat().st_mtime_ns
    bank.bring("c", "adding", model="another")
    done = bank.refresh()
    assert bank.rebuilt() == ["import-c"] and (done.built, done.reused) == (1, 1)
    assert bank.piece("sorting").stat().st_mtime_ns == other
    assert bank.store.read("out_point_summary")["model_variant"].to_list() == [
        "another",
        "borrowed",
        "borrowed",
    ]


def test_a_corrected_source_builds_itself_and_its_task(bank: Bank) -> None:
    bank.bring("a", "adding", correct=0)
    done = bank.refresh()
    assert bank.rebuilt() == ["import-a"] and (done.built, done.reused) == (1, 1)
    assert bank.store.read("out_point_summary").filter(task="adding")[
        "samples_correct"
    ].to_list() == [3]


def test_a_source_that_is_gone_leaves_nothing(bank: Bank) -> None:
    bank.store.session_file("import-b").with_suffix(".source").unlink()
    for folder in (bank.store.lake / "raw" / "imports").glob("source=counts-import-b-*"):
        shutil.rmtree(folder)
    assert [
        (loss.source, loss.known, loss.found)
        for loss in sources.vanished(bank.store, Ledger(bank.store))
    ] == [("import-b", 3, 0)]
    assert (
        refresh.forget(bank.store, "import-b") == 3
        and sources.vanished(bank.store, Ledger(bank.store)) == []
    )
    assert (bank.refresh().reused, bank.store.read("core_counts")["task"].unique().to_list()) == (
        1,
        ["adding"],
    )
    assert not bank.piece("sorting").exists() and bank.store.read("out_point_summary")[
        "task"
    ].to_list() == ["adding"]


def test_core_tables_without_their_lake_are_left_alone(bank: Bank) -> None:
    (bank.store.lake / "sessions").rename(bank.store.lake / "elsewhere")
    assert bank.refresh().reused == 2 and bank.store.read("core_counts")["n_samples"].sum() == 36


@pytest.mark.parametrize(
    "harm", [Path.unlink, lambda path: path.write_bytes(b"nothing of ours"), "flip"]
)
def test_a_piece_that_was_harmed_is_built_again(
    bank: Bank, harm: Callable[[Path], object] | str
) -> None:
    whole = {
        path: path.read_bytes()
        for path in (bank.piece("adding"), bank.store.path("core_samples", "import-b"))
    }
    for path, data in whole.items():
        if callable(harm):
            harm(path)
        else:
            path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    done = bank.refresh()
    assert bank.rebuilt() == ["import-b"] and done.built == 1
    assert {path: path.read_bytes() for path in whole} == whole


def test_a_copied_or_touched_file_counts_by_its_content(bank: Bank) -> None:
    for path in bank.store.root.rglob("*.parquet"):
        if "lake" not in path.parts:
            os.utime(path, ns=(1, 1))
    assert bank.refresh().built == 0 and bank.rebuilt() == []


def test_a_bank_that_was_touched_is_proven_again_and_changes_nothing(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven, prove = [], ImportedSource.prove
    monkeypatch.setattr(
        ImportedSource, "prove", lambda source: (proven.append(source.key), prove(source))
    )
    assert bank.refresh().built == 0 and proven == ["import-a", "import-b"]  # they were copied
    proven.clear()
    assert bank.refresh().built == 0 and proven == []
    for path in (bank.store.lake / "raw").rglob("*.parquet"):
        os.utime(path, ns=(1, 1))
    assert bank.refresh().built == 0 and bank.rebuilt() == [] and proven == ["import-a", "import-b"]


def test_bytes_that_changed_under_the_old_time_are_found(bank: Bank) -> None:
    bank.refresh()
    part = next(
        path
        for path in (bank.store.lake / "raw").rglob("*.parquet")
        if "counts-import-a" in str(path)
    )
    data, times = bytearray(part.read_bytes()), part.stat()
    data[len(data) // 2] ^= 4
    part.write_bytes(data)
    os.utime(part, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(curate.SetAside, match=r"SHA-256 is not the sealed one.*set aside"):
        bank.refresh()
    assert not part.exists() and list(
        (bank.store.lake / "raw" / "quarantine").rglob("part-*.parquet")
    )


def test_a_run_that_was_killed_half_way_is_finished_by_the_next(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.bring("a", "adding", correct=0)
    write, written = Store.write, []

    def dies(self: Store, frame: pl.DataFrame, table: str, piece: str | None = None) -> Path:
        written.append(table)
        if len(written) == 3:
            raise KeyboardInterrupt
        return write(self, frame, table, piece)

    monkeypatch.setattr(Store, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        bank.refresh()
    assert Ledger(bank.store).find("core", curate.GROUP, "import-a") is None
    monkeypatch.undo()
    bank.refresh()
    assert bank.rebuilt() == ["import-a"]
    assert bank.store.read("out_point_summary").filter(task="adding")[
        "samples_correct"
    ].to_list() == [3]


def test_other_code_or_cards_build_everything_that_they_bear_on(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bank.store.root / "cards").mkdir()
    (bank.store.root / "cards" / "notes.md").write_text("none yet", encoding="utf-8")
    assert bank.refresh().built == 0 and bank.rebuilt() == [
        "import-a",
        "import-b",
    ]  # the summary's inputs came out the same
    for module in (curate, derive):
        monkeypatch.setattr(module, "code_fingerprint", lambda: "other")
    assert bank.refresh().built == 2


def test_the_code_counts_with_its_sql(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pieces.code_fingerprint.cache_clear()
    before = pieces.code_fingerprint()
    (tmp_path / "new.sql").write_text("SELECT 1", encoding="utf-8")
    monkeypatch.setattr("isocost.sql.sql_root", lambda: tmp_path)
    pieces.code_fingerprint.cache_clear()
    assert pieces.code_fingerprint() != before
    monkeypatch.undo()
    pieces.code_fingerprint.cache_clear()
    assert pieces.code_fingerprint() == before


def test_tables_and_inputs_that_a_part_does_not_name_are_refused(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(build: Callable[[Rows], dict[str, pl.DataFrame]]) -> tuple[refresh.Rule, ...]:
        return (refresh.Rule("summary", "task", ("out_point_summary",), ("core_samples",), build),)

    for build, expected in (
        (
            lambda rows: {"out_point_summary": rows.read("core_points")},
            "core_points is read by a computation that does not say so",
        ),
        (
            lambda rows: {"out_frontiers": rows.read("core_samples")},
            "out_frontiers, out_point_summary",
        ),
    ):
        monkeypatch.setattr(derive, "RULES", part(build))
        done = refresh.derive(bank.store, "summary", force=True)
        assert (
            done.built == 0 and done.failed and all(expected in str(each) for each in done.failed)
        )
        assert bank.store.files("out_point_summary") == []


def test_every_derived_table_belongs_to_a_part() -> None:
    assert {table for tables in refresh.STEPS.values() for table in tables} == {
        n for n, t in all_tables().items() if t.layer == "out"
    }


def test_a_task_and_a_session_read_their_rows_once(bank: Bank) -> None:
    frame = bank.store.read("core_counts", "import-a")
    bank.store.write(frame, "core_counts", "import-z")  # another source of the same samples
    (point,) = frame["point_id"].unique()
    task = Rows(bank.store, "task", ("import-a", "import-z"), "adding", (point,))
    assert task.read("core_counts").equals(frame) and task.read("core_problems")[
        "task"
    ].unique().to_list() == ["adding"]
    assert (
        Rows(bank.store, "point", ("import-a", "import-b"), "adding", (point,))
        .read("core_counts")
        .equals(frame)
    )
    later = Rows(bank.store, "session", ("import-z",), shadows=("import-a",))
    assert later.read("core_counts").is_empty() and Rows(bank.store, "session", ("import-a",)).read(
        "core_counts"
    ).equals(frame)
    assert task.read("out_strategy_outcomes").is_empty()
    for rows, found in (
        (task, frame),
        (later, frame.head(0)),
        (Rows(bank.store, "all", ("import-a", "import-z")), None),
    ):
        cut = rows.read("core_counts", columns=["n_correct", "task"])
        assert cut.equals(
            (rows.read("core_counts") if found is None else found).select("n_correct", "task")
        )


def test_what_is_published_stands_while_nothing_changes(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(refresh, "STEPS", {"summary": refresh.STEPS["summary"]})
    store = bank.store
    list(refresh.everything(store))
    published = [store.warehouse, store.report, store.exports / "out_point_summary.parquet"]
    before = [path.stat().st_mtime_ns for path in published]
    stated = {done.name: done.reused for done in refresh.everything(store)}
    assert [path.stat().st_mtime_ns for path in published] == before and stated[
        "warehouse"
    ] == stated["exports"] == 1
    store.warehouse.unlink()
    list(refresh.everything(store))
    assert store.warehouse.exists()
    bank.bring("c", "adding", model="another")
    assert {done.name: done.reused for done in refresh.everything(store)}["exports"] == 0
    assert pl.read_parquet(published[2])["model_variant"].to_list() == [
        "another",
        "borrowed",
        "borrowed",
    ]
    assert capfd.readouterr().out == ""
