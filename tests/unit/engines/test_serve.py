"""vLLM's server from the environment that Isocost makes.

Its command line, and the name under which it looks for itself.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isocost.engines import serve
from isocost.errors import IsocostError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    (tmp_path / "models" / "small").mkdir(parents=True)
    return tmp_path / "models" / "small"


def test_the_model_is_served_under_the_name_that_a_sweep_uses(folder: Path) -> None:
    for given in ("cache:small", str(folder)):
        words = serve.command(given, ["--port", "8000"])
        assert words[-6:] == [
            "--served-model-name",
            "small",
            "--generation-config",
            "vllm",
            "--port",
            "8000",
        ]
        assert words[1:5] == ["-m", "vllm.entrypoints.cli.main", "serve", str(folder)]
    own = serve.command("cache:small", ["--served-model-name=mine", "--generation-config", "auto"])
    assert own[5:] == ["--served-model-name=mine", "--generation-config", "auto"]


def test_a_model_that_is_not_there_is_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IsocostError, match="prepare large"):
        serve.command("cache:large", [])
    assert serve.main([str(folder.parent / "none"), "--port", "1"]) == 2
    assert "does not exist" in capsys.readouterr().err


def without_vllm(name: str) -> str:
    if name == "vllm":
        raise importlib.metadata.PackageNotFoundError(name)
    return "1.2.3"


@pytest.mark.slow
def test_the_cpu_build_is_found_under_both_names_by_every_process_that_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", without_vllm)
    environment = {"PATH": os.defpath, "PYTHONPATH": "/somewhere"}
    serve.give_its_name(environment, tmp_path / "distributions")
    assert environment["PYTHONPATH"].split(os.pathsep) == [
        str(tmp_path / "distributions"),
        "/somewhere",
    ]
    code = [sys.executable, "-S", "-c", "import importlib.metadata as m; print(m.version('vllm'))"]
    done = subprocess.run(code, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1.2.3+cpu", done.stderr


def test_nothing_is_done_where_a_package_of_that_name_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    environment: dict[str, str] = {}
    serve.give_its_name(environment, tmp_path / "distributions")
    assert environment == {} and not (tmp_path / "distributions").exists()


def test_a_cache_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", without_vllm)
    (tmp_path / "file").touch()
    with pytest.raises(IsocostError, match="ISOCOST_CACHE"):
        serve.give_its_name({}, tmp_path / "file")
