"""What `isocost compare` prints: two outcomes side by side.

Lives here: the lines. Not here: the comparison (``isocost.tables.compare``) and how numbers are spelt (``labels``).
"""

from __future__ import annotations

from isocost.publish import labels
from isocost.tables.compare import Comparison, Difference

_VERDICTS = {
    "first_better": "The first is more accurate.",
    "second_better": "The second is more accurate.",
    "no_difference_shown": "No difference in accuracy is shown.",
}
_TESTS = {
    "paired_t": "paired t test over problems",
    "paired_t_clustered": "paired t test over clusters of problems",
    "mcnemar_exact": "McNemar's exact test",
}


def comparison_lines(found: Comparison) -> list[str]:
    """The comparison in lines of text: who, difference with interval and p-value, what it costs, how sure that is."""
    one, level = found.accuracy, labels.percent(found.confidence, 0)
    lines = [
        f"task    {found.first['task']}, {labels.many(found.n_problems, 'problem')}" + _left_out(found),
        f"first   {_named(found.first)}",
        f"second  {_named(found.second)}",
        "",
        f"accuracy    {labels.percent(one.first)} against {labels.percent(one.second)}: {labels.points(one.difference)} points "
        f"({level} interval {labels.points_interval(one.low, one.high)}), p {_p_value(one.p_value)}, {_TESTS[one.method]}",
    ]
    lines += [_cost(cost) for cost in found.costs]
    lines += ["", _VERDICTS[found.verdict] + _power(found)]
    return lines


def _named(row: dict[str, object]) -> str:
    told = labels.outcome(str(row["strategy"]), row["budget"], " · ".join(str(row[c]) for c in ("prompt", "model_variant") if row.get(c)))
    return f"{row['outcome_id']}  {told}"


def _left_out(found: Comparison) -> str:
    return f" ({found.n_left_out} more are not defined for both)" if found.n_left_out else ""


def _p_value(value: float | None) -> str:
    if value is None:
        return "unknown (the same difference on every problem)"
    return "< 0.0001" if value < 1e-4 else f"= {value:.4f}"


def _cost(cost: Difference) -> str:
    ratio = f", {cost.first / cost.second:.2f} times" if cost.second > 0 else ""
    amounts = f"{labels.amount(cost.first, cost.quantity)} against {labels.amount(cost.second, cost.quantity)}"
    return f"{labels.axis_label(cost.quantity).short:<24}{amounts}{ratio}"


def _power(found: Comparison) -> str:
    needed = found.problems_needed
    if found.verdict != "no_difference_shown" or needed is None:
        return ""
    return f" To find one of this size with a chance of 80 % takes about {labels.many(needed, 'problem')}."
