"""The mapping file of the generic importer: which column of a table means what.

Lives here: its vocabulary, reading and checking. Not here: applying it (``generic`` row by row,
``generic_sql`` in DuckDB).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.generic.paths import Step, steps_of
from isocost.importers.reading import as_list, as_object, kind_of, load_yaml
from isocost.importers.units import sql_factor


@dataclass(frozen=True, slots=True)
class Target:
    """A possible meaning of a column.

    Attributes:
        column: its column in raw_imports.
        kind: ``text``, ``whole`` (text, or JSON text of anything else), ``integer``, ``number``,
            ``time`` (seconds since 1970, or an ISO 8601 text), ``flag``, ``flags`` (a list),
            ``sampling`` (as the command line reads it) or ``condition``.
        unit: base unit of a number that has one.
        low: smallest number that can be meant.
        high: largest number that can be meant.
        sentinel: number by which tools say "unknown".
        lists: what a JSON list is: ``samples`` (an item is a sample's), ``value`` (one value), or
            nothing that can be meant without a word.
        covers: what one value beside several samples is: ``each`` (it holds for every one), or a
            word for what covers them all, so that it is put on none: ``verdict``, ``usage``,
            ``text``.
    """

    column: str
    kind: str
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    sentinel: float | None = None
    lists: str | None = None
    covers: str = "each"


def _duration(column: str) -> Target:
    return Target(column, "number", "s", low=0.0, sentinel=-1.0, lists="samples", covers="usage")


def _tokens(column: str, covers: str = "usage") -> Target:
    return Target(column, "integer", "tokens", low=0, sentinel=-1, lists="samples", covers=covers)


def _time(column: str) -> Target:
    return Target(column, "time", "s", low=0.0, sentinel=-1.0, lists="samples")


TARGETS: dict[str, Target] = {
    "problem": Target("problem_source_id", "text"),
    "problem_text": Target("problem_text", "whole", lists="value"),
    "cluster": Target("cluster_id", "text"),
    "sample_index": Target("sample_index", "integer", low=0, lists="samples"),
    "run": Target("source_run", "text", lists="samples"),
    "output": Target("output_text", "text", lists="samples", covers="text"),
    "answer": Target("answer", "whole", lists="samples", covers="text"),
    "reference": Target("reference", "whole"),
    "correct": Target("label_correct", "flag", lists="samples", covers="verdict"),
    "score": Target(
        "label_score", "number", "ratio", low=0.0, high=1.0, lists="samples", covers="verdict"
    ),
    "verifier_score": Target("verifier_score", "number", lists="samples", covers="verdict"),
    "verdicts": Target("verdicts", "flags", covers="verdict"),
    "verification_tokens": _tokens("verification_tokens"),
    "prompt_tokens": _tokens("prompt_tokens", "each"),
    "output_tokens": _tokens("output_tokens"),
    "reasoning_tokens": _tokens("reasoning_tokens"),
    "cached_tokens": _tokens("cached_tokens"),
    "logprob": Target("logprob_sum", "number", "nats", lists="samples", covers="usage"),
    "queue": _duration("queue_s"),
    "ttft": _duration("ttft_s"),
    "inter_token": _duration("inter_token_s"),
    "latency": _duration("latency_s"),
    "started": _time("started_unix_s"),
    "ended": _time("ended_unix_s"),
    "energy": Target(
        "energy_j", "number", "J", low=0.0, sentinel=-1.0, lists="samples", covers="usage"
    ),
    "cost": Target(
        "cost_usd", "number", "USD", low=0.0, sentinel=-1.0, lists="samples", covers="usage"
    ),
    "finish_reason": Target("finish_reason", "text", lists="samples", covers="text"),
    "error": Target("error", "text", lists="samples"),
    "model": Target("model_variant", "text"),
    "task": Target("task", "text"),
    "task_version": Target("task_version", "text"),
    "prompt": Target("prompt", "text"),
    "sampling": Target("sampling", "sampling", lists="value"),
}
_CONDITION = Target("condition", "condition", lists="value")
_TOP = ("columns", "conditions", "records", "skip", "latency_meaning", "energy_method", "delimiter")
_KEYS = ("column", "unit", "null", "true", "false", "json", "list")
_EXAMPLE = (
    "A mapping file says, for example, `columns: {problem: question_id, correct: graded}`, in YAML"
)
TIME_WORDS = ("iso8601", "iso")
_ALIASES = {"tokens": "output_tokens", "id": "problem", "problem_id": "problem"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One column of the source and its meaning.

    Attributes:
        name: the name in ``TARGETS``, or ``condition.NAME`` for a setting that the mapping names.
        source: the source's column, or the path to it.
        target: where it goes and what it may hold.
        unit: the source's unit; None for the base unit.
        null: values, as text, by which this source says "unknown".
        true: values, as text, that mean true; empty for the usual words.
        false: values, as text, that mean false.
        steps: the path to the value, see ``paths``.
        is_json: whether the column's cells are text that holds JSON.
        lists: what a JSON list is here, where the mapping says it: ``samples`` or ``value``.
    """

    name: str
    source: str
    target: Target
    unit: str | None
    null: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    is_json: bool = False
    lists: str | None = None


def load_mapping(mapping: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as plain data, read from a YAML file if a path is given, and checked.

    Raises:
        IsocostError: the file cannot be read, or ``rules`` rejects it.
    """
    if isinstance(mapping, Mapping):
        value, where = dict(mapping), "mapping"
    else:
        value, where = _read(Path(mapping)), str(mapping)
    rules(value, where)
    return value


def _read(path: Path) -> dict[str, Any]:
    """The mapping file's content; an error with an example if it is not a mapping at all."""
    try:
        value = load_yaml(path, as_text=True)
    except IsocostError as error:
        raise IsocostError(error.what, where=error.where, remedy=error.remedy or _EXAMPLE) from None
    if not isinstance(value, dict):
        what = (
            "is empty"
            if value is None or value == ""
            else f"is not a mapping of columns: YAML reads it as {kind_of(value)}"
        )
        raise IsocostError(what, where=str(path), remedy=_EXAMPLE)
    return value


def rules(mapping: Mapping[str, Any], where: str = "mapping") -> list[Rule]:
    """The mapping's rules, in its order.

    Raises:
        IsocostError: an unknown name, unit or setting; no problem column; a latency or energy
            without a stated meaning.
    """
    for key in mapping:
        if key not in _TOP:
            raise _unknown(str(key), _TOP, where)
    columns = mapping.get("columns")
    if not isinstance(columns, dict):
        what = (
            "does not say which column is what"
            if columns is None
            else f"columns is {kind_of(columns)}, not names with their columns"
        )
        raise IsocostError(what, where=where, remedy=_EXAMPLE)
    found = [_rule(str(name), value, f"{where}, columns.{name}") for name, value in columns.items()]
    found += _conditions(mapping.get("conditions"), where)
    _check_top(mapping, where)
    names = [rule.name for rule in found]
    if len(set(names)) != len(names):
        raise IsocostError("names the same thing twice", where=where)
    if "problem" not in names:
        raise IsocostError(
            "does not say which column is the problem", where=where, remedy="Add columns.problem"
        )
    for name, needed in (("latency", "latency_meaning"), ("energy", "energy_method")):
        if name in names and not mapping.get(needed):
            raise IsocostError(
                f"has {name} but not {needed}",
                where=where,
                remedy=f"Say in {needed} what the source's {name} covers and how it was measured",
            )
    return found


def _rule(name: str, value: Any, where: str) -> Rule:
    name = _ALIASES.get(name, name)
    if name not in TARGETS:
        raise _unknown(name, tuple(TARGETS), where)
    spec = {"column": value} if isinstance(value, str) else as_object(value, where)
    return _spelled(name, TARGETS[name], spec, where)


def _spelled(name: str, target: Target, spec: Mapping[str, Any], where: str) -> Rule:
    for key in spec:
        if key not in _KEYS:
            raise _unknown(str(key), _KEYS, where)
    if not isinstance(spec.get("column"), str):
        raise IsocostError(
            "names no column",
            where=where,
            remedy="Write NAME: COLUMN, or NAME: {column: COLUMN, unit: ms}",
        )
    unit = spec.get("unit")
    if unit is not None and not (target.kind == "time" and unit in TIME_WORDS):
        if target.unit is None or target.unit == "tokens":
            raise IsocostError("has no unit", where=where, remedy="Leave the unit out")
        sql_factor(str(unit), target.unit, where)
    kept = None if unit is None or unit in TIME_WORDS else str(unit)
    null, true, false = (
        tuple(str(item) for item in as_list(spec.get(key, []), f"{where}.{key}"))
        for key in ("null", "true", "false")
    )
    rule = Rule(name, spec["column"], target, kept, null, true, false)
    return replace(
        rule,
        steps=steps_of(rule.source),
        is_json=_is_yes(spec.get("json", False), where),
        lists=_lists(spec, target, where),
    )


def _lists(spec: Mapping[str, Any], target: Target, where: str) -> str | None:
    said = spec.get("list")
    if said not in (None, "samples", "value"):
        raise _unknown(str(said), ("samples", "value"), f"{where}.list")
    if said == "value" and target.kind not in ("whole", "flags", "sampling", "condition"):
        raise IsocostError(
            "cannot have a list as its value",
            where=f"{where}.list",
            remedy="Write samples, or leave it out",
        )
    return said


def _is_yes(value: Any, where: str) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise IsocostError(
            f"json is {str(value)[:40]!r}",
            where=where,
            remedy="Write json: true if the cells are text containing JSON",
        )
    return str(value).lower() == "true"


def _conditions(named: Any, where: str) -> list[Rule]:
    """Settings that are part of what was measured.

    Names chosen by the user, each with its column.
    """
    if named is None or named == "":
        return []
    if not isinstance(named, dict):
        raise IsocostError(
            f"conditions is {kind_of(named)}, not names with their columns",
            where=f"{where}, conditions",
            remedy="Write for example `conditions: {revision: model_revision, hardware: gpu}`",
        )
    found = []
    for name, value in named.items():
        place = f"{where}, conditions.{name}"
        spec = {"column": value} if isinstance(value, str) else as_object(value, place)
        found.append(_spelled(f"condition.{name}", _CONDITION, spec, place))
    return found


def _check_top(mapping: Mapping[str, Any], where: str) -> None:
    if not isinstance(mapping.get("records", ""), str):
        raise IsocostError(
            "records names no key",
            where=f"{where}, records",
            remedy="Write for example `records: data.items`",
        )
    skip = mapping.get("skip", [])
    if not isinstance(skip, list) or not all(isinstance(name, str) for name in skip):
        remedy = (
            "Write for example `skip: [demonstration]`: records with a value there are not samples"
        )
        raise IsocostError("skip is not a list of columns", where=f"{where}, skip", remedy=remedy)


def _unknown(name: str, known: tuple[str, ...], where: str) -> IsocostError:
    near = difflib.get_close_matches(name, known, n=1)
    return IsocostError(
        f"{name!r} is not known here",
        where=where,
        remedy=f"Did you mean {near[0]}?" if near else f"Use one of {', '.join(known)}",
    )
