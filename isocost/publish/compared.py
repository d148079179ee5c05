"""The report's section on which configurations really differ.

Lives here: pairs of measured configurations, at one sample per problem and as more samples are
drawn. Not here: other sections (``sections``), the comparisons themselves (out_comparisons,
out_coverage_differences).
"""

from __future__ import annotations

import polars as pl

from isocost.publish import html, labels
from isocost.publish.facts import Facts
from isocost.publish.html import number

MOST_ROWS = 20
_BETTER = {
    "first_better": "first",
    "second_better": "second",
    "no_difference_shown": "not shown",
    "unknown": "unknown",
}
_WORDS = {
    "better": "first ahead",
    "worse": "second ahead",
    "inconclusive": "open",
    "unknown": "unknown",
}


def compared(facts: Facts) -> str:
    """A table of pairs of configurations.

    Difference, interval for all pairs at once, p-value, and who is ahead at which k.
    """
    rows = facts.comparisons
    if rows.is_empty():
        return ""
    head = [
        "Task",
        "First",
        "Second",
        number("Difference"),
        number("Interval"),
        number("p"),
        "More accurate",
        "With a perfect verifier",
    ]
    body = [
        (
            html.long(labels.task_words(row["task"])),
            html.long(row["first_configuration"]),
            html.long(row["second_configuration"]),
            number(labels.points(row["accuracy_difference"])),
            number(
                labels.points_interval(
                    row["accuracy_difference_band_low"], row["accuracy_difference_band_high"]
                )
            ),
            number(p_words(row["p_value_holm"])),
            _BETTER[row["verdict"]],
            html.long(
                verdict_words(
                    facts.overtaking(row["task"], row["first_point_id"], row["second_point_id"])
                )
            ),
        )
        for row in rows.head(MOST_ROWS).iter_rows(named=True)
    ]
    note = (
        "Percentage points at one sample per problem, over the same problems; intervals and "
        f"p-values (Holm) are simultaneous for all pairs of a task: {_counted(rows)}. Last column: "
        "pass@k, with a simultaneous band over k."
    )
    if rows.height > MOST_ROWS:
        note += f" {labels.count(rows.height - MOST_ROWS)} more pairs are in out_comparisons."
    return (
        html.tag("h2", "Which configurations differ")
        + html.table(head, body, name="Which configurations differ")
        + html.tag("p", note, class_="hint")
    )


def _counted(rows: pl.DataFrame) -> str:
    pairs = rows.group_by("task", maintain_order=True).agg(pl.col("n_comparisons").first())
    return ", ".join(
        f"{labels.count(n)} of {labels.task_words(task)}" for task, n in pairs.iter_rows()
    )


def p_words(value: float | None) -> str:
    """A p-value for readers: two digits, never zero."""
    if value is None:
        return "–"
    return "<\u00a00.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def verdict_words(curve: pl.DataFrame) -> str:
    """Who is ahead along k.

    ``first ahead for k 1–10, open 11–60, second ahead 61–128``; a dash if unknown.
    """
    if curve.is_empty():
        return "–"
    parts: list[tuple[str, int, int]] = []
    for k, verdict in curve.sort("k").select("k", "verdict").iter_rows():
        if parts and parts[-1][0] == verdict:
            parts[-1] = (verdict, parts[-1][1], k)
        else:
            parts.append((verdict, k, k))
    spelt = [
        f"{_WORDS[verdict]} {'at' if low == high else 'for'} k\u00a0{_range(low, high)}"
        for verdict, low, high in parts[:5]
    ]
    return ", ".join(spelt) + (", …" if len(parts) > 5 else "")


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"
