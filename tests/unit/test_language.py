"""Plain English in pages, docstrings, comments and messages: words that docs/style.md replaces.

Names of variables are not looked at; tests may use these words as data.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
CODE = [path for room in ("isocost", "assets", "pipelines") for path in (REPO / room).rglob("*.py")]
SQL = sorted((REPO / "sql").rglob("*.sql"))
# The style page lists these words, and the page of graders has texts written by models.
PAGES = [
    REPO / "README.md",
    *(
        page
        for page in sorted((REPO / "docs").rglob("*.md"))
        if page.name not in ("style.md", "graders.md")
    ),
]
_NOUN = (
    "problem|sample|point|token|request|session|call|file|row|task|run|draw|line|step|process|table"
    "|group|configuration|budget|repetition|stratum|chunk"
)
INSTEAD = {
    r"\banew\b": "again, or rebuild, redraw, recompute",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\bdear(er|est)?\b": "expensive, more expensive",
    r"\b(is|are) told\b": "is reported, is given",
    r"\btold apart\b": "distinguished",
    r"\b(somebody|nobody) (who |knows|named|names|asked|asks|judged|says|said|has|can)": "unknown",
    r"\b(it|file|value|text|path|folder) (is|holds) no (?!longer|worse)[a-z]+": "is not a, has no",
    r"(?<!there )\bis no (lake|bank|part|folder|verdict|answer|advice|sample|test|session)\b": "is not a",
    r"(?<!there )\b(are|were) no (samples|repeats|verdicts|rows|parts|faults)\b": "are not",
    r"\blies (in|on|under|beside|at|there)\b": "is in, is stored in",
    r"\b(stands|stood) (in|on|under|beside|behind|there|already)\b": "is in",
    r"\bas it stands\b": "unchanged",
    r"\ba (card|column|table|file|rule|task|name) of ours\b": "our own",
    rf"\b(one|rows?|samples|tokens|files?|milliseconds|verdict) an? ({_NOUN})\b": "per",
    r"\b(an?|energy|price|cost|seconds|joules) a (problem|sample|token|second) \(": "per",
    r"\bunlike (methods|machines|lengths)\b": "different",
    r"\bper cent\b(?!>)": "percent",
    r"\b(look-up|saw-tooth)\b": "lookup, sawtooth",
}


# A text without any of these cannot match: looking for them is many times as fast.
_SIGNS = (
    *("anew", "mend", "dear", " told", "told ", "nobody", "somebody", " no ", "lies ", "stands "),
    *("stood ", " of ours", "as it stands", "unlike", "per cent", "look-up", "saw-tooth"),
    *(f"{word} a" for word in ("one", "row", "rows", "samples", "tokens", "file", "files")),
    *(f"{word} a" for word in ("milliseconds", "verdict", "energy", "price", "cost", "joules")),
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, comment and string of a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    block: list[str] = []
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), ""], 1):
        _, mark, comment = line.partition("# ")
        if mark:
            block.append(comment)
        elif block:
            yield number - len(block), " ".join(block)
            block = []


def found(text: str) -> list[str]:
    """The words of a text that have a better one, each with what to write."""
    flat = " ".join(text.split())
    small = flat.lower()
    if not any(sign in small for sign in _SIGNS):
        return []
    return [
        f"{match[0]!r}: write {better}"
        for word, better in INSTEAD.items()
        for match in re.finditer(word, flat, re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPO).as_posix())
def test_pages_are_in_plain_english(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert found(re.sub(r"`[^`\n]+`", "", text)) == []


@pytest.mark.slow
def test_docstrings_comments_and_messages_are_in_plain_english() -> None:
    faults = [
        f"{path.relative_to(REPO)}:{line} {fault}"
        for path in CODE
        for line, text in prose(path)
        for fault in found(text)
    ]
    assert faults == [], "\n".join(faults)


def test_comments_of_sql_are_in_plain_english() -> None:
    faults = [
        f"{path.relative_to(REPO)}: {fault}"
        for path in SQL
        for fault in found(
            " ".join(re.findall(r"--\s*(.*)$", path.read_text("utf-8"), re.MULTILINE))
        )
    ]
    assert faults == [], "\n".join(faults)


@pytest.mark.slow
def test_a_summary_is_one_line() -> None:
    """A docstring starts with one line that ends with a period, then a blank line."""
    faults = []
    for path in CODE:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first, *rest = (ast.get_docstring(node) or ".").split("\n")
                if not first.endswith((".", "?", ":")) or (rest and rest[0]):
                    faults.append(f"{path.relative_to(REPO)}: {first}")
    assert faults == [], "\n".join(faults)


def test_the_words_are_found() -> None:
    assert found("The manifest is made anew; mend the folder.")
    assert found("one row a configuration") and found("Energy a problem (joule)")
    assert not found("One row per configuration. There are no samples. It has no answer.")
