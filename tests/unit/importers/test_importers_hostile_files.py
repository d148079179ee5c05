"""Hostile files.

An error that names file and place, or a correct import; never a crash, a hang, or anything left
behind.
"""

from __future__ import annotations

import json
import os
import tracemalloc
import zipfile
from pathlib import Path

import importer_samples as files
import pytest

from isocost.errors import IsocostError
from isocost.importers import reading

pytestmark = pytest.mark.slow


def refuse(name: str, path: Path, lake: Path, message: str) -> IsocostError:
    with pytest.raises(IsocostError, match=message) as caught:
        files.import_sample(name, path, lake)
    assert not list(lake.rglob("*.parquet"))
    return caught.value


@pytest.mark.parametrize(
    "member", ["../x", "samples/../../x.json", "/etc/x", "..\\x", "C:\\x", "samples/a/../../../x"]
)
def test_a_zip_member_outside_the_archive(tmp_path: Path, member: str) -> None:
    path = files.inspect_eval(tmp_path / "in", {member: "{}"})
    error = refuse("inspect_ai", path, tmp_path / "lake", "points outside the archive")
    assert "member" in error.where
    assert (
        sorted(item.name for item in tmp_path.iterdir()) == ["in"] or (tmp_path / "lake").exists()
    )
    assert not (tmp_path / "x").exists()


def test_a_zip_that_expands_a_thousandfold(tmp_path: Path) -> None:
    path = files.inspect_eval(
        tmp_path / "in", {"samples/9_epoch_1.json": json.dumps({"pad": "0" * 5_000_000})}
    )
    refuse("inspect_ai", path, tmp_path / "lake", "expands from")


def test_a_zip_that_expands_beyond_the_total(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reading, "MAX_ZIP_TOTAL_BYTES", 1_000)
    refuse("inspect_ai", files.inspect_eval(tmp_path / "in"), tmp_path / "lake", "expands to")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_and_a_lying_header(tmp_path: Path) -> None:
    path = files.inspect_eval(tmp_path / "in")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("header.json", "{}")
    refuse("inspect_ai", path, tmp_path / "lake", "two members of one name")


def test_no_zip_at_all_and_a_zip_without_header(tmp_path: Path) -> None:
    path = tmp_path / "a.eval"
    path.write_bytes(b"PK\x03\x04 not really")
    refuse("inspect_ai", path, tmp_path / "lake", "is not a zip file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    refuse("inspect_ai", path, tmp_path / "lake", "neither header.json")


def test_a_line_that_never_ends_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = json.dumps(files.GENERIC_ROWS[0]).encode() + b"\n"
    with path.open("wb") as handle:
        handle.write(first + b'{"id":"')
        handle.truncate(40 << 20)  # sparse: costs no disk
    error = refuse(
        "generic",
        path,
        tmp_path / "lake",
        f"a line of more than 16 MiB, starting at byte {len(first)}",
    )
    assert "t.jsonl" in error.where
    other = files.gsm8k_solutions(tmp_path)
    with other.open("ab") as handle:
        handle.truncate(40 << 20)
    assert (
        "line 2" in refuse("gsm8k_solutions", other, tmp_path / "lake", "longer than 16 MiB").where
    )


def test_a_long_line_just_inside_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({**files.GENERIC_ROWS[0], "text": "x" * (3 << 20)}) + "\n")
    assert files.import_sample("generic", path, tmp_path / "lake").records == 1


@pytest.mark.parametrize(
    ("before", "length", "after"),
    [(0, 30, 0), (5, 30, 7), (5, 31, 7), (32, 31, 1), (31, 30, 40), (8, 100, 0)],
)
def test_long_line_borders(
    tmp_path: Path, monkeypatch, before: int, length: int, after: int
) -> None:
    monkeypatch.setattr(reading, "_BLOCK", 16)
    path = tmp_path / "l.txt"
    path.write_bytes(b"a\n" * before + b"x" * length + b"\n" + b"b\n" * after)
    if length <= 30:
        reading.check_lines(path, 30)
        assert len(list(reading.iter_lines(path, 31))) == before + 1 + after
        return
    with pytest.raises(IsocostError, match=f"starting at byte {2 * before}"):
        reading.check_lines(path, 30)
    with pytest.raises(IsocostError) as caught:
        list(reading.iter_lines(path, 30))
    assert f"line {before + 1}" in caught.value.where


def test_links_pipes_folders_and_missing_files(tmp_path: Path) -> None:
    target = files.counts(tmp_path)
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    refuse("counts", link, tmp_path / "lake", "is a symbolic link")
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    refuse("counts", pipe, tmp_path / "lake", "is not a regular file")
    refuse("counts", tmp_path, tmp_path / "lake", "is a folder")
    refuse("counts", tmp_path / "nowhere", tmp_path / "lake", "No such file")
    folder = files.lm_eval(tmp_path / "lm")
    (folder / "samples_t_2026-01-22T03-44-18.458309.jsonl").symlink_to("/etc/passwd")
    refuse("lm_eval", folder, tmp_path / "lake", "is a symbolic link")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("question: 1\nquestion: 2\n", "is duplicated"),
        ("[" * 5_000, "not YAML"),
        ("!!python/object/apply:os.system ['true']\n", "not YAML"),
        ("samples: [", "not YAML"),
        ("samples: 3\n", "a JSON list was expected"),
        ("- a\n", "a JSON object was expected"),
        ("\x00", "not YAML"),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    refuse("large_language_monkeys", path, tmp_path / "lake", message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":1,"a":2}', "'a' is duplicated"),
        ("", "not JSON"),
        ("null", "expected"),
        ('{"version":2,"eval":' + "9" * 5_000 + "}", "not JSON"),
        ('{"version":2}', "not an Inspect log"),
    ],
)
def test_json_documents_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    assert "p.json" in refuse("inspect_ai", path, tmp_path / "lake", message).where


def test_a_document_beyond_the_limit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reading.load_json, "__defaults__", (1_000,))
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"pad": "x" * 2_000}))
    refuse("inspect_ai", path, tmp_path / "lake", "cannot be read in bounded memory")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"id":"a","c":1,"n":2}\n{"id":"\xff","c":1,"n":2}\n')
    assert "line 2" in refuse("counts", path, tmp_path / "lake", "byte 7 is not UTF-8").where


def test_a_count_of_samples_that_nobody_has_drawn(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(
        '{"id": "a", "c": 1, "n": 2}\n{"id": "b", "c": 0, "n": 20000000}\n', encoding="utf-8"
    )
    error = refuse("counts", path, tmp_path / "lake", "more than 20,000,000 samples")
    assert "line 2" in error.where


LINES = {
    "aiperf": ("profile_export.jsonl", "accuracy_export.jsonl", "gpu_telemetry_export.jsonl"),
    "counts": ("counts.jsonl",),
    "evalscope": ("predictions/m/arc.jsonl", "reviews/m/arc.jsonl"),
    "every_eval_ever": ("eval_samples.jsonl",),
    "generic": ("table.jsonl",),
    "gsm8k_solutions": ("solutions.jsonl",),
    "lm_eval": ("samples_t_2026-01-21T03-44-18.458309.jsonl",),
    "mlperf_power": ("spl.txt", "mlperf_log_detail.txt"),
}
DOCUMENTS = {
    "aiperf": "profile_export_aiperf.json",
    "cruxeval_scored": "sample_scored_m_temp0.2_input.json",
    "every_eval_ever": "eval.json",
    "guidellm": "report.json",
    "helm": "scenario_state.json",
    "inspect_ai": "log.json",
    "large_language_monkeys": "problem_7.yaml",
    "llmperf": "individual.json",
    "lm_eval": "results_2026-01-21T03-44-18.458309.json",
    "ml_energy": "results.json",
}


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, names in LINES.items() for file in names]
)
def test_a_line_without_end_is_refused_by_every_importer_of_lines(
    tmp_path: Path, name: str, file: str
) -> None:
    path = files.SAMPLES[name](tmp_path / "in")
    (tmp_path / "in" / file).write_bytes(b'{"id": "' + b"x" * (17 << 20) + b'", "c": 1, "n": 2}\n')
    error = refuse(name, path, tmp_path / "lake", "16 MiB")
    assert file.rsplit("/", 1)[-1] in error.where


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_does_not_fit_is_refused_before_it_is_read(
    tmp_path: Path, name: str
) -> None:
    path, file = files.SAMPLES[name](tmp_path / "in"), tmp_path / "in" / DOCUMENTS[name]
    with file.open("ab") as handle:
        handle.truncate((256 << 20) + 1)  # sparse: costs no disk
    tracemalloc.start()
    error = refuse(name, path, tmp_path / "lake", "cannot be read in bounded memory")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert DOCUMENTS[name] in error.where and peak < 32 << 20


@pytest.mark.parametrize("value", ["{}", "[]", "1", "[[]]"])
def test_a_small_document_that_unfolds_to_gigabytes(
    tmp_path: Path, monkeypatch, value: str
) -> None:
    monkeypatch.setattr(reading, "MAX_VALUES", 1_000)
    path = tmp_path / "individual.json"
    path.write_text("[" + ",".join([value] * 2_000) + "]")
    assert (
        "individual.json"
        in refuse("llmperf", path, tmp_path / "lake", "more than 1,000 values").where
    )
    long = tmp_path / "text.json"
    long.write_text(json.dumps({"model": "x" * 5_000, "results_ttft_s_mean": 1.0}))
    assert files.import_sample("llmperf", long, tmp_path / "lake").records == 1


def test_yaml_of_many_small_values(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(reading, "MAX_YAML_EVENTS", 1_000)
    path = tmp_path / "p.yaml"
    path.write_text("question: q\nsamples:\n" + "- a\n" * 2_000)
    refuse("large_language_monkeys", path, tmp_path / "lake", "more than 1,000 values")
    path.write_text("question: q\nsamples:\n- |\n" + "  a long text\n" * 2_000)
    assert files.import_sample("large_language_monkeys", path, tmp_path / "lake").records == 1


def test_the_last_of_many_keys_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text("{" + ",".join(f'"k{i}":1' for i in range(300_000)) + ',"k299999":2}\n')
    refuse(
        "counts", path, tmp_path / "lake", "'k299999' is duplicated"
    )  # in a second, not in an hour


@pytest.mark.parametrize("depth", [102, 700, 10_000])
def test_yaml_that_only_a_fast_parser_can_read_is_refused(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(f"a: {'[' * depth}{']' * depth}\n")
    with pytest.raises(IsocostError, match=r"deep.yaml.*nested too deeply"):
        reading.load_yaml(path)
