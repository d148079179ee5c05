"""every_eval_ever.

Completions in one line, directions and kinds of scores, what converters made of their sources,
joins.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from identities import every_eval_ever as stated
from whole_way import banked

from isocost.errors import IsocostError


def folder(root: Path, lines: list[dict[str, Any]], given: dict[str, Any] | None = None) -> Path:
    """A run whose one line is written again with each of these changes."""
    root.mkdir(parents=True, exist_ok=True)
    stated.write(root, given or {})
    pattern = json.loads((root / "eval_samples.jsonl").read_text())
    (root / "eval_samples.jsonl").write_text(
        "".join(json.dumps(pattern | line) + "\n" for line in lines)
    )
    return root


def imported(path: Path, lake: Path) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    raw, core, notes = banked("every_eval_ever", path, lake, **stated.OPTIONS)
    return raw.filter(record_kind="sample"), core, notes


def test_every_completion_of_a_line_is_a_sample(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 30, "total_tokens": 40}
    line = {
        "output": {"raw": ["2", "3", ""]},
        "token_usage": usage,
        "performance": {"latency_ms": 5.0},
    }
    found, core, _ = imported(folder(tmp_path / "in", [line]), tmp_path / "lake")
    assert found["output_text"].to_list() == ["2", "3", ""] and found["sample_index"].to_list() == [
        0,
        1,
        2,
    ]
    assert found.select(
        "label_correct", "label_score", "output_tokens", "latency_s"
    ).null_count().row(0) == (3, 3, 3, 3)
    assert "label_correct:verdict_covers_3_samples" in found["null_reasons"][0]
    assert json.loads(found["extra"][0])["group"] == {
        "label": 1.0,
        "is_correct": True,
        "label_name": "Accuracy",
        "covers": 3,
    }
    assert core.filter("is_valid")["parse_status"].to_list() == ["no_answer"]


@pytest.mark.parametrize(
    ("evaluation", "metric", "correct", "score"),
    [
        ({"score": 1.0, "is_correct": True}, {}, True, 1.0),
        ({"score": 0.5, "is_correct": True}, {}, None, 0.5),  # above 0, say some converters
        ({"score": 1.0, "is_correct": False}, {}, None, 1.0),  # no claim, say others
        ({"score": 1.0, "is_correct": True}, {"lower_is_better": True}, None, None),
        ({"score": 73.0, "is_correct": True}, {}, True, None),
        ({"score": 1.0, "is_correct": True}, {"score_type": "levels"}, True, None),
        ({"score": -1.0, "is_correct": False}, {"score_type": "levels"}, False, None),
    ],
)
def test_what_a_score_is_worth(
    tmp_path: Path, evaluation: dict, metric: dict, correct: bool | None, score: float | None
) -> None:
    changes = {f"{stated.METRIC}/{key}": value for key, value in metric.items()}
    found, _, _ = imported(
        folder(tmp_path / "in", [{"evaluation": evaluation}], changes), tmp_path / "lake"
    )
    assert found.select("label_correct", "label_score").row(0) == (correct, score)


def test_epochs_that_a_converter_gave_one_score(tmp_path: Path) -> None:
    changes = {"eval_library": {"name": "inspect_ai", "version": "0.3"}}
    lines = [
        {
            "metadata": {"epoch": str(epoch)},
            "evaluation": {"score": 0.5, "is_correct": True},
            "output": {"raw": [text]},
        }
        for epoch, text in ((1, "2"), (2, "3"))
    ]
    found, _, _ = imported(folder(tmp_path / "in", lines, changes), tmp_path / "lake")
    assert found["sample_index"].to_list() == [0, 1] and found["label_score"].null_count() == 2
    assert json.loads(found["extra"][0])["group"]["covers"] == 2
    one, _, _ = imported(folder(tmp_path / "one", lines[:1], changes), tmp_path / "lake2")
    assert one["label_score"].to_list() == [0.5]


def test_a_waiting_time_is_no_latency(tmp_path: Path) -> None:
    line = {"performance": {"latency_ms": 9000, "generation_time_ms": 500}}
    stated = {"eval_library": {"name": "Inspect AI", "version": "0.3"}}
    for number, (more, latency) in enumerate(((stated, None), ({}, 9.0))):
        found, _, _ = imported(
            folder(tmp_path / f"in{number}", [line], more), tmp_path / f"lake{number}"
        )
        assert found["latency_s"].to_list() == [latency]
    shorter = {"performance": {"latency_ms": 100, "generation_time_ms": 500}}
    found, _, _ = imported(folder(tmp_path / "in", [shorter]), tmp_path / "lake")
    assert found["null_reasons"].to_list() == [["latency_s:less_than_its_generation_time"]]


def test_a_score_that_the_converter_made_up(tmp_path: Path) -> None:
    lines = [
        {
            "metadata": {"lm_eval_metrics": json.dumps(metrics)},
            "evaluation": {"score": 0.0, "is_correct": False},
        }
        for metrics in ({"word_perplexity": [-3.5, 7]}, {"exact_match": 0.0})
    ]
    found, _, _ = imported(folder(tmp_path / "in", lines), tmp_path / "lake")
    assert found["label_correct"].to_list() == [None, False]


def test_a_word_for_no_answer(tmp_path: Path) -> None:
    attribution = {
        "turn_idx": 0,
        "source": "output.raw",
        "extraction_method": "strict-match",
        "is_terminal": True,
    }
    line = {
        "answer_attribution": [attribution | {"extracted_value": "[invalid]"}],
        "evaluation": {"score": 0.0, "is_correct": False},
    }
    found, core, _ = imported(folder(tmp_path / "in", [line]), tmp_path / "lake")
    assert found["answer"].to_list() == [None] and core["parse_status"].to_list() == ["no_answer"]


def test_of_a_conversation_what_was_said_last(tmp_path: Path) -> None:
    said = [
        {"turn_idx": i, "role": role, "content": text}
        for i, (role, text) in enumerate((("user", "1+1?"), ("assistant", "2"), ("tool", "x")))
    ]
    found, _, _ = imported(
        folder(tmp_path / "in", [{"output": None, "messages": said}]), tmp_path / "lake"
    )
    assert found["output_text"].to_list() == ["2"]


def test_tokens_of_reasoning_beside_the_output(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 20, "total_tokens": 35}
    found, _, _ = imported(folder(tmp_path / "in", [{"token_usage": usage}]), tmp_path / "lake")
    assert found.select("prompt_tokens", "output_tokens", "reasoning_tokens").row(0) == (10, 25, 20)


def test_runs_of_one_id_in_two_folders_and_in_one(tmp_path: Path) -> None:
    for name, temperature in (("a", 0.1), ("b", 0.2)):
        folder(
            tmp_path / "in" / name,
            [{"sample_id": name}],
            {f"{stated.ARGUMENTS}/temperature": temperature},
        )
    found, _, _ = imported(tmp_path / "in", tmp_path / "lake")
    drawn = {
        name: json.loads(text)["temperature"]
        for name, text in found.select("problem_source_id", "sampling").iter_rows()
    }
    assert drawn == {"a": 0.1, "b": 0.2}
    shutil.copy(tmp_path / "in" / "b" / "eval.json", tmp_path / "in" / "a" / "other.json")
    (tmp_path / "in" / "a" / "eval.json").rename(tmp_path / "in" / "a" / "another.json")
    with pytest.raises(IsocostError, match=r"3 aggregates have its evaluation_id"):
        imported(tmp_path / "in", tmp_path / "lake2")


def test_an_instance_file_is_read_with_the_aggregate_beside_it(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", [{}])
    raw, _, notes = banked(
        "every_eval_ever", path / "eval_samples.jsonl", tmp_path / "lake", **stated.OPTIONS
    )
    assert (
        raw.height == 1
        and raw["sampling"].to_list() == ['{"temperature":0.5}']
        and not any("no aggregate" in text for text in notes)
    )
    (path / "eval.json").unlink()
    _, _, notes = banked("every_eval_ever", path, tmp_path / "lake2", **stated.OPTIONS)
    assert any("1 instances have no aggregate" in text for text in notes)


def test_a_name_that_stands_for_several_results_takes_none_of_them(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", [{"evaluation_result_id": None}])
    document = json.loads((path / "eval.json").read_text())
    (result,) = document["evaluation_results"]
    lower = result | {
        "evaluation_result_id": "t#err",
        "metric_config": {"metric_name": "Error", "lower_is_better": True},
    }
    document["evaluation_results"] = [lower, result]
    (path / "eval.json").write_text(json.dumps(document))
    found, _, _ = imported(path, tmp_path / "lake")
    assert found.select("label_name", "label_correct", "sampling").row(0) == (
        None,
        True,
        '{"temperature":0.5}',
    )
