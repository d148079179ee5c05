"""What became of every rule of validity on the core tables of every session.

Lives here: core_checks. Not here: the rules (``isocost.gates``, ``sql/checks``).
"""

from __future__ import annotations

from isocost.schema.model import Column, Table

CHECKS = Table(
    name="core_checks",
    grain="one rule of validity on the core tables of one session",
    keys=("source_key", "table_name", "rule"),
    warnings=(
        (
            "A sample that a critical rule refuses is in core_samples with is_valid false and the"
            " rule's code in invalid_reasons. A session that could not be curated at all has the"
            " one row of source_can_be_curated, and no rows in any other table."
        ),
    ),
    columns=(
        Column(
            "source_key",
            "string",
            "Session, or name of the imported source, as commands and runs call it.",
            nullable=False,
        ),
        Column(
            "session_id",
            "string",
            "session_id of the other core tables; NULL where the session has no row in"
            " core_sessions.",
        ),
        Column("table_name", "string", "Table that the rule is about.", nullable=False),
        Column("rule", "string", "Code of the rule.", nullable=False),
        Column(
            "kind",
            "string",
            "schema: the table's definition; expectation: a statement of the suites; sql: a file of"
            " sql/checks; source: whether there is anything to judge.",
            nullable=False,
            allowed=("schema", "expectation", "sql", "source"),
        ),
        Column(
            "severity",
            "string",
            "critical: what breaks it feeds no derived table; warning and info: it is told.",
            nullable=False,
            allowed=("critical", "warning", "info"),
        ),
        Column("is_passed", "bool", "Whether nothing stands against the rule.", nullable=False),
        Column(
            "n_failing",
            "int64",
            "Rows against it; 1 where all rows together are.",
            unit="rows",
            nullable=False,
        ),
        Column(
            "keys",
            "list[string]",
            "Keys of the first rows against it, each joined by slashes; empty when none is.",
            nullable=False,
        ),
        Column("detail", "string", "What was found; NULL where it holds."),
        Column("reason", "string", "What the rule says, or why it exists.", nullable=False),
    ),
)

TABLES = (CHECKS,)
