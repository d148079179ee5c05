"""Follows a page of docs/extending to the letter: its file is added, and nothing else is touched."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isocost.registry import Registry

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "payload"))

_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^Write `([^`]+)\.py`:$", re.MULTILINE)
Add = Callable[[str, Registry], object]


@pytest.fixture
def blocks(repo: Path) -> Callable[[str, str], list[str]]:
    """The blocks of one language on a page."""

    def found(page: str, language: str) -> list[str]:
        text = (repo / "docs" / "extending" / page).read_text(encoding="utf-8")
        return [block for name, block in _FENCE.findall(text) if name == language]

    return found


@pytest.fixture
def add(
    repo: Path, blocks: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Add]:
    """Adds the file that a page shows, under the name that it gives, as if it were in its folder;
    afterwards it was never there."""
    added: list[str] = []

    def write(page: str, registry: Registry) -> object:
        text = (repo / "docs" / "extending" / page).read_text(encoding="utf-8")
        package, _, name = _FILE.search(text)[1].replace("/", ".").rpartition(".")
        folder = tmp_path / "added" / package
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(blocks(page, "python")[0], encoding="utf-8")
        home = importlib.import_module(package)
        monkeypatch.setattr(home, "__path__", [*home.__path__, str(folder)])
        monkeypatch.setattr(registry, "_items", registry.all())
        added.append(f"{package}.{name}")
        registry.discover()
        assert registry.broken == {}
        return sys.modules[f"{package}.{name}"]

    yield write
    for module in added:
        sys.modules.pop(module, None)
