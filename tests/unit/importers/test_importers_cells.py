"""Numbers, times, settings and words as people and loggers write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.importers.finish import MEANING, finish_meaning, meaning, unknown_words
from isocost.importers.formats import generic
from isocost.importers.generic.cells import quantity, time_of
from isocost.importers.generic.paths import EACH, steps_of
from isocost.tables.core.imports import build_imported_core

SAID = {"model": "m", "task": "t", "task_version": "1", "prompt": "p"}


def load(
    folder: Path, text: str, mapping: dict[str, Any], *, name: str = "t.csv", **more: Any
) -> pl.DataFrame:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    provenance = SAID | ({} if "sampling" in mapping["columns"] else {"sampling": "{}"})
    report = import_path(
        "generic", folder / name, folder / "lake", mapping=mapping, provenance=provenance, **more
    )
    frame = (
        read_imports(folder / "lake", import_ids=[report.import_id]).collect().sort("record_index")
    )
    frame.warnings = report.warnings
    return frame


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("58.67 W", "W", (58.67, "W")),
        ("1,234.5 ms", "s", (1234.5, "ms")),
        ("1,234,567", "s", (1234567.0, None)),
        ("2e3 s", "s", (2000.0, "s")),
        (" 12.5Wh ", "J", (12.5, "Wh")),
        ("$0.01", "USD", (0.01, "USD")),
        ("81 %", "ratio", (81.0, "%")),
        ("5 \u00b5s", "s", (5.0, "us")),
        ("12 tokens", "tokens", (12.0, "tokens")),
    ],
)
def test_numbers_with_units(text: str, base: str, expected: tuple[float, str | None]) -> None:
    found = quantity(text, base, "here")
    assert found is not None and (found.value, found.unit) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,234", "'1,234' has a separator inside the number"),
        ("1.234,5", "separator"),
        ("1 000", "separator"),
        ("1'000 s", "separator"),
        ("5 eV", "unknown unit 'eV'. Use one of s, "),
        ("5 J", "'5 J' is in J, which cannot be brought to s"),
    ],
)
def test_numbers_that_may_mean_two_things_are_refused_with_words(text: str, message: str) -> None:
    with pytest.raises(IsocostError, match=message):
        quantity(text, "s", "here")


@pytest.mark.parametrize("text", ["", "x", "N/A", "nan", "--", "W 5", "e5", "twelve ms"])
def test_what_is_no_number_stays_none(text: str) -> None:
    assert quantity(text, "s", "here") is None


@given(
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)),
    st.sampled_from([None, 0, 90, -480]),
)
def test_iso_times_come_back(moment: datetime, offset: int | None) -> None:
    zone = None if offset is None else timezone(timedelta(minutes=offset))
    found = time_of(moment.replace(tzinfo=zone).isoformat())
    assert found is not None and found.is_naive == (offset is None)
    assert found.unix_s == moment.replace(tzinfo=zone or UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-30 11:03:37 UTC",
        "2024/05/30 11:03:37",
        "2024-05-30T11:03:37.000000000Z",
        "20240530T110337",
    ],
)
def test_other_ways_to_write_the_same_time(text: str) -> None:
    found = time_of(text)
    assert found is not None and found.unix_s == 1717067017.0


@pytest.mark.parametrize(
    "text", ["1717067017", "May 30", "11:03:37", "", "yesterday", "2024-13-01"]
)
def test_what_is_no_iso_time(text: str) -> None:
    assert time_of(text) is None


@pytest.mark.slow
def test_cells_with_units_in_a_table(tmp_path: Path) -> None:
    columns = {
        "problem": "id",
        "latency": {"column": "t", "unit": "ms"},
        "energy": "e",
        "output_tokens": "n",
        "started": "at",
    }
    mapping = {"columns": columns, "latency_meaning": "x", "energy_method": "y"}
    frame = load(
        tmp_path,
        'id,t,e,n,at\na,"1,234.5",2 Wh,12 tokens,2024-05-30T11:03:37Z\nb,2 s,5,7,1717067017\n',
        mapping,
    )
    assert frame["latency_s"].to_list() == [1.2345, 2.0] and frame["energy_j"].to_list() == [
        7200.0,
        5.0,
    ]
    assert (
        frame["output_tokens"].to_list() == [12, 7]
        and frame["started_unix_s"].to_list() == [1717067017.0] * 2
    )
    assert not frame.warnings
    with pytest.raises(
        IsocostError, match="row ending on line 2, output_tokens: '1,234' has a separator"
    ):
        load(
            tmp_path / "b",
            'id,n\na,"1,234"\n',
            {"columns": {"problem": "id", "output_tokens": "n"}},
        )


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fast", "slow"])
def test_milliseconds_since_1970_are_not_seconds(tmp_path: Path, monkeypatch, way: str) -> None:
    if way == "slow":
        monkeypatch.setattr(generic.Generic, "write_fast", lambda *_: None)
    with pytest.raises(
        IsocostError,
        match=r"row ending on line 2, started_unix_s: .* beyond the year 5000.*unit: ms",
    ):
        load(tmp_path, "id,at\na,1717067017000\n", {"columns": {"problem": "id", "started": "at"}})
    right = {"columns": {"problem": "id", "started": {"column": "at", "unit": "ms"}}}
    assert load(tmp_path / "b", "id,at\na,1717067017000\n", right)["started_unix_s"].to_list() == [
        1717067017.0
    ]


WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "greedy",
            "0.7",
            "",
            " ",
            "nan",
            "{",
            '{"temperature": 0.7}',
            "[1]",
            "null",
            "true",
            '"x"',
            "{}",
            '{"t": NaN}',
        ]
    ),
    st.dictionaries(
        st.text("ab", min_size=1), st.one_of(st.floats(), st.text(max_size=3), st.booleans())
    ).map(json.dumps),
)


@pytest.mark.slow
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(WORDS, min_size=1, max_size=3), st.sampled_from(["sampling", "prompt", "task_version"])
)
def test_any_text_in_a_provenance_column_can_be_read_later_or_is_refused_with_its_line(
    tmp_path_factory, words, column
) -> None:
    folder = tmp_path_factory.mktemp("p")
    path = folder / "t.jsonl"
    path.write_text(
        "".join(
            json.dumps({"id": f"q{i}", "ok": True, "word": word}) + "\n"
            for i, word in enumerate(words)
        )
    )
    mapping = {"columns": {"problem": "id", "correct": "ok", column: "word"}}
    provenance = {key: value for key, value in (SAID | {"sampling": "{}"}).items() if key != column}
    try:
        import_path("generic", path, folder / "lake", mapping=mapping, provenance=provenance)
    except IsocostError as error:
        assert "t.jsonl" in error.where and not list((folder / "lake").rglob("part-*.parquet"))
        return
    raw = read_imports(folder / "lake").collect()
    core = build_imported_core(raw)
    assert core["core_samples"].height == len(words) and core["core_points"].height >= 1
    assert all(text is None or isinstance(json.loads(text), dict) for text in raw["sampling"])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fast", "slow"])
def test_conditions_are_identity_and_a_varying_column_that_is_not_mapped_is_reported(
    tmp_path: Path, monkeypatch, way: str
) -> None:
    if way == "slow":
        monkeypatch.setattr(generic.Generic, "write_fast", lambda *_: None)
    text = "id,ok,rev,gpu,note\n" + "".join(f"q{i % 2},1,r{i % 3},A100,n{i}\n" for i in range(60))
    plain = load(tmp_path / "a", text, {"columns": {"problem": "id", "correct": "ok"}})
    assert len(plain.warnings) == 1
    assert (
        "differ in unmapped columns: rev ('r0', 'r1', ...). If one of them is a setting"
        in plain.warnings[0]
    )
    mapped = load(
        tmp_path / "b",
        text,
        {
            "columns": {"problem": "id", "correct": "ok"},
            "conditions": {"revision": "rev", "hardware": "gpu"},
        },
        condition=["engine=vllm"],
    )
    assert not mapped.warnings
    assert set(mapped["condition"]) == {
        f'{{"engine":"vllm","hardware":"A100","revision":"r{i}"}}' for i in range(3)
    }
    core = build_imported_core(mapped)["core_samples"]
    assert core["point_id"].n_unique() == 3 and core["machine"].unique().to_list() == ["A100"]
    with pytest.raises(IsocostError, match="hardware is 'A100' here, but 'H100' was given"):
        load(
            tmp_path / "c",
            text,
            {"columns": {"problem": "id", "correct": "ok"}, "conditions": {"hardware": "gpu"}},
            condition=["hardware=H100"],
        )


def test_words_for_the_end_of_generation() -> None:
    expected = {
        "length": [
            "length",
            "MAX_TOKENS",
            "max_tokens",
            "model_length",
            "max_output_tokens",
            "FinishReason.MAX_TOKENS",
            "LENGTH",
        ],
        "stop": [
            "STOP",
            "end_turn",
            "eos_token",
            "stop_sequence",
            "tool_calls",
            "COMPLETE",
            "FINISH_REASON_STOP",
        ],
        "content_filter": [
            "content_filter",
            "content-filter",
            "SAFETY",
            "guardrail_intervened",
            "RECITATION",
        ],
        "refusal": ["refusal"],
        "error": ["error", "MALFORMED_FUNCTION_CALL"],
        "abort": ["abort", "USER_CANCEL"],
    }
    for canonical, words in expected.items():
        assert [meaning(word) for word in words] == [canonical] * len(words)
    assert finish_meaning(pl.Series(["MAX_TOKENS", None, "odd"])).to_list() == [
        "length",
        None,
        "odd",
    ]
    assert unknown_words([("stop", 3), (None, 1), ("unknown", 2)]) is None
    assert "'odd' (5), 'strange' (2)" in str(unknown_words([("odd", 5), ("strange", 2)]))
    assert all(word == word.casefold() and " " not in word for word in MEANING)


def test_an_unknown_word_is_kept_and_counted(tmp_path: Path) -> None:
    columns = {"problem": "id", "output": "out", "finish_reason": "why"}
    frame = load(tmp_path, "id,out,why\na,x,zapped\nb,y,zapped\nc,z,stop\n", {"columns": columns})
    assert frame["finish_reason"].to_list() == ["zapped", "zapped", "stop"]
    assert any("'zapped' (2)" in note for note in frame.warnings)


def test_steps_of_paths() -> None:
    assert (
        steps_of("a.b[].c") == ("a.b", EACH, "c")
        and steps_of("x") == ("x",)
        and steps_of("a[]") == ("a", EACH)
    )
    assert steps_of("choices[0].message.content") == ("choices", 0, "message.content")
    assert steps_of("outs[][]") == ("outs", EACH, EACH) and steps_of("[x]") == ("[x]",)
