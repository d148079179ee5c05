"""What an engine declares is what it does."""

from __future__ import annotations

from dataclasses import fields

import pytest

from isocost.capabilities import ENGINES, Capabilities, capabilities_of, engine_names
from isocost.engines.protocol import engine_class


@pytest.mark.parametrize("name", engine_names())
def test_what_an_engine_lacks_it_hands_out_none_of(name: str) -> None:
    engine = object.__new__(engine_class(name))  # as before its constructor: it knows nothing yet
    declared = capabilities_of(name)
    if not declared.reports_prompt_lengths:
        assert engine.prompt_lengths([[{"role": "user", "content": "1"}]]) is None
    if not declared.has_steps:
        assert engine.drain_steps() == []


def test_no_engine_declares_the_same_as_another() -> None:
    """Otherwise a test that goes through all of them might miss a rule that asks for too much."""
    listed = [
        tuple(getattr(capabilities_of(name), field.name) for field in fields(Capabilities)[:7])
        for name in ("vllm", "openai")
    ]
    assert all(first != second for first, second in zip(*listed, strict=True))
    assert list(ENGINES.names()) == engine_names()
