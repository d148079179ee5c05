"""What is promised is there, is named on the page that promises it, and says by example what it
does.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import polars as pl
import pytest

import isocost
from isocost import api
from isocost.schema.frames import empty
from isocost.store import Store

PAGE = "docs/stability.md"
ESTIMATORS = ("costs", "curves", "frontier", "items", "strategies")


def room(thing: object) -> str:
    return ".".join(str(getattr(thing, "__module__", "")).split(".")[1:2])


def test_every_promised_name_is_there_once_and_in_order() -> None:
    names = api.__all__
    assert names == sorted(set(names), key=lambda name: (not name[0].isupper(), name))
    assert [name for name in names if not hasattr(api, name)] == []
    assert isocost.IsocostError is api.IsocostError


def test_the_page_names_what_is_promised_and_nothing_else(repo: Path) -> None:
    page = (repo / PAGE).read_text(encoding="utf-8")
    promised = page.split("## What is promised")[1].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", promised)) == set(api.__all__)


def test_every_estimator_has_an_example_and_every_function_a_docstring() -> None:
    silent = []
    for name in api.__all__:
        thing = getattr(api, name)
        text = inspect.getdoc(thing) or ""
        if not text or (room(thing) in ESTIMATORS and ">>>" not in text):
            silent.append(name)
    assert silent == []


def test_the_doctests_are_run_for_every_room_that_has_examples(repo: Path) -> None:
    makefile = (repo / "Makefile").read_text(encoding="utf-8")
    run = set(re.findall(r"isocost/[\w./]+", makefile.split("--doctest-modules")[1].split("\n")[0]))
    with_examples = {
        path
        for path in (repo / "isocost").rglob("*.py")
        if re.search(r"^\s+>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    missed = [p for p in with_examples if not any(p.is_relative_to(repo / name) for name in run)]
    assert missed == []


def test_a_table_is_read_by_name(tmp_path: Path) -> None:
    Store(tmp_path).write(empty("out_frontiers"), "out_frontiers", "all")
    frame = api.read_table("out_frontiers", tmp_path, columns=["task"])
    assert isinstance(frame, pl.DataFrame) and frame.columns == ["task"]
    with pytest.raises(api.IsocostError, match="out_frontiers"):
        api.read_table("out_frontier", tmp_path)
    with pytest.raises(api.IsocostError, match="no data root"):
        api.read_table("out_frontiers", tmp_path / "elsewhere")


def test_the_version_comes_from_one_place(repo: Path) -> None:
    project = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"] and project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "isocost/__init__.py"
    newest = re.search(r"^## (\S+)", (repo / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest is not None and newest[1] in (isocost.__version__, "Unreleased")
