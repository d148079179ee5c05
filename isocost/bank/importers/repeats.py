"""Columns that nobody mapped and that tell the repeats of one point apart: a sign that the identity is narrower than the source.

Lives here: finding them while records go by. Not here: what identity is made of (``mapping``: model, task, sampling, conditions).
"""

from __future__ import annotations

from typing import Any

from isocost.bank.importers.mapping import Rule

_SETTINGS = ("model", "task", "task_version", "prompt", "sampling", "run")
# A setting has few values, and they are short; what has more is a measurement or a text.
MOST_VALUES = 20
MOST_CHARACTERS = 200
# So many problems and points are remembered, whatever the file's size.
MOST_GROUPS = 100_000


class Repeats:
    """Watches the columns that are not mapped."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._values: dict[str, set[str]] = {}
        self._excluded: set[str] = set()
        self._first: dict[tuple[str, ...], dict[str, str]] = {}
        self._varying: dict[str, tuple[str, str]] = {}

    def add(self, record: dict[str, Any], mapping: dict[str, Any], rules: list[Rule]) -> None:
        """Takes one record."""
        if not self._values and not self._excluded:
            self._excluded = {str(rule.steps[0]) for rule in rules} | {str(rule.steps[0]).split(".")[0] for rule in rules}
            self._excluded |= {rule.source for rule in rules} | {""}
        group = tuple(
            str(record.get(rule.source)) for rule in rules if rule.name in ("problem", *_SETTINGS) or rule.name.startswith("condition.")
        )
        first = self._first.get(group)
        mine: dict[str, str] = {}
        for name, value in record.items():
            if name in self._excluded or name.startswith("@") or not isinstance(value, str | int | float):
                continue
            text = str(value)
            seen = self._values.setdefault(name, set())
            seen.add(text)
            if len(seen) > MOST_VALUES or len(text) > MOST_CHARACTERS:
                self._excluded.add(name)
                self._varying.pop(name, None)
                continue
            mine[name] = text
            if first is not None and name in first and first[name] != text:
                self._varying.setdefault(name, (first[name], text))
        if first is None and len(self._first) < MOST_GROUPS:
            self._first[group] = mine

    def notes(self) -> list[str]:
        """One sentence where some column tells repeats apart; none where none does."""
        if not self._varying:
            return []
        told = ", ".join(f"{name} ({one!r}, {other!r}, ...)" for name, (one, other) in sorted(self._varying.items())[:8])
        return [
            f"samples that count as repeats of one configuration differ in columns that are not mapped: {told}. "
            "Where one of them is a setting, map it under conditions, as `conditions: {name: column}`"
        ]
