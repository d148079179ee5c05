"""The verifier "code": the answer is a Python program, correct if its tests pass.

Lives here: finding the program and appending its tests. Not here: the sandbox it runs in
(isocost.tasks.isolation). A reference is the tests: Python that raises if the answer is wrong.
Nothing is run unless ISOCOST_RUN_CODE=1.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from functools import lru_cache

from isocost.tasks import extract, isolation
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.registry import register_verifier

_FENCE = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)[ \t]*(?P<language>[^\n`]*)\n(?P<code>.*?)(?P<end>^["
    r" \t]*(?P=fence)[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_TAGS = (("[PYTHON]", "[/PYTHON]"), ("[BEGIN]", "[DONE]"))
"""The markers that Code Llama's and MBPP's prompts request."""
_STARTS = re.compile(r"(?:def|class|import|from|async def)[ \t]+\w|@\w")
_MAX_ENDS = 40
"""Positions at which a program without a fence may end."""
_PYTHON = re.compile(r"(?:\{?\.?(?:python|py)[0-9.]*\b.*)?", re.IGNORECASE)
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)


@lru_cache(maxsize=50_000)
def _run(program: str, tests: str) -> isolation.Outcome:
    return isolation.run_isolated(program, tests)


@lru_cache(maxsize=20_000)
def tested_names(tests: str) -> frozenset[str]:
    """The names that tests use and do not define themselves.

    The answer must define them. Empty if the tests are not Python.
    """
    try:
        tree = ast.parse(tests)
    except _BROKEN:
        return frozenset()
    used, made = set(), set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            made.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    return frozenset(used - made)


def _defines(code: str, names: frozenset[str]) -> int:
    """The number of the given names that a block defines at its top level."""
    return len(names & _defined(code))


def _defined(code: str) -> set[str]:
    found = set(re.findall(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)", code, re.MULTILINE))
    found |= set(re.findall(r"^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)", code, re.MULTILINE))
    for names in re.findall(
        r"^(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+([^\n#(]+)", code, re.MULTILINE
    ):
        found |= {name.split(" as ")[-1].split(".")[0].strip() for name in names.split(",")}
    return found


def _with_needed(blocks: list[str], chosen: int) -> str:
    """A block, and the blocks that define what it uses and does not define itself.

    A program presented in pieces.
    """
    needed = {chosen}
    missing = set(tested_names(blocks[chosen])) - _defined(blocks[chosen])
    for index in (*range(chosen - 1, -1, -1), *range(chosen + 1, len(blocks))):
        if found := missing & _defined(blocks[index]):
            needed.add(index)
            missing = (missing - found) | (tested_names(blocks[index]) - _defined(blocks[index]))
    return "\n\n".join(blocks[index] for index in sorted(needed))


def _tagged(text: str) -> list[str]:
    found = []
    for opening, closing in _TAGS:
        end = 0
        while (start := text.find(opening, end)) >= 0 and (end := text.find(closing, start)) >= 0:
            found.append(text[start + len(opening) : end])
    return found


def _unfenced(text: str) -> str | None:
    """The program of a text without fences.

    The whole text, or the part between prose; None if there is no Python.
    """
    if _is_python(text):
        return text
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _STARTS.match(line)]
    if not starts:
        return None
    ends = [number for number in range(starts[0] + 1, len(lines)) if lines[number][:1].strip()] + [
        len(lines)
    ]
    for end in ends[::-1][:_MAX_ENDS]:
        program = "\n".join(lines[starts[0] : end])
        if _is_python(program):
            return program
    return None


def _is_python(text: str) -> bool:
    try:
        return bool(ast.parse(text).body)
    except _BROKEN:
        return False


@register_verifier
class Code:
    """The last fenced block that defines what is tested.

    A text without fences is the program itself if it parses as Python.
    """

    name = "code"
    is_whole_text = True
    """A program may contain words that otherwise start an invented next question.

    It is not cut there.
    """

    def check_reference(self, reference: str) -> str | None:
        """Tests must be Python."""
        try:
            return None if ast.parse(reference).body else "there are no tests"
        except _BROKEN as error:
            return f"the tests are not Python ({error})"

    def extract(self, text: str, truncated: bool) -> str | None:
        """The program; in a truncated text only a closed block."""
        return self._program(text, truncated, frozenset())

    def extract_for(self, problem: Problem, text: str, truncated: bool) -> str | None:
        """The program that defines what this problem's tests use."""
        entry = problem.metadata.get("entry_point")
        names = (
            frozenset([entry])
            if isinstance(entry, str) and entry
            else tested_names(problem.reference)
        )
        return self._program(text, truncated, names)

    def _program(self, text: str, truncated: bool, names: frozenset[str]) -> str | None:
        searched = extract.tail(text)
        fenced = [match for match in _FENCE.finditer(searched) if match["end"] or not truncated]
        blocks = [
            match["code"] for match in fenced if _PYTHON.fullmatch(match["language"].strip())
        ] or [match["code"] for match in fenced]
        blocks = [textwrap.dedent(block) for block in blocks] or _tagged(searched)
        if blocks:
            # The most names first, then the last one: a usage example after the function is not an
            # answer.
            best = max(
                range(len(blocks)), key=lambda index: (_defines(blocks[index], names), index)
            )
            return _with_needed(blocks, best)
        if truncated or _FENCE.search(searched):
            return None
        return _unfenced(searched)

    def canonical(self, answer: str) -> str:
        """The program without trailing spaces and surrounding blank lines."""
        return "\n".join(line.rstrip() for line in answer.strip("\n").splitlines())

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Run the program and then its tests."""
        if not isolation.is_enabled():
            return Verdict(None, None, "code_execution_off")
        if self.check_reference(problem.reference) is not None:
            return Verdict(None, None, "bad_reference")
        status = _run(answer, problem.reference).status
        if status in ("isolation_unavailable", "unsupported"):
            return Verdict(None, None, status)
        return Verdict(
            status == "passed",
            float(status == "passed"),
            None if status in ("passed", "failed") else status,
        )

    def equivalent(self, first: str, second: str) -> bool:
        """Programs are the same only if their text is identical."""
        return False
