"""The pages of docs/extending, followed to the letter: their files are written into a copy of the
package, their commands are run, and their query returns what they say.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.slow  # a process for each page, over a copy of the package

PAGES = ("strategy", "importer", "task", "curve-family", "table", "gate")
_FILE = re.compile(r"Write `([\w./-]+)`:\n\n```[\w-]+\n(.*?)^```", re.DOTALL | re.MULTILINE)
_RUN = """
import shlex, sys
from isocost.cli import main
for line in sys.stdin.read().splitlines():
    command, _, status = line.partition("  # ends with status ")
    assert main(shlex.split(command)) == int(status or 0), line
"""


def files(text: str) -> dict[str, str]:
    return dict(_FILE.findall(text))


def block(text: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None, language
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, repo: Path, tmp_path: Path) -> None:
    text = (repo / "docs" / "extending" / f"{page}.md").read_text(encoding="utf-8")
    # With the caches beside the modules: kernels are not compiled once more.
    for name in ("isocost", "sql"):
        shutil.copytree(repo / name, tmp_path / name)
    data = (repo / "docs" / "extending" / "README.md").read_text(encoding="utf-8")
    for name, content in (files(data) | files(text)).items():
        assert not (tmp_path / name).exists(), f"{name} is there already"
        (tmp_path / name).write_text(content, encoding="utf-8")
    lines = block(text, "sh").replace(".venv/bin/isocost ", "")
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        input=lines,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(tmp_path / "data" / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(block(text, "sql"))
        names = [column[0] for column in found.description]
        rows = [[str(value).lower() for value in row] for row in found.fetchall()]
    listed = [line.split(" | ") for line in block(text, "text").splitlines()]
    assert [names, *rows] == listed


def test_every_page_is_followed(repo: Path) -> None:
    pages = {path.stem for path in (repo / "docs" / "extending").glob("*.md")} - {"README"}
    tests = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (repo / "tests" / "unit").rglob("*extending*.py")
    )
    tests += "\n".join(
        path.read_text(encoding="utf-8")
        for path in (repo / "tests" / "unit" / "extending").glob("*.py")
    )
    assert [page for page in sorted(pages) if page not in PAGES and f"{page}.md" not in tests] == []
    listed = (repo / "docs" / "extending" / "README.md").read_text(encoding="utf-8")
    assert [page for page in sorted(pages) if f"({page}.md)" not in listed] == []


def test_examples_are_kept_as_our_own_code_is(repo: Path, tmp_path: Path) -> None:
    for page in PAGES:
        text = (repo / "docs" / "extending" / f"{page}.md").read_text(encoding="utf-8")
        for name, content in files(text).items():
            if name.endswith(".py"):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(content, encoding="utf-8")
    shutil.copy(repo / "pyproject.toml", tmp_path)
    (tmp_path / "isocost" / "__init__.py").write_text('"""Ours."""\n', encoding="utf-8")
    own = ("--config", 'lint.isort.known-first-party = ["isocost"]')
    for words in (("check", *own), ("format", "--check")):
        done = subprocess.run(
            [Path(sys.executable).parent / "ruff", *words, "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
