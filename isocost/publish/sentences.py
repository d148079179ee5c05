"""The frontier in words: the headline of the report, computed from the rows below it.

Lives here: one short text per task. Not here: HTML (``report``) and numbers that are not in a
table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from isocost.publish import labels
from isocost.publish.facts import MUCH_TRUNCATED, Facts
from isocost.publish.points_shown import RIVAL
from isocost.schema.tables.frontiers import MACRO_TASK, is_mean

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class Headline:
    """The main message about one task.

    Attributes:
        task: the task.
        accuracy: the best accuracy on the frontier, as a percentage.
        interval: its interval.
        best: the configuration that reaches it, its cost, and how certain its place on the frontier
            is.
        knee: where more compute stops paying off, or why that is unknown.
        doubt: limitations; empty if there are none.
    """

    task: str
    accuracy: str
    interval: str
    best: str
    knee: str
    doubt: str


def headline(facts: Facts, task: str, axis: str) -> Headline | None:
    """The headline of one task on one cost axis; None if the task has no frontier on it."""
    rows = facts.frontier_of(task, axis)
    frontier = rows.filter("is_on_frontier").sort("cost")
    if frontier.is_empty():
        return None
    top = frontier.row(-1, named=True)
    sure = labels.probability(top["frontier_probability"])
    best = (
        f"{name(top)} for {labels.amount_phrase(top['cost'], axis)}; it is on the frontier in"
        f" {sure} of bootstrap draws."
    )
    return Headline(
        task=task,
        accuracy=labels.percent(top["accuracy"]),
        interval=labels.interval(top["accuracy_low"], top["accuracy_high"]),
        best=best,
        knee=_knee(facts, frontier, task, axis),
        doubt=_doubt(rows, frontier, top) + _cut_short(facts, top),
    )


def unfinished(facts: Facts) -> str:
    """How much of the plan is not measured yet."""
    share = labels.percent(facts.missing / facts.planned, 0) if facts.planned else "some"
    return (
        f"Not finished: {labels.count(facts.missing)} of {labels.count(facts.planned)} planned"
        f" samples ({share}) are not banked yet. The results below are based on the others; run "
        f"the sweep again to resume it."
    )


def cut_off(facts: Facts) -> str:
    """Configurations with many samples ended by the token budget; empty if there are none."""
    rows = facts.truncated
    if rows.is_empty():
        return ""
    worst = rows.head(_MOST_NAMED)
    named = "; ".join(
        f"{row['configuration']} on {row['task']} {labels.percent(row['truncated_ratio'], 0)}"
        for row in worst.iter_rows(named=True)
    )
    more = (
        f" and {labels.count(rows.height - worst.height)} more"
        if rows.height > worst.height
        else ""
    )
    return (
        f"Truncated: in {labels.count(rows.height)} of"
        f" {labels.many(facts.summary.height, 'configuration')} the token budget ended at least"
        f" {labels.percent(MUCH_TRUNCATED, 0)} of the samples: {named}{more}. Their accuracy "
        f"reflects that budget, not what the model can do with more tokens."
    )


def _cut_short(facts: Facts, top: dict[str, Any]) -> str:
    rows = facts.truncated.filter(pl.col("point_id").is_in([top["point_id"]]))
    return (
        f" {labels.percent(rows['truncated_ratio'][0], 0)} of its samples were truncated by their "
        f"token budget."
        if rows.height
        else ""
    )


def over_tasks(facts: Facts, mean: str) -> str:
    """The tasks that a mean covers, and why others are left out."""
    inside = facts.tasks_of_mean(mean)
    text = f"Over {_listed(inside)}; all tasks have the same weight." if inside else ""
    return f"{text} {_left_out(facts)}".strip() if mean == MACRO_TASK else text


def without_mean(facts: Facts) -> str:
    """Why there is no mean over tasks; empty if there is one, or a single task."""
    if facts.means.height < 2 or MACRO_TASK in facts.tasks:
        return ""
    return f"No mean over tasks. {_left_out(facts)}".strip()


def _left_out(facts: Facts) -> str:
    """The tasks outside the mean over the largest set, grouped by reason."""
    rows = facts.means.filter(pl.col("left_out_reason").is_not_null())
    by_reason: dict[str, list[str]] = {}
    for task, reason in rows.select("task", "left_out_reason").iter_rows():
        by_reason.setdefault(reason, []).append(task)
    return (
        "Not in it:"
        f" {'; '.join(f'{_listed(tasks)} ({reason})' for reason, tasks in by_reason.items())}."
        if by_reason
        else ""
    )


def _listed(words: list[str]) -> str:
    return (
        words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
    )


def without_frontier(facts: Facts) -> str:
    """The tasks without a replayed policy, and why; empty if there are none."""
    known = set(facts.frontier["task"])
    lacking = [task for task in facts.tasks if task not in known and not is_mean(task)]
    counted = facts.summary.group_by("task").agg(pl.col("samples_graded").sum())
    unjudged = set(counted.filter(pl.col("samples_graded") == 0)["task"])
    reasons = (
        (
            [task for task in lacking if task not in unjudged],
            (
                "its data do not allow choosing an answer (there is no vote over verdicts without "
                "answers). Coverage, pass@k, is in out_strategy_outcomes."
            ),
        ),
        (
            [task for task in lacking if task in unjudged],
            "no sample has a verdict, so accuracy is unknown.",
        ),
    )
    return " ".join(
        f"No frontier for {', '.join(map(labels.task_words, tasks))}: {why}"
        for tasks, why in reasons
        if tasks
    )


def generated_tokens(facts: Facts) -> str:
    """The number of generated tokens; for imported samples it may be unknown, not zero."""
    sums = facts.summary["output_tokens_sum"]
    if sums.null_count() == sums.len():
        return "number of generated tokens unknown"
    text = f"{labels.count(int(sums.sum()))} generated tokens"
    return f"{text} where known" if sums.null_count() else text


def name(row: dict[str, Any]) -> str:
    """One outcome in a few characters."""
    return " · ".join(part for part in (row["label"], row["configuration"]) if part)


def marks_knee(row: dict[str, Any]) -> bool:
    """Whether a table marks a step as the knee.

    Not a single sample, where the mark would read as advice to draw no more.
    """
    return bool(row["is_knee"]) and row["strategy"] != labels.ONE_SAMPLE


def _knee(facts: Facts, frontier: pl.DataFrame, task: str, axis: str) -> str:
    top = frontier.row(-1, named=True)
    knees = frontier.filter("is_knee")
    if frontier.height == 1:
        return "No more expensive outcome is more accurate."
    if knees.is_empty():
        row = facts.frontiers.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis))
        reason = row["knee_reason"][0] if row.height else None
        return f"No knee: {reason}." if reason else "The frontier has no knee."
    knee = knees.row(0, named=True)
    at = (
        f"{name(knee)} ({labels.percent(knee['accuracy'])} for"
        f" {labels.amount_phrase(knee['cost'], axis)})"
    )
    text = f"Bends most at {at}."
    if knee["strategy"] == labels.ONE_SAMPLE:
        text = f"Bends most at {at}, which does not mean that one sample is enough."
    if knee["outcome_id"] != top["outcome_id"]:
        gained = top["accuracy"] - knee["accuracy"]
        more = (
            f"{labels.hundredfold(gained)} points" if gained >= 0.0005 else "less than 0.1 points"
        )
        text += (
            f" From there to the top: {labels.number(top['cost'] / knee['cost'], 2)} times the"
            f" cost, {more} more."
        )
    return text


def _doubt(rows: pl.DataFrame, frontier: pl.DataFrame, top: dict[str, Any]) -> str:
    """Rivals that are statistically indistinguishable from the frontier.

    Mentioned if at least one is likelier than not to belong there too.
    """
    rivals = rows.filter(
        ~pl.col("is_on_frontier") & (pl.col("frontier_probability") >= RIVAL)
    ).height
    shaky = frontier.filter(pl.col("frontier_probability") < 0.5).height
    parts = []
    if shaky:
        parts.append(
            f"{shaky} of {frontier.height} steps are on the frontier in fewer than half of the "
            f"draws"
        )
    if rivals:
        parts.append(
            f"{rivals} configuration{'s' if rivals > 1 else ''} next to it may belong there "
            f"(probability of at least 25 %)"
        )
    text = "; ".join(parts)
    basis = f"Based on {labels.many(top['n_problems'], 'problem')}."
    return f"{text[:1].upper()}{text[1:]}. {basis}" if text else basis
