"""The pages lead somewhere.

Every relative link resolves, every command that they tell people to type exists.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from isocost import cli
from isocost.importers import registered
from isocost.intake.settings import NAME as SETTINGS

REPO = Path(__file__).resolve().parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(REPO).as_posix()


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def typed(page: Path) -> list[str]:
    """Lines of fenced blocks, without the comment at a line's end."""
    lines = [
        line
        for block in _FENCE.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]
    return [line.split("  #")[0].strip() for line in lines]


def code(page: Path) -> list[str]:
    """Lines of fenced blocks and inline code."""
    return [*typed(page), *re.findall(r"`([^`\n]+)`", prose(page))]


def anchors(page: Path) -> set[str]:
    """The names that a link can give after ``#``, made of headings as GitHub makes them."""
    heads = re.findall(r"^#+\s+(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    lost = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if (
            not target.exists()
            or not target.is_relative_to(REPO)
            or (anchor and anchor not in anchors(target))
        ):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_exists(page: Path) -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE))
    lost = []
    for line in code(page):
        words = line.split("   ")[
            0
        ].split()  # the README's list explains each command behind three blanks
        if words[:1] != ["make"]:
            continue
        given = [word.split("=")[0] for word in words[1:] if "=" in word]
        lost += [word for word in words[1:] if "=" not in word and word not in targets] + [
            name for name in given if name not in variables
        ]
    assert lost == []


def test_the_readme_names_the_two_commands() -> None:
    assert {"make demo", "make test"} <= set(code(REPO / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_isocost_command_parses(page: Path) -> None:
    for line in typed(page):
        if not re.match(r"(\.venv/bin/)?isocost ", line):
            continue
        words = shlex.split(line)
        try:
            cli._parser().parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{name_of(page)}: {line}")
        if words[1] == "import":
            assert words[2] in registered(), line


READ_BY_USERS = [REPO / "README.md", *sorted((REPO / "docs" / "guides").glob("*.md"))]


@pytest.mark.parametrize("page", READ_BY_USERS, ids=name_of)
def test_no_command_is_shown_that_is_on_no_path(page: Path) -> None:
    """`make demo` puts nothing on the PATH.

    What people type begins with the environment's folder.
    """
    commands = "|".join(next(a for a in cli._parser()._actions if a.choices).choices)
    bare = [
        line
        for line in code(page)
        if re.match(rf"isocost (--data \S+ )?({commands})\b|python3? (-m|-c|\S+\.py)\b", line)
    ]
    assert bare == [], f"{name_of(page)}: write .venv/bin/isocost and .venv/bin/python"


@pytest.mark.parametrize("page", READ_BY_USERS, ids=name_of)
def test_every_name_of_ours_leads_somewhere(page: Path) -> None:
    """Dotted names in the text; one that is written with a bracket can be called."""
    for dotted, bracket in re.findall(r"`(isocost(?:\.\w+)+)(\(?)", prose(page)):
        if dotted == SETTINGS:
            continue
        *above, last = dotted.split(".")
        found = (
            getattr(importlib.import_module(".".join(above)), last, None)
            if importable(above)
            else None
        )
        found = found or (importable([*above, last]) and importlib.import_module(dotted))
        assert found, f"{name_of(page)}: there is no {dotted}"
        assert not bracket or callable(found), f"{name_of(page)}: {dotted} cannot be called"


def importable(parts: list[str]) -> bool:
    try:
        return importlib.util.find_spec(".".join(parts)) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_to_run_exists(page: Path) -> None:
    named = {found for line in code(page) for found in re.findall(r"python -m ([\w.]+)", line)}
    # A module of a missing package raises; the name of the package is then the answer.
    assert [name for name in sorted(named) if importlib.util.find_spec(name) is None] == []
