"""One bad source stops one source, whatever it raises."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import polars as pl
import pytest

import isocost.build.curate
from isocost import gates
from isocost.build import refresh
from isocost.build.curate import curate_session
from isocost.build.ledger import Ledger
from isocost.build.sources import curate_all, keep_or_leave_out
from isocost.errors import IsocostError, one_source
from isocost.intake import ImportedSource
from isocost.seals import identity
from isocost.store import Store

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 1},
}


class Panic(BaseException):
    """As Polars and other libraries with a foreign core raise it."""


@pytest.mark.parametrize(
    "kind",
    [
        ValueError,
        KeyError,
        RecursionError,
        pl.exceptions.ComputeError,
        Panic,
        PermissionError,
        UnicodeError,
    ],
)
def test_whatever_one_source_raises_is_its_own_fault(kind: type[BaseException]) -> None:
    with pytest.raises(IsocostError, match=r"import-x.*unexpected error"), one_source("import-x"):
        raise kind("odd")


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(3),
        MemoryError(),
        OSError(errno.ENOSPC, "full"),
        IsocostError("known"),
    ],
)
def test_what_hits_all_of_them_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, one_source("import-x"):
        raise error
    assert caught.value is error


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TypeError, Panic])
def test_a_refresh_leaves_out_the_one_and_publishes_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    store, mapping = Store(tmp_path / "data"), tmp_path / "m.yaml"
    mapping.write_text("columns: {problem: id, output: text, correct: ok}\n")
    for name in ("bad", "good"):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps({"id": name, "text": name, "ok": True}) + "\n")
        refresh.bring_in(
            store, f"import-{name}", format="generic", path=path, provenance=KNOWN, mapping=mapping
        )
    built = isocost.build.curate._core_of_import

    def broken(source: ImportedSource):
        if source.key == "import-bad":
            raise kind("odd")
        return built(source)

    monkeypatch.setattr(isocost.build.curate, "_core_of_import", broken)
    with pytest.raises(
        IsocostError, match=r"1 of 2 sources could not be read.*the rest is published"
    ) as caught:
        list(refresh.everything(store))
    assert "import-bad" in str(caught.value) and store.warehouse.exists()
    assert [path.stem for path in store.files("core_samples")] == ["session=import-good"]


@pytest.mark.slow
def test_tables_that_are_kept_say_that_they_are_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "data")
    path = tmp_path / "counts.jsonl"
    path.write_text(json.dumps({"id": "a", "c": 1, "n": 2}) + "\n")
    refresh.bring_in(store, "import-a", format="counts", path=path, provenance=KNOWN)
    ledger = Ledger(store)

    def curated() -> pl.DataFrame:
        for source, done in curate_all(store, ledger, force=True):
            if isinstance(done, IsocostError):
                assert keep_or_leave_out(store, source, done, ledger)
        return store.read(gates.CHECKS, "import-a")

    sound, samples = curated(), store.read("core_counts")
    with monkeypatch.context() as patch:

        def broken(_: ImportedSource):
            raise Panic("odd")

        patch.setattr("isocost.build.curate._core_of_import", broken)
        reported = curated()
        (row,) = reported.filter(pl.col("rule") == gates.KEPT).to_dicts()
        assert row["source_key"] == "import-a" and not row["is_passed"] and "odd" in row["detail"]
        assert reported.filter(pl.col("rule") != gates.KEPT).equals(sound)
        assert store.read("core_counts").equals(samples)
        record = ledger.find("core", "sessions", "import-a")  # all files are those of the record
        assert record is not None and record.rows[gates.CHECKS] == reported.height
        changed = identity(store.path(gates.CHECKS, "import-a"))
        assert curated().equals(reported)  # nothing piles up, and nothing is published again
        assert identity(store.path(gates.CHECKS, "import-a")) == changed
    # Sound again, and banked as before: built again, although its files are those of the record.
    assert not curate_session(store, "import-a", ledger=ledger).is_reused
    assert store.read(gates.CHECKS, "import-a").equals(sound)
