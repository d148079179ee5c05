import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fake_nvml():
    """The module tests/unit/telemetry/fake_nvml.py, loaded by path."""
    spec = importlib.util.spec_from_file_location(
        "fake_nvml", Path(__file__).with_name("fake_nvml.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def with_boards(fake_nvml, monkeypatch):
    """Installs a fake pynvml with the boards given, and returns it."""

    def install(*boards, start=None):
        module = fake_nvml.module(*boards, start=start)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
        return module

    return install
