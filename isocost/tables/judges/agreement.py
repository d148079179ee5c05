"""Agreement of judges with gold labels, their position bias, their cost and their ability.

Lives here: out_judge_agreement and out_judge_abilities from core_judgements. Not here: the
statistics (``isocost.items.agreement``, ``isocost.items.abilities``).

Position bias is measured as the field does for pairs of answers (MT-Bench, arXiv 2306.05685): the
judge sees reference and answer in both orders, and the verdicts are compared. Inflation is the
positive bias of QEDBench (arXiv 2602.20629); abilities are Bradley-Terry's, as in
critique-resilient benchmarking (arXiv 2602.14307), here of the judges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from isocost.items.abilities import abilities
from isocost.items.agreement import CONFIDENCE, Estimate, difference, kappa, rate
from isocost.schema.frames import conform, empty
from isocost.tasks.rubrics import MAJORITY

READS = (
    "session_id",
    "task",
    "problem_id",
    "cluster_id",
    "answer_hash",
    "judge",
    "answer_order",
    "judgement_key",
    "verdict_correct",
    "gold_correct",
    "prompt_tokens",
    "output_tokens",
    "cost_usd",
    "cost_usd_unknown_reason",
    "latency_s",
)
_ANSWER = ("problem_id", "answer_hash")
NO_GOLD = "no_gold_labels"


def build_judge_tables(judgements: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows of out_judge_agreement and out_judge_abilities of each task.

    Args:
        judgements: rows of core_judgements, with the columns ``READS``, of any number of sessions;
            an answer that several of them have counts once.
    """
    agreement: list[dict[str, Any]] = []
    ability: list[dict[str, Any]] = []
    for (task,), rows in judgements.sort("task").group_by("task", maintain_order=True):
        # A judgement that one session has and another lacks, because the judge was away, is known.
        # So is a label that one import has and another lacks.
        own = (
            rows.with_columns(_known_label().over(_ANSWER).alias("gold_correct"))
            .sort(*_ANSWER, "judge", "answer_order", "latency_s", "session_id", nulls_last=True)
            .unique([*_ANSWER, "judge", "answer_order"], keep="first", maintain_order=True)
        )
        verdicts = _verdicts(own)
        for (judge,), each in verdicts.group_by("judge", maintain_order=True):
            calls = own.filter(pl.col("judge") == judge)
            agreement.append({"task": task, "judge": judge, **_agreement(each), **_cost(calls)})
        if verdicts["judge"].n_unique() > 1:
            together = _majority(verdicts)
            calls = own.join(together, on=_ANSWER, how="semi")
            if together.height:
                agreement.append(
                    {"task": task, "judge": MAJORITY, **_agreement(together), **_cost(calls)}
                )
            ability += [{"task": task, **row} for row in _abilities(verdicts)]
    return {
        name: conform(pl.DataFrame(found, schema=empty(name).schema, orient="row"), name)
        if found
        else empty(name)
        for name, found in (
            ("out_judge_agreement", agreement),
            ("out_judge_abilities", ability),
        )
    }


def _verdicts(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per answer and judge; asked in both orders, a verdict needs both to agree."""
    first, second = (
        pl.col("verdict_correct").filter(pl.col("answer_order") == order).first()
        for order in ("answer_first", "reference_first")
    )
    said = pl.col("verdict_correct")
    agreed = said.is_not_null().all() & (said.n_unique() == 1)
    return (
        rows.group_by(*_ANSWER, "judge", maintain_order=True)
        .agg(
            pl.col("cluster_id").first(),
            pl.when(agreed).then(said.first()).alias("correct"),
            first.alias("answer_first"),
            second.alias("reference_first"),
            pl.col("gold_correct").first().alias("gold"),
        )
        .with_columns(pl.coalesce("cluster_id", "problem_id").alias("unit"))
        .sort("judge", *_ANSWER)
    )


def _known_label() -> pl.Expr:
    """The gold label; NULL where labels differ."""
    known = pl.col("gold_correct").drop_nulls()
    return pl.when(known.n_unique() == 1).then(known.first())


def _majority(verdicts: pl.DataFrame) -> pl.DataFrame:
    """The verdict of more than half of all judges, of answers that have several.

    Judges are part of a problem's id, so one task can have problems with different judges.
    """
    judges, yes, no = pl.len(), pl.col("correct").sum(), (~pl.col("correct")).sum()
    several = verdicts.filter(pl.len().over(_ANSWER) > 1)
    return several.group_by(*_ANSWER, "unit", maintain_order=True).agg(
        pl.when(2 * yes > judges)
        .then(pl.lit(True))
        .when(2 * no > judges)
        .then(pl.lit(False))
        .alias("correct"),
        pl.col("gold").first(),
        pl.lit(None, pl.Boolean).first().alias("answer_first"),
        pl.lit(None, pl.Boolean).first().alias("reference_first"),
    )


def _agreement(rows: pl.DataFrame) -> dict[str, Any]:
    said = rows.filter(pl.col("correct").is_not_null())
    compared = said.filter(pl.col("gold").is_not_null())
    correct, gold = pl.col("correct"), pl.col("gold")
    per_unit = (
        compared.group_by("unit")
        .agg(
            (correct & gold).sum().alias("tp"),
            (correct & ~gold).sum().alias("fp"),
            (~correct & gold).sum().alias("fn"),
            (~correct & ~gold).sum().alias("tn"),
        )
        .sort("unit")
    )
    tp, fp, fn, tn = (
        per_unit[name].to_numpy().astype(np.int64) for name in ("tp", "fp", "fn", "tn")
    )
    both = rows.filter(
        pl.col("answer_first").is_not_null() & pl.col("reference_first").is_not_null()
    )
    found: dict[str, Any] = {
        "n_answers": rows.height,
        "n_verdicts": said.height,
        "n_gold": compared.height,
        "n_gold_correct": int((tp + fn).sum()),
        "n_problems": compared["problem_id"].n_unique(),
        "n_true_positive": int(tp.sum()),
        "n_false_positive": int(fp.sum()),
        "n_false_negative": int(fn.sum()),
        "n_true_negative": int(tn.sum()),
        "n_both_orders": both.height,
        "confidence": CONFIDENCE,
        "undefined_reason": None if compared.height else NO_GOLD,
    }
    all_ = tp + fp + fn + tn
    found |= _named("accuracy", rate(tp + tn, all_))
    found |= _named("false_positive_rate", rate(fp, fp + tn))
    found |= _named("false_negative_rate", rate(fn, fn + tp))
    found |= _named("kappa", kappa(np.stack([tp, fp, fn, tn], axis=1)))
    found |= _named("inflation", difference(tp + fp, tp + fn, all_))
    return found | _order(both)


def _order(both: pl.DataFrame) -> dict[str, Any]:
    """Consistency and bias of answers judged in both orders."""
    first, second = pl.col("answer_first"), pl.col("reference_first")
    per_unit = (
        both.group_by("unit")
        .agg(
            pl.len().alias("n"),
            (first == second).sum().alias("same"),
            first.sum().alias("first"),
            second.sum().alias("second"),
        )
        .sort("unit")
    )
    n, same, first_yes, second_yes = (
        per_unit[name].to_numpy().astype(np.int64) for name in ("n", "same", "first", "second")
    )
    return _named("order_consistency", rate(same, n)) | _named(
        "order_bias", difference(first_yes, second_yes, n)
    )


def _named(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {
        name: estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }


def _cost(rows: pl.DataFrame) -> dict[str, Any]:
    """What the calls cost, each judgement once."""
    calls = rows.filter(pl.col("latency_s").is_not_null()).unique(
        "judgement_key", maintain_order=True
    )
    why = calls["cost_usd_unknown_reason"].drop_nulls().unique().sort()
    return {
        "n_judgements": calls.height,
        "prompt_tokens": _whole_sum(calls["prompt_tokens"]),
        "output_tokens": _whole_sum(calls["output_tokens"]),
        "cost_usd": None if calls["cost_usd"].null_count() else float(calls["cost_usd"].sum()),
        "cost_usd_unknown_reason": "; ".join(why) or None,
    }


def _whole_sum(values: pl.Series) -> int | None:
    return None if values.null_count() else int(values.cast(pl.Int64).sum())


def _abilities(verdicts: pl.DataFrame) -> list[dict[str, Any]]:
    """Abilities of the judges of a task, from answers with a gold label."""
    known = verdicts.filter(pl.col("gold").is_not_null() & pl.col("correct").is_not_null())
    judges = sorted(verdicts["judge"].unique())
    units = sorted(known["unit"].unique())
    right = known.with_columns((pl.col("correct") == pl.col("gold")).alias("right"))
    duels = np.zeros((len(units), len(judges), len(judges)))
    place, row_of = {name: i for i, name in enumerate(judges)}, {u: i for i, u in enumerate(units)}
    for (_, _), rows in right.group_by(*_ANSWER, maintain_order=True):
        unit = row_of[rows["unit"][0]]
        winners = [place[j] for j, r in zip(rows["judge"], rows["right"], strict=True) if r]
        losers = [place[j] for j, r in zip(rows["judge"], rows["right"], strict=True) if not r]
        for winner in winners:
            duels[unit, winner, losers] += 1
    found = abilities(duels, CONFIDENCE)
    won = duels.sum(axis=0)
    return [
        {
            "judge": judge,
            "ability": _finite(found.value[i]),
            "ability_low": _finite(found.low[i]),
            "ability_high": _finite(found.high[i]),
            "n_won": int(won[i].sum()),
            "n_lost": int(won[:, i].sum()),
            "n_problems": known["problem_id"].n_unique(),
            "confidence": CONFIDENCE,
            "undefined_reason": found.reason,
        }
        for i, judge in enumerate(judges)
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
