"""What runs on the machine imports only what a kit carries."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator.pack import MODULES, PAYLOAD

REPO = Path(__file__).parents[3]
pytestmark = pytest.mark.slow
PROGRAM = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"{name} is not carried", name=name)

absent = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
for name in sys.argv[2:]:
    importlib.import_module(name)
from isocost.costs import load_book
load_book()
"""
RUN_THERE = (
    "benchmarks.accelerator.campaign",
    "benchmarks.accelerator.environment",
    "benchmarks.overhead",
    "isocost.generate",
    "isocost.engines.vllm",
    "isocost.tasks",
    "isocost.telemetry",
)


def test_nothing_else_is_imported_there() -> None:
    """Every other requirement of Isocost is made absent."""
    needed = map(Requirement, importlib.metadata.requires("isocost") or ())
    left = {canonicalize_name(r.name) for r in needed if not r.marker} - set(PAYLOAD)
    assert {"duckdb", "dagster", "numba"} <= left
    modules = importlib.metadata.packages_distributions()
    absent = [m for m, names in modules.items() if left & {canonicalize_name(n) for n in names}]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(absent), *RUN_THERE],
        cwd=REPO,
        env={"PYTHONPATH": str(REPO), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_what_is_looked_for_there_is_carried() -> None:
    found = importlib.metadata.packages_distributions()
    for module in set(MODULES) - {"vllm", "torch"}:
        assert set(PAYLOAD) & {canonicalize_name(name) for name in found[module]}, module
