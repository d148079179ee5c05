"""The generic importer: mapping, both ways through, and the same rows either way."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports, reading
from isocost.importers.formats import generic
from isocost.importers.generic.mapping import rules
from isocost.importers.units import to_base
from isocost.schema.parquet import read_stamp

pytestmark = pytest.mark.slow


def load(tmp_path: Path, path: Path, **more) -> pl.DataFrame:
    report = files.import_sample("generic", path, tmp_path / "lake", **more)
    return (
        read_imports(tmp_path / "lake", import_ids=[report.import_id])
        .collect()
        .sort("record_index")
    )


def went_fast(frame: pl.DataFrame) -> bool:
    return frame["source_place"].null_count() == frame.height  # only the row-by-row way knows lines


def test_values_units_and_sentinels(tmp_path: Path) -> None:
    frame = load(tmp_path, files.generic(tmp_path))
    assert went_fast(frame)
    assert frame["record_index"].to_list() == [0, 1]
    assert frame["latency_s"].to_list() == [1.5005, None]
    assert frame["energy_j"].to_list() == [1800.0, None]
    assert frame["energy_method"].to_list() == ["nvml_counter", None]
    assert frame["output_tokens"].to_list() == [12, None]
    assert frame["null_reasons"].to_list() == [
        [],
        ["latency_s:sentinel_-1", "output_tokens:sentinel_-1"],
    ]
    assert frame["label_correct"].to_list() == [True, False]
    assert frame["latency_meaning"].to_list() == ["client end to end", None]


def as_csv(path: Path) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(files.GENERIC_ROWS[0]))
        writer.writeheader()
        writer.writerows(files.GENERIC_ROWS)
    return path


def as_parquet(path: Path) -> Path:
    pl.DataFrame(files.GENERIC_ROWS).write_parquet(path)
    return path


@pytest.mark.parametrize(
    "build", [files.generic, lambda p: as_csv(p / "t.csv"), lambda p: as_parquet(p / "t.parquet")]
)
def test_the_fast_and_the_slow_way_agree(tmp_path: Path, build, monkeypatch) -> None:
    path = build(tmp_path)
    fast = load(tmp_path / "fast", path)
    monkeypatch.setattr(generic.Generic, "write_fast", lambda *_: None)
    slow = load(tmp_path / "slow", path)
    assert went_fast(fast) and not went_fast(slow)
    assert_frame_equal(fast.drop("source_place"), slow.drop("source_place"))


def test_the_fast_part_carries_the_stamp(tmp_path: Path) -> None:
    load(tmp_path, files.generic(tmp_path))
    part = next((tmp_path / "lake").rglob("part-*.parquet"))
    assert read_stamp(part) == ("raw_imports", 1)


BAD = {
    "tokens": ["twelve", 1.5, [1, 2], True],
    "ms": ["1.5J", "1,500", {"a": 1}],
    "ok": ["maybe", 2, [True, False], [2]],
    "id": [None],
}
# Numbers of the right kind that the column cannot mean: what they say is lost, the record is not.
OUT_OF_RANGE = {"tokens": (-7, 2.0**63, 2**53 + 1), "ms": (-2.0,), "k": (-1, 2**31)}
COLUMN = {"tokens": "output_tokens", "ms": "latency_s", "k": "sample_index"}


@pytest.mark.parametrize(
    ("column", "value"),
    [(column, value) for column, values in OUT_OF_RANGE.items() for value in values],
)
def test_a_number_out_of_range_is_null_with_its_reason_and_the_record_stands(
    tmp_path: Path, column: str, value: float
) -> None:
    path = tmp_path / "t.jsonl"
    rows = [*files.GENERIC_ROWS, {**files.GENERIC_ROWS[0], column: value}]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    found = load(tmp_path, path)
    assert found.height == len(rows) and found[COLUMN[column]][-1] is None
    assert f"{COLUMN[column]}:not_in_range" in found["null_reasons"][-1]


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in BAD.items() for value in values]
)
def test_a_value_that_cannot_be_meant_is_named_with_its_line(
    tmp_path: Path, column: str, value
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(row)
            for row in [*files.GENERIC_ROWS, {**files.GENERIC_ROWS[0], column: value}]
        )
    )
    with pytest.raises(IsocostError) as caught:
        load(tmp_path, path)
    assert "t.jsonl, line 3" in caught.value.where
    assert not list((tmp_path / "lake").rglob("*.parquet"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400 + ".0"])
def test_numbers_that_are_none_become_null_with_a_reason(tmp_path: Path, number: str) -> None:
    path = tmp_path / "t.jsonl"
    line = json.dumps(files.GENERIC_ROWS[0]).replace("1500.5", number)
    path.write_text(json.dumps(files.GENERIC_ROWS[0]) + "\n" + line + "\n")
    frame = load(tmp_path, path)
    assert frame["latency_s"].to_list() == [1.5005, None]
    assert frame["null_reasons"].to_list()[1] == ["latency_s:not_finite"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id":"a","id":"b"}', "'id' is duplicated"),
        ('{"id":"a"', "not JSON"),
        ('{"id":"a"} {"id":"b"}', "not JSON"),
        ("[1, 2]", "a JSON object was expected"),
        ("", "contains no records"),
        ('{"x":1}', "is empty"),
    ],
)
def test_malformed_lines(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(IsocostError, match=message):
        load(tmp_path, path)


def test_a_mapped_column_that_never_has_a_value_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps({**row, "wh": None}) for row in files.GENERIC_ROWS))
    with pytest.raises(IsocostError, match="no row has a value in 'wh'"):
        load(tmp_path, path)


def test_csv_with_a_ragged_row_and_parquet_without_a_column(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "t.csv")
    path.write_text(path.read_text() + "a,b\n")
    with pytest.raises(IsocostError, match="has 2 cells, the header has 9"):
        load(tmp_path, path)
    pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(IsocostError, match="has no column 'k'"):
        load(tmp_path, tmp_path / "t.parquet")


def test_lone_surrogates_are_replaced_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({**files.GENERIC_ROWS[0], "text": "a\ud800b"}))
    frame = load(tmp_path, path)
    assert frame["output_text"].to_list() == ["a\ufffdb"] and frame["null_reasons"].to_list() == [
        ["output_text:lone_surrogate_replaced"]
    ]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"columns": {"correct": "ok"}}, "problem"),
        ({"columns": {"problem": "id", "corect": "ok"}}, "Did you mean correct"),
        ({"columns": {"problem": "id", "latency": "ms"}}, "latency_meaning"),
        ({"columns": {"problem": "id", "energy": "e"}}, "energy_method"),
        (
            {
                "columns": {"problem": "id", "energy": {"column": "e", "unit": "ms"}},
                "energy_method": "x",
            },
            "cannot be brought to J",
        ),
        ({"columns": {"problem": {"column": "id", "unit": "ms"}}}, "has no unit"),
        ({"columns": {"problem": "id"}, "colums": {}}, "Did you mean columns"),
        ({"columns": {"problem": "id", "tokens": "a", "output_tokens": "b"}}, "twice"),
        ({"columns": []}, "columns is a list, not names"),
        ({}, "does not say which column is what. A mapping file says"),
        ({"columns": {"problem": {"column": 3}}}, "names no column"),
    ],
)
def test_mappings_that_are_refused(mapping, message: str) -> None:
    with pytest.raises(IsocostError, match=message):
        rules(mapping)


def test_a_mapping_from_yaml_with_own_words_and_nulls(tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        "columns:\n  problem: id\n  correct: {column: ok, true: [good], false: [bad], 'null': [none]}\n"
    )
    path = tmp_path / "t.csv"
    path.write_text("id,ok\na,good\nb,bad\nc,none\n")
    report = import_path(
        "generic", path, tmp_path / "lake", mapping=mapping, unknown=files.ALL_UNKNOWN
    )
    frame = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    assert frame["label_correct"].to_list() == [True, False, None]
    assert frame["null_reasons"].to_list() == [[], [], ["label_correct:source_writes_none"]]


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.0, "kWh", (3.6e6, "J")),
        (1.0, "Wh", (3600.0, "J")),
        (1500.0, "mJ", (1.5, "J")),
        (2.0, "MJ", (2e6, "J")),
        (11.0, "ms", (0.011, "s")),
        (1.0, "ns", (1e-9, "s")),
        (250.0, "mW", (0.25, "W")),
        (35.95, "percent", (0.3595, "ratio")),
        (1.0, "bits", (0.6931471805599453, "nats")),
    ],
)
def test_units(value: float, unit: str, expected: tuple[float, str]) -> None:
    assert to_base(value, unit) == (pytest.approx(expected[0], rel=1e-15), expected[1])


@pytest.mark.parametrize(
    ("name", "unit", "units"),
    [("latency", "J", "s, sec, .*, min, h$"), ("energy", "eV", "J, mJ, .*, kWh$")],
)
def test_a_wrong_unit_in_a_mapping_lists_the_units_of_its_own_dimension(
    name: str, unit: str, units: str
) -> None:
    meaning = {"latency_meaning": "x", "energy_method": "x"}
    with pytest.raises(IsocostError, match=f"Use one of {units}"):
        rules({"columns": {"problem": "id", name: {"column": "c", "unit": unit}}} | meaning)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("problem is in the first column", "is not a mapping of columns: YAML reads it as text"),
        ("- problem: id\n- correct: ok\n", ".*YAML reads it as a list"),
        ("", "is empty"),
        ("{id: ok\n", "is not YAML"),
        ("columns:\n", "does not say|columns is text"),
    ],
)
def test_a_file_that_is_no_mapping_is_reported_with_what_one_looks_like(
    tmp_path: Path, text: str, message: str
) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(text)
    with pytest.raises(
        IsocostError,
        match=rf"mapping\.yaml: ({message}).*A mapping file says, for example, `columns:",
    ):
        load(tmp_path, as_csv(tmp_path / "t.csv"), mapping=mapping)


@pytest.mark.parametrize("text", ["", "\n\n", ",\n1,2\n"])
def test_a_csv_file_without_a_header_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(
        IsocostError, match=r"t\.csv: has no columns\. .* names its columns in its first line$"
    ):
        load(tmp_path, path)


def test_fields_inside_objects_and_columns_with_a_dot_in_their_name(tmp_path: Path) -> None:
    path, mapping = (
        tmp_path / "t.jsonl",
        {
            "columns": {
                "problem": "meta.id",
                "correct": "graded.ok.now",
                "output_tokens": "n.tokens",
            }
        },
    )
    rows = [
        {"meta": {"id": f"q{i}"}, "graded": {"ok": {"now": i == 0}}, "n": {"tokens": 5 + i}}
        for i in range(2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = load(tmp_path, path, mapping=mapping)
    assert frame["problem_source_id"].to_list() == ["q0", "q1"] and frame[
        "output_tokens"
    ].to_list() == [5, 6]
    assert frame["label_correct"].to_list() == [True, False] and went_fast(frame)
    path.write_text(
        "".join(
            json.dumps({"meta.id": "a", "graded.ok.now": 1, "n.tokens": i}) + "\n" for i in range(2)
        )
    )
    flat = load(tmp_path, path, mapping=mapping)
    assert flat["problem_source_id"].to_list() == ["a", "a"] and went_fast(flat)
    for wrong, message in (
        ("meta.name", r"here from 'meta\.name'; this one has meta, graded, n$"),
        ("meta", "Name a field inside it .*meta.id$"),
    ):
        path.write_text(json.dumps(rows[0]) + "\n")
        with pytest.raises(IsocostError, match=message):
            load(tmp_path, path, mapping={"columns": mapping["columns"] | {"problem": wrong}})


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(IsocostError, match="'mj'"):
        to_base(1.0, "mj")


_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["1", "-1", "", "true", "x", " 2 ", "0x1", "1_0", "nan", "inf"]),
    st.text(max_size=4),
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.fixed_dictionaries({"tokens": _VALUES, "ms": _VALUES, "ok": _VALUES, "text": _VALUES}),
        min_size=1,
        max_size=6,
    )
)
def test_any_table_goes_both_ways_alike_or_is_refused_both_ways(
    tmp_path_factory, monkeypatch, table
) -> None:
    folder = tmp_path_factory.mktemp("g")
    path = folder / "t.jsonl"
    path.write_text(
        "\n".join(json.dumps({**files.GENERIC_ROWS[0], **row}) for row in table), encoding="utf-8"
    )
    fast, slow = _attempt(folder / "fast", path), None
    with monkeypatch.context() as patch:
        patch.setattr(generic.Generic, "write_fast", lambda *_: None)
        slow = _attempt(folder / "slow", path)
    if isinstance(fast, str) or isinstance(slow, str):
        assert fast == slow
    else:
        assert_frame_equal(fast.drop("source_place"), slow.drop("source_place"))


def _attempt(folder: Path, path: Path) -> pl.DataFrame | str:
    try:
        return load(folder, path)
    except IsocostError as error:
        return str(error)


@pytest.mark.parametrize("ending", ["\n", ""])
def test_a_large_file_is_cut_between_lines_and_numbered_through(
    tmp_path: Path, monkeypatch, ending: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        "\n".join(json.dumps({**files.GENERIC_ROWS[0], "id": f"q{i}", "k": i}) for i in range(97))
        + ending
    )
    whole = load(tmp_path / "whole", path)
    monkeypatch.setattr(reading, "_BLOCK", 256)
    monkeypatch.setattr(reading.line_chunks, "__defaults__", (1_000, reading.MAX_LINE_BYTES))
    cut = load(tmp_path / "cut", path)
    assert len(list((tmp_path / "cut").rglob("part-*.parquet"))) > 5 and went_fast(cut)
    assert cut["record_index"].to_list() == list(range(97))
    assert_frame_equal(whole, cut)
    assert {item.suffix for item in (tmp_path / "cut").rglob("*") if item.is_file()} <= {
        ".parquet",
        ".json",
        "",
    }


VERDICTS = {
    "columns": {
        "problem": "id",
        "model": "m",
        "task": "t",
        "correct": "ok",
        "verdicts": "said",
        "verification_tokens": "spent",
    }
}


def verdict_file(tmp_path: Path, said, suffix: str = "jsonl") -> Path:
    path = tmp_path / f"verdicts.{suffix}"
    rows = [
        {"id": f"q{i}", "m": "x", "t": "y", "ok": True, "said": one, "spent": 20}
        for i, one in enumerate(said)
    ]
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    else:
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"said": json.dumps(row["said"])} for row in rows)
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_verdicts_are_lists_a_sample(tmp_path: Path, suffix: str) -> None:
    said = [[1.0, 0.0, None], [0.25, 1.0, 1.0]]
    path = verdict_file(tmp_path, said, suffix)
    report = import_path(
        "generic",
        path,
        tmp_path / "lake",
        mapping=VERDICTS,
        unknown={"task_version", "prompt", "sampling"},
    )
    frame = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    assert frame["verdicts"].to_list() == said
    assert frame["verification_tokens"].to_list() == [20, 20]


@pytest.mark.parametrize("said", [[["perhaps"]], ["yes, no"], [{"a": 1}]])
def test_what_is_no_list_of_verdicts_is_refused_with_its_line(tmp_path: Path, said) -> None:
    path = verdict_file(tmp_path, said)
    with pytest.raises(IsocostError, match="line 1"):
        import_path(
            "generic",
            path,
            tmp_path / "lake",
            mapping=VERDICTS,
            unknown={"task_version", "prompt", "sampling"},
        )


def test_words_of_judgement_are_verdicts(tmp_path: Path) -> None:
    path = verdict_file(tmp_path, [["yes", "No", True, None]])
    report = import_path(
        "generic",
        path,
        tmp_path / "lake",
        mapping=VERDICTS,
        unknown={"task_version", "prompt", "sampling"},
    )
    frame = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    assert frame["verdicts"].to_list() == [[1.0, 0.0, 1.0, None]]
