"""From one record to its samples: many results store all samples of a problem together.

Lives here: which lists are samples, that parallel lists have the same length, and what a value
outside the lists covers. Not here: paths into a record (``paths``), the mapping's vocabulary
(``mapping``), the
same in DuckDB (``generic_fields``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.generic.mapping import Rule
from isocost.importers.generic.paths import Reached, Step, follow


@dataclass(frozen=True, slots=True)
class Split:
    """One sample of a record.

    Attributes:
        place: its place in the record, such as ``outs[2]``; empty where the record is one sample.
        values: the name of a rule -> its value.
        covers: the name of a rule -> how many samples this one value is of.
    """

    place: str
    values: dict[str, Any]
    covers: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A rule and how far its path has been followed."""

    rule: Rule
    value: Any
    steps: tuple[Step, ...]
    is_json: bool
    place: str
    is_item: bool


def split(record: dict[str, Any], rules: Iterable[Rule], where: str) -> Iterator[Split]:
    """Every sample of a record, in order; none if its lists are empty.

    Args:
        record: column -> value.
        rules: the mapping's rules.
        where: file and place, for messages.

    Raises:
        IsocostError: parallel lists of different lengths, an unexpected list, one number for
            several samples.
    """
    bounds = [
        _Bound(rule, _whole(record, rule), rule.steps, rule.is_json, rule.source, False)
        for rule in rules
    ]
    return iter(_split(bounds, where))


def _whole(record: dict[str, Any], rule: Rule) -> Any:
    """The record, so that a path can be followed from it.

    A column whose name looks like a path is that column.
    """
    return (
        {rule.steps[0]: record[rule.source]}
        if rule.source in record and len(rule.steps) == 1
        else record
    )


def _split(bounds: list[_Bound], where: str) -> list[Split]:
    axes: list[tuple[_Bound, list[Any], tuple[Step, ...], bool]] = []
    single: list[tuple[_Bound, Any]] = []
    for bound in bounds:
        at = f"{where}, {bound.place}"
        reached = follow(bound.value, bound.steps, at, is_json=bound.is_json)
        if reached.is_list:
            axes.append((bound, reached.value, reached.rest, reached.is_json))
        elif _is_samples(bound, reached, at):
            axes.append((bound, reached.value, (), reached.is_json))
        else:
            single.append((bound, reached.value))
    if not axes:
        return [
            Split(
                "",
                {bound.rule.name: value for bound, value in single},
                {bound.rule.name: 1 for bound, _ in single},
            )
        ]
    length = _length(axes, where)
    found: list[Split] = []
    for index in range(length):
        inner = [
            _Bound(b.rule, items[index], rest, is_json, _item(b.place, index), not rest)
            for b, items, rest, is_json in axes
        ]
        name = axes[0][0].place.split("[]")[0]
        for one in _split(inner, where):
            found.append(Split(one.place or f"{name}[{index}]", one.values, one.covers))
    for bound, value in single:
        if value is not None and len(found) != 1:
            _check_single(bound, len(found), axes[0][0].place, f"{where}, {bound.place}")
        for one in found:
            one.values[bound.rule.name] = value
            one.covers[bound.rule.name] = len(found)
    return found


def _item(place: str, index: int) -> str:
    return place.replace("[]", f"[{index}]", 1) if "[]" in place else f"{place}[{index}]"


def _is_samples(bound: _Bound, reached: Reached, where: str) -> bool:
    """Whether the end of a path is a list of samples.

    An error if it can be neither that nor one value.
    """
    value, rule = reached.value, bound.rule
    if not isinstance(value, list) or rule.lists == "value":
        return False
    if bound.is_item:
        if rule.target.kind in ("flags", "whole"):
            return False  # an item that is a list is one value
        raise IsocostError(
            f"is a list of {len(value)} inside a list",
            where=where,
            remedy=(
                f"Write {rule.source}[][] in the mapping if every item of the inner lists is a "
                f"sample"
            ),
        )
    if rule.lists == "samples":
        return True
    if rule.target.kind == "flags":
        return any(isinstance(item, list) for item in value)
    if rule.target.lists == "samples":
        return True
    if rule.target.lists == "value":
        return False
    raise IsocostError(
        f"{rule.name} is a list of {len(value)}, and one value is needed",
        where=where,
        remedy=(
            f"In the mapping, write {rule.name}: {{column: {rule.source}, list: samples}} where"
            " each item belongs to one sample"
            + (
                ", list: value where the list is the one value,"
                if rule.target.kind == "whole"
                else ""
            )
            + f" or {rule.source}[0] for the first item"
        ),
    )


def _length(axes: list[tuple[_Bound, list[Any], tuple[Step, ...], bool]], where: str) -> int:
    first, items = axes[0][0], axes[0][1]
    for bound, other, _, _ in axes[1:]:
        if len(other) != len(items):
            raise IsocostError(
                f"{first.place} has {len(items)} items and {bound.place} has {len(other)}",
                where=f"{where}, {bound.place}",
                remedy=(
                    "Parallel lists have one item per sample. Correct the record, or map only "
                    "lists of the same length"
                ),
            )
    return len(items)


def _check_single(bound: _Bound, covers: int, beside: str, where: str) -> None:
    if bound.rule.name == "sample_index":
        raise IsocostError(
            f"one sample_index is given for {covers} samples",
            where=where,
            remedy=(
                "Leave sample_index out of the mapping: the place in the list numbers the samples"
            ),
        )
    if bound.rule.name == "output":
        raise IsocostError(
            f"one output is given for {covers} items of {beside}",
            where=where,
            remedy=f"Map a list of {covers} outputs, or leave {beside} out of the mapping",
        )
