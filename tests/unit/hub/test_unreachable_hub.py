"""A network that takes requests and never answers, as behind some firewalls."""

from __future__ import annotations

import socket
import time

import pytest
from huggingface_hub import constants

from isocost.hub.faults import HubFault
from isocost.hub.repository import resolve


@pytest.mark.parametrize("revision", [None, "main", "0123456789" * 4])
@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_hub_that_never_answers_is_not_waited_for(tmp_path, monkeypatch, kind, revision):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(HubFault, match="timed out"):
            resolve(kind, "some/thing", revision).sizes()
    assert time.monotonic() - begun < 10
