"""One bit of what is stored changes, or files are gone: never a silent other number, never a
smaller publication.

Positions are drawn; every test prints nothing and asserts for each draw that what was read is what
was written, or that a person was informed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmarks.refresh import Layout
from benchmarks.refresh import bank as bank_session
from isocost import intake, seals
from isocost.bank.reader import read_manifests, read_raw, scan_raw
from isocost.build import curate, ledger, refresh
from isocost.build.ledger import Ledger
from isocost.build.losses import Refused
from isocost.cli import main
from isocost.errors import IsocostError
from isocost.importers import read_imports
from isocost.store import Store
from isocost.sweep import read_session

pytestmark = pytest.mark.slow
KNOWN = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "{}"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session, an import of answers and one of counts, refreshed with one step."""
    home = tmp_path_factory.mktemp("bits")
    store = Store(home / "data")
    (home / "problems").mkdir()
    layout = Layout("tasks", 1, 2, False, 4, 3)
    bank_session(store, home / "problems", layout, *layout.sessions()[0])
    (home / "m.yaml").write_text("columns: {problem: id, output: text, correct: ok}\n")
    answers = home / "answers.jsonl"
    answers.write_text(
        "".join(
            json.dumps({"id": f"p{i}", "text": f"text {i}", "ok": i % 2 == 0}) + "\n"
            for i in range(6)
        )
    )
    refresh.bring_in(
        store,
        "import-answers",
        format="generic",
        path=answers,
        provenance=KNOWN,
        mapping=home / "m.yaml",
    )
    counts = home / "counts.jsonl"
    counts.write_text(json.dumps({"id": "a", "c": 1, "n": 4}) + "\n")
    refresh.bring_in(store, "import-counts", format="counts", path=counts, provenance=KNOWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refresh, "STEPS", {"summary": refresh.STEPS["summary"]})
        list(refresh.everything(store))
    return home


@pytest.fixture
def store(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(refresh, "STEPS", {"summary": refresh.STEPS["summary"]})
    for folder in ("data", "problems"):
        shutil.copytree(template / folder, tmp_path / folder)
    return Store(tmp_path / "data")


def flip(path: Path, chance: random.Random) -> None:
    """Changes one bit under the old time."""
    data, times = bytearray(path.read_bytes()), path.stat()
    place = chance.randrange(len(data))
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def one(store: Store, pattern: str) -> Path:
    return sorted(path for path in store.root.glob(pattern) if path.is_file())[0]


def session_of(store: Store) -> str:
    return store.session_ids()[0]


def record_of(store: Store, path: Path) -> object:
    """What a refresh goes by: the record, or nothing."""
    return Ledger(store).recall(path.parts[-4], path.parent.name, path.stem) or "nothing"


READERS: dict[str, tuple[str, Callable[[Store, Path], object]]] = {
    "raw part": (
        "lake/raw/generations/*/*.parquet",
        lambda s, _: read_raw(s.lake, "raw_generations").write_json(),
    ),
    "scanned part": (
        "lake/raw/generations/*/*.parquet",
        lambda s, _: scan_raw(s.lake, "raw_generations").collect().write_json(),
    ),
    "run's manifest": (
        "lake/raw/manifests/*/*.json",
        lambda s, _: [m.as_dict() for m in read_manifests(s.lake)],
    ),
    "session file": ("lake/sessions/*.json", lambda s, path: read_session(path).model_dump_json()),
    "note of an import": (
        "lake/sessions/import-answers.source",
        lambda s, _: intake.source_of(s, "import-answers").inputs(),
    ),
    "import part": (
        "lake/raw/imports/*answers*/*/part-*",
        lambda s, _: intake.raw_rows(s, "raw_imports", "import-answers").write_json(),
    ),
    "import manifest": (
        "lake/raw/imports/*answers*/*/manifest.json",
        lambda s, _: refresh_imports(s),
    ),
    "import index": ("lake/raw/imports/*answers*/index.json", lambda s, _: refresh_imports(s)),
    "core table": (
        "core/core_samples/session=import-answers.parquet",
        lambda s, _: s.read("core_samples").write_json(),
    ),
    "derived table": (
        "out/out_point_summary/*.parquet",
        lambda s, _: s.read("out_point_summary").write_json(),
    ),
    "record": ("core/_made/sessions/import-answers.json", record_of),
}


def refresh_imports(store: Store) -> str:
    return read_imports(store.lake).collect().write_json()


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("seed", [1])
def test_no_reader_takes_another_value_for_what_was_written(
    store: Store, kind: str, seed: int
) -> None:
    pattern, read = READERS[kind]
    path, chance = one(store, pattern), random.Random(f"{kind} {seed}")
    whole, good = path.read_bytes(), read(store, path)
    named = 0
    for _ in range(40):
        flip(path, chance)
        try:
            found = read(store, path)
            assert found == good or (kind == "record" and found == "nothing"), kind
            named += found == "nothing"
        except IsocostError as error:
            assert "Traceback" not in str(error)
            named += 1
        path.write_bytes(whole)
    assert named == 40, f"{40 - named} changed bits of {kind} went unnoticed"
    assert read(store, path) == good


def kept(store: Store) -> dict[str, bytes]:
    """All that is derived, but for the warehouse, whose pages DuckDB places anew, and the records,
    which know inodes.
    """
    folders = (store.root / "core", store.root / "out", store.exports, store.report.parent)
    return {
        str(path.relative_to(store.root)): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_made" not in path.parts
    }


def test_every_derived_file_with_a_changed_bit_is_built_again_with_the_same_bytes(
    store: Store, capsys: pytest.CaptureFixture
) -> None:
    before, chance = kept(store), random.Random(5)
    harmed = [
        path
        for path in store.root.rglob("*")
        if path.is_file() and path.suffix in {".parquet", ".duckdb", ".html"}
    ]
    harmed = [path for path in harmed if "lake" not in path.parts] + [
        store.exports / "datapackage.json"
    ]
    for path in harmed:
        flip(path, chance)
    assert main(["--data", str(store.root), "bank", "verify"]) == 1
    said = capsys.readouterr().out
    assert (
        all(str(path.relative_to(store.root)) in said for path in harmed)
        and "Traceback" not in said
    )
    listed = [done.name for done in refresh.everything(store)]
    assert kept(store) == before
    for source in (session_of(store), "import-answers", "import-counts"):
        assert any(f"session={source}.parquet REBUILT" in name for name in listed)
    assert any("REBUILT" in name and ("exports" in name or "warehouse" in name) for name in listed)
    assert main(["--data", str(store.root), "bank", "verify"]) == 0


def test_a_bit_that_turned_without_a_trace_is_found_when_it_is_read(
    store: Store, tmp_path: Path
) -> None:
    list(refresh.everything(store))
    before, records = kept(store), Ledger(store)
    path = store.path("core_samples", session_of(store))
    flip(path, random.Random(2))
    record = records.recall("core", curate.GROUP, session_of(store))
    assert record is not None
    name = path.relative_to(store.root).as_posix()
    record.files[name] = (
        seals.identity(path),
        record.files[name][1],
    )  # as if nothing of the file's outside had changed
    records.update_facts("core", curate.GROUP, session_of(store), record, record.facts)
    listed = [done.name for done in refresh.everything(store, force=False)]
    assert not any(
        "REBUILT" in name for name in listed
    )  # nothing new: nothing is read, and what is published stands
    (store.root / "out" / "_made" / "published" / "all.json").unlink()
    listed = [done.name for done in refresh.everything(store)]
    assert any(name in one and "REBUILT" in one for one in listed)
    assert kept(store) == before


def test_a_damaged_part_is_set_aside_and_reported_and_the_rest_is_published(store: Store) -> None:
    rows = store.read("core_samples").height
    parts = sorted((store.lake / "raw" / "generations").rglob("*.parquet"))
    flip(parts[-1], random.Random(8))
    with pytest.raises(IsocostError, match=r"damaged parts(.|\n)*set aside \(checksum") as caught:
        list(refresh.everything(store))
    assert caught.value.exit_code == 3 and session_of(store) in str(caught.value)
    assert not parts[-1].exists() and list(
        (store.lake / "raw" / "quarantine").rglob("*.reason.json")
    )
    assert store.read("core_samples").height < rows
    list(refresh.everything(store))  # it is on record: fewer rows are no loss any more


GONE: dict[str, Callable[[Store], object]] = {
    "no lake": lambda s: shutil.rmtree(s.lake),
    "an empty lake": lambda s: (shutil.rmtree(s.lake), s.lake.mkdir()),
    "no raw folder": lambda s: shutil.rmtree(s.lake / "raw"),
    "no folder of sessions, nothing raw": lambda s: (
        shutil.rmtree(s.lake / "sessions"),
        shutil.rmtree(s.lake / "raw"),
    ),
    "one session's parts": lambda s: shutil.rmtree(
        one(s, "lake/raw/generations/*/*.parquet").parent
    ),
    "one session, manifests and all": lambda s: [
        shutil.rmtree(path) for path in s.lake.glob(f"raw/*/session={session_of(s)}")
    ],
    "an emptied table": lambda s: [path.unlink() for path in s.lake.glob("raw/generations/*/*")],
    "one part": lambda s: one(s, "lake/raw/generations/*/*.parquet").unlink(),
    "an import": lambda s: shutil.rmtree(
        one(s, "lake/raw/imports/*answers*/*/manifest.json").parent
    ),
    "a part of an import": lambda s: one(s, "lake/raw/imports/*answers*/*/part-*").unlink(),
    "a source and all of it": lambda s: (
        s.session_file("import-answers").with_suffix(".source").unlink(),
        [shutil.rmtree(path) for path in s.lake.glob("raw/imports/*answers*")],
    ),
    "the lake and every record": lambda s: (shutil.rmtree(s.lake), shutil.rmtree(s.root / "core")),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("what", GONE)
def test_what_is_gone_empties_no_table(store: Store, what: str, force: bool) -> None:
    before, warehouse = kept(store), store.warehouse.read_bytes()
    GONE[what](store)
    with pytest.raises(
        Refused, match=r"nothing was published(.|\n)*forget(.|\n)*: \d+ of \d+ rows"
    ) as caught:
        list(refresh.everything(store, force=force))
    assert caught.value.exit_code == 1
    published = {
        name: data for name, data in before.items() if name.split("/")[0] not in ("core", "out")
    }
    assert published.items() <= kept(store).items() and store.warehouse.read_bytes() == warehouse
    if what != "the lake and every record":
        assert {
            name: data for name, data in before.items() if name.startswith("core")
        }.items() <= kept(store).items()


def test_what_is_forgotten_on_purpose_leaves_and_comes_back(
    store: Store, template: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--data", str(store.root), "forget", "import-answer"]) == 2
    assert "import-answers" in capsys.readouterr().err
    assert main(["--data", str(store.root), "forget", "import-answers"]) == 0
    assert "6 rows" in capsys.readouterr().out
    list(refresh.everything(store))
    assert "t" not in set(store.read("core_samples")["task"]) and list(
        store.lake.glob("raw/imports/*answers*")
    )
    assert (pl.read_parquet(store.exports / "core_samples.parquet")["task"] != "t").all()
    answers = template / "answers.jsonl"
    refresh.bring_in(
        store,
        "import-answers",
        format="generic",
        path=answers,
        provenance=KNOWN,
        mapping=template / "m.yaml",
    )
    list(refresh.everything(store))
    assert store.read("core_samples").filter(task="t").height == 6


def test_a_copied_root_is_read_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    summed: list[Path] = []
    real = seals.checksum
    for module in (ledger, seals):
        monkeypatch.setattr(module, "checksum", lambda path: (summed.append(path), real(path))[1])
    list(refresh.everything(store))
    assert summed
    summed.clear()
    list(refresh.everything(store))
    assert summed == []


def test_what_a_killed_writer_left_is_gone_after_the_next_refresh(store: Store) -> None:
    left = [
        store.root / place / ".x.parquet.0f.tmp"
        for place in ("core/core_samples", "out/out_point_summary", "core/_made/sessions")
    ]
    for path in left:
        path.write_bytes(b"half")
    before = kept(store)
    list(refresh.everything(store))
    assert not [path for path in left if path.exists()]
    assert kept(store) == {name: data for name, data in before.items() if ".tmp" not in name}


def test_a_run_without_its_manifest_is_named_until_that_is_on_record(
    store: Store, capsys: pytest.CaptureFixture
) -> None:
    rows = store.read("core_samples").height
    one(store, "lake/raw/manifests/*/*.json").unlink()
    for _ in range(2):  # in every refresh, not only in the first
        with pytest.raises(IsocostError, match=r"only from sealed parts(.|\n)*lost its manifest"):
            list(refresh.everything(store))
    assert store.read("core_samples").height == rows
    assert main(["--data", str(store.root), "bank", "verify", "--repair"]) == 0
    capsys.readouterr()
    list(refresh.everything(store))
    assert store.read("core_samples").height == rows


def test_the_note_of_another_import_is_not_taken_for_its_own(store: Store) -> None:
    notes = [
        store.session_file(f"import-{name}").with_suffix(".source")
        for name in ("answers", "counts")
    ]
    tables = store.read("core_samples").height, store.read("core_counts").height
    shutil.copyfile(*notes)
    with pytest.raises(IsocostError, match="import-counts: it is the note of import-answers"):
        list(refresh.everything(store))
    assert (store.read("core_samples").height, store.read("core_counts").height) == tables
