"""HELM.

What a verdict is of where a request has several completions, where each option is asked on its own,
where trials repeat.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identities import helm as stated
from whole_way import banked

from isocost.errors import IsocostError


def folder(
    root: Path, states: list[dict[str, Any]], stats: list[dict[str, Any]], **adapter: Any
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    stated.write(root, {f"adapter_spec/{key}": value for key, value in adapter.items()})
    (root / "scenario_state.json").write_text(json.dumps({"request_states": states}))
    (root / "per_instance_stats.json").write_text(json.dumps(stats))
    return root


def state(identity: str = "i1", texts: tuple[str, ...] = ("2",), **more: Any) -> dict[str, Any]:
    references = [
        {"output": {"text": "2"}, "tags": ["correct"]},
        {"output": {"text": "3"}, "tags": []},
    ]
    completions = [{"text": text, "logprob": -1.0, "tokens": []} for text in texts]
    return {
        "instance": {
            "id": identity,
            "split": "test",
            "input": {"text": "1+1?"},
            "references": references,
        },
        "train_trial_index": 0,
        "request": {"prompt": "1+1?"},
        "result": {
            "success": True,
            "completions": completions,
            "cached": False,
            "request_time": 1.5,
        },
        **more,
    }


def entry(identity: str = "i1", trial: int = 0, **values: float) -> dict[str, Any]:
    return {
        "instance_id": identity,
        "train_trial_index": trial,
        "stats": [
            {"name": {"name": name}, "count": 1, "mean": mean} for name, mean in values.items()
        ],
    }


def samples(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.filter(record_kind="sample")


@given(st.integers(1, 5), st.sampled_from([0.0, 1.0]))
@settings(max_examples=10, deadline=None)
@pytest.mark.slow
def test_a_verdict_of_several_completions_is_on_none(
    tmp_path_factory: pytest.TempPathFactory, number: int, score: float
) -> None:
    home = tmp_path_factory.mktemp("run")
    reported = entry(exact_match=score, num_prompt_tokens=20, num_output_tokens=9)
    path = folder(
        home / "in", [state(texts=tuple("abcde"[:number]))], [reported], num_outputs=number
    )
    raw, core, _ = banked("helm", path, home / "lake")
    found = samples(raw)
    assert found["output_text"].to_list() == list("abcde"[:number]) and found[
        "sample_index"
    ].to_list() == list(range(number))
    own = number == 1
    assert set(found["label_correct"]) == {score == 1.0 if own else None} and set(
        found["output_tokens"]
    ) == {9 if own else None}
    assert set(found["latency_s"]) == {1.5 if own else None} and core["is_valid"].all() == own
    group = json.loads(found["extra"][0]).get("group")
    assert group == (
        None if own else {"label": score, "label_name": "exact_match", "covers": number}
    )


@pytest.mark.parametrize("modes", [("original",), ("original", "calibration")])
def test_requests_of_all_options_are_one_sample(tmp_path: Path, modes: tuple[str, ...]) -> None:
    states = [
        state(reference_index=index, request_mode=mode, texts=("prompt 2",))
        for mode in modes
        for index in (0, 1)
    ]
    reported = entry(exact_match=0.0, predicted_index=1, num_prompt_tokens=20, num_output_tokens=0)
    raw, core, _ = banked(
        "helm",
        folder(tmp_path / "in", states, [reported], method="multiple_choice_separate_original"),
        tmp_path / "lake",
    )
    (row,) = samples(raw).iter_rows(named=True)
    assert (row["answer"], row["label_correct"], row["output_text"], row["problem_source_id"]) == (
        "3",
        False,
        None,
        "i1",
    )
    assert row["latency_s"] is None and row["prompt_tokens"] is None and core["is_valid"].all()
    assert f"latency_s:time_is_of_{2 * len(modes)}_requests" in row["null_reasons"]


def test_trials_are_repeats_with_a_verdict_each(tmp_path: Path) -> None:
    states = [
        state(train_trial_index=trial, texts=(text,))
        for trial, text in ((0, "2"), (1, "3"), (2, "2"))
    ]
    listed = [
        entry(trial=trial, exact_match=score) for trial, score in ((0, 1.0), (1, 0.0), (2, 1.0))
    ]
    raw, core, _ = banked(
        "helm", folder(tmp_path / "in", states, listed, num_train_trials=3), tmp_path / "lake"
    )
    assert samples(raw)["label_correct"].to_list() == [True, False, True]
    assert (
        core["is_valid"].all()
        and core["problem_id"].n_unique() == 1
        and core["sample_index"].to_list() == [0, 1, 2]
    )


def test_requests_that_one_verdict_was_computed_of(tmp_path: Path) -> None:
    """num_trials asks the same again without an index of its own.

    HELM's numbers are of all of these requests.
    """
    raw, core, _ = banked(
        "helm",
        folder(tmp_path / "in", [state(), state(texts=("3",))], [entry(exact_match=1.0)]),
        tmp_path / "lake",
    )
    assert samples(raw)["label_correct"].null_count() == 2
    assert (
        core.height == 2
        and not core["invalid_reasons"].explode().is_in(["duplicate_in_source"]).any()
    )


def test_an_empty_completion_is_no_answer(tmp_path: Path) -> None:
    reported = state(texts=(" ",), output_mapping={"A": "2"})
    raw, core, _ = banked(
        "helm", folder(tmp_path / "in", [reported], [entry(exact_match=0.0)]), tmp_path / "lake"
    )
    assert samples(raw)["answer"].to_list() == [None] and core["parse_status"].to_list() == [
        "no_answer"
    ]


def test_the_metric_that_judges_can_be_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", [state()], [entry(exact_match=0.0, f1_score=0.75)])
    raw, core, _ = banked("helm", path, tmp_path / "lake", metric="f1_score")
    assert samples(raw)["label_score"].to_list() == [0.75] and core["score"].to_list() == [0.75]
    assert json.loads(samples(raw)["condition"][0])["metric"] == "f1_score"
    with pytest.raises(IsocostError, match=r"no metric 'bleu'.*exact_match, f1_score"):
        banked("helm", path, tmp_path / "lake", metric="bleu")


def test_files_without_their_run_are_reported(tmp_path: Path) -> None:
    folder(tmp_path / "in" / "a", [state()], [entry(exact_match=1.0)])
    folder(tmp_path / "in" / "b", [state()], [entry(exact_match=1.0)])
    (tmp_path / "in" / "b" / "run_spec.json").unlink()
    raw, _, notes = banked("helm", tmp_path / "in", tmp_path / "lake")
    assert samples(raw).height == 1
    assert any(
        "b: no run_spec.json next to per_instance_stats.json, scenario_state.json: left out" in text
        for text in notes
    )
