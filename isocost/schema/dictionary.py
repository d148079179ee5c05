"""The data dictionary, written from the definitions.

``python -m isocost.schema.dictionary docs/data-dictionary.md`` writes the page; a test fails when
the page in the repository differs from what is written here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from isocost.schema.model import Column, Table
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_type

_LAYER_TEXT = {
    "raw": "As measured or imported: append-only, never changed.",
    "core": (
        "Graded, joined and checked: one meaning per column, validity on the row, nothing dropped."
    ),
    "out": "Derived from core: the published results.",
}


def describe_column(column: Column) -> str:
    """Meaning, vocabulary and source of a column as one text."""
    text = column.meaning.rstrip(".") + "."
    if column.allowed:
        text += " One of " + ", ".join(f"`{v}`" for v in column.allowed) + "."
    if column.source:
        text += f" From {column.source.rstrip('.')}."
    return text


def render() -> str:
    """The whole page as Markdown."""
    lines = [
        "# Data dictionary",
        "",
        (
            "Generated from `isocost/schema/tables` by `make dictionary`; do not edit. Unknown is"
            " NULL, never 0, -1 or NaN."
        ),
        "",
    ]
    layer = ""
    for table in all_tables().values():
        if table.layer != layer:
            layer = table.layer
            lines += [f"## {layer}", "", _LAYER_TEXT[layer], ""]
        lines += _table_lines(table)
    return "\n".join(lines).rstrip() + "\n"


def _table_lines(table: Table) -> list[str]:
    lines = [
        f"### {table.name}",
        "",
        f"One row: {table.grain.rstrip('.')}. Keys: {', '.join(f'`{k}`' for k in table.keys)}.",
    ]
    lines[-1] += (
        f" Sorted by {', '.join(f'`{k}`' for k in table.sort_order)}. Schema version"
        f" {table.schema_version}."
    )
    for warning in table.warnings:
        lines += ["", f"> {warning}"]
    lines += ["", "| column | type | unit | null | meaning |", "|---|---|---|---|---|"]
    for column in table.columns:
        null = "no" if table.required(column.name) else "yes"
        meaning = describe_column(column).replace("|", "\\|")
        lines.append(
            f"| `{column.name}` | {duckdb_type(column)} | {column.unit} | {null} | {meaning} |"
        )
    return [*lines, ""]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
