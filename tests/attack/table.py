"""The table of an attack: counts of results by kind, in Markdown, beside those of an earlier version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.attack import kinds
from tests.attack.outcomes import AGAIN, FAILED, IMPOSSIBLE, REFUSED, SAME, UNFORESEEN, Outcome

HEAD = """# Attack

`make attack` wrote this table: seeded tries that damage, kill or feed lies to Isocost, and what it made of each. A try passes when what is
published has the same values as without the attack, or when a message names the file or source at fault, and nothing else
changed. It fails with a stack trace, with other numbers and no word, with raw data that is gone, with more than 10 s beyond what the
command takes undisturbed, or with a refusal that names nothing.
"""


def counted(outcomes: Sequence[Outcome], *, seed: int, minutes: float) -> dict[str, Any]:
    """Counts by kind and result, and the tries that failed."""
    by_kind = {
        name: dict(Counter(one.result for one in outcomes if one.kind == name))
        for name in kinds.NAMES
    }
    slowest = {
        name: max((one.seconds for one in outcomes if one.kind == name), default=0.0)
        for name in kinds.NAMES
    }
    failed = [[one.name, one.result] for one in outcomes if one.result in FAILED]
    return {
        "seed": seed,
        "minutes": round(minutes, 1),
        "kinds": by_kind,
        "slowest_s": slowest,
        "failed": failed,
    }


def keep(path: Path, counts: dict[str, Any]) -> None:
    """Writes counts for a later table."""
    path.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Counts that ``keep`` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def written(counts: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """The table in Markdown."""
    lines = [
        HEAD,
        f"{_tries(counts)} tries in {counts['minutes']} minutes, seed {counts['seed']}.",
        "",
        *_held(counts),
        "",
    ]
    lines += ["What fails a try:", "", *_failures(counts, before), ""]
    if counts["failed"]:
        lines += ["Tries that failed, each with what repeats it:", ""]
        lines += [
            f'- {result}: `python -m tests.attack --only "{name}"`'
            for name, result in counts["failed"]
        ]
        lines += [""]
    if before is not None:
        note = "Before: the same attack on the code before it was hardened"
        lines += [
            f"{note}, {_tries(before)} tries in {before['minutes']} minutes, seed {before['seed']}.",
            "",
            *_held(before),
            "",
            "That code has no closed rooms for programs, so that none was let loose in it, and its "
            "Dagster runs were not killed. Samples of formats that it does not read are left out.",
            "",
        ]
    lines += [
        "What the kinds do:",
        "",
        *(f"- `{name}`: {kinds.kind(name).WHAT}." for name in kinds.NAMES),
    ]
    return "\n".join(lines) + "\n"


def _tries(counts: dict[str, Any]) -> int:
    return sum(
        n
        for found in counts["kinds"].values()
        for result, n in found.items()
        if result != IMPOSSIBLE
    )


def _held(counts: dict[str, Any]) -> list[str]:
    columns = (SAME, REFUSED, AGAIN, UNFORESEEN)
    lines = [
        "| kind | tries | " + " | ".join(columns) + " | failed |",
        "|---|" + "---:|" * (len(columns) + 2),
    ]
    rows = {name: counts["kinds"].get(name, {}) for name in kinds.NAMES}
    rows["all"] = dict(sum((Counter(found) for found in rows.values()), Counter()))
    for name, found in rows.items():
        tries = sum(n for result, n in found.items() if result != IMPOSSIBLE)
        failed = sum(found.get(result, 0) for result in FAILED)
        lines.append(
            f"| {name} | {tries} | "
            + " | ".join(str(found.get(column, 0)) for column in columns)
            + f" | {failed} |"
        )
    if missing := rows["all"].get(IMPOSSIBLE, 0):
        lines += ["", f"{missing} further tries were {IMPOSSIBLE} or with this version."]
    return lines


def _failures(counts: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    columns = ["now"] if before is None else ["before", "now"]
    lines = ["| what | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for result in FAILED:
        numbers = [
            sum(found.get(result, 0) for found in each["kinds"].values())
            for each in (before, counts)
            if each is not None
        ]
        shown = [
            f"{n} of {_tries(each)}"
            for n, each in zip(
                numbers, [each for each in (before, counts) if each is not None], strict=True
            )
        ]
        lines.append(f"| {result} | " + " | ".join(shown) + " |")
    return lines
