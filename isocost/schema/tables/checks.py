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
            "A sample that a critical rule rejects is in core_samples with is_valid false and the"
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
            "session_id of the other core tables; NULL if the session has no row in core_sessions.",
        ),
        Column("table_name", "string", "Table that the rule is about.", nullable=False),
        Column("rule", "string", "Code of the rule.", nullable=False),
        Column(
            "kind",
            "string",
            "schema: the table's definition; expectation: a rule of the suites; sql: a file of "
            "sql/checks; source: whether there is anything to check.",
            nullable=False,
            allowed=("schema", "expectation", "sql", "source"),
        ),
        Column(
            "severity",
            "string",
            "critical: failing rows are not used in derived tables; warning and info: reported "
            "only.",
            nullable=False,
            allowed=("critical", "warning", "info"),
        ),
        Column("is_passed", "bool", "Whether no row fails the rule.", nullable=False),
        Column(
            "n_failing",
            "int64",
            "Failing rows; 1 for a rule about all rows together.",
            unit="rows",
            nullable=False,
        ),
        Column(
            "keys",
            "list[string]",
            "Keys of the first rows against it, each joined by slashes; empty when none is.",
            nullable=False,
        ),
        Column("detail", "string", "What was found; NULL if it passes."),
        Column("reason", "string", "What the rule states, or why it exists.", nullable=False),
    ),
)

TABLES = (CHECKS,)
