"""Our verdicts compared with those of other graders on generated texts.

math-verify, lm-evaluation-harness and evalscope: agreement, and each disagreement explained.

Each text has a verdict that is known by how it was made (``graders_texts``). lm-eval and evalscope
are not among this project's packages: install them in environments of their own and name their
interpreters: ``python -m benchmarks.graders --lm-eval ENV/bin/python --evalscope ENV/bin/python``.
What is not there is skipped by name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.graders_foreign import GRADERS
from benchmarks.graders_texts import KINDS, Row, draw
from isocost.tasks import grade_text

SEED = 0
TEXTS = 500
SHOWN = 90
_WORDS = {True: "right", False: "wrong", None: "raised"}


def ours(rows: list[Row]) -> list[bool]:
    return [bool(grade_text(row.verifier, row.reference, row.text, "stop").correct) for row in rows]


def theirs(name: str, python: str, rows: list[Row]) -> list[bool | None] | str:
    """A foreign grader's verdicts, or why there are none."""
    sent = "".join(
        json.dumps({"reference": row.reference, "text": row.text}) + "\n" for row in rows
    )
    script = str(Path(__file__).with_name("graders_foreign.py"))
    try:
        done = subprocess.run(
            [python, script, name],
            input=sent,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    verdicts = [
        json.loads(line) for line in done.stdout.splitlines() if line in ("true", "false", "null")
    ]
    if len(verdicts) != len(rows):
        return (done.stderr.strip().splitlines() or ["it ended early"])[-1]
    return verdicts


def short(text: str) -> str:
    text = text.replace("\n", " ⏎ ")
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def disagreements(name: str, rows: list[Row], mine: list[bool], other: list[bool | None]) -> None:
    """Every text on which a grader and ours differ, by kind."""
    why = {kind.name: kind.why for kind in KINDS}
    for kind in KINDS:
        found = [
            (row, ok, verdict)
            for row, ok, verdict in zip(rows, mine, other, strict=True)
            if row.kind == kind.name and verdict is not ok
        ]
        if not found:
            continue
        print(
            f"\n{name}, {kind.name}: {len(found)} of {sum(row.kind == kind.name for row in rows)}"
            f" ({why[kind.name]})"
        )
        for row, ok, verdict in found:
            verdicts = (
                f"known {_WORDS[row.is_right]:5}  ours {_WORDS[ok]:5}  theirs {_WORDS[verdict]:6}"
            )
            print(f"  {verdicts}  reference {short(row.reference)}  text {short(row.text)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.graders", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--lm-eval",
        default=sys.executable,
        metavar="PYTHON",
        help="interpreter of an environment with lm-eval[math]",
    )
    parser.add_argument(
        "--evalscope",
        default=sys.executable,
        metavar="PYTHON",
        help="interpreter of an environment with evalscope",
    )
    parser.add_argument("--full", action="store_true", help="ten times as many texts")
    arguments = parser.parse_args()
    rows = draw(arguments.texts * (10 if arguments.full else 1), arguments.seed)
    mine = ours(rows)
    known = [row.is_right for row in rows]
    print(
        f"{len(rows)} texts of {len(KINDS)} kinds, seed {arguments.seed}; {sum(known)} of them"
        " right by how they were made"
    )
    print(
        "\n| grader | agrees with the known verdict | agrees with ours | calls right what is wrong"
        " | calls wrong what is right | raised |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    _line("isocost", known, mine, mine)
    listed = {}
    for name in GRADERS:
        python = (
            arguments.lm_eval
            if name.startswith("lm-eval")
            else arguments.evalscope
            if name.startswith("evalscope")
            else sys.executable
        )
        found = theirs(name, python, rows)
        if isinstance(found, str):
            package = "lm-eval[math]" if name.startswith("lm-eval") else name.split()[0]
            option = {"lm-eval": "--lm-eval", "evalscope": "--evalscope"}.get(name.split()[0], "")
            print(
                f"| {name} | skipped: {found}; install {package} in an environment and name its"
                f" interpreter with {option} | | | | |"
            )
            continue
        listed[name] = found
        _line(name, known, mine, found)
    print(
        "\n| kind | texts | "
        + " | ".join(["isocost", *listed])
        + " |\n|---|--:|"
        + "--:|" * (1 + len(listed))
    )
    for kind in KINDS:
        places = [index for index, row in enumerate(rows) if row.kind == kind.name]
        agreed = [
            sum(verdicts[index] is known[index] for index in places)
            for verdicts in (mine, *listed.values())
        ]
        print(f"| {kind.name} | {len(places)} | " + " | ".join(map(str, agreed)) + " |")
    disagreements("known verdict", rows, mine, known)
    for name, found in listed.items():
        disagreements(name, rows, mine, found)
    return 0


def _line(name: str, known: list[bool], mine: list[bool], found: list[bool | None]) -> None:
    count = Counter((truth, verdict) for truth, verdict in zip(known, found, strict=True))
    agree, with_us = (
        sum(a is b for a, b in zip(known, found, strict=True)),
        sum(a is b for a, b in zip(mine, found, strict=True)),
    )
    raised = count[True, None] + count[False, None]
    print(
        f"| {name} | {agree / len(known):.1%} | {with_us / len(known):.1%} | {count[False, True]} |"
        f" {count[True, False]} | {raised} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
