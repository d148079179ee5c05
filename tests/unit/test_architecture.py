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
    "aggregates",
    "__init__",
    "atomic",
    "axes",
    "capabilities",
    "costs",
    "credentials",
    "errors",
    "hashing",
    "lock_files",
    "memory",
    "messages",
    "plain_files",
    "progress",
    "registry",
    "retry_after",
    "schema",
    "seals",
    "sql",
    "stopping",
    "store",
    "units",
    "verifier_settings",
}
FLOORS = (
    {"methods", "hub"},
    {"sweep", "tasks", "telemetry", "bank", "strategies", "frontier", "curves", "items", "gates"},
    {"engines", "judges"},
    {"meter"},
    {"importers", "payload"},
    {"tables", "intake"},
    {"publish"},
    {"build", "generate", "doctor", "meter_command"},
    {"api", "cli"},
    {"__main__"},
)
"""From the ground up: a room imports the ground and rooms of lower floors, never its own floor."""
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


def test_only_what_dagster_makes_public_is_used(repo: Path) -> None:
    wrong = [
        (str(p.relative_to(repo)), n)
        for package in ("assets", "pipelines")
        for p in modules(repo, package)
        for n in imported(p)
        if n.startswith("dagster.") and any(part.startswith("_") for part in n.split("."))
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


def floor_of(room: str) -> int:
    if room in GROUND:
        return 0
    return next(floor for floor, rooms in enumerate(FLOORS, start=1) if room in rooms)


def test_arrows_between_rooms_point_down(repo: Path) -> None:
    wrong = []
    for path in modules(repo, "isocost"):
        room = room_of(repo, path)
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "isocost" or len(parts) < 2 or not parts[1].islower():
                continue
            other = parts[1]
            home = repo / "isocost" / other
            is_room = home.is_dir() or home.with_suffix(".py").exists()
            both_ground = room in GROUND and other in GROUND
            if is_room and other != room and not both_ground and floor_of(other) >= floor_of(room):
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
