"""Pieces of a kit: whatever is split is joined, and a damaged or missing piece is named."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator import unpack
from benchmarks.accelerator.pieces import PieceWriter, write_pieces
from benchmarks.accelerator.results import unpack_results
from isocost.errors import IsocostError


@given(
    chunks=st.lists(st.binary(max_size=60), max_size=8),
    size=st.integers(min_value=1, max_value=50),
)
def test_pieces_have_their_size_and_add_up(tmp_path_factory, chunks, size) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    with PieceWriter(folder, "p", size) as out:
        for chunk in chunks:
            assert out.write(chunk) == len(chunk)
        out.close()
        listed = out.pieces
    files = [folder / piece["name"] for piece in listed]
    assert b"".join(f.read_bytes() for f in files) == b"".join(chunks)
    assert all(f.stat().st_size == size for f in files[:-1])
    assert all(unpack.fault_of(f, p) is None for f, p in zip(files, listed, strict=True))
    assert len(list(folder.iterdir())) == len(files)


def kit(folder: Path, *, modules: tuple[str, ...] = ()) -> Path:
    """A kit of 4 pieces."""
    content, pieces = folder / "content", folder / "pieces"
    for place in (content, pieces):
        place.mkdir(parents=True)
    (content / "a.txt").write_text("first")
    (content / "b.bin").write_bytes(bytes(range(256)) * 100)
    (content / "__pycache__").mkdir()
    (content / "__pycache__" / "a.pyc").write_bytes(b"made by Python")
    listed = write_pieces(
        {"source": content},
        pieces,
        stem="kit",
        piece_bytes=12_000,
        facts={"modules": list(modules)},
    )
    assert [p["name"] for p in listed] == [f"kit-00{n}" for n in range(1, len(listed) + 1)]
    assert len(listed) == 4
    return pieces


def test_what_is_joined_is_what_was_packed(tmp_path: Path) -> None:
    unpack.join(kit(tmp_path), tmp_path / "out")
    assert (tmp_path / "out/source/a.txt").read_text() == "first"
    assert (tmp_path / "out/source/b.bin").read_bytes() == bytes(range(256)) * 100
    assert not (tmp_path / "out/source/__pycache__").exists()


def test_a_flipped_bit_is_named_and_nothing_is_unpacked(tmp_path: Path) -> None:
    pieces = kit(tmp_path)
    data = bytearray((pieces / "kit-002").read_bytes())
    data[77] ^= 1
    (pieces / "kit-002").write_bytes(data)
    with pytest.raises(unpack.Incomplete, match=r"^3 of 4 pieces .*kit-002 is damaged"):
        unpack.join(pieces, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cut_and_a_missing_piece_are_named(tmp_path: Path) -> None:
    pieces = kit(tmp_path)
    (pieces / "kit-001").write_bytes((pieces / "kit-001").read_bytes()[:-3])
    (pieces / "kit-003").unlink()
    with pytest.raises(unpack.Incomplete) as caught:
        unpack.join(pieces, tmp_path / "out")
    assert "kit-001 has 11997 bytes instead of 12000" in str(caught.value)
    assert "kit-003 is missing" in str(caught.value) and "kit-002" not in str(caught.value)


def carried(pieces: Path, folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("kit.json", *names):
        (folder / name).write_bytes((pieces / name).read_bytes())
    return folder


@pytest.mark.slow
def test_pieces_arrive_in_several_calls_and_the_last_one_installs(tmp_path: Path, capsys) -> None:
    pieces, into = kit(tmp_path), tmp_path / "into"
    for number, names in enumerate((["kit-001", "kit-003"], ["kit-002"])):
        box = carried(pieces, tmp_path / f"box{number}", *names)
        assert unpack.main([str(box), "--into", str(into)]) == 3
        assert "kit-004 is missing" in capsys.readouterr().err
        assert not (into / "source").exists()
    box = carried(pieces, tmp_path / "last", "kit-004")
    assert unpack.main([str(box), "--into", str(into)]) == 0
    assert "benchmarks.accelerator.campaign" in capsys.readouterr().out
    assert (into / "source/a.txt").read_text() == "first"
    # The same call again finds everything done.
    assert unpack.main([str(box), "--into", str(into)]) == 0
    assert "installed already" in capsys.readouterr().out


@pytest.mark.slow
def test_a_piece_damaged_on_the_way_does_not_replace_a_good_one(tmp_path: Path, capsys) -> None:
    pieces, into = kit(tmp_path), tmp_path / "into"
    box = carried(pieces, tmp_path / "box", "kit-001")
    (box / "kit-001").write_bytes(b"x" * 12_000)
    assert unpack.main([str(box), "--into", str(into)]) == 3
    assert "kit-001 is damaged: its SHA-256 differs. Carry it again" in capsys.readouterr().err
    assert unpack.main([str(pieces), "--into", str(into)]) == 0
    (box / "kit-001").write_bytes(b"x" * 12_000)
    assert unpack.main([str(box), "--into", str(into)]) == 0  # the good one is there


@pytest.mark.slow
def test_another_kit_is_not_mixed_in(tmp_path: Path, capsys) -> None:
    into = tmp_path / "into"
    first = kit(tmp_path / "one")
    assert unpack.main([str(first), "--into", str(into)]) == 0
    second = kit(tmp_path / "two", modules=("json",))
    assert unpack.main([str(second), "--into", str(into)]) == 3
    assert "holds another kit" in capsys.readouterr().err


@pytest.mark.slow
def test_a_module_that_is_missing_is_named(tmp_path: Path, capsys) -> None:
    pieces = kit(tmp_path, modules=("json", "no_such_module"))
    assert unpack.main([str(pieces), "--into", str(tmp_path / "into")]) == 3
    assert "Python does not find no_such_module" in capsys.readouterr().err


def test_a_damaged_manifest_is_named(tmp_path: Path, capsys) -> None:
    pieces = kit(tmp_path)
    (pieces / "kit.json").write_text("{")
    assert unpack.main([str(pieces), "--into", str(tmp_path / "into")]) == 3
    assert "kit.json: cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_unpack_runs_alone_and_installs_wheels_without_an_index(tmp_path: Path) -> None:
    """One file, in Python's isolated mode, with a wheel that exists nowhere else."""
    wheel = tmp_path / "little_thing-1.0-py3-none-any.whl"
    info = "little_thing-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("little_thing.py", "HERE = True\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: little-thing\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    pieces, into = tmp_path / "pieces", tmp_path / "into"
    pieces.mkdir()
    write_pieces(
        {f"wheels/{wheel.name}": wheel},
        pieces,
        stem="kit",
        piece_bytes=500,
        facts={"modules": ["little_thing"]},
    )
    (pieces / "unpack.py").write_bytes(Path(unpack.__file__).read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", str(pieces / "unpack.py"), str(pieces), "--into", str(into)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "1 wheels installed" in done.stdout and (into / "site/little_thing.py").is_file()


def brought(folder: Path, files: dict[str, str]) -> Path:
    content, out = folder / "content", folder / "out"
    for name, text in files.items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(text)
    out.mkdir()
    members = {"data/lake": content / "lake", "work": content / "work"}
    write_pieces(members, out, stem="results", piece_bytes=10**6, compress=True)
    return out


def test_results_of_two_calls_add_up_in_one_data_root(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    part, manifest = "lake/raw/generations/session=a/part-1.parquet", "lake/raw/manifest.json"
    first = brought(tmp_path / "1", {part: "sealed", manifest: "running", "work/x.csv": "1"})
    unpack_results(first, root)
    again = {part: "other", manifest: "finished", "work/x.csv": "2", "lake/sessions/b.json": "{}"}
    place = unpack_results(brought(tmp_path / "2", again), root)
    assert (root / part).read_text() == "sealed", "a sealed part was changed"
    assert (root / manifest).read_text() == "finished"
    assert (root / "lake/sessions/b.json").is_file() and (place / "x.csv").read_text() == "2"


def test_damaged_results_add_nothing(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    out = brought(tmp_path / "1", {"lake/a": "1", "work/x": "1"})
    reported = json.loads((out / "kit.json").read_text())
    reported["pieces"][0]["sha256"] = "0" * 64
    (out / "kit.json").write_text(json.dumps(reported))
    with pytest.raises(IsocostError, match="results-001 is damaged"):
        unpack_results(out, root)
    assert list(root.iterdir()) == []
