"""Fuzzing of every importer: an error that names the file, or an import that verifies and reaches
the core tables.

Never another exception, a hang, a file outside the target folder or a partial import left behind.
``ISOCOST_FUZZ_EXAMPLES`` sets the number of damaged sources a format (20 where it is not set); a
long campaign is ``ISOCOST_FUZZ_EXAMPLES=500 pytest -m slow <this file>``.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import shutil
import signal
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import importer_samples as files
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers import read_imports, verify_imports
from isocost.tables.core.imports import build_imported_core

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("ISOCOST_FUZZ_EXAMPLES", "20"))
HANG_S = 30
MOST_ROWS = 50_000  # of a source whose core tables are built, too

DEEP: Any = 1
for _ in range(2_000):
    DEEP = [DEEP]

# What a field may hold that nobody expects in it. Raw is spliced into the text as it stands.
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    -0.0,
    2**31,
    2**63,
    -(2**63) - 1,
    int("9" * 400),
    float("nan"),
    float("inf"),
    float("-inf"),
    1e308,
    5e-324,
    "",
    " ",
    "x",
    "NaN",
    "1e999",
    "-1",
    "9" * 400,
    "1_000",
    "true",
    "\u0000",
    "\ud800",
    "../../x",
    "/etc/passwd",
    "x" * 70_000,
    [],
    [None],
    [[1]],
    [1, "a", {}],
    {},
    {"a": {"b": None}},
    {"": 0},
    {"value": 1, "unit": "furlong"},
    {"value": [1], "unit": None},
    DEEP,
]


def generic_csv(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(files.GENERIC_ROWS[0]))
    writer.writeheader()
    writer.writerows(files.GENERIC_ROWS)
    (folder / "table.csv").write_text(text.getvalue(), encoding="utf-8")
    return folder / "table.csv"


def generic_parquet(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(files.GENERIC_ROWS, infer_schema_length=None).write_parquet(
        folder / "table.parquet"
    )
    return folder / "table.parquet"


def monkeys_json(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "question": "q",
            "samples": ["a", "b"],
            "is_corrects": [True, False],
            "gt_answer": "a",
            "orig_dset_idx": 4,
        }
    ]
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "rows.json"


def guidellm_yaml(folder: Path) -> Path:
    import yaml

    report = files.guidellm(folder)
    (folder / "benchmarks.yaml").write_text(
        yaml.safe_dump(json.loads(report.read_text())), encoding="utf-8"
    )
    report.unlink()
    return folder


FORMATS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    name: (name, build) for name, build in sorted(files.SAMPLES.items())
} | {
    "generic_csv": ("generic", generic_csv),
    "generic_parquet": ("generic", generic_parquet),
    "guidellm_yaml": ("guidellm", guidellm_yaml),
    "inspect_eval": ("inspect_ai", files.inspect_eval),
    "monkeys_json": ("large_language_monkeys", monkeys_json),
}


def nodes(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths of all values inside a document."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from nodes(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from nodes(value[index], (*path, index))


def replaced(value: Any, path: tuple, change: Callable[[Any, Any], None], new: Any) -> Any:
    """The document with one place changed."""
    if not path:
        return new
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return value


def restructured(document: Any, chance: random.Random) -> str:
    """A JSON document with one value replaced, removed, doubled, renamed or moved; its text."""
    places = [path for path in nodes(document) if len(path) < 40]
    path, new = chance.choice(places), chance.choice(VALUES)
    how = chance.choice(
        ("replace", "replace", "replace", "remove", "rename", "double", "twice", "swap")
    )
    if how in ("remove", "rename", "double", "swap") and path:
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        key = path[-1]
        if how == "remove":
            del parent[key]
        elif how == "rename" and isinstance(parent, dict):
            parent[str(key) + "x"] = parent.pop(key)
        elif how == "double" and isinstance(parent, list):
            parent.insert(key, json.loads(json.dumps(parent[key])))
        else:
            other = chance.choice(places)
            spot: Any = document
            for step in other:
                spot = spot[step]
            parent[key] = json.loads(json.dumps(spot))
        return json.dumps(document)
    if how == "twice" and path and isinstance(path[-1], str):
        text = json.dumps(document)
        name = json.dumps(path[-1]) + ":"
        return text.replace(
            name, f"{name} {json.dumps(new) if new is not DEEP else '1'}, {name}", 1
        )

    def put(parent: Any, key: Any) -> None:
        parent[key] = new

    document = replaced(document, path, put, new)
    try:
        return json.dumps(document)
    except RecursionError:
        return "[" * 100_000


def bytes_damaged(raw: bytes, chance: random.Random) -> bytes:
    """A file cut off, with bytes flipped, doubled, removed, or foreign bytes in it."""
    if not raw:
        return b"\x00"
    at, length = chance.randrange(len(raw)), chance.randrange(1, 60)
    how = chance.choice(("cut", "head", "flip", "flips", "double", "remove", "insert", "token"))
    if how == "cut":
        return raw[:at]
    if how == "head":
        return raw[at:]
    if how in ("flip", "flips"):
        out = bytearray(raw)
        for place in [at] if how == "flip" else chance.sample(range(len(raw)), min(len(raw), 20)):
            out[place] ^= 1 << chance.randrange(8)
        return bytes(out)
    if how == "double":
        return raw[: at + length] + raw[at:]
    if how == "remove":
        return raw[:at] + raw[at + length :]
    if how == "insert":
        return (
            raw[:at]
            + chance.choice(
                (
                    b"\x00",
                    b"\xff\xfe",
                    b"\xef\xbb\xbf",
                    b"\n",
                    b"\r\n",
                    b'"',
                    b"{",
                    b"9" * 400,
                    b"\xed\xa0\x80",
                )
            )
            + raw[at:]
        )
    old = chance.choice(
        (b"true", b'"', b"1", b"0", b":", b"[", b"{", b"}", b",", b".", b"\n", b" ")
    )
    start = raw.find(old, at)
    token = chance.choice(
        (
            b"null",
            b"NaN",
            b"-1",
            b"[]",
            b"{}",
            b'"x"',
            b"1e999",
            b"9" * 400,
            b"-Infinity",
            b"",
            b"\t",
            b"&a *a",
            b"!!x ",
        )
    )
    return raw if start < 0 else raw[:start] + token + raw[start + len(old) :]


def zip_damaged(path: Path, chance: random.Random) -> None:
    """An archive whose member is restructured, missing, doubled, outside, a bomb, or of another
    kind.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    how = chance.choice(
        (
            "structure",
            "structure",
            "structure",
            "bytes",
            "gone",
            "outside",
            "bomb",
            "extra",
            "renamed",
        )
    )
    if how == "structure":
        members[name] = restructured(json.loads(members[name]), chance).encode(
            "utf-8", "surrogatepass"
        )
    elif how == "bytes":
        members[name] = bytes_damaged(members[name], chance)
    elif how == "gone":
        del members[name]
    elif how == "renamed":
        members[
            "samples/" + name.rsplit("/", 1)[-1] + chance.choice(("", ".json", "/", "x.json"))
        ] = members.pop(name)
    else:
        odd = {
            "outside": chance.choice(("../x.json", "/tmp/x", "samples/../../x.json", "..\\x")),
            "bomb": "samples/b.json",
            "extra": "x",
        }
        members[odd[how]] = b"0" * (4 << 20) if how == "bomb" else b"{}"
    kind = chance.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(path, "w", kind) as archive:
        for member, raw in members.items():
            archive.writestr(member, raw)


def damage(folder: Path, chance: random.Random) -> None:
    """Damages one file of a source in one way."""
    path = chance.choice(sorted(item for item in folder.rglob("*") if item.is_file()))
    raw = path.read_bytes()
    how = chance.choice(("structure", "structure", "structure", "bytes", "bytes", "file"))
    if how == "structure" and path.suffix == ".eval":
        try:
            zip_damaged(path, chance)
        except (
            zipfile.BadZipFile,
            ValueError,
            NotImplementedError,
            EOFError,
            OSError,
            RecursionError,
            zlib.error,
        ):  # damaged already
            path.write_bytes(bytes_damaged(raw, chance))
    elif how == "structure" and path.suffix in (".json", ".jsonl"):
        try:
            if path.suffix == ".json":
                text = restructured(json.loads(raw), chance)
            else:
                lines = raw.decode("utf-8").splitlines()
                at = chance.randrange(len(lines))
                lines[at] = restructured(json.loads(lines[at]), chance)
                text = "\n".join(lines) + "\n"
        except (ValueError, IndexError, RecursionError):  # damaged already
            path.write_bytes(bytes_damaged(raw, chance))
        else:
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
    elif how != "file":
        path.write_bytes(bytes_damaged(raw, chance))
    else:
        kind = chance.choice(("gone", "empty", "copy", "foreign", "folder"))
        if kind in ("gone", "folder"):
            path.unlink()
            if kind == "folder":
                path.mkdir()
        elif kind == "copy":
            shutil.copy(path, path.with_name("a" + path.name))
        else:
            path.write_bytes(
                b""
                if kind == "empty"
                else chance.choice(
                    (b"PK\x03\x04", b"PAR1PAR1", b"{}", b"[]", b"null", b"\xff\xfe", b"a,b\n")
                )
            )


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {HANG_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(name: str, seed: int, times: int) -> None:
    """One damaged source.

    An error that names it, or an import that verifies and makes core tables.
    """
    format_name, build = FORMATS[name]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        source, lake, chance = root / "in", root / "lake", random.Random(seed)
        path = build(source)
        for _ in range(times):
            if any(item.is_file() for item in source.rglob("*")):
                damage(source, chance)
        before = {item: item.read_bytes() for item in source.rglob("*") if item.is_file()}
        with no_hang():
            try:
                report = files.import_sample(format_name, path, lake)
            except IsocostError as error:
                assert str(source) in str(error), f"the message names no file: {error}"
                assert not list(lake.rglob("*.parquet")) and not list(lake.rglob("manifest.json"))
            else:
                assert report.records > 0 and verify_imports(lake) == []
                raw = read_imports(lake).collect()
                assert raw.height == report.records
                if (raw["counts_total"].sum() or 0) + raw.height < MOST_ROWS:
                    build_imported_core(raw)
        assert not list((lake / "raw" / "importing").glob("*"))
        assert {item.name for item in root.iterdir()} <= {"in", "lake"}
        assert {item: item.read_bytes() for item in source.rglob("*") if item.is_file()} == before


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_damaged_source_is_an_error_that_names_it_or_an_import(name: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="ISOCOST_FUZZ_EXAMPLES" not in os.environ,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**63), times=st.sampled_from([1, 1, 1, 2, 3]))
    def one(seed: int, times: int) -> None:
        check(name, seed, times)

    one()
