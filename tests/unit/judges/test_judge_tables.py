"""Rows of agreement of several judges from rows of core_judgements, against counts by hand."""

from __future__ import annotations

from typing import Any

import polars as pl

from isocost.schema.frames import empty
from isocost.tables.judges.agreement import READS, build_judge_tables


def row(problem: str, judge: str, verdict: bool | None, **more: Any) -> dict[str, Any]:
    return {
        "session_id": "s",
        "task": "t",
        "problem_id": problem,
        "cluster_id": None,
        "answer_hash": "a",
        "judge": judge,
        "answer_order": "reference_first",
        "judgement_key": f"{problem} {judge}",
        "verdict_correct": verdict,
        "gold_correct": True,
        "prompt_tokens": 10,
        "output_tokens": 1,
        "cost_usd": 1.0,
        "cost_usd_unknown_reason": None,
        "latency_s": 0.5,
        **more,
    }


def agreement(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    schema = {name: empty("core_judgements").schema[name] for name in READS}
    found = build_judge_tables(pl.DataFrame(rows, schema=schema, orient="row"))
    return {each["judge"]: each for each in found["out_judge_agreement"].to_dicts()}


def test_the_majority_is_of_the_judges_of_a_problem() -> None:
    """A judge of other problems of the task, from another sweep, is no absent vote."""
    several = [row(p, j, p == "p1") for p in ("p1", "p2") for j in ("a", "b", "c")]
    alone = [row("p3", "d", True), row("p4", "d", True)]
    together = agreement(several + alone)["majority"]
    assert (together["n_answers"], together["n_verdicts"]) == (2, 2)
    assert (together["n_true_positive"], together["n_false_negative"]) == (1, 1)
    assert (together["n_judgements"], together["cost_usd"]) == (6, 6.0)
    assert set(agreement([*alone, row("p5", "e", True)])) == {"d", "e"}


def test_a_label_that_one_import_has_counts_for_the_others() -> None:
    unlabelled = row("p", "a", True, session_id="import-1", gold_correct=None)
    labelled = row("p", "a", True, session_id="import-2")
    found = agreement([unlabelled, labelled])["a"]
    assert (found["n_answers"], found["n_gold"], found["n_judgements"]) == (1, 1, 1)
    contrary = row("p", "a", True, session_id="import-3", gold_correct=False)
    assert agreement([unlabelled, labelled, contrary])["a"]["n_gold"] == 0


def test_a_judgement_without_a_verdict_costs_where_another_session_had_none() -> None:
    away = row("p", "a", None, session_id="s1", latency_s=None, cost_usd=None, prompt_tokens=None)
    unreadable = row("p", "a", None, session_id="s2")
    found = agreement([away, unreadable])["a"]
    assert (found["n_judgements"], found["cost_usd"], found["prompt_tokens"]) == (1, 1.0, 10)
