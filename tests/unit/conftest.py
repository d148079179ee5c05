"""Fixtures of the unit tests.

A small laboratory of tables that agree with each other, in memory and stored.
"""

from __future__ import annotations

from pathlib import Path

import little_lab
import polars as pl
import pytest

from isocost.store import Store


@pytest.fixture(scope="session")
def lab() -> dict[str, pl.DataFrame]:
    return little_lab.build()


@pytest.fixture(scope="session")
def _written(lab, tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("lab") / "data")
    for name, frame in lab.items():
        store.write(frame, name, little_lab.SESSION if name.startswith("core_") else None)
    return store


@pytest.fixture
def lab_store(_written, tmp_path: Path) -> Store:
    """The stored laboratory, a copy for every test."""
    import shutil

    shutil.copytree(_written.root, tmp_path / "data")
    return Store(tmp_path / "data")
