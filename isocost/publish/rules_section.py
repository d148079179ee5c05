"""The report's section on validity rules: what they rejected, and their warnings.

Lives here: that section, from gathered facts to HTML. Not here: the rules (``isocost.gates``), the
other sections (``sections``).
"""

from __future__ import annotations

import polars as pl

from isocost.publish import html, labels
from isocost.publish.facts import Facts
from isocost.publish.html import number

_MOST = 200


def rules(facts: Facts) -> str:
    """Every rule that failed, critical ones first.

    One line if none did, nothing if nothing was checked.
    """
    if facts.checks.is_empty():
        return ""
    broken = facts.checks.filter(~pl.col("is_passed")).sort(
        "severity", "source_key", "table_name", "rule"
    )
    title = html.tag("h2", "Validity rules")
    judged = f"{labels.many(facts.checks['source_key'].n_unique(), 'source')} checked"
    if broken.is_empty():
        return title + html.tag("p", f"{judged}; no rule failed.", class_="hint")
    head = [
        "Session or import",
        "Rule",
        "Table",
        number("Rows"),
        "First keys",
        "What was found",
        "What follows",
    ]
    fate = {"critical": "not used in derived tables"}
    body = [
        (
            html.long(row["source_key"]),
            html.long(row["rule"].replace("_", " ")),
            row["table_name"],
            number(labels.count(row["n_failing"])),
            html.long(", ".join(row["keys"][:3]) or "–"),
            html.long(row["detail"] or row["reason"]),
            fate.get(row["severity"], "reported"),
        )
        for row in broken.head(_MOST).iter_rows(named=True)
    ]
    more = (
        f" The first {_MOST} of {labels.count(broken.height)} are shown."
        if broken.height > _MOST
        else ""
    )
    note = (
        f"{judged}. Rejected samples stay in core_samples with the rule as their reason; every"
        f" result is in core_checks.{more}"
    )
    return (
        title + html.table(head, body, name="Validity rules") + html.tag("p", note, class_="hint")
    )
