"""The generic importer's fast way: what one value becomes, in SQL.

Lives here: SQL for each kind of value, as ``applying`` has it row by row. Not here: where the value
comes from (``generic_fields``).
"""

from __future__ import annotations

from isocost.importers.generic.mapping import Rule
from isocost.importers.generic.sql_fields import REFUSED, read_as_text, text
from isocost.importers.row import MOST_COUNT, MOST_INDEX, MOST_NUMBER
from isocost.importers.units import sql_factor

_WORDS_TRUE = "('true','t','1','1.0','yes','y','c','correct','pass','passed')"
_WORDS_FALSE = "('false','f','0','0.0','no','n','i','incorrect','fail','failed')"


def stated_sql(rule: Rule, raw: str, kind: str, *, is_flat: bool = False) -> str:
    """SQL of the source's value: text, NULL if there is none.

    A Parquet value for a non-text target keeps its type.

    Args:
        rule: the rule.
        raw: the column with the value.
        kind: ``jsonl``, ``csv`` or ``parquet``.
        is_flat: see ``generic_fields.samples``.
    """
    is_text = _is_text(rule)
    sql = raw
    if kind == "jsonl" and not (is_flat and read_as_text(rule)):
        sql = _json_text(raw, is_whole=rule.target.kind == "whole") if is_text else _json_plain(raw)
        if rule.null:
            # Python spells these two in its own way when it compares them.
            sql = (
                f"CASE WHEN json_type({raw}) IN ('BOOLEAN', 'DOUBLE') THEN {REFUSED} ELSE {sql} END"
            )
    elif kind == "parquet" and is_text:
        # Lists, structs and blobs have a text of Python's own in the row-by-row way.
        sql = (
            f"CASE WHEN typeof({raw}) IN ('VARCHAR', 'BIGINT', 'INTEGER', '\"NULL\"') THEN"
            f" CAST({raw} AS VARCHAR) ELSE {REFUSED} END"
        )
    if rule.target.column in ("output_text", "answer") or (kind == "parquet" and not is_text):
        return sql  # who writes nothing for an output has written an empty one
    return f"nullif({sql}, '')"


def value_sql(rule: Rule, stated: str, reasons: list[tuple[str, str]]) -> str:
    """SQL for one value; a meaningless value calls error().

    So that the row-by-row path names its line or the reason.

    Args:
        rule: the rule.
        stated: the column with the result of ``stated_sql``.
        reasons: (reason, condition) under which the value is NULL; added to.
    """
    target, raw = rule.target, stated
    if rule.null:
        for word in rule.null:
            reasons.append(
                (
                    f"{target.column}:source_writes_{word[:20]}",
                    f"CAST({raw} AS VARCHAR) = {text(word)}",
                )
            )
        raw = (
            f"CASE WHEN CAST({raw} AS VARCHAR) IN ({', '.join(text(word) for word in rule.null)})"
            f" THEN NULL ELSE {raw} END"
        )
    if target.kind == "flag":
        return _flag(rule, raw)
    return raw if _is_text(rule) else _number(rule, raw, reasons)


def _is_text(rule: Rule) -> bool:
    return rule.target.kind in ("text", "whole", "condition")


def _json_text(raw: str, *, is_whole: bool) -> str:
    """A JSON scalar as Python's text of it.

    Objects, lists and extreme numbers are rejected.
    """
    number = f"CAST({raw} AS DOUBLE)"
    decimal = f"CAST({number} AS VARCHAR)"
    if not is_whole:
        decimal = (
            f"CASE WHEN {number} = floor({number}) THEN CAST(CAST({number} AS BIGINT) AS VARCHAR)"
            f" ELSE {decimal} END"
        )
    return (
        f"CASE coalesce(json_type({raw}), 'NULL') WHEN 'NULL' THEN NULL WHEN 'VARCHAR' THEN"
        f" {raw}->>'$' WHEN 'BOOLEAN' THEN {raw}->>'$' WHEN 'BIGINT' THEN CASE WHEN {raw}->>'$' ="
        f" '-0' THEN {REFUSED} ELSE {raw}->>'$' END WHEN 'UBIGINT' THEN {raw}->>'$' WHEN 'DOUBLE'"
        f" THEN CASE WHEN abs({number}) >= 1e-4 AND abs({number}) < 1e15 THEN {decimal} ELSE"
        f" {REFUSED} END ELSE {REFUSED} END"
    )


def _json_plain(raw: str) -> str:
    """A JSON scalar for a non-text target, as text."""
    return f"CASE WHEN json_type({raw}) IN ('ARRAY', 'OBJECT') THEN {REFUSED} ELSE {raw}->>'$' END"


def _number(rule: Rule, raw: str, reasons: list[tuple[str, str]]) -> str:
    target = rule.target
    number = f"CAST({raw} AS DOUBLE)"
    if target.sentinel is not None:
        reasons.append(
            (f"{target.column}:sentinel_{target.sentinel:g}", f"{number} = {target.sentinel!r}")
        )
        number = f"nullif({number}, {target.sentinel!r})"
    if rule.unit and target.unit:
        number = f"({number}){sql_factor(rule.unit, target.unit, rule.source)}"
    bounds = [f"NOT isfinite({number})", f"abs({number}) > {MOST_NUMBER!r}"]
    if target.low is not None:
        bounds.append(f"{number} < {float(target.low)!r}")
    if target.high is not None:
        bounds.append(f"{number} > {float(target.high)!r}")
    if target.kind == "time":
        bounds.append(f"{number} > 1e11")
    if target.kind == "integer":
        bounds += [
            f"{number} <> floor({number})",
            f"{number} > {MOST_INDEX if target.column == 'sample_index' else MOST_COUNT}",
        ]
    return f"CASE WHEN {' OR '.join(bounds)} THEN {REFUSED} ELSE {number} END"


def _flag(rule: Rule, raw: str) -> str:
    if rule.true or rule.false:
        word, true, false = f"CAST({raw} AS VARCHAR)", _words(rule.true), _words(rule.false)
    else:
        word, true, false = f"lower(trim(CAST({raw} AS VARCHAR)))", _WORDS_TRUE, _WORDS_FALSE
    return (
        f"CASE WHEN {raw} IS NULL THEN NULL WHEN {word} IN {true} THEN true WHEN {word} IN {false}"
        f" THEN false ELSE {REFUSED} END"
    )


def _words(words: tuple[str, ...]) -> str:
    return f"({', '.join(text(word) for word in words)})" if words else "(NULL)"
