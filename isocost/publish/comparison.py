"""The output of `isocost compare`: two outcomes side by side.

Lives here: the lines. Not here: the comparison (``isocost.tables.frontiers.compare``) and the
formatting of numbers (``labels``).
"""

from __future__ import annotations

from typing import Any

from isocost.publish import labels
from isocost.tables.frontiers.compare import Comparison, Difference

_VERDICTS = {
    "first_better": "The first is more accurate.",
    "second_better": "The second is more accurate.",
    "no_difference_shown": "The data show no difference in accuracy.",
}
_TESTS = {
    "paired_t": "paired t test over problems",
    "paired_t_clustered": "paired t test over clusters of problems",
    "mcnemar_exact": "McNemar's exact test",
}


def comparison_lines(found: Comparison) -> list[str]:
    """The comparison in lines of text.

    The outcomes, difference with interval and p-value, costs, and certainty.
    """
    one, level = found.accuracy, labels.percent(found.confidence, 0)
    lines = [
        f"task    {found.first['task']}, {labels.many(found.n_problems, 'problem')}"
        + _left_out(found),
        f"first   {_named(found.first)}",
        f"second  {_named(found.second)}",
        "",
        (
            f"accuracy    {labels.percent(one.first)} against {labels.percent(one.second)}:"
            f" {labels.points(one.difference)} points ({level} interval"
            f" {labels.points_interval(one.low, one.high)}), p {_p_value(one.p_value)},"
            f" {_TESTS[one.method]}"
        ),
    ]
    lines += [_cost(cost) for cost in found.costs]
    lines += ["", _VERDICTS[found.verdict] + _power(found), *_kinds(found), *_others(found)]
    return lines


def _kinds(found: Comparison) -> list[str]:
    """What one of the two needs that is not available at run time."""
    lines = []
    for which, row in (("first", found.first), ("second", found.second)):
        if row.get("strategy_kind") == "oracle" and not _is_one_sample(row):
            lines.append(
                f"The {which} needs a perfect verifier, which knows the right answer: it bounds "
                f"what selection can achieve, and cannot be run."
            )
        elif row.get("strategy_kind") == "metric":
            lines.append(f"The {which} describes samples and is not a way to answer.")
    return lines


def _is_one_sample(row: dict[str, object]) -> bool:
    """pass@1 is the mean of single samples.

    Without a selection, knowledge of the right answer is not needed.
    """
    return row.get("strategy") == "pass_at_k" and row.get("budget") == 1


def _others(found: Comparison) -> list[str]:
    """The p-value's meaning if other pairs were looked at, too."""
    others, lines = found.others, []
    if others.family is not None and others.n_comparisons is not None and others.n_comparisons > 1:
        lines.append(
            f"It is one of {labels.many(others.n_comparisons, 'pair')} of the family "
            f"{others.family} in out_comparisons; adjusted for all of them, p"
            f" {_p_value(others.p_value_holm)} (Holm), {_p_value(others.p_value_max_t)} (largest"
            " |t|)."
        )
    if others.n_task_pairs > 1:
        lines.append(
            "The p-value applies to this single question. If the pair was picked after looking at "
            "all"
            f" {labels.many(others.n_task_pairs, 'pair')} of the task's outcomes, p is"
            f" {_p_value(others.p_value_bonferroni)} (Bonferroni)."
        )
    return lines


def _named(row: dict[str, Any]) -> str:
    told = labels.outcome(str(row["strategy"]), row["budget"], str(row["configuration"]))
    if row.get("strategy_kind") in ("oracle", "metric") and not _is_one_sample(row):
        told += f"  [{row['strategy_kind']}]"
    return f"{row['outcome_id']}  {told}"


def _left_out(found: Comparison) -> str:
    return f" ({found.n_left_out} more are not defined for both)" if found.n_left_out else ""


def _p_value(value: float | None) -> str:
    if value is None:
        return "unknown (the same difference on every problem)"
    return "< 0.0001" if value < 1e-4 else f"= {value:.4f}"


def _cost(cost: Difference) -> str:
    ratio = f", {cost.first / cost.second:.2f} times" if cost.second > 0 else ""
    amounts = (
        f"{labels.amount(cost.first, cost.quantity)} against"
        f" {labels.amount(cost.second, cost.quantity)}"
    )
    return f"{labels.axis_label(cost.quantity).short:<24}{amounts}{ratio}"


def _power(found: Comparison) -> str:
    needed = found.problems_needed
    if found.verdict != "no_difference_shown" or needed is None:
        return ""
    return (
        " Detecting one of this size with a probability of 80 % takes about"
        f" {labels.many(needed, 'problem')}."
    )
