"""The mapping file of the generic importer: which column of a table means what.

Lives here: its vocabulary, reading and checking. Not here: applying it (``generic`` row by row, ``generic_sql`` in DuckDB).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.bank.importers.reading import as_list, as_object, kind_of, load_yaml
from isocost.bank.importers.units import sql_factor
from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class Target:
    """A thing that a column can be.

    Attributes:
        column: where it goes in raw_imports.
        kind: ``text``, ``whole`` (text, or JSON text of anything else), ``integer``, ``number``, ``flag`` or ``flags`` (a list).
        unit: base unit of a number that has one.
        low: smallest number that can be meant.
        high: largest number that can be meant.
        sentinel: number by which tools say "unknown".
    """

    column: str
    kind: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    sentinel: float | None = None


def _duration(column: str) -> Target:
    return Target(column, "number", "s", low=0.0, sentinel=-1.0)


def _tokens(column: str) -> Target:
    return Target(column, "integer", low=0, sentinel=-1)


TARGETS: dict[str, Target] = {
    "problem": Target("problem_source_id", "text"),
    "problem_text": Target("problem_text", "whole"),
    "cluster": Target("cluster_id", "text"),
    "sample_index": Target("sample_index", "integer", low=0),
    "run": Target("source_run", "text"),
    "output": Target("output_text", "text"),
    "answer": Target("answer", "whole"),
    "reference": Target("reference", "whole"),
    "correct": Target("label_correct", "flag"),
    "score": Target("label_score", "number", low=0.0, high=1.0),
    "verifier_score": Target("verifier_score", "number"),
    "verdicts": Target("verdicts", "flags"),
    "verification_tokens": _tokens("verification_tokens"),
    "prompt_tokens": _tokens("prompt_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "reasoning_tokens": _tokens("reasoning_tokens"),
    "cached_tokens": _tokens("cached_tokens"),
    "logprob": Target("logprob_sum", "number", "nats"),
    "queue": _duration("queue_s"),
    "ttft": _duration("ttft_s"),
    "inter_token": _duration("inter_token_s"),
    "latency": _duration("latency_s"),
    "started": Target("started_unix_s", "number", "s", low=0.0, sentinel=-1.0),
    "ended": Target("ended_unix_s", "number", "s", low=0.0, sentinel=-1.0),
    "energy": Target("energy_j", "number", "J", low=0.0, sentinel=-1.0),
    "cost": Target("cost_usd", "number", "USD", low=0.0, sentinel=-1.0),
    "finish_reason": Target("finish_reason", "text"),
    "error": Target("error", "text"),
    "model": Target("model_variant", "text"),
    "task": Target("task", "text"),
    "task_version": Target("task_version", "text"),
    "prompt": Target("prompt", "text"),
    "sampling": Target("sampling", "whole"),
}
_TOP = ("columns", "latency_meaning", "energy_method", "delimiter")
_EXAMPLE = "A mapping file says, for example, `columns: {problem: question_id, correct: graded}`, in YAML"
_ALIASES = {"tokens": "output_tokens", "id": "problem", "problem_id": "problem"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One column of the source and what it is.

    Attributes:
        name: the name in ``TARGETS``.
        source: the source's column.
        target: where it goes and what it may hold.
        unit: the source's unit; None for the base unit.
        null: values, as text, by which this source says "unknown".
        true: values, as text, that mean true; empty for the usual words.
        false: values, as text, that mean false.
    """

    name: str
    source: str
    target: Target
    unit: str | None
    null: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]


def load_mapping(mapping: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as plain data, read from a YAML file where a path is given, and checked.

    Raises:
        IsocostError: the file cannot be read, or ``rules`` refuses it.
    """
    if isinstance(mapping, Mapping):
        value, where = dict(mapping), "mapping"
    else:
        value, where = _read(Path(mapping)), str(mapping)
    rules(value, where)
    return value


def _read(path: Path) -> dict[str, Any]:
    """The mapping file's content; what is no mapping at all is told with what one looks like."""
    try:
        value = load_yaml(path, as_text=True)
    except IsocostError as error:
        raise IsocostError(error.what, where=error.where, remedy=error.remedy or _EXAMPLE) from None
    if not isinstance(value, dict):
        what = "is empty" if value is None or value == "" else f"is no mapping of columns: YAML reads it as {kind_of(value)}"
        raise IsocostError(what, where=str(path), remedy=_EXAMPLE)
    return value


def rules(mapping: Mapping[str, Any], where: str = "mapping") -> list[Rule]:
    """The mapping's rules, in its order.

    Raises:
        IsocostError: an unknown name, unit or setting; no problem column; a latency or energy whose meaning is not said.
    """
    for key in mapping:
        if key not in _TOP:
            raise _unknown(str(key), _TOP, where)
    columns = mapping.get("columns")
    if not isinstance(columns, dict):
        what = "does not say which column is what" if columns is None else f"columns is {kind_of(columns)}, not names with their columns"
        raise IsocostError(what, where=where, remedy=_EXAMPLE)
    found = [_rule(str(name), value, f"{where}, columns.{name}") for name, value in columns.items()]
    names = [rule.name for rule in found]
    if len(set(names)) != len(names):
        raise IsocostError("names one thing twice", where=where)
    if "problem" not in names:
        raise IsocostError("does not say which column is the problem", where=where, remedy="Add columns.problem")
    for name, needed in (("latency", "latency_meaning"), ("energy", "energy_method")):
        if name in names and not mapping.get(needed):
            raise IsocostError(
                f"has {name} but not {needed}", where=where, remedy=f"Say in {needed} what the source's {name} covers and how it was taken"
            )
    return found


def _rule(name: str, value: Any, where: str) -> Rule:
    name = _ALIASES.get(name, name)
    if name not in TARGETS:
        raise _unknown(name, tuple(TARGETS), where)
    target = TARGETS[name]
    spec = {"column": value} if isinstance(value, str) else as_object(value, where)
    for key in spec:
        if key not in ("column", "unit", "null", "true", "false"):
            raise _unknown(str(key), ("column", "unit", "null", "true", "false"), where)
    if not isinstance(spec.get("column"), str) or not spec["column"]:
        raise IsocostError("names no column", where=where, remedy="Write NAME: COLUMN, or NAME: {column: COLUMN, unit: ms}")
    unit = spec.get("unit")
    if unit is not None:
        if target.unit is None:
            raise IsocostError("has no unit", where=where, remedy="Leave the unit out")
        sql_factor(str(unit), target.unit, where)
    lists = {key: tuple(str(item) for item in as_list(spec.get(key, []), f"{where}.{key}")) for key in ("null", "true", "false")}
    return Rule(name, spec["column"], target, None if unit is None else str(unit), **lists)


def _unknown(name: str, known: tuple[str, ...], where: str) -> IsocostError:
    near = difflib.get_close_matches(name, known, n=1)
    return IsocostError(
        f"{name!r} is not known here", where=where, remedy=f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(known)}"
    )
