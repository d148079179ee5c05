"""Names of benchmarks: a client of ours that runs as a script has their folder on its path."""

from __future__ import annotations

import sys
from pathlib import Path


def test_none_hides_a_module_of_the_standard_library(repo: Path):
    names = {path.stem for path in (repo / "benchmarks").glob("*.py")}
    assert names & set(sys.stdlib_module_names) == set()
