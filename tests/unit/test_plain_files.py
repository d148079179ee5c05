"""Whatever lies where a small file is expected is reported at once, as a mistake of that file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers.reading import load_yaml
from isocost.plain_files import MOST_BYTES, load_plain, read_plain
from isocost.sweep.source import parse_yaml, read_yaml


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _text(text: str):
    return lambda path: path.write_text(text, encoding="utf-8")


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
HOSTILE = {
    "fifo": _fifo,
    "loop": _loop,
    "dangling": lambda path: path.symlink_to(path.with_name("nowhere")),
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "huge": lambda path: path.write_bytes(b"#" * (MOST_BYTES + 1)),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "bomb": _text(BOMB),
    "self": _text("a: &a [*a]\n"),
    "deep": _text("[" * 100_000),
    "deep blocks": _text("".join(" " * i + "a:\n" for i in range(900))),
    "digits": _text("a: " + "9" * 5000 + "\n"),
    "no date": _text("a: 2024-13-45\n"),
    "list as key": _text("? [a]\n: 1\n"),
    "no yaml": _text("x: ["),
    "control": _text("a: \0\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_reported_within_a_second(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.yaml"
    HOSTILE[name](path)
    begun = time.process_time()  # the machine may be busy with others
    with pytest.raises(IsocostError, match=r"file\.yaml"):
        load_plain(path)
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000])
def test_a_path_that_is_none_is_reported(name: str) -> None:
    with pytest.raises(IsocostError, match="cannot be read"):
        read_plain(name)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text("abc é\n:#-", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None, max_examples=60)
@given(PLAIN)
def test_plain_values_come_back_as_they_are(value: object) -> None:
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True), "f")[0] == value


@settings(deadline=None, max_examples=60)
@given(st.text("[]{}&*a: -\n'\"!?|>%@0x9\t", max_size=60))
def test_any_text_is_a_value_or_a_mistake(text: str) -> None:
    try:
        parse_yaml(text, "f.yaml")
    except IsocostError as error:
        assert "f.yaml" in str(error)


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "x:\n- {k: 1, k: 1}\n", '{"a": 1, "a": 1}'])
def test_a_key_that_is_given_twice_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(IsocostError, match=r"twice.yaml line \d+: key [ak] is given twice"):
        load_plain(path)


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="no file that opens and cannot be read"
)
def test_a_file_that_opens_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("/proc/self/mem")
    with pytest.raises(IsocostError, match=r"a.yaml: cannot be read"):
        load_plain(tmp_path / "a.yaml")


ODD_VALUES = (
    "!!set {a, b}",
    "!!binary aGVsbG8=",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
    "[!!set {a}]",
    "{b: !!binary eA==}",
)


@pytest.mark.parametrize("value", ODD_VALUES)
@pytest.mark.parametrize("reader", ["plain", "importers", "importers as text", "sweep"])
def test_values_that_json_does_not_have_are_refused_with_file_and_line(tmp_path, value, reader):
    path = tmp_path / "odd.yaml"
    path.write_text(f"a: 1\nb: {value}\n")
    read = {
        "plain": load_plain,
        "importers": load_yaml,
        "importers as text": lambda path: load_yaml(path, as_text=True),
        "sweep": read_yaml,
    }[reader]
    with pytest.raises(IsocostError) as error:
        read(path)
    assert "odd.yaml" in error.value.where
    assert "is not a type of value that is read here" in error.value.what
    assert "line 2" in f"{error.value.where} {error.value.what}"
