"""A path given under the wrong format's name.

The message says what it looks like, or what was expected.
"""

from __future__ import annotations

import time
from pathlib import Path

import importer_samples as files
import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, registered
from isocost.importers.recognise import HEAD_BYTES, first_keys, looks_like

OTHERS = sorted(set(registered()) - {"generic"})


@pytest.mark.parametrize("name", OTHERS)
def test_every_format_knows_its_own_files_and_no_others(tmp_path: Path, name: str) -> None:
    assert looks_like(getattr(files, name)(tmp_path / "source")) == [name]


def test_archives_and_unknown_files(tmp_path: Path) -> None:
    assert looks_like(files.inspect_eval(tmp_path / "log")) == ["inspect_ai"]
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "a.json").write_text("[1, 2]")
    (tmp_path / "else" / "b.jsonl").write_bytes(b"\xff\x00{")
    (tmp_path / "else" / "c.yaml").symlink_to("/dev/zero")
    assert looks_like(tmp_path / "else") == []
    assert looks_like(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("every_eval_ever", "inspect_ai"),
        ("inspect_ai", "every_eval_ever"),
        ("inspect_ai", "counts"),
        ("counts", "large_language_monkeys"),
        ("helm", "lm_eval"),
        ("lm_eval", "helm"),
        ("guidellm", "llmperf"),
        ("vllm_bench", "ml_energy"),
        ("ml_energy", "vllm_bench"),
        ("generic", "inspect_ai"),
    ],
)
def test_the_message_names_what_the_path_looks_like(tmp_path: Path, asked: str, given: str) -> None:
    path = getattr(files, given)(tmp_path / "source")
    with pytest.raises(IsocostError) as caught:
        files.import_sample(asked, path, tmp_path / "lake")
    assert f"import it as {given}" in str(caught.value)
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_what_looks_like_nothing_is_reported_with_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"a": 1}')
    with pytest.raises(
        IsocostError, match=r"not an Inspect log\. The importer inspect_ai reads Inspect AI logs"
    ):
        files.import_sample("inspect_ai", path, tmp_path / "lake")


def test_a_fault_inside_a_file_of_the_right_format_brings_no_hint(tmp_path: Path) -> None:
    path = tmp_path / "counts.jsonl"
    path.write_text('{"id": "a", "c": 5, "n": 4}\n')
    for unknown in (files.ALL_UNKNOWN, frozenset()):
        with pytest.raises(IsocostError) as caught:
            import_path("counts", path, tmp_path / "lake", unknown=unknown)
        assert "looks like" not in str(caught.value) and "The importer" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('{"a": {"b": 1}, "c": [{"d": 2}], "e": "f: g"}', {"a", "c", "e"}),
        ('[{"a": 1, "b": [1]}, {"c": 2}]', {"a", "b"}),
        ('\ufeff  {"a": "un\\"closed, {\\"b\\": ', {"a"}),
        ("a: 1\nb:\n  c: 2\n- d: 1\n", {"a", "b"}),
        ("", set()),
        ("plain words", set()),
        ("{}", set()),
    ],
)
def test_the_keys_of_a_head(text: str, keys: set[str]) -> None:
    assert first_keys(text) == keys


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "' + '\\"' * HEAD_BYTES,
        "[" * HEAD_BYTES,
        '"' * HEAD_BYTES,
        '{"' + "a:{}" * HEAD_BYTES,
    ],
)
def test_a_hostile_head_is_looked_at_in_no_time(text: str) -> None:
    started = time.process_time()
    first_keys(text[:HEAD_BYTES])
    assert time.process_time() - started < 1.0
