"""Records that hold all samples of a problem.

Lists become samples, the same both ways, or an error with line and column.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.importers.formats import generic

pytestmark = pytest.mark.slow

SAID = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "{}"}
NESTED = {
    "columns": {
        "problem": "id",
        "reference": "gold",
        "output": "outs",
        "correct": "labels",
        "score": "meta.scores",
        "output_tokens": "tokens",
        "prompt_tokens": "n_prompt",
    }
}


def load(folder: Path, path: Path, mapping: dict[str, Any], **more: Any) -> pl.DataFrame:
    report = import_path(
        "generic",
        path,
        folder / "lake",
        mapping=mapping,
        provenance=SAID | more.pop("provenance", {}),
        **more,
    )
    frame = (
        read_imports(folder / "lake", import_ids=[report.import_id]).collect().sort("record_index")
    )
    frame.warnings = report.warnings
    return frame


def went_fast(frame: pl.DataFrame) -> bool:
    return frame["source_place"].null_count() == frame.height


def lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


RECORDS = [
    {
        "id": "a",
        "gold": "4",
        "outs": ["4", "5", ""],
        "labels": [True, False, False],
        "tokens": [3, 4, -1],
        "n_prompt": 9,
    },
    {
        "id": "b",
        "gold": "7",
        "outs": "7",
        "labels": 1,
        "tokens": 5,
        "n_prompt": 8,
        "meta": {"scores": 1.0},
    },
]


def rows_expected() -> dict[str, list[Any]]:
    return {
        "problem_source_id": ["a", "a", "a", "b"],
        "reference": ["4", "4", "4", "7"],
        "output_text": ["4", "5", "", "7"],
        "label_correct": [True, False, False, True],
        "output_tokens": [3, 4, None, 5],
        "prompt_tokens": [9, 9, 9, 8],
        "record_index": [0, 1, 2, 3],
    }


@pytest.mark.parametrize("way", ["fast", "slow"])
def test_parallel_lists_are_samples_and_scalars_hold_for_each(
    tmp_path: Path, monkeypatch, way: str
) -> None:
    if way == "slow":
        monkeypatch.setattr(generic.Generic, "write_fast", lambda *_: None)
    frame = load(tmp_path, lines(tmp_path / "t.jsonl", RECORDS), NESTED)
    assert went_fast(frame) == (way == "fast")
    for column, values in rows_expected().items():
        assert frame[column].to_list() == values, column
    if way == "slow":
        assert frame["source_place"].to_list() == [
            "line 1, outs[0]",
            "line 1, outs[1]",
            "line 1, outs[2]",
            "line 2",
        ]


def test_the_same_records_in_every_container(tmp_path: Path) -> None:
    wanted = rows_expected()
    flat = [{**record, "outs": record["outs"], "labels": record["labels"]} for record in RECORDS]
    named = [
        ("array.json", json.dumps(flat, indent=1), {}),
        ("inside.json", json.dumps({"config": {"a": 1}, "data": {"items": flat}}), {}),
        (
            "named.json",
            json.dumps({"other": [{"x": 1}], "data": {"items": flat}}),
            {"records": "data.items"},
        ),
        ("lines.json", "".join(json.dumps(record) + "\n" for record in flat), {}),
    ]
    for name, text, more in named:
        (tmp_path / name).write_text(text)
        frame = load(tmp_path / name.split(".")[0], tmp_path / name, NESTED | more)
        for column, values in wanted.items():
            assert frame[column].to_list() == values, (name, column)
    keyed = {
        record["id"]: {key: value for key, value in record.items() if key != "id"}
        for record in flat
    }
    (tmp_path / "keyed.json").write_text(json.dumps(keyed))
    frame = load(
        tmp_path / "k",
        tmp_path / "keyed.json",
        {"columns": NESTED["columns"] | {"problem": "@key"}},
    )
    assert (
        frame["output_text"].to_list() == wanted["output_text"]
        and frame["problem_source_id"].to_list() == wanted["problem_source_id"]
    )
    (tmp_path / "bare.json").write_text(
        json.dumps({record["id"]: record["outs"] for record in flat})
    )
    frame = load(
        tmp_path / "b", tmp_path / "bare.json", {"columns": {"problem": "@key", "output": "@value"}}
    )
    assert (
        frame["output_text"].to_list() == wanted["output_text"]
        and frame["problem_source_id"].to_list() == wanted["problem_source_id"]
    )


def test_one_record_alone_in_a_document(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(RECORDS[0]))
    columns = {name: column for name, column in NESTED["columns"].items() if name != "score"}
    assert load(tmp_path, tmp_path / "t.json", {"columns": columns})["output_text"].to_list() == [
        "4",
        "5",
        "",
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_of_objects_and_fixed_items(tmp_path: Path, kind: str) -> None:
    records = [
        {
            "q": {"id": "a"},
            "gens": [{"text": "x", "usage": {"n": 1}}, {"text": "y", "usage": {"n": 2}}],
            "golds": ["g", "h"],
        },
        {"q": {"id": "b"}, "gens": [{"text": "z", "usage": {"n": 3}}], "golds": ["i"]},
    ]
    mapping = {
        "columns": {
            "problem": "q.id",
            "output": "gens[].text",
            "output_tokens": "gens[].usage.n",
            "reference": "golds[0]",
        }
    }
    path = tmp_path / f"t.{kind}"
    lines(path, records) if kind == "jsonl" else pl.DataFrame(records).write_parquet(path)
    frame = load(tmp_path, path, mapping)
    assert frame["problem_source_id"].to_list() == ["a", "a", "b"] and frame[
        "output_text"
    ].to_list() == ["x", "y", "z"]
    assert frame["output_tokens"].to_list() == [1, 2, 3] and frame["reference"].to_list() == [
        "g",
        "g",
        "i",
    ]
    assert went_fast(frame) == (kind == "jsonl")


def test_two_levels_of_lists(tmp_path: Path) -> None:
    record = {
        "set": "s",
        "problems": [
            {"id": "a", "outs": ["1", "2"], "gold": "1"},
            {"id": "b", "outs": ["3"], "gold": "3"},
        ],
    }
    mapping = {
        "columns": {
            "problem": "problems[].id",
            "output": "problems[].outs",
            "reference": "problems[].gold",
            "cluster": "set",
        }
    }
    frame = load(tmp_path, lines(tmp_path / "t.jsonl", [record]), mapping)
    assert frame.select("problem_source_id", "output_text", "reference", "cluster_id").rows() == [
        ("a", "1", "1", "s"),
        ("a", "2", "1", "s"),
        ("b", "3", "3", "s"),
    ]
    assert frame["source_place"].to_list()[1] == "line 1, problems[0].outs[1]"


def test_native_lists_and_structs_of_parquet_go_fast(tmp_path: Path) -> None:
    records = [
        {**record, "outs": record["outs"] if isinstance(record["outs"], list) else [record["outs"]]}
        for record in RECORDS
    ]
    for record in records:
        record["labels"] = (
            record["labels"] if isinstance(record["labels"], list) else [bool(record["labels"])]
        )
        record["tokens"] = (
            record["tokens"] if isinstance(record["tokens"], list) else [record["tokens"]]
        )
        record["meta"] = {"scores": None if record["id"] == "a" else [1.0]}
    pl.DataFrame(records).write_parquet(tmp_path / "t.parquet")
    frame = load(tmp_path, tmp_path / "t.parquet", NESTED)
    assert went_fast(frame)
    for column, values in rows_expected().items():
        assert frame[column].to_list() == values, column


@pytest.mark.parametrize("write", [json.dumps, repr])
def test_csv_cells_that_hold_lists_as_json_or_as_pandas_writes_them(tmp_path: Path, write) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows(
            [
                ["", "outs", "ok"],
                ["a", write(["4", "it's 5"]), write([1, 0])],
                ["b", write(["7"]), write([1])],
            ]
        )
    columns = {
        "problem": "Unnamed: 0",
        "output": {"column": "outs", "json": "true"},
        "correct": {"column": "ok", "json": True},
    }
    frame = load(tmp_path, tmp_path / "t.csv", {"columns": columns})
    assert frame["output_text"].to_list() == ["4", "it's 5", "7"] and frame[
        "label_correct"
    ].to_list() == [True, False, True]
    assert frame["problem_source_id"].to_list() == ["a", "a", "b"]


def test_a_text_that_looks_like_a_list_is_a_text(tmp_path: Path) -> None:
    frame = load(
        tmp_path,
        lines(tmp_path / "t.jsonl", [{"id": "a", "outs": "[1, 2]"}]),
        {"columns": {"problem": "id", "output": "outs"}},
    )
    assert frame["output_text"].to_list() == ["[1, 2]"] and went_fast(frame)


ANY = {
    "columns": {
        "problem": "id",
        "output": "outs",
        "correct": "ok",
        "reference": "gold",
        "sample_index": "k",
    }
}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"outs": ["a", "b"], "ok": [True]},
            "line 2, ok: outs has 2 items and ok has 1. Parallel lists",
        ),
        (
            {"outs": ["a"], "id": ["x"]},
            "line 2, id: problem is a list of 1, and one value is needed",
        ),
        (
            {"outs": ["a"], "gold": ["4", "5"]},
            "line 2, gold: reference is a list of 2.*list: samples.*list: value",
        ),
        (
            {"outs": "a", "ok": [True, False]},
            "line 2, outs: one output is given for 2 items of ok",
        ),
        ({"outs": ["a", "b"], "k": 3}, "line 2, k: one sample_index is given for 2 samples"),
        (
            {"outs": [["a"], ["b"]]},
            r"line 2, outs\[0\]: is a list of 1 inside a list.*outs\[\]\[\]",
        ),
        ({"outs": {"a": 1}}, "line 2.*outs is an object.*outs.a"),
        ({"outs": [{"a": 1}]}, "line 2.*outs is an object"),
    ],
)
def test_a_list_where_none_can_be_meant_is_named_with_line_and_column(
    tmp_path: Path, record: dict, message: str
) -> None:
    good = {"id": "q", "outs": ["x", "y"], "ok": [True, False], "gold": "4", "k": [0, 1]}
    base = {"id": "q", "gold": "4"}
    with pytest.raises(IsocostError, match=message):
        load(tmp_path, lines(tmp_path / "t.jsonl", [good, base | record]), ANY)
    assert not list((tmp_path / "lake").rglob("part-*.parquet"))


def test_a_path_into_a_list_without_brackets_says_how(tmp_path: Path) -> None:
    path = lines(tmp_path / "t.jsonl", [{"id": "a", "gens": [{"text": "x"}]}])
    with pytest.raises(IsocostError, match=r"gens is a list. Write gens\[\].text"):
        load(tmp_path, path, {"columns": {"problem": "id", "output": "gens.text"}})


def test_what_covers_a_group_is_put_on_no_single_sample(tmp_path: Path) -> None:
    record = {"id": "q", "outs": ["x", "y"], "ok": True, "n": 120, "vote": "x", "gold": "4"}
    mapping = {
        "columns": {
            "problem": "id",
            "output": "outs",
            "correct": "ok",
            "output_tokens": "n",
            "answer": "vote",
        }
    }
    frame = load(
        tmp_path,
        lines(tmp_path / "t.jsonl", [record, {**record, "id": "r", "outs": ["z"]}]),
        mapping,
    )
    assert frame["label_correct"].to_list() == [None, None, True] and frame[
        "output_tokens"
    ].to_list() == [None, None, 120]
    assert frame["answer"].to_list() == [None, None, "x"]
    assert frame["null_reasons"].to_list()[0] == [
        "answer:covers_2_samples",
        "label_correct:verdict_covers_2_samples",
        "output_tokens:usage_covers_2_samples",
    ]
    group = json.loads(frame["extra"][0])["group"]
    assert group == {"answer": "x", "correct": True, "covers": 2, "output_tokens": 120}


def test_empty_lists_and_skipped_records_are_counted(tmp_path: Path) -> None:
    records = [{"demonstration": "x"}, {"id": "a", "outs": []}, {"id": "b", "outs": ["1"]}]
    frame = load(
        tmp_path,
        lines(tmp_path / "t.jsonl", records),
        {"columns": {"problem": "id", "output": "outs"}, "skip": ["demonstration"]},
    )
    assert frame["output_text"].to_list() == ["1"]
    assert [note.split(";")[0] for note in frame.warnings] == [
        "1 records are not samples according to the mapping (skip)",
        "1 records have an empty list and no sample",
    ]


def test_several_lists_of_records_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(
        json.dumps({"train": [{"id": 1, "o": "a"}], "test": [{"id": 1, "o": "a"}]})
    )
    with pytest.raises(
        IsocostError, match=r"contains 2 lists of records.*`records: train`; there are train, test"
    ):
        load(tmp_path, tmp_path / "t.json", {"columns": {"problem": "id", "output": "o"}})
    with pytest.raises(
        IsocostError, match=r"records is 'tset', and nothing is there.*there are train, test"
    ):
        load(
            tmp_path,
            tmp_path / "t.json",
            {"columns": {"problem": "id", "output": "o"}, "records": "tset"},
        )


_TEXTS = st.one_of(
    st.text(max_size=3), st.sampled_from(["", "[1]", " ", "4", "null", "true", "\u0000", "é"])
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)
_ITEMS = st.one_of(_SCALARS, st.fixed_dictionaries({"t": _SCALARS}), st.lists(_SCALARS, max_size=2))


def _some(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(values, st.lists(values, min_size=0, max_size=3))


_RECORD = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", 3, 2.5]),
        "gens": st.lists(st.fixed_dictionaries({"t": _TEXTS}), min_size=1, max_size=3),
    },
    optional={
        "outs": _some(_TEXTS),
        "ok": _some(st.booleans()),
        "gold": _SCALARS,
        "n": _some(_SCALARS),
        "rev": _SCALARS,
        "odd": _ITEMS,
    },
)
_MAPPINGS = [
    {"columns": {"problem": "id", "output": "outs", "correct": "ok"}},
    {"columns": {"problem": "id", "output": "outs", "reference": "gold", "output_tokens": "n"}},
    {
        "columns": {"problem": "id", "output": "gens[].t", "finish_reason": "odd"},
        "conditions": {"revision": "rev", "a": "gold"},
    },
    {"columns": {"problem": "id", "output": "outs", "answer": "odd", "correct": "ok"}},
    {"columns": {"problem": "id", "output": "outs", "sampling": "gold"}},
]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(_RECORD, min_size=1, max_size=4), st.sampled_from(_MAPPINGS))
def test_drawn_files_go_both_ways_alike_or_are_refused_alike(
    tmp_path_factory, monkeypatch, records, mapping
) -> None:
    folder = tmp_path_factory.mktemp("n")
    path = lines(folder / "t.jsonl", records)
    fast = _attempt(folder / "fast", path, mapping)
    with monkeypatch.context() as patch:
        patch.setattr(generic.Generic, "write_fast", lambda *_: None)
        slow = _attempt(folder / "slow", path, mapping)
    if isinstance(fast, str) or isinstance(slow, str):
        assert fast == slow
    else:
        assert_frame_equal(fast.drop("source_place"), slow.drop("source_place"))
        _nothing_lost(records, mapping, slow)


def _nothing_lost(records: list[dict], mapping: dict, frame: pl.DataFrame) -> None:
    """An oracle of its own: as many samples a problem as the lists have items, every text once."""
    texts: Counter[str] = Counter()
    for record in records:
        column = mapping["columns"]["output"]
        found = [one["t"] for one in record["gens"]] if column == "gens[].t" else record.get(column)
        texts.update(
            [one for one in found if one is not None]
            if isinstance(found, list)
            else [found]
            if found is not None
            else []
        )
    assert Counter(frame["output_text"].drop_nulls()) == texts


def _attempt(folder: Path, path: Path, mapping: dict) -> pl.DataFrame | str:
    try:
        provenance = {
            key: value
            for key, value in SAID.items()
            if key != "sampling" or "sampling" not in mapping["columns"]
        }
        unknown = {"sampling"} if "sampling" in mapping["columns"] else set()
        report = import_path(
            "generic",
            path,
            folder / "lake",
            mapping=mapping,
            provenance=provenance,
            unknown=unknown,
        )
        return (
            read_imports(folder / "lake", import_ids=[report.import_id])
            .collect()
            .sort("record_index")
        )
    except IsocostError as error:
        return str(error)


_CELL = {
    "outs": st.lists(st.text(max_size=2), max_size=3),
    "ok": st.lists(st.booleans(), max_size=3),
    "n": st.integers(-2, 9),
}
_TYPED = st.fixed_dictionaries(
    {
        "id": st.sampled_from("ab"),
        "gold": st.sampled_from(["4", ""]),
        **{k: st.none() | v for k, v in _CELL.items()},
    }
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(_TYPED, min_size=1, max_size=3))
def test_drawn_parquet_files_go_both_ways_alike(tmp_path_factory, monkeypatch, records) -> None:
    folder = tmp_path_factory.mktemp("n")
    schema = {
        "id": pl.String,
        "gold": pl.String,
        "outs": pl.List(pl.String),
        "ok": pl.List(pl.Boolean),
        "n": pl.Int64,
    }
    pl.DataFrame(records, schema=schema).write_parquet(folder / "t.parquet")
    mapping = {
        "columns": {
            "problem": "id",
            "reference": "gold",
            "output": "outs",
            "correct": "ok",
            "output_tokens": "n",
        }
    }
    fast = _attempt(folder / "fast", folder / "t.parquet", mapping)
    with monkeypatch.context() as patch:
        patch.setattr(generic.Generic, "write_fast", lambda *_: None)
        slow = _attempt(folder / "slow", folder / "t.parquet", mapping)
    if isinstance(fast, str) or isinstance(slow, str):
        assert fast == slow
    else:
        assert_frame_equal(fast.drop("source_place"), slow.drop("source_place"))


def test_the_example_of_the_guide(repo: Path, tmp_path: Path) -> None:
    page = (
        (repo / "docs" / "guides" / "importing.md")
        .read_text(encoding="utf-8")
        .partition("### Samples in lists")[2]
    )
    record, mapping = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("json", "yaml"))
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "t.jsonl").write_text(record)
    frame = load(tmp_path, tmp_path / "t.jsonl", tmp_path / "m.yaml")
    assert frame["output_text"].to_list() == ["The answer is 4", "The answer is 5"]
    assert frame["label_correct"].to_list() == [True, False] and frame[
        "output_tokens"
    ].to_list() == [12, 9]
