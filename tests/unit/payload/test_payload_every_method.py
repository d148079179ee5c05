"""Every method through the payload's loop: with room, with little, and interrupted."""

from __future__ import annotations

import polars as pl
import pytest
import sessions
from scripted import ScriptedEngine, completion, words

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.capabilities import ENGINES
from isocost.methods import METHODS, method_of
from isocost.payload import session as payload
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.schema.frames import faults
from isocost.sweep.models import MethodSpec

pytestmark = pytest.mark.slow
NAMES = sorted(
    name for name, kind in METHODS.all().items() if name != "sample" and not kind.is_outside
)
SAID = ("Wait, 4. Not sure.", "1. Add.\n2. Double.", "No", "It is 5 , I think so .", "Yes")


def reply(request):
    """The same answer to the same request, with the log-probabilities of its choices."""
    asked = request.messages[-1]["content"] + request.continuation + str(request.prefix)
    text = SAID[(len(asked) + request.call_index) % len(SAID)]
    kept = " ".join(text.split()[: request.max_tokens])
    return completion(
        request,
        kept,
        finish_reason="stop" if kept.split() == text.split() else "length",
        choice_logprobs=[-1.0 - n for n in range(len(request.choices))] or None,
    )


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "context", None)
    monkeypatch.setattr(ScriptedEngine, "reply", reply)
    monkeypatch.setattr(payload, "PartnerEngine", lambda alias, name, given: ScriptedEngine(given))
    return ScriptedEngine


def session_of(names):
    """Two samples of each method with its defaults."""
    points, partner = (), sessions.partner(sessions.session("openai"))
    for name in names:
        spec = MethodSpec(name=name, parameters=method_of(name, {}).model_dump(mode="json"))
        made = sessions.session(
            "openai", prompts=("direct",), method=spec, problems=2, samples=1, part_rows=20,
            contexts=2 if METHODS.get(name).needs_context else 0,
            partners={"large": partner},
        )  # fmt: skip
        points += made.points
    return made.model_copy(update={"points": points})


def go(lake, stop=None):
    with Reporter() as reporter:
        return generate(
            session_of(NAMES), str(lake), reporter=reporter, stop=Stop() if stop is None else stop
        )


@pytest.mark.parametrize("context", [None, 30])
def test_every_sample_has_an_answer_or_says_why_not(lake, engine, context):
    engine.context = context
    outcome = go(lake)
    answers = read_raw(lake, "raw_answers")
    final = answers.filter("is_final")
    assert (outcome.missing, outcome.errors) == (0, 0), outcome.first_error
    assert final.height == final["sample_id"].n_unique() == 2 * len(NAMES)
    assert verify_bank(lake).faults == ()
    assert faults(answers, "raw_answers") == []
    assert faults(read_raw(lake, "raw_generations"), "raw_generations") == []
    limited = final.filter(pl.col("finish_reason") == "context_limit")
    assert limited["error"].null_count() == 0
    if context is None:
        assert limited.is_empty() and final["answer_text"].null_count() == 0
    else:
        assert not limited.is_empty()
        assert all(r.max_tokens <= context - len(words(r.continuation)) for r in engine.asked)


def test_interrupted_and_continued_it_asks_the_same(lake, engine, tmp_path):
    class After(Stop):
        looks = 9

        def __bool__(self):
            self.looks -= 1
            return self.looks < 0

    go(tmp_path / "plain")
    plain = [request.request_hash for request in engine.asked]
    engine.asked.clear()
    assert any(not go(lake, After()).missing for _ in range(50))
    assert read_raw(lake, "raw_answers")["attempt"].max() > 1
    assert sorted(plain) == sorted({r.request_id: r.request_hash for r in engine.asked}.values())
    kept = ("sample_id", "answer_index", "answer_text", "budget", "used_calls", "used_tokens")
    one, other = (
        read_raw(folder, "raw_answers").filter("is_final").select(kept).sort("sample_id")
        for folder in (lake, tmp_path / "plain")
    )
    assert one.equals(other)
