"""Call a function for one sample after another: ``python -m isocost.meter.worker MODULE:FUNCTION``.

Lives here: the loop of the process that a client given as a function runs in. Samples come as lines
of JSON on standard input, answers leave as lines of JSON on standard output; what the function
prints goes to standard error. Not here: limits, and the processes themselves (``clients``).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from isocost.meter.clients import ADDRESS_VARIABLES

_LONGEST_LINE, _MOST_ERROR = 1000, 10_000


def main(argv: list[str] | None = None) -> int:
    """Answer until standard input ends."""
    [name] = sys.argv[1:] if argv is None else argv
    module, _, attribute = name.partition(":")
    with (
        os.fdopen(os.dup(0), encoding="utf-8") as questions,
        os.fdopen(os.dup(1), "w", encoding="utf-8") as answers,
    ):
        os.dup2(2, 1)
        # What a function reads from standard input is not the next question.
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        try:
            function = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            _say(answers, {"cannot_start": f"{name}: {type(error).__name__}: {error}"})
            return 1
        for line in questions:
            _say(answers, _answer(function, json.loads(line)))
    return 0


def _answer(function: Any, asked: dict[str, Any]) -> dict[str, Any]:
    for variable in ADDRESS_VARIABLES:
        os.environ[variable] = asked["base_url"]
    try:
        given = function(asked["problem"], asked["base_url"], asked["model"], **asked["arguments"])
    except Exception:
        lines = traceback.format_exc(limit=-4).strip().splitlines()
        return {"error": "\n".join(line[:_LONGEST_LINE] for line in lines)[-_MOST_ERROR:]}
    if not isinstance(given, str):
        return {"error": f"nothing, and returned {type(given).__name__} instead of a text"}
    return {"answer": given.encode("utf-8", "replace").decode()}


def _say(answers: Any, said: dict[str, Any]) -> None:
    sys.stdout.flush()
    print(json.dumps(said), file=answers, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
