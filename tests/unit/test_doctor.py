"""What `isocost doctor` finds, and that what it cannot find out is a finding, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from isocost import doctor
from isocost.tasks.isolation import walls


def test_every_lack_has_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walls.shutil, "which", lambda name: None)
    walls.missing.cache_clear()
    try:
        found = {finding.name: finding for finding in doctor.examine(tmp_path / "not" / "there")}
    finally:
        monkeypatch.undo()
        walls.missing.cache_clear()
    assert len(found) == 9 and found["Python"].is_there
    code = found["running model-written code"]
    assert (
        not code.is_there
        and "bubblewrap" in code.detail
        and "apt install bubblewrap" in code.remedy
    )


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise RuntimeError("driver gone")

    found = doctor._found(broken)
    assert not found.is_there and found.detail == "RuntimeError: driver gone"
