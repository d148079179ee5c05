"""Inspect AI.

What a score means and what it is of, samples taken back, archives as they are written today, files
beside logs.
"""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import importer_samples as files
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identities import inspect_ai as stated
from whole_way import accuracy, banked, outcomes

from isocost.errors import IsocostError
from isocost.importers.formats.inspect_ai_samples import _number_of
from isocost.importers.reading import ZIP_ZSTD, CheckedZip


def log(samples: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    document = files.inspect_log() | {"samples": samples} | more
    document["results"] = more.get(
        "results", {"scores": [{"name": "match", "scorer": "match", "metrics": {}}]}
    )
    return document


def sample(identity: Any = 1, epoch: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "epoch": epoch,
        "input": f"q{identity}",
        "target": "2",
        "output": {"choices": [{"message": {"content": "2"}, "stop_reason": "stop"}]},
        "scores": {"match": {"value": "C", "answer": "2"}},
        **more,
    }


def written(folder: Path, document: dict[str, Any], name: str = "log.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document))
    return folder


def scored(raw: pl.DataFrame) -> dict[str, list]:
    rows = raw.filter(record_kind="sample")
    listed = [
        (json.loads(text).get("scorer"), score)
        for text, score in rows.select("condition", "label_score").iter_rows()
    ]
    return {
        name: [score for own, score in listed if own == name]
        for name in {name for name, _ in listed}
    }


class TestCases:
    """The inputs on which something went wrong, through the whole way."""

    def test_each_value_of_a_score_is_a_condition(self, shared_cases: Path, tmp_path: Path) -> None:
        raw, samples, _ = banked("inspect_ai", shared_cases / "inspect_dict", tmp_path)
        assert scored(raw) == {
            "match.correct": [1.0, 1.0],
            "match.format": [0.5, 0.5],
            "match": [1.0, 0.7, None],
        }
        assert sorted(accuracy(samples).values()) == [0.5, 0.85, 1.0]

    def test_the_verdict_wins_over_the_error_and_nan_is_none(
        self, shared_cases: Path, tmp_path: Path
    ) -> None:
        raw, samples, _ = banked("inspect_ai", shared_cases / "inspect_errors", tmp_path)
        assert list(accuracy(samples).values()) == [0.75] and samples["point_id"].n_unique() == 1
        reasons = dict(
            zip(raw["problem_source_id"], raw["null_reasons"].list.join(","), strict=True)
        )
        assert reasons["4"] == "" and samples.filter(~pl.col("is_valid")).height == 3

    @pytest.mark.slow
    def test_errors_as_they_are_published(self, shared_cases: Path, tmp_path: Path) -> None:
        found = outcomes("inspect_ai", shared_cases / "inspect_errors", tmp_path).filter(
            strategy="pass_at_k", budget=1
        )
        assert found.select("accuracy", "n_problems_undefined").rows() == [(0.75, 1)]

    def test_partial_credit_is_an_expected_score(self, shared_cases: Path, tmp_path: Path) -> None:
        _, samples, _ = banked("inspect_ai", shared_cases / "inspect_partial", tmp_path)
        assert list(accuracy(samples).values()) == [0.625] and samples["is_valid"].all()

    @pytest.mark.slow
    def test_partial_credit_as_it_is_published(self, shared_cases: Path, tmp_path: Path) -> None:
        found = outcomes("inspect_ai", shared_cases / "inspect_partial", tmp_path).filter(
            strategy_kind="policy"
        )
        assert set(found["accuracy"]) == {0.625} and set(found["n_problems"]) == {4}

    def test_samples_taken_back_do_not_count(self, shared_cases: Path, tmp_path: Path) -> None:
        _, samples, notes = banked("inspect_ai", shared_cases / "inspect_invalidated", tmp_path)
        assert list(accuracy(samples).values()) == [0.0] and samples["is_valid"].sum() == 2
        assert any("2 of 4 samples were invalidated" in text for text in notes)

    def test_tokens_by_provider(self, shared_cases: Path, tmp_path: Path) -> None:
        raw, _, _ = banked("inspect_ai", shared_cases / "inspect_usage", tmp_path)
        names = ("prompt_tokens", "output_tokens", "reasoning_tokens", "cached_tokens")
        assert dict(zip(raw["problem_source_id"], raw.select(names).rows(), strict=True)) == {
            "openai": (1000, 500, 400, 800),
            "anthropic": (1000, 500, None, 800),
            "gemini": (1000, 500, 400, None),
            "cachew": (1000, 500, None, 300),
            "onlytotal": (None, None, None, None),
        }

    def test_archives_packed_with_zstd(self, shared_cases: Path, tmp_path: Path) -> None:
        for number, path in enumerate(
            (shared_cases / "inspect_zstd", shared_cases / "inspect_zstd" / "log.eval")
        ):
            _, samples, _ = banked("inspect_ai", path, tmp_path / str(number))
            assert (
                samples.height == 6
                and samples["is_valid"].all()
                and list(accuracy(samples).values()) == [pytest.approx(2 / 3)]
            )

    def test_files_of_an_eval_set_are_left_out(self, shared_cases: Path, tmp_path: Path) -> None:
        _, samples, notes = banked("inspect_ai", shared_cases / "inspect_evalset", tmp_path)
        assert samples.height == 3 and any("eval-set.json, logs.json" in text for text in notes)

    def test_runs_of_other_model_arguments_are_other_points(
        self, shared_cases: Path, tmp_path: Path
    ) -> None:
        _, samples, _ = banked("inspect_ai", shared_cases / "inspect_modelargs", tmp_path)
        assert sorted(accuracy(samples).values()) == [0.0, 1.0]


WORDS = {
    "C": 1.0,
    "I": 0.0,
    "P": 0.5,
    "N": 0.0,
    "yes": 1.0,
    "No": 0.0,
    "TRUE": 1.0,
    "false": 0.0,
    "0.7": 0.7,
    "c": None,
    "maybe": None,
}


@pytest.mark.parametrize(
    ("value", "number"), [*WORDS.items(), (True, 1.0), (False, 0.0), (0.25, 0.25), (None, None)]
)
def test_a_score_is_read_as_inspect_reads_it(value: Any, number: float | None) -> None:
    found, is_number = _number_of(value)
    assert found == number and is_number == (number is not None or value is None)


def test_who_says_that_there_is_no_answer_gives_no_vote(tmp_path: Path) -> None:
    rows = [
        sample(1, 1, scores={"match": {"value": "N", "answer": "I cannot"}}),
        sample(1, 2, scores={"match": {"value": "I", "answer": " "}}),
        sample(1, 3),
    ]
    raw, samples, _ = banked("inspect_ai", written(tmp_path / "in", log(rows)), tmp_path / "lake")
    assert raw.filter(record_kind="sample")["answer"].to_list() == [None, None, "2"]
    assert samples.sort("sample_index")["parse_status"].to_list() == [
        "no_answer",
        "no_answer",
        "parsed",
    ]


def test_a_sample_without_a_score_stands_in_the_points_of_its_log(tmp_path: Path) -> None:
    rows = [
        sample(1, scores={"match": {"value": "C"}, "judge": {"value": {"right": 1, "short": 0}}}),
        sample(2, scores=None, error={"message": "boom"}),
    ]
    names = [
        {"name": "match", "scorer": "match"},
        {"name": "right", "scorer": "judge"},
        {"name": "short", "scorer": "judge"},
    ]
    _, samples, _ = banked(
        "inspect_ai",
        written(tmp_path / "in", log(rows, results={"scores": names})),
        tmp_path / "lake",
    )
    assert (
        samples.group_by("point_id")
        .agg(pl.len(), pl.col("is_valid").sum())
        .select("len", "is_valid")
        .rows()
        == [(2, 1)] * 3
    )


@pytest.mark.parametrize(
    ("scorer", "labels"), [("match", [True, None, None]), ("my_own", [None, None, None])]
)
def test_every_completion_is_a_sample_and_the_verdict_is_of_the_first(
    tmp_path: Path, scorer: str, labels: list
) -> None:
    choices = [{"message": {"content": text}, "stop_reason": "stop"} for text in "abc"]
    usage = {"input_tokens": 10, "output_tokens": 30, "total_tokens": 40}
    rows = [
        sample(
            1,
            epoch,
            output={"choices": choices, "usage": usage, "time": 2.0},
            scores={scorer: {"value": "C", "answer": "a"}},
        )
        for epoch in (1, 2)
    ]
    names = {"scores": [{"name": scorer, "scorer": scorer}]}
    raw, samples, _ = banked(
        "inspect_ai", written(tmp_path / "in", log(rows, results=names)), tmp_path / "lake"
    )
    found = raw.filter(record_kind="sample")
    assert found["output_text"].to_list() == list("abcabc") and found[
        "sample_index"
    ].to_list() == list(range(6))
    assert found["label_correct"].to_list() == labels * 2 and found["latency_s"].null_count() == 6
    assert found.select("prompt_tokens", "output_tokens").null_count().row(0) == (6, 6)
    assert "output_tokens:usage_covers_3_samples" in found["null_reasons"][0]
    assert (
        not samples["invalid_reasons"]
        .explode(empty_as_null=False)
        .is_in(["duplicate_in_source"])
        .any()
    )


def test_options_in_another_order_are_another_question(tmp_path: Path) -> None:
    rows = [
        sample(1, 1, choices=["x", "y"], target="A"),
        sample(1, 2, choices=["y", "x"], target="A"),
    ]
    raw, samples, _ = banked("inspect_ai", written(tmp_path / "in", log(rows)), tmp_path / "lake")
    assert samples["problem_id"].n_unique() == 2 and raw["problem_text"][0] == "q1\n\nA) x\nB) y"


def test_an_answer_from_the_cache_has_no_time(tmp_path: Path) -> None:
    output = {"choices": [{"message": {"content": "2"}}], "time": 0.5}
    rows = [
        sample(i, output=output, events=[{"event": "model", "cache": cache}])
        for i, cache in ((1, "read"), (2, "write"), (3, None))
    ]
    raw, _, _ = banked("inspect_ai", written(tmp_path / "in", log(rows)), tmp_path / "lake")
    assert raw.filter(record_kind="sample")["latency_s"].to_list() == [None, 0.5, 0.5]


def test_texts_that_are_attachments(tmp_path: Path) -> None:
    key = "ab" * 16
    content = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": f"attachment://{key}"},
    ]
    output = {"choices": [{"message": {"content": content}}]}
    rows = [
        sample(
            1,
            output=output,
            input=[{"role": "user", "content": f"attachment://{key}"}],
            attachments={key: "a long text"},
        )
    ]
    raw, _, _ = banked("inspect_ai", written(tmp_path / "in", log(rows)), tmp_path / "lake")
    assert raw.select("output_text", "problem_text").row(0) == ("a long text", "a long text")


def packed(path: Path, members: list[tuple[str, Any]], method: int = ZIP_ZSTD) -> Path:
    """A zip whose members are packed with zstd.

    Stored as its frames, and its directory made to say so.
    """
    codec = pa.Codec("zstd")
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in members:
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            # In two frames, as Inspect writes what is large.
            frames = b"".join(
                codec.compress(part, asbytes=True)
                for part in (raw[: len(raw) // 2], raw[len(raw) // 2 :])
            )
            archive.writestr(name, frames)
            info = archive.filelist[-1]
            info.compress_type, info.file_size, info.CRC = method, len(raw), zipfile.crc32(raw)
    return path


@given(
    st.dictionaries(
        st.text("abc/é", min_size=1).filter(lambda name: not name.startswith("/")),
        st.text(max_size=400),
        min_size=1,
    )
)
@settings(max_examples=25, deadline=None)
def test_what_zstd_packs_comes_back(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, str]
) -> None:
    archive = CheckedZip(packed(tmp_path_factory.mktemp("zip") / "a.eval", list(members.items())))
    assert {name: archive.json(name) for name in archive.members} == members
    archive.close()


def test_a_way_of_packing_that_is_not_read_is_not_called_damage(tmp_path: Path) -> None:
    header = {key: value for key, value in log([]).items() if key != "samples"}
    path = packed(tmp_path / "log.eval", [("header.json", header)], method=98)
    with pytest.raises(
        IsocostError,
        match=r"zip method 98 \(ppmd\), which is not supported; the file itself may be whole",
    ):
        banked("inspect_ai", path, tmp_path / "lake")


def test_a_damaged_zstd_member_is_called_damaged(tmp_path: Path) -> None:
    header = {key: value for key, value in log([]).items() if key != "samples"}
    path = packed(tmp_path / "log.eval", [("header.json", header)])
    raw = bytearray(path.read_bytes())
    raw[60:70] = b"\x00" * 10
    path.write_bytes(raw)
    with pytest.raises(IsocostError, match="cut off or damaged"):
        banked("inspect_ai", path, tmp_path / "lake")
    lying = packed(tmp_path / "lying.eval", [("header.json", header)])
    with zipfile.ZipFile(lying, "a") as archive:
        archive.filelist[0].CRC ^= 1
        archive._didModify = True
    with pytest.raises(IsocostError, match="its checksum is another one"):
        banked("inspect_ai", lying, tmp_path / "lake2")


def test_an_archive_that_grew_and_samples_in_pieces(tmp_path: Path) -> None:
    header = {key: value for key, value in log([]).items() if key != "samples"}
    whole = sample("a/b", scores={"match": {"value": "I", "answer": "2"}})
    again = sample("a/b")  # asked again: the last member of the name counts
    shell = sample("big", input="attachment://1", target="attachment://2")
    members: list[tuple[str, Any]] = [
        ("_journal/start.json", header),
        ("samples/a/b_epoch_1.json", whole),
        ("samples/a/b_epoch_1.json", again),
        ("samples/big_epoch_1/sample.json", shell),
        ("samples/big_epoch_1/metadata.json", {"level": 3}),
        ("samples/big_epoch_1/events/0.json", [{"event": "model"}]),
        ("samples/big_epoch_1/events/stats.json", {}),
        ("samples/big_epoch_1/messages/0.json", []),
        ("samples/big_epoch_1/attachments/0.json", ["zero", "the question"]),
        ("samples/big_epoch_1/attachments/2.json", ["two"]),
        ("summaries.json", []),
        ("header.json", header),
    ]
    raw, samples, _ = banked(
        "inspect_ai", packed(tmp_path / "log.eval", members), tmp_path / "lake"
    )
    assert (
        raw.select("problem_source_id", "label_correct").rows() == [("a/b", True), ("big", True)]
        and samples["is_valid"].all()
    )
    assert raw.select("problem_text", "reference").row(1) == ("the question", "two")
    assert json.loads(raw["extra"][1])["metadata"] == {"level": 3}


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", log([sample()]))
    (folder / "notes.json").write_text('{"a": 1}')
    with pytest.raises(
        IsocostError, match=r"notes\.json: has no key 'eval': it is not an Inspect log"
    ):
        banked("inspect_ai", folder, tmp_path / "lake")


def test_a_secret_is_kept_nowhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    config = {"temperature": 1, "extra_headers": {"Authorization": "SECRET"}}
    shared = {"eval/model_args": {"api_key": "SECRET"}, "eval/model_generate_config": config}
    raw, _, _ = banked("inspect_ai", stated.write(tmp_path / "in", shared), tmp_path / "lake")
    assert "SECRET" not in str(raw.to_dicts())
