"""lm-evaluation-harness.

What a verdict covers, which metric judges, what is no answer, which files belong together.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identities import lm_eval as stated
from whole_way import accuracy, banked, outcomes

from isocost.errors import IsocostError
from isocost.importers import import_path
from isocost.importers.base import ImportInput
from isocost.importers.formats.lm_eval import LmEval
from isocost.importers.formats.lm_eval_samples import document_rows
from isocost.importers.formats.lm_eval_settings import task_of
from isocost.importers.row import Row

STAMP = "2026-01-21T03-44-18.458309"
TEMPLATE = {"arg_0": "1+1?", "arg_1": {"temperature": 0.7}}


def line(document: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "doc_id": document,
        "doc": {"question": f"{document}+1?"},
        "target": "2",
        "arguments": {"gen_args_0": TEMPLATE},
        "resps": [["2"]],
        "filtered_resps": ["2"],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
        **more,
    }


def run(
    folder: Path, lines: list[dict[str, Any]], stated: dict[str, Any] | None = None, task: str = "t"
) -> Path:
    """A folder with one run; stated is merged into its results file."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "results": {task: {"exact_match,none": 1.0}},
        "configs": {
            task: {"output_type": "generate_until", "generation_kwargs": {"temperature": 0.7}}
        },
        "versions": {task: 1},
        "n-shot": {task: 0},
        "model_name": "m",
        **(stated or {}),
    }
    (folder / f"results_{STAMP}.json").write_text(json.dumps(document))
    (folder / f"samples_{task}_{STAMP}.jsonl").write_text(
        "".join(json.dumps(value) + "\n" for value in lines)
    )
    return folder


def config(**more: Any) -> dict[str, Any]:
    return {
        "configs": {
            "t": {
                "output_type": "generate_until",
                "generation_kwargs": {"temperature": 0.7},
                **more,
            }
        }
    }


def steps(*functions: str, name: str = "f", k: int | None = None) -> dict[str, Any]:
    listed = [
        {"function": function} | ({"k": k} if function == "take_first_k" else {})
        for function in functions
    ]
    return {"name": name, "filter": listed}


def labels(raw: pl.DataFrame) -> list[bool | None]:
    return raw.filter(record_kind="sample")["label_correct"].to_list()


class TestCases:
    """The inputs on which something went wrong, through the whole way."""

    def test_runs_of_other_model_arguments_are_other_points(
        self, shared_cases: Path, tmp_path: Path
    ) -> None:
        _, samples, _ = banked("lm_eval", shared_cases / "lm_modelargs", tmp_path)
        assert sorted(accuracy(samples).values()) == [0.0, 1.0] and samples["is_valid"].all()

    def test_a_verdict_of_four_answers_is_on_none_of_them(
        self, shared_cases: Path, tmp_path: Path
    ) -> None:
        raw, samples, _ = banked("lm_eval", shared_cases / "lm_majority", tmp_path)
        assert samples.height == 24 and list(accuracy(samples).values()) == [pytest.approx(1 / 3)]
        majority = raw.filter(record_kind="sample").filter(
            pl.col("condition").str.contains("maj@4")
        )
        assert majority["label_correct"].null_count() == majority.height == 12
        assert set(majority["null_reasons"].explode()) == {"label_correct:verdict_covers_4_samples"}
        groups = [json.loads(extra)["group"] for extra in majority["extra"]]
        assert [group["label"] for group in groups[::4]] == [1.0, 0.0, 1.0] and {
            group["covers"] for group in groups
        } == {4}

    def test_a_word_for_no_answer_is_no_vote(self, shared_cases: Path, tmp_path: Path) -> None:
        raw, samples, _ = banked("lm_eval", shared_cases / "lm_invalid", tmp_path)
        assert (samples["parse_status"] == "no_answer").sum() == 9 and not raw[
            "answer"
        ].drop_nulls().str.contains("invalid").any()

    @pytest.mark.slow
    def test_votes_ignore_who_abstains(self, shared_cases: Path, tmp_path: Path) -> None:
        found = outcomes("lm_eval", shared_cases / "lm_invalid", tmp_path)
        (five,) = found.filter(strategy="majority_at_k", budget=5).iter_rows(named=True)
        assert (five["accuracy"], five["n_samples_no_answer"]) == (1.0, 9)

    def test_what_is_toxic_is_not_correct(self, shared_cases: Path, tmp_path: Path) -> None:
        raw, samples, _ = banked("lm_eval", shared_cases / "lm_lower", tmp_path)
        assert set(labels(raw)) == {None} and not samples["is_valid"].any()
        assert json.loads(raw["extra"][0])["metrics"] == {"score": 1.0}

    @pytest.mark.parametrize(
        ("metric", "right"),
        [
            (None, [True, False, True]),
            ("acc", [True, False, True]),
            ("acc_norm", [False, True, False]),
        ],
    )
    def test_a_choice_by_likelihood_is_an_option(
        self, shared_cases: Path, tmp_path: Path, metric: str | None, right: list[bool]
    ) -> None:
        raw, samples, _ = banked("lm_eval", shared_cases / "lm_loglik", tmp_path, metric=metric)
        assert labels(raw) == right and samples["is_valid"].all()
        # The likelihoods of these files contradict some verdicts: no option is reported then.
        assert set(raw.filter(record_kind="sample")["answer"]) <= {"a", None}

    def test_both_lines_of_a_document_without_filter_names(
        self, shared_cases: Path, tmp_path: Path
    ) -> None:
        raw, samples, warnings = banked("lm_eval", shared_cases / "lm_oldfilter", tmp_path)
        assert sorted(accuracy(samples).values()) == [0.0, 1.0] and any(
            "before 0.4.8" in text for text in warnings
        )
        stated = {
            (json.loads(text)["filter"], right)
            for text, right in raw.select("condition", "label_correct").iter_rows()
        }
        assert {pair for pair in stated if pair[1] is not None} == {
            ("strict-match", False),
            ("flexible-extract", True),
        }

    def test_a_verdict_for_each_repeat(self, shared_cases: Path, tmp_path: Path) -> None:
        _, samples, _ = banked("lm_eval", shared_cases / "lm_metriclist", tmp_path)
        assert (
            list(accuracy(samples).values()) == [0.75]
            and samples["is_valid"].all()
            and samples.height == 12
        )

    @pytest.mark.parametrize("path", ["d", "e", "d2.json"])
    def test_results_of_lm_eval_0_3(self, shared_cases: Path, tmp_path: Path, path: str) -> None:
        given = {"model": "m", "task_version": "1"}
        raw, _, warnings = banked(
            "lm_eval", shared_cases / "lm_eval_v03" / path, tmp_path, provenance=given
        )
        assert raw.select("metric_name", "metric_value", "model_variant").rows() == [
            ("acc", 0.61, "m"),
            ("acc_stderr", 0.01, "m"),
        ]
        assert any("results_143000.json: '143000' is not a time" in text for text in warnings) == (
            path == "e"
        )


FUNCTIONS = {
    "take_first": ["regex", "take_first"],
    "majority_vote": ["regex", "majority_vote", "take_first"],
    "take_first_k": ["take_first_k", "majority_vote", "take_first"],
    "custom": ["my own", "take_first"],
    "each": ["regex"],
    "lists": ["regex"],
}
SCORES = st.integers(1, 5).flatmap(
    lambda repeats: st.lists(st.sampled_from([0.0, 1.0]), min_size=repeats, max_size=repeats)
)


@given(SCORES, st.sampled_from(sorted(FUNCTIONS)))
@settings(max_examples=80, deadline=None)
def test_a_verdict_stands_on_the_answers_that_it_is_of(scores: list[float], how: str) -> None:
    texts, repeats = [f"{index}:{right}" for index, right in enumerate(scores)], len(scores)
    kept, score = (
        (texts if how in ("each", "lists") else texts[0]),
        (scores if how == "each" else scores[0]),
    )
    value = line(filter="f", resps=[texts], filtered_resps=[kept], exact_match=score)
    document = {"results": {}, **config(filter_list=[steps(*FUNCTIONS[how], k=2)])}
    found = [row.values | {"reasons": row.reasons} for row in rows_of(value, document)]
    assert [row["output_text"] for row in found] == texts  # every completion is a sample
    labels = [row.get("label_correct") for row in found]
    if how == "each":
        assert labels == [right == 1.0 for right in scores]
    elif how == "take_first" or repeats == 1:
        assert labels == [scores[0] == 1.0] + [None] * (repeats - 1)
    else:
        covers = min(2, repeats) if how == "take_first_k" else repeats
        assert labels == [None] * repeats
        assert all(
            row["reasons"] == [f"label_correct:verdict_covers_{covers}_samples"] for row in found
        )


def rows_of(value: dict[str, Any], document: dict[str, Any]) -> list[Row]:
    path = Path("samples")
    return list(
        document_rows(
            ImportInput(path, (path,)),
            path,
            1,
            value,
            task_of(document, "t", "x"),
            LmEval.no_answers,
        )
    )


@pytest.mark.parametrize(
    ("metrics", "rises", "judge", "right"),
    [
        ({"exact_match": 1.0, "f1": 0.5}, {}, "exact_match", True),
        ({"f1": 0.5, "acc": 1.0}, {}, "acc", True),
        ({"perplexity": -3.5, "acc": 1}, {"perplexity": False, "acc": True}, "acc", True),
        ({"word_perplexity": [-3.5, 7]}, {"word_perplexity": False}, None, None),
        ({"num_words": 1, "quality": 1.0}, {}, "quality", True),
        ({"output_tokens": 1.0}, {}, None, None),
        ({"loglikelihood": 0.0}, {}, None, None),
        ({"toxicity": 1.0, "safe": 0.0}, {"toxicity": False, "safe": True}, "safe", False),
        ({"bypass": 999}, {}, None, None),
        (
            {"prompt_level_strict_acc": True, "inst_level_strict_acc": [True, False]},
            {},
            "prompt_level_strict_acc",
            True,
        ),
        ({"rougeL": 0.4}, {"rougeL": True}, "rougeL", None),
    ],
)
@pytest.mark.slow
def test_which_metric_judges(
    tmp_path: Path, metrics: dict, rises: dict, judge: str | None, right: bool | None
) -> None:
    value = {key: value for key, value in line().items() if key != "exact_match"} | {
        "metrics": list(metrics),
        **metrics,
    }
    raw, _, _ = banked(
        "lm_eval",
        run(tmp_path / "in", [value], {"higher_is_better": {"t": rises}}),
        tmp_path / "lake",
    )
    (row,) = raw.filter(record_kind="sample").iter_rows(named=True)
    assert (row["label_name"], row["label_correct"]) == (judge, right)
    assert row["label_score"] == (
        metrics["rougeL"] if "rougeL" in metrics else None if right is None else float(right)
    )


def choice(lls: list[float], target: Any, *, options: list[str], **scores: float) -> dict[str, Any]:
    value = {key: value for key, value in line().items() if key != "exact_match"}
    asked = {
        f"gen_args_{i}": {"arg_0": "q", "arg_1": f" {option}"} for i, option in enumerate(options)
    }
    pairs = [[str(ll), "False"] for ll in lls]
    stated = {"arguments": asked, "resps": [[pair] for pair in pairs], "filtered_resps": pairs}
    return value | stated | {"target": target, "metrics": list(scores), **scores}


@pytest.mark.parametrize(
    ("value", "metric", "answer"),
    [
        (choice([-3.0, -1.0], "1", options=["no", "yes"], acc=1.0), None, "yes"),
        (choice([-3.0, -1.0], 0, options=["no", "yes"], acc=0.0), None, "yes"),
        (choice([-3.0, -1.0], "yes", options=["no", "yes"], acc=1.0), None, "yes"),
        # Normalized by length, the longer option wins; options beyond the tenth stand in their
        # order.
        (choice([-2.0, -3.0], 1, options=["a", "long"], acc=0.0, acc_norm=1.0), "acc_norm", "long"),
        (
            choice([-9.0] * 11 + [-1.0], 11, options=[f"o{i}" for i in range(12)], acc=1.0),
            None,
            "o11",
        ),
        # Where the options stand in the prompt (winogrande), the number names them.
        (choice([-3.0, -1.0], 1, options=["same", "same"], acc=1.0), None, "1"),
        (choice([-3.0, -1.0], 0, options=["no", "yes"], acc=1.0), None, None),
        (
            choice([-1.0, -2.0, -3.0, -1.0], 1, options=["a", "b", "a", "b"], acc_mutual_info=1.0),
            None,
            None,
        ),
    ],
)
@pytest.mark.slow
def test_the_option_that_was_chosen(
    tmp_path: Path, value: dict, metric: str | None, answer: str | None
) -> None:
    raw, _, _ = banked("lm_eval", run(tmp_path / "in", [value]), tmp_path / "lake", metric=metric)
    (row,) = raw.filter(record_kind="sample").iter_rows(named=True)
    assert (row["answer"], row["output_text"]) == (answer, None)


def test_several_requests_of_a_document_are_one_sample_without_a_text(tmp_path: Path) -> None:
    value = line(
        resps=[["a"], ["b"]],
        filtered_resps=["a", "b"],
        arguments={"gen_args_0": TEMPLATE, "gen_args_1": TEMPLATE},
    )
    raw, samples, _ = banked("lm_eval", run(tmp_path / "in", [value]), tmp_path / "lake")
    (row,) = raw.filter(record_kind="sample").iter_rows(named=True)
    assert (row["output_text"], row["answer"], row["label_correct"]) == (
        None,
        None,
        True,
    ) and samples["is_valid"].all()


def test_the_word_that_a_filter_falls_back_to_is_no_answer(tmp_path: Path) -> None:
    listed = {
        "name": "none",
        "filter": [
            {"function": "regex", "fallback": "[nothing found]"},
            {"function": "take_first"},
        ],
    }
    lines = [
        line(0, filtered_resps=["[nothing found]"], exact_match=0.0),
        line(1, filtered_resps=["[Invalid] "], exact_match=0.0),
    ]
    raw, samples, _ = banked(
        "lm_eval", run(tmp_path / "in", lines, config(filter_list=[listed])), tmp_path / "lake"
    )
    assert raw["answer"].null_count() == raw.height and set(samples["parse_status"]) == {
        "no_answer"
    }


def test_the_same_document_under_another_prompt_is_the_same_problem(tmp_path: Path) -> None:
    run(tmp_path / "in" / "a", [line()])
    other = line(arguments={"gen_args_0": TEMPLATE | {"arg_0": "<user>1+1?</user>"}})
    run(tmp_path / "in" / "b", [other], {"chat_template_sha": "x"})
    changed = line(doc={"question": "0+1?", "hint": "a carry"})
    run(tmp_path / "in" / "c", [changed], {"chat_template_sha": "x"})
    _, samples, _ = banked("lm_eval", tmp_path / "in", tmp_path / "lake")
    assert samples["point_id"].n_unique() == 2 and samples["problem_id"].n_unique() == 2


def test_runs_of_the_same_time_in_two_folders_keep_their_own_settings(tmp_path: Path) -> None:
    run(tmp_path / "in" / "a", [line()], {"model_name": "a"})
    run(tmp_path / "in" / "b", [line(exact_match=0.0, filtered_resps=["3"])], {"model_name": "b"})
    _, samples, _ = banked("lm_eval", tmp_path / "in", tmp_path / "lake")
    assert dict(samples.select("model_variant", "correct").iter_rows()) == {"a": True, "b": False}


def test_a_group_asks_for_nothing_that_its_tasks_state(tmp_path: Path) -> None:
    reported = config() | {
        "results": {"t": {"acc,none": 1.0}, "all": {"acc,none": 0.5, "alias": "all"}},
        "groups": {"all": {"acc,none": 0.5}},
        "group_subtasks": {"all": ["part"], "part": ["t"], "t": []},
    }
    import_path(
        "lm_eval", run(tmp_path / "in", [line()], reported), tmp_path / "lake"
    )  # nothing is asked for
    document = json.loads((tmp_path / "in" / f"results_{STAMP}.json").read_text())
    group = task_of(document, "all", "x")
    assert group.provenance["task_version"] == "1" and group.sampling == {"temperature": 0.7}


def test_names_of_files_that_are_not_read(tmp_path: Path) -> None:
    folder = run(tmp_path / "in", [line()])
    shutil.copy(folder / f"samples_t_{STAMP}.jsonl", folder / "samples_t_143000.jsonl")
    with pytest.raises(
        IsocostError,
        match=r"samples_t_143000\.jsonl: is not named .* '143000' is not a time as lm-eval writes it",
    ):
        banked("lm_eval", folder, tmp_path / "lake")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.json").write_text("{}")
    with pytest.raises(IsocostError, match=r"contains 1 \.json files, none of them named"):
        banked("lm_eval", tmp_path / "other", tmp_path / "lake")
    (folder / "samples_t_143000.jsonl").unlink()
    (folder / f"results_{STAMP}.json").write_text("[]")
    with pytest.raises(IsocostError, match=f"results_{STAMP}.json"):
        banked("lm_eval", folder, tmp_path / "lake")


def test_a_results_file_that_bears_the_name_of_the_output_path(tmp_path: Path) -> None:
    folder = run(tmp_path / "in", [line()])
    (folder / f"results_{STAMP}.json").rename(folder / f"my-run_{STAMP}.json")
    for path in (folder, folder / f"samples_t_{STAMP}.jsonl"):
        raw, _, warnings = banked("lm_eval", path, tmp_path / path.name)
        assert set(raw["model_variant"]) == {"m"} and not any(
            "no results file" in text for text in warnings
        )


def test_lines_that_no_filter_can_be_named_for(tmp_path: Path) -> None:
    lines = [
        {key: value for key, value in line(0, exact_match=score).items() if key != "filter"}
        for score in (0.0, 1.0)
    ]
    folder = run(tmp_path / "in", lines)
    with pytest.raises(
        IsocostError,
        match=r"before 0\.4\.8.*2 lines of a document.*1 filters of the results file \(none\)",
    ):
        banked("lm_eval", folder, tmp_path / "lake")
    (folder / f"results_{STAMP}.json").unlink()
    with pytest.raises(IsocostError, match="without the results file"):
        banked("lm_eval", folder, tmp_path / "lake")


def test_a_secret_is_kept_nowhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shared = {
        "config/model_args": {
            "model": "org/m",
            "api_key": "sk-SECRET",
            "token": "hf_SECRET",
            "header": {"a": 1},
        }
    }
    raw, _, _ = banked("lm_eval", stated.write(tmp_path / "in", shared), tmp_path / "lake")
    assert "SECRET" not in str(raw.to_dicts())


def test_a_metric_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match=r"no metric 'acc'.*exact_match"):
        banked("lm_eval", run(tmp_path / "in", [line()]), tmp_path / "lake", metric="acc")
