"""A small laboratory: core and out tables that agree with each other, made by plain arithmetic and
no code of the project.

Columns that do not matter to what is made here are filled by type, so that a new column of a table
does not touch this file.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from typing import Any

import polars as pl

from isocost.schema.frames import conform
from isocost.schema.model import Column
from isocost.schema.registry import all_tables, table

SESSION, RUN = "quickstart-0123456789", "run-1"
BUDGETS = (1, 2, 4, 8)
TOKENS = {"direct": 12, "think": 60}
_NOT_COSTED = (
    "kinetics_eflops",
    "kv_traffic_bytes",
    "weight_traffic_bytes",
    "device_s",
    "cost_usd",
)
SKILL = {
    ("adding", "direct"): 0.30,
    ("adding", "think"): 0.62,
    ("sorting", "direct"): 0.12,
    ("sorting", "think"): 0.35,
}


def rows(name: str, given: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a table.

    What is given, the rest filled with NULL or, where that is forbidden, with a plain value of the
    type.
    """
    definition = table(name)
    known = {column.name for column in definition.columns}
    unknown = {key for row in given for key in row} - known
    assert not unknown, f"{name} has no column {unknown}"
    full = [
        {
            c.name: row[c.name]
            if c.name in row
            else (_plain(c) if definition.required(c.name) else None)
            for c in definition.columns
        }
        for row in given
    ]
    from isocost.schema.types import polars_schema

    return conform(pl.DataFrame(full, schema=polars_schema(definition), orient="row"), name)


def _plain(column: Column) -> Any:
    if column.allowed:
        return column.allowed[0]
    plain = {"string": "x", "json": "{}", "bool": False, "timestamp": None}
    if column.type.startswith("list"):
        return []
    return plain.get(column.type, 0)


def build(problems: int = 6, samples: int = 8) -> dict[str, pl.DataFrame]:
    """Every table that the publish room reads, by name."""
    dice = random.Random(7)
    bank = [row for pair in SKILL for row in _samples(dice, *pair, problems, samples)]
    frames = {
        "core_samples": rows("core_samples", bank),
        "core_points": rows("core_points", [_point(*pair, bank) for pair in SKILL]),
        "core_problems": rows("core_problems", _problems(bank)),
        "core_sessions": rows("core_sessions", [_session(bank)]),
        "out_point_summary": rows("out_point_summary", [_summary(*pair, bank) for pair in SKILL]),
    }
    outcomes, shares = _outcomes(bank)
    known = all_tables()
    if "out_strategy_outcomes" in known:
        frames["out_strategy_outcomes"] = rows(
            "out_strategy_outcomes", _only("out_strategy_outcomes", outcomes)
        )
    if "out_strategy_problems" in known:
        frames["out_strategy_problems"] = rows(
            "out_strategy_problems", _only("out_strategy_problems", shares)
        )
    points, frontiers = _frontiers(outcomes)
    frames["out_frontier_points"] = rows("out_frontier_points", points)
    frames["out_frontiers"] = rows("out_frontiers", frontiers)
    frames["out_comparisons"] = rows("out_comparisons", [_comparison(outcomes)])
    frames["out_coverage_bands"] = rows("out_coverage_bands", _coverage(outcomes))
    frames["out_coverage_differences"] = rows("out_coverage_differences", _overtaking(outcomes))
    if "out_scaling_points" in known:
        scaling, fits = _scaling(outcomes)
        frames["out_scaling_points"] = rows(
            "out_scaling_points", _only("out_scaling_points", scaling)
        )
        frames["out_scaling_fits"] = rows("out_scaling_fits", _only("out_scaling_fits", fits))
    return frames


def _comparison(outcomes: list[dict[str, Any]]) -> dict[str, Any]:
    """The first two outcomes of a task."""
    first, second = sorted(
        (o for o in outcomes if o["task"] == "adding"), key=lambda o: o["outcome_id"]
    )[:2]
    gap = first["accuracy"] - second["accuracy"]
    near, far = {"low": gap - 0.1, "high": gap + 0.1}, {"low": gap - 0.15, "high": gap + 0.15}
    names = {
        "task": "adding",
        "first_outcome_id": first["outcome_id"],
        "second_outcome_id": second["outcome_id"],
    }
    ends = {f"accuracy_difference_{end}": value for end, value in near.items()}
    return (
        names
        | ends
        | {f"accuracy_difference_band_{end}": value for end, value in far.items()}
        | {"accuracy_difference": gap}
    )


def _coverage(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "task": o["task"],
            "point_id": o["point_id"],
            "k": int(o["budget"]),
            "pass_at_k": o["accuracy"],
            "pass_at_k_low": o["accuracy"] - 0.1,
            "pass_at_k_high": o["accuracy"] + 0.1,
            "band_low": o["accuracy"] - 0.2,
            "band_high": o["accuracy"] + 0.2,
        }
        for o in outcomes
        if o["strategy"] == "pass_at_k"
    ]


def _overtaking(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {
        (row["task"], row["point_id"], row["k"]): row["pass_at_k"] for row in _coverage(outcomes)
    }
    return [
        {
            "task": task,
            "point_id": one,
            "other_point_id": other,
            "k": k,
            "pass_at_k": mine,
            "other_pass_at_k": known[task, other, k],
            "pass_at_k_difference": mine - known[task, other, k],
            "verdict": "better" if mine > known[task, other, k] else "worse",
        }
        for (task, one, k), mine in known.items()
        for other in sorted({point for t, point, _ in known if t == task} - {one})
    ]


def _only(name: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {column.name for column in table(name).columns}
    return [{key: value for key, value in row.items() if key in known} for row in given]


def point_id(task: str, prompt: str) -> str:
    return f"pt-{task}-{prompt}"


def _samples(
    dice: random.Random, task: str, prompt: str, problems: int, samples: int
) -> list[dict[str, Any]]:
    made = []
    for problem, index in itertools.product(range(problems), range(samples)):
        skill = min(0.98, max(0.02, SKILL[task, prompt] + 0.5 * (problem / (problems - 1) - 0.5)))
        right, length = dice.random() < skill, TOKENS[prompt] + dice.randrange(5)
        truncated = not right and dice.random() < 0.2
        made.append(
            {
                "sample_id": f"{point_id(task, prompt)}:{task}-{problem}:{index}",
                "point_id": point_id(task, prompt),
                "problem_id": f"{task}-{problem}",
                "sample_index": index,
                "session_id": SESSION,
                "run_id": RUN,
                "attempt": 1,
                "task": task,
                "model_variant": "tiny",
                "prompt": prompt,
                "source": "generated",
                "is_valid": True,
                "correct": right,
                "score": float(right),
                "answer": None if truncated else ("42" if right else "41"),
                "answer_class": None if truncated else int(not right),
                "parse_status": "no_answer" if truncated else "parsed",
                "finish_reason": "length" if truncated else "stop",
                "is_truncated": truncated,
                "prompt_tokens": 20,
                "output_tokens": length,
                "cached_tokens": 0,
                "prefill_s": 0.01,
                "decode_s": 0.001 * length,
                "latency_s": 0.01 + 0.001 * length,
                "flops": 2e6 * length,
                "energy_unknown_reason": "no_power_source",
                "costs_unknown_reasons": [f"{axis}: not measured here" for axis in _NOT_COSTED],
                "n_calls": 1,
            }
        )
    made[0].update(is_valid=False, invalid_reasons=["engine_error"], correct=None, score=None)
    return made


def _of(bank: list[dict[str, Any]], task: str, prompt: str) -> list[dict[str, Any]]:
    return [row for row in bank if row["task"] == task and row["prompt"] == prompt]


def _point(task: str, prompt: str, bank: list[dict[str, Any]]) -> dict[str, Any]:
    mine = _of(bank, task, prompt)
    return {
        "point_id": point_id(task, prompt),
        "session_id": SESSION,
        "sweep": "quickstart",
        "source": "generated",
        "task": task,
        "model_variant": "tiny",
        "prompt": prompt,
        "temperature": 0.7,
        "max_tokens": 64,
        "samples_banked": len(mine),
        "samples_valid": sum(row["is_valid"] for row in mine),
    }


def _problems(bank: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"problem_id": problem, "session_id": SESSION, "task": task}
        for task, problem in sorted({(row["task"], row["problem_id"]) for row in bank})
    ]


def _session(bank: list[dict[str, Any]]) -> dict[str, Any]:
    valid = sum(row["is_valid"] for row in bank)
    return {
        "session_id": SESSION,
        "run_id": RUN,
        "attempt": 1,
        "sweep": "quickstart",
        "engine": "vllm",
        "model_variant": "tiny",
        "device": "cpu",
        "is_valid": True,
        "started_unix_s": 1.8e9,
        "ended_unix_s": 1.8e9 + 60,
        "isocost_version": "0.1.0",
        "engine_version": "0.32.0",
        "energy_unknown_reason": "no_power_source",
        "samples_total": len(bank),
        "samples_valid": valid,
        "samples_invalid": len(bank) - valid,
    }


def _summary(task: str, prompt: str, bank: list[dict[str, Any]]) -> dict[str, Any]:
    mine = _of(bank, task, prompt)
    valid = [row for row in mine if row["is_valid"]]
    reasons = sorted(reason for row in mine for reason in row.get("invalid_reasons", []))
    return {
        "point_id": point_id(task, prompt),
        "task": task,
        "model_variant": "tiny",
        "prompt": prompt,
        "configuration": prompt,
        "sweeps": ["quickstart"],
        "n_sessions": 1,
        "n_problems": len({row["problem_id"] for row in mine}),
        "samples_total": len(mine),
        "samples_valid": len(valid),
        "samples_invalid": len(mine) - len(valid),
        "samples_graded": len(valid),
        "samples_correct": sum(row["correct"] for row in valid),
        "samples_truncated": sum(row["is_truncated"] for row in valid),
        "samples_without_answer": sum(row["answer"] is None for row in valid),
        "invalid_counts": json.dumps({reason: reasons.count(reason) for reason in reasons}),
        "output_tokens_per_sample": sum(row["output_tokens"] for row in valid) / len(valid),
        "output_tokens_sum": sum(row["output_tokens"] for row in mine),
        "energy_unknown_reason": "no_power_source",
    }


def _outcomes(bank: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two strategies.

    Any of k right, and a vote that is right where most samples of the problem are (roughly).
    """
    outcomes, shares = [], []
    for (task, prompt), strategy, k in itertools.product(
        SKILL, ("pass_at_k", "majority_at_k"), BUDGETS
    ):
        if strategy == "majority_at_k" and k == 2:
            continue
        mine = _of(bank, task, prompt)
        by_problem: dict[str, list[bool]] = {}
        for row in mine:
            by_problem.setdefault(row["problem_id"], []).append(bool(row["correct"]))
        values = {}
        for problem, verdicts in by_problem.items():
            n, c = len(verdicts), sum(verdicts)
            any_right = 1 - math.comb(n - c, k) / math.comb(n, k)
            values[problem] = (
                any_right
                if strategy == "pass_at_k"
                else c / n + (0.08 * math.log2(k) if c / n > 0.5 else 0) * (1 - c / n)
            )
        mean = sum(values.values()) / len(values)
        tokens = k * sum(row["output_tokens"] for row in mine) / len(mine)
        spread = 1.96 * math.sqrt(sum((v - mean) ** 2 for v in values.values()) / len(values) ** 2)
        key = f"out-{task}-{prompt}-{strategy}-{k}"
        outcomes.append(
            {
                "outcome_id": key,
                "task": task,
                "model_variant": "tiny",
                "prompt": prompt,
                "point_id": point_id(task, prompt),
                "point_ids": [point_id(task, prompt)],
                "strategy": strategy,
                "strategy_family": strategy,
                "strategy_kind": "oracle" if strategy == "pass_at_k" else "policy",
                "budget": float(k),
                "n_problems": len(values),
                "accuracy": mean,
                "accuracy_low": max(0.0, mean - spread),
                "accuracy_high": min(1.0, mean + spread),
                "samples_per_problem": float(k),
                "output_tokens_per_problem": tokens,
                "flops_per_problem": 2e6 * tokens,
            }
        )
        for problem, value in values.items():
            shares.append({"outcome_id": key, "problem_id": problem, "accuracy": value})
    return outcomes, shares


def _frontiers(outcomes: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    points, frontiers = [], []
    tasks, axes = (
        sorted({row["task"] for row in outcomes}),
        ("output_tokens_per_problem", "flops_per_problem"),
    )
    for task, axis, kind in itertools.product(tasks, axes, ("policy", "oracle")):
        mine = [
            row
            for row in outcomes
            if row["task"] == task and (kind == "oracle" or row["strategy_kind"] == "policy")
        ]
        on = [
            row["outcome_id"]
            for row in mine
            if not any(_dominates(other, row, axis) for other in mine)
        ]
        knee = on[len(on) // 2]
        for place, row in enumerate(mine):
            shared = {
                key: row[key]
                for key in (
                    "task",
                    "outcome_id",
                    "model_variant",
                    "prompt",
                    "point_id",
                    "strategy",
                    "strategy_kind",
                    "budget",
                )
            }
            shared |= {
                key: row[key] for key in ("accuracy", "accuracy_low", "accuracy_high", "n_problems")
            }
            probability = 0.9 - 0.02 * place if row["outcome_id"] in on else 0.1
            points.append(
                shared
                | {
                    "frontier_kind": kind,
                    "cost_axis": axis,
                    "cost": row[axis],
                    "cost_low": row[axis],
                    "cost_high": row[axis],
                    "cost_unit": "tokens/problem" if "tokens" in axis else "FLOP/problem",
                    "draws": 2000,
                    "confidence": 0.95,
                    "is_on_frontier": row["outcome_id"] in on,
                    "frontier_probability": probability,
                    "is_knee": row["outcome_id"] == knee,
                    "duplicate_of_outcome_id": row["outcome_id"],
                    "duplicate_outcome_ids": [row["outcome_id"]],
                    "member_outcome_ids": [row["outcome_id"]],
                }
            )
        frontiers.append(
            {
                "task": task,
                "frontier_kind": kind,
                "cost_axis": axis,
                "n_problems": 6,
                "draws": 2000,
                "confidence": 0.95,
                "n_outcomes": len(mine),
                "n_included": len(mine),
                "n_frontier": len(on),
                "knee_outcome_id": knee,
            }
        )
    return points, frontiers


def _dominates(other: dict[str, Any], row: dict[str, Any], axis: str) -> bool:
    no_worse = other[axis] <= row[axis] and other["accuracy"] >= row["accuracy"]
    return no_worse and (other[axis] < row[axis] or other["accuracy"] > row["accuracy"])


def _scaling(outcomes: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    axis, family = "output_tokens_per_problem", "saturating_power_law"
    points, fits = [], []
    for key, group in itertools.groupby(
        outcomes, key=lambda row: (row["task"], row["prompt"], row["strategy"])
    ):
        mine = list(group)
        shared = {
            name: mine[0][name]
            for name in ("task", "model_variant", "prompt", "point_id", "strategy")
        }
        shared |= {
            "curve_id": "curve-" + "-".join(key),
            "cost_axis": axis,
            "cost_unit": "tokens/problem",
        }
        for kind, place, row in [("measured", i, row) for i, row in enumerate(mine)] + [
            ("fitted", i, row) for i, row in enumerate(mine)
        ]:
            measured = {"budget": row["budget"], "outcome_id": row["outcome_id"]}
            spread = {name: row[name] for name in ("accuracy", "accuracy_low", "accuracy_high")}
            points.append(
                shared
                | {
                    "point_kind": kind,
                    "point_index": place,
                    "cost": row[axis],
                    "is_extrapolated": False,
                }
                | spread
                | (measured if kind == "measured" else {"family": family})
            )
        last = mine[-1]
        fits.append(
            shared
            | {
                "family": family,
                "chosen_family": family,
                "is_chosen": True,
                "status": "ok",
                "trend": "rising",
                "parameters": json.dumps({"y_inf": last["accuracy"] + 0.05, "a": 0.6, "b": 0.5}),
                "asymptote": min(1.0, last["accuracy"] + 0.05),
                "asymptote_low": last["accuracy"],
                "asymptote_high": min(1.0, last["accuracy"] + 0.15),
                "asymptote_kind": "fitted",
                "n_points": len(mine),
                "gain": last["accuracy"] - mine[0]["accuracy"],
            }
        )
    return points, fits
