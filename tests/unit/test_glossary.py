"""One word for one thing: the words of docs/glossary.md are in use, and their synonyms are not."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # every file of the package is parsed

REPO = Path(__file__).resolve().parents[2]
PAGE = REPO / "docs" / "glossary.md"
GENERATED = "data-dictionary.md"
_ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, list[str]]]:
    found = [
        (
            word.strip(),
            meaning.strip(),
            [other.strip() for other in others.split(",") if other.strip()],
        )
        for word, meaning, others in _ROW.findall(PAGE.read_text(encoding="utf-8"))
        if word.strip() not in ("word", "---")
    ]
    assert len(found) > 30
    return found


@cache
def texts() -> dict[str, str]:
    """Pages, and the docstrings of each module, on one line each."""
    pages = [REPO / "README.md", REPO / "CONTRIBUTING.md", *(REPO / "docs").rglob("*.md")]
    found = {
        path.relative_to(REPO).as_posix(): path.read_text(encoding="utf-8")
        for path in pages
        if path != PAGE
    }
    for package in ("isocost", "assets", "pipelines"):
        for path in (REPO / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            said = [ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, nodes)]
            found[path.relative_to(REPO).as_posix()] = "\n".join(said)
    return {name: " ".join(text.split()) for name, text in found.items()}


def test_each_word_is_explained_once_and_no_word_is_another_ones_synonym() -> None:
    words = [word for word, _, _ in rows()]
    assert len(words) == len(set(words))
    others = [other.lower() for _, _, others in rows() for other in others]
    assert len(others) == len(set(others))
    assert set(words) & set(others) == set()


def test_the_words_are_in_use() -> None:
    everything = "\n".join(texts().values()).lower()
    unused = [word for word, _, _ in rows() if not re.search(rf"\b{re.escape(word)}", everything)]
    assert unused == []


def test_their_synonyms_are_not() -> None:
    others = [other for _, _, others in rows() for other in others]
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, others))})s?\b", re.IGNORECASE)
    found = [
        f"{name}: {match[0]}"
        for name, text in texts().items()
        if name != f"docs/{GENERATED}"
        for match in pattern.finditer(text)
    ]
    assert found == []
