"""Imports run one way.

Pipelines -> assets -> isocost, and inside isocost no two rooms import each other.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # every file of the package is parsed

GROUND = {
    "capabilities",
    "credentials",
    "memory",
    "schema",
    "errors",
    "plain_files",
    "hashing",
    "seals",
    "store",
    "sql",
    "__init__",
}
TOP = {
    "doctor",
    "estimate",
    "settings",
    "generate",
    "payload",
    "preflight",
    "publish",
    "tables",
    "refresh",
    "intake",
    "curate",
    "parts",
    "ledger",
    "losses",
    "pieces",
    "proof",
    "sources",
    "cli",
    "__main__",
}
# A replayed session is read as the bank proves it, and in no other way.
EXCEPTIONS = {("engines/replay.py", "isocost.bank.reader")}
HEAVY = {"torch", "vllm", "great_expectations", "transformers", "zeus"}
ORCHESTRATION = {"dagster"}


def modules(repo: Path, package: str) -> list[Path]:
    return sorted(p for p in (repo / package).rglob("*.py") if "__pycache__" not in p.parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path, *, module_level_only: bool = False) -> frozenset[str]:
    tree = parsed(path)
    nodes = tree.body if module_level_only else ast.walk(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def room_of(repo: Path, path: Path) -> str:
    parts = path.relative_to(repo / "isocost").parts
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("package", "forbidden"), [("isocost", {"assets", "pipelines"}), ("assets", {"pipelines"})]
)
def test_lower_floors_do_not_import_upper_ones(
    repo: Path, package: str, forbidden: set[str]
) -> None:
    wrong = [
        (p.name, n)
        for p in modules(repo, package)
        for n in imported(p)
        if n.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_isocost_knows_no_orchestrator(repo: Path) -> None:
    wrong = [
        (str(p), n)
        for p in modules(repo, "isocost")
        for n in imported(p)
        if n.split(".")[0] in ORCHESTRATION
    ]
    assert wrong == []


def test_heavy_libraries_are_not_imported_at_module_level(repo: Path) -> None:
    packages = ("isocost", "assets", "pipelines")
    wrong = [
        (str(p.relative_to(repo)), n)
        for package in packages
        for p in modules(repo, package)
        for n in imported(p, module_level_only=True)
        if n.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_rooms_do_not_import_each_other(repo: Path) -> None:
    wrong = []
    for path in modules(repo, "isocost"):
        room = room_of(repo, path)
        if room in TOP:
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "isocost" or len(parts) < 2:
                continue
            other = parts[1]
            allowed = GROUND | {room} if room not in GROUND else GROUND
            place = path.relative_to(repo / "isocost").as_posix(), ".".join(parts[:3])
            if other not in allowed and place not in EXCEPTIONS:
                wrong.append((str(path.relative_to(repo)), name))
    assert wrong == []


def test_every_module_says_what_lives_there(repo: Path) -> None:
    silent = [
        str(p.relative_to(repo))
        for package in ("isocost", "assets", "pipelines", "benchmarks")
        for p in modules(repo, package)
        if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert silent == []
