"""The verifier "code": the answer is a Python program, right when its tests pass.

Lives here: finding the program and putting its tests behind it. Not here: the closed room it runs in (isocost.tasks.isolation). A
reference is the
tests: Python that raises when the answer is wrong. Off unless ISOCOST_RUN_CODE=1: then and only then is anything run.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from isocost.tasks import extract, isolation
from isocost.tasks.model import Problem, Verdict

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


@lru_cache(maxsize=50_000)
def _run(program: str, tests: str) -> isolation.Outcome:
    return isolation.run_isolated(program, tests)


class Code:
    """The last fenced block is the answer; a text without one is the program itself where Python can read it."""

    name = "code"

    def check_reference(self, reference: str) -> str | None:
        """Tests must be Python."""
        try:
            return None if ast.parse(reference).body else "there are no tests"
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"the tests are not Python ({error})"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The program; of a truncated text only a block that was closed."""
        blocks = _FENCE.findall(extract.tail(text))
        if truncated:
            closed = re.findall(r"```(?:python|py)?[ \t]*\n(.*?)```", extract.tail(text), re.DOTALL | re.IGNORECASE)
            return closed[-1] if closed else None
        if blocks:
            return blocks[-1]
        try:
            return extract.tail(text) if ast.parse(extract.tail(text)).body else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def canonical(self, answer: str) -> str:
        """The program without trailing spaces and blank lines around it."""
        return "\n".join(line.rstrip() for line in answer.strip("\n").splitlines())

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Runs the program and then its tests."""
        if not isolation.is_enabled():
            return Verdict(None, None, "code_execution_off")
        status = _run(answer, problem.reference).status
        if status in ("isolation_unavailable", "unsupported"):
            return Verdict(None, None, status)
        return Verdict(status == "passed", float(status == "passed"), None if status in ("passed", "failed") else status)

    def equivalent(self, first: str, second: str) -> bool:
        """Programs are the same only letter by letter."""
        return False


VERIFIER = Code()
