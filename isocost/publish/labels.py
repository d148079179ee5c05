"""Readable words and numbers: names of cost axes and strategies, percentages, amounts with unit.

Lives here: all text for values in figures, the report and the terminal, so that the three agree.
Not here: colours and sizes (``theme``).
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from isocost.axes.model import AxisLabel
from isocost.axes.registry import all_axes, by_outcome_column, find
from isocost.schema.tables.frontiers import MACRO_TASK, is_mean

# Keeps a number and its unit on one line.
NBSP = "\u00a0"
_SI = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


# Counted in addition to the cost axes: a column of samples, and the sum of two axes.
_OTHER_LABELS = {
    "total_tokens": AxisLabel(
        "Prompt and generated tokens per problem", "tokens per problem", "all tokens"
    ),
    "latency_s": AxisLabel("Latency per problem (s)", "per problem", "time", "s"),
}
PLAIN = "majority_at_k"
ONE_SAMPLE = "one_sample"
# Strategies that take up to k samples and choose or vote among them; the SQL macro plain_strategy
# has the same list.
CHOOSING = r"_(at|of)_k(_|$)|^(adaptive|early_stopping)_consistency$"
_FIRST = ("majority", "best_of", "pass")
# The axis that a reader sees first: generated tokens are always measured, on every machine.
FIRST_AXIS = "output_tokens"


def axis_label(cost_axis: str) -> AxisLabel:
    """The label of a cost axis, given its name or its column in out_strategy_outcomes.

    Anything else is shown under its own name.
    """
    axis = by_outcome_column().get(cost_axis) or all_axes().get(cost_axis)
    if axis is not None:
        return axis.label
    key = cost_axis.removesuffix("_per_problem")
    if key in _OTHER_LABELS:
        return _OTHER_LABELS[key]
    words = key.replace("_", " ")
    return AxisLabel(f"{words[:1].upper()}{words[1:]} per problem", f"{words} per problem", words)


def ordered_axes(axes: list[str]) -> list[str]:
    """Cost axes in display order: as registered, others by name."""
    first = find(FIRST_AXIS)
    listed = [first, *(axis for axis in all_axes().values() if axis is not first)]
    rank = {axis.per_problem: place for place, axis in enumerate(listed)}
    return sorted(set(axes), key=lambda axis: (rank.get(axis, len(rank)), axis))


def task_words(task: str) -> str:
    """A task's name, or "mean over tasks"."""
    if task == MACRO_TASK:
        return "mean over tasks"
    return f"mean over {task.removeprefix('(macro: ').removesuffix(')')}" if is_mean(task) else task


def ordered_tasks(tasks: list[str]) -> list[str]:
    """Every task once, by name, means over tasks last."""
    return sorted(
        set(tasks), key=lambda task: (is_mean(task), task != MACRO_TASK and is_mean(task), task)
    )


def strategy_words(strategy: str) -> str:
    """A strategy's registered name as words.

    ``majority_at_k`` is "majority", ``best_of_k_logprob_mean`` "best-of (logprob mean)".
    """
    head, detail = _parts(strategy)
    return f"{head} ({detail})" if detail else head


@lru_cache(maxsize=4096)  # called for every mark of every chart
def _parts(strategy: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+?)_(at|of)_k(?:_(.+))?", strategy)
    if not found:
        return strategy.replace("_", " "), ""
    head, preposition, detail = found.groups()
    return head.replace("_", " ") + ("-of" if preposition == "of" else ""), (detail or "").replace(
        "_", " "
    )


def ordered_strategies(strategies: list[str]) -> list[str]:
    """Strategies in display order.

    Voting, choosing the best, coverage; then by name.
    """
    return sorted(
        set(strategies),
        key=lambda s: (next((i for i, k in enumerate(_FIRST) if s.startswith(k)), len(_FIRST)), s),
    )


def budget_words(budget: float | int | str | None) -> str:
    """A budget without an unnecessary decimal point."""
    if budget is None:
        return ""
    if isinstance(budget, float):
        return f"{budget:g}"
    return str(budget)


def outcome(
    strategy: str, budget: float | int | str | None, configuration: str | None = None
) -> str:
    """One outcome in a few characters.

    ``majority@8 · think``, ``best-of@4 (logprob mean) · think``.
    """
    head, detail = _parts(strategy)
    tail = budget_words(budget)
    text = (f"{head}@{tail}" if tail else head) + (f" ({detail})" if detail else "")
    if strategy == ONE_SAMPLE or (tail == "1" and re.search(CHOOSING, strategy)):
        text = strategy_words(
            ONE_SAMPLE
        )  # nothing is chosen and there is no vote, whatever the strategy would do with more
    return " · ".join(part for part in (text, configuration) if part)


@lru_cache(maxsize=65536)
def hundredfold(ratio: float, digits: int = 1) -> str:
    """A ratio times a hundred, halves away from zero: the rounding of all percentages shown.

    The last bits of a sum depend on its order; two tables agree to twelve digits, so
    0.26249999999999996 is shown as 26.3, like 0.2625. SQL's ``round`` does the same.
    """
    shown = (Decimal(f"{ratio:.12g}") * 100).quantize(
        Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP
    )
    return f"{shown or abs(shown):f}"  # no minus sign on zero


def percent(ratio: float | None, digits: int = 1) -> str:
    """A ratio as a percentage; a dash if unknown."""
    return "–" if ratio is None else f"{hundredfold(ratio, digits)}{NBSP}%"


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """Two ratios as a percentage range, without the unit twice."""
    return (
        "–"
        if low is None or high is None
        else f"{hundredfold(low, digits)}–{hundredfold(high, digits)}{NBSP}%"
    )


def points(difference: float | None) -> str:
    """A difference of ratios in percentage points, with its sign."""
    if difference is None:
        return "–"
    text = hundredfold(difference)
    return text.replace("-", "−") if text.startswith("-") else f"+{text}"


def points_interval(low: float | None, high: float | None) -> str:
    """Two differences of ratios in percentage points."""
    return "–" if low is None or high is None else f"{points(low)} to {points(high)}"


def probability(ratio: float | None) -> str:
    """A probability as a whole percentage, without the certainty that draws cannot give."""
    if ratio is None:
        return "–"
    if 0 < ratio < 0.01:
        return f"<{NBSP}1{NBSP}%"
    if 0.99 < ratio < 1:
        return f">{NBSP}99{NBSP}%"
    return f"{hundredfold(ratio, 0)}{NBSP}%"


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits, thousands separators, SI prefixes from a million on.

    Counts as whole numbers; a dash if unknown.
    """
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < _SI[-1][0] and math.isclose(value, round(value), rel_tol=1e-9):
        return f"{value:,.0f}"  # ten samples are 10, a mean of 10.04 is 10.0
    for scale, prefix in _SI:
        if abs(value) >= scale:
            return f"{_plain(value / scale, digits)}{NBSP}{prefix}"
    return _plain(value, digits)


def amount(value: float | None, cost_axis: str) -> str:
    """A cost with its unit: ``812``, ``2.31 TFLOP``, ``0.42 s``, ``$ 0.0031``."""
    unit = axis_label(cost_axis).unit
    text = number(value)
    if value is None or not unit:
        return text
    if unit == "$":
        return f"${NBSP}{text}"
    return f"{text}{unit}" if text[-1].isalpha() else f"{text}{NBSP}{unit}"


def amount_phrase(value: float | None, cost_axis: str) -> str:
    """A cost inside a sentence: ``812 generated tokens per problem``, ``$ 0.31 per problem``."""
    text, noun = amount(value, cost_axis), axis_label(cost_axis).noun
    if text == "1":
        noun = noun.replace("samples per", "sample per").replace("tokens per", "token per")
    return f"{text} {noun}"


def count(value: int | None) -> str:
    """A whole number with thousands separators."""
    return "–" if value is None else f"{value:,}"


def many(n: int, noun: str) -> str:
    """A count with its noun: ``1 problem``, ``1,060 problems``."""
    return f"{count(n)} {noun}{'' if n == 1 else 's'}"


def _plain(value: float, digits: int) -> str:
    value = (
        float(f"{value:.{digits}g}") if abs(value) < 10 ** (digits - 1) else value
    )  # 0.99999 is 1.00, not 1.000
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
