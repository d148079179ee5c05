"""Sessions with two engines: each call to its own, resumed, and one of the engines failing."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
import sessions
from fake_openai import serving
from scripted import ScriptedEngine, completion

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.capabilities import ENGINES
from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.protocol import Completion, Request
from isocost.errors import IsocostError
from isocost.methods import METHODS, Call
from isocost.payload import session as payload
from isocost.payload.loop import Stop
from isocost.payload.partner import PartnerEngine
from isocost.payload.progress import Reporter
from isocost.payload.session import RunFailed, generate
from isocost.payload.work import engine_settings, numbered
from isocost.schema.frames import faults
from isocost.sweep.models import MethodSpec

CASCADE = MethodSpec(name="cascade", parameters={"models": ["large"], "thresholds": [-0.5]})


class Large(ScriptedEngine):
    """The partner's engine, in this process."""

    asked: ClassVar = []
    breaks_after: ClassVar[int | None] = None

    def step(self):
        if self.breaks_after is None or len(self.asked) <= self.breaks_after:
            return super().step()
        lost = list(self._waiting)
        self._waiting.clear()
        said = "partners.large: the engine is gone"
        return [Completion(r.request_id, None, None, "error", error=said) for r in lost]


def small(request):
    """Sure of half of the problems."""
    n = int(request.messages[-1]["content"].split()[-3])
    mean = -0.25 if n % 2 else -0.75
    text = f"small {n}"
    logprobs = TokenLogprobs(np.full(2, mean), np.full((2, 5), -2.0), 1000)
    return completion(request, text, logprobs=logprobs)


@pytest.fixture
def engines(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(payload, "PartnerEngine", lambda alias, name, settings: Large(settings))
    for engine in (ScriptedEngine, Large):
        monkeypatch.setattr(engine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(small))
    monkeypatch.setattr(Large, "reply", staticmethod(lambda request: "large says so"))
    monkeypatch.setattr(Large, "breaks_after", None)


def cascade_session(**changes):
    like = sessions.session("openai")
    return sessions.session(
        "openai", method=CASCADE, partners={"large": sessions.partner(like)}, **changes
    )


def ran(session, lake, **options):
    with Reporter() as reporter:
        return generate(session, str(lake), reporter=reporter, stop=Stop(), **options)


def test_each_call_goes_to_its_own_engine_and_says_so(engines, lake):
    session = cascade_session(prompts=("direct",), warmup_requests=2)
    assert ran(session, lake).missing == 0
    calls = read_raw(lake, "raw_generations")
    assert faults(calls, "raw_generations") == []
    assert calls["call_id"].is_unique().all()
    warm = calls.filter("is_warmup")
    assert sorted(warm["partner"].to_list(), key=str) == [None, None, "large", "large"]
    real = calls.filter(~pl.col("is_warmup"))
    assert dict(real.group_by("role", "partner").len().select("role", "len").iter_rows()) == {
        "solve": 12,
        "escalate": 6,
    }
    assert set(real.select("role", "partner").rows()) == {("solve", None), ("escalate", "large")}
    by = {name: set(r.request_id for r in e.asked if r.sample_index is not None)
          for name, e in ((None, ScriptedEngine), ("large", Large))}  # fmt: skip
    for partner, ids in by.items():
        mine = real.filter(pl.col("partner").eq_missing(pl.lit(partner)))
        assert set(mine["call_id"]) == ids
    assert set(real["model_variant"]) == {"tiny+big"}  # no model's alone
    final = read_raw(lake, "raw_answers").filter("is_final")
    texts = dict(final.select("sample_id", "answer_text").iter_rows())
    assert sorted(set(texts.values())) == ["large says so", "small 1", "small 3"]
    [manifest] = read_manifests(lake)
    assert manifest.info["partners"]["large"]["engine"] == "openai"


def test_what_is_asked_includes_the_partner_and_calls_of_old_have_their_hash():
    asked = ({"role": "user", "content": "x"},)
    own, large, huge = (numbered(0, 0, Call(asked, partner=p)) for p in (None, "large", "huge"))
    assert len({own.request_hash, large.request_hash, huge.request_hash}) == 3
    assert own.request_hash == "758a10198132f58a"


def test_a_partner_that_breaks_costs_only_the_samples_that_need_it(engines, lake, monkeypatch):
    monkeypatch.setattr(Large, "breaks_after", 2)
    session = cascade_session(prompts=("direct",))
    first = ran(session, lake)
    assert first.status == "finished" and first.errors > 0
    assert "partners.large: the engine is gone" in (first.first_error or "")
    assert first.generated == 12 - first.errors and first.missing == first.errors
    done = {r.request_id for r in ScriptedEngine.asked}
    assert len(done) == 12, "samples that do not need it go on"

    monkeypatch.setattr(Large, "breaks_after", None)
    ScriptedEngine.asked.clear()
    Large.asked.clear()
    assert ran(session, lake).missing == 0
    assert ScriptedEngine.asked == [], "what is banked is not asked again"
    assert len(Large.asked) == first.errors
    calls = read_raw(lake, "raw_generations").filter(pl.col("finish_reason") != "error")
    assert calls["call_id"].is_unique().all() and calls.height == 18
    report = verify_bank(lake)
    assert report.faults == () and report.samples == 12


def test_a_method_that_asks_a_partner_that_it_does_not_declare_loses_its_samples(
    engines, lake, monkeypatch
):
    monkeypatch.setattr(METHODS.get("cascade"), "partners", lambda self: {})
    outcome = ran(cascade_session(prompts=("direct",)), lake)
    assert outcome.errors == 6
    assert "asked the partner 'large', which it does not declare" in (outcome.first_error or "")


def test_a_session_without_the_partner_that_its_method_calls_is_refused(engines, lake):
    with pytest.raises(IsocostError, match="calls the partner 'large'") as caught:
        ran(sessions.session("openai", method=CASCADE), lake)
    assert (caught.value.where or "").startswith("point pt-")
    assert "Add it under partners" in (caught.value.remedy or "")


def test_a_partner_that_cannot_do_what_is_needed_is_refused(engines, lake, monkeypatch):
    can = replace(ScriptedEngine.capabilities, scores_choices=False)
    monkeypatch.setattr(ScriptedEngine, "capabilities", can)
    like = sessions.session("openai")
    spec = MethodSpec(name="speculative_reasoning", parameters={})
    session = sessions.session("openai", method=spec, partners={"large": sessions.partner(like)})
    with pytest.raises(IsocostError, match="given choices for the partner large; openai does not"):
        ran(session, lake)


def test_options_of_a_partner_are_its_own(lake):
    like = sessions.session("openai")
    url = {"base_url": "http://127.0.0.1:9/v1"}
    for options, where in (
        ({"base_urll": "x"}, "partners.large.engine.options.base_urll"),
        ({**url, "in_flight": 3}, "partners.large.engine.options.in_flight"),
        ({**url, "retries": -1}, "partners.large.engine.options.retries"),
    ):
        session = sessions.session(
            "openai", method=CASCADE, options=url,
            partners={"large": sessions.partner(like, options=options)},
        )  # fmt: skip
        with pytest.raises(IsocostError) as caught:
            ran(session, lake)
        assert caught.value.where == where


# --- The process of a partner -------------------------------------------------------------------


def request(number, text="3 + 4"):
    return Request(
        request_id=f"r{number}", messages=({"role": "user", "content": text},), temperature=0.5,
        top_p=1.0, top_k=0, min_p=0.0, max_tokens=8, seed=None, problem_id="p", prompt_hash="h",
        sample_index=0,
    )  # fmt: skip


def served(server, **options):
    session = sessions.session(
        "openai", path="adder", options={"base_url": server.url, "patience_s": 2, **options}
    )
    return PartnerEngine("large", "openai", engine_settings(session, 0))


def waited(engine, wanted, seconds=30.0):
    done, until = [], time.monotonic() + seconds
    while len(done) < wanted and time.monotonic() < until:
        done += engine.step()
        time.sleep(0.01)
    return done


@pytest.mark.slow
def test_an_engine_in_its_own_process_answers_like_any_other():
    with serving() as server:
        engine = served(server)
        try:
            engine.check()
            engine.start()
            assert engine.describe()["base_url"] == server.url
            for number in range(5):
                engine.add(request(number))
            assert engine.unfinished() == 5
            done = waited(engine, 5)
            assert {c.request_id for c in done} == {f"r{n}" for n in range(5)}
            assert all(c.text.startswith("Answer: ") and c.finish_reason == "stop" for c in done)
            assert done[0].logprobs is not None and done[0].logprobs.sampled.shape == (4,)
            now = time.monotonic()
            assert all(now - 60 < c.scheduled_s <= c.last_token_s <= now for c in done)
            assert engine.unfinished() == 0 and engine.step() == []
            engine.settle()
        finally:
            process = engine._process
            engine.close()
            engine.close()
        assert process is not None and process.returncode == 0


@pytest.mark.slow
def test_a_process_that_dies_gives_back_what_it_had_and_all_that_comes_later():
    with serving() as server:
        engine = served(server)
        engine.start()
        try:
            assert engine._process is not None
            os.kill(engine._process.pid, signal.SIGSTOP)  # so that nothing is answered before
            for number in range(3):
                engine.add(request(number))
            os.kill(engine._process.pid, signal.SIGKILL)
            done = waited(engine, 3)
            assert [c.finish_reason for c in done] == ["error"] * 3
            said = "partners.large: the engine openai is gone: its process ended unexpectedly"
            assert all(c.error and c.error.startswith(said) for c in done)
            assert "(signal 9)" in (done[0].error or "")
            [note] = engine.drain_notes()
            assert note.endswith("calls of this partner fail, the others go on")
            engine.add(request(9))
            assert [c.request_id for c in waited(engine, 1)] == ["r9"]
        finally:
            engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_process_at_a_long_step_keeps_nobody_waiting(monkeypatch, seed):
    """However much it is sent: the payload's own engine would stand still, and Ctrl-C with it."""
    dice = random.Random(seed)
    texts = [f"3 + 4{' ' * dice.randrange(60_000)}" for _ in range(dice.randrange(20, 40))]
    texts += [f"3 + 4{' ' * 300_000}"]  # more than a pipe holds
    with serving() as server:
        engine = served(server)
        engine.start()
        process = engine._process
        assert process is not None
        try:
            for answered in (True, False):
                os.kill(process.pid, signal.SIGSTOP)
                numbers = range(len(texts)) if answered else range(len(texts), 2 * len(texts))
                asked = [request(n, text) for n, text in zip(numbers, texts, strict=True)]
                adding = threading.Thread(target=lambda: [*map(engine.add, asked)], daemon=True)  # noqa: B023
                adding.start()
                adding.join(5)
                assert not adding.is_alive() and engine.step() == []
                assert engine.unfinished() == len(texts)
                if answered:
                    os.kill(process.pid, signal.SIGCONT)
                    done = {c.request_id: c.finish_reason for c in waited(engine, len(texts))}
                    assert done == {r.request_id: "stop" for r in asked}
            monkeypatch.setattr("isocost.payload.partner.CLOSING_S", 0.3)
        finally:
            closing = threading.Thread(target=engine.close, daemon=True)
            closing.start()
            closing.join(10)
            process.kill()
        assert not closing.is_alive() and process.wait(10) == -signal.SIGKILL


@pytest.mark.slow
def test_an_engine_that_does_not_start_says_why(tmp_path):
    with serving() as server:
        like = sessions.session(
            "openai", path="adder", options={"base_url": server.url}, method=CASCADE
        )
        config = sessions.partner(like, path="nobody", options={"base_url": server.url})
        asks = sessions.session(
            "openai", path="adder", options={"base_url": server.url}, method=CASCADE,
            partners={"large": config},
        )  # fmt: skip
        with pytest.raises(IsocostError, match="does not serve 'nobody'") as caught:
            ran(asks, tmp_path / "lake")
        assert (caught.value.where or "").startswith("partners.large (http://127.0.0.1")
    engine = PartnerEngine("large", "replay", engine_settings(
        sessions.session("replay", options={"bank": str(tmp_path / "none")}), 0))  # fmt: skip
    with pytest.raises(IsocostError):
        engine.start()
    engine.close()


@pytest.mark.slow
def test_an_unreachable_server_of_a_partner_fails_its_calls_only(tmp_path):
    with serving() as own, serving() as large:
        like = sessions.session("openai", path="adder", options={"base_url": own.url})
        config = sessions.partner(
            like, path="adder", options={"base_url": large.url, "patience_s": 1}
        )
        unsure = MethodSpec(name="cascade", parameters={"models": ["large"], "thresholds": [-0.1]})
        session = sessions.session(
            "openai", path="adder", options={"base_url": own.url}, method=unsure, problems=2,
            samples=1, prompts=("direct",), partners={"large": config},
        )  # fmt: skip
        start = PartnerEngine.start

        def then_away(self):
            start(self)
            large.shutdown()
            large.server_close()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PartnerEngine, "start", then_away)
            outcome = ran(session, tmp_path / "lake")
        assert outcome.status == "finished" and outcome.errors == 2 and outcome.generated == 0
        assert "partners.large: the engine openai is gone" in (outcome.first_error or "")
    calls = read_raw(tmp_path / "lake", "raw_generations")
    assert calls.filter(pl.col("finish_reason") == "stop")["role"].to_list() == ["solve"] * 2


@pytest.mark.slow
def test_a_partner_that_crashes_while_it_starts_fails_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("isocost.payload.partner._CHILD", "this")
    with serving() as server:
        like = sessions.session("openai", path="adder", options={"base_url": server.url})
        config = sessions.partner(like, path="adder", options={"base_url": server.url})
        session = sessions.session(
            "openai", path="adder", options={"base_url": server.url}, method=CASCADE,
            partners={"large": config},
        )  # fmt: skip
        with pytest.raises(RunFailed, match="ended while it started") as caught:
            ran(session, tmp_path / "lake")
    assert caught.value.where == "partners.large"


def test_scores_of_a_reward_model_are_banked_and_not_asked_again(engines, lake, monkeypatch):
    def scored(request):
        values = [0.1 + 0.2 * n for n, _ in enumerate(request.steps)]
        return completion(request, "", token_ids=[], output_tokens=0, step_scores=values)

    can = replace(ScriptedEngine.capabilities, scores_steps=True)
    monkeypatch.setattr(ScriptedEngine, "capabilities", can)
    monkeypatch.setattr(Large, "reply", staticmethod(scored))
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(lambda request: "a step"))
    given = {"scorer": {"name": "process_reward", "model": "large"}, "width": 1, "expansions": 2}
    parameters = METHODS.get("beam_search").model_validate(given).model_dump(mode="json")
    session = sessions.session(
        "openai", method=MethodSpec(name="beam_search", parameters=parameters), problems=2,
        samples=1, prompts=("direct",),
        partners={"large": sessions.partner(sessions.session("openai"))},
    )  # fmt: skip
    assert ran(session, lake).missing == 0
    calls = read_raw(lake, "raw_generations")
    assert faults(calls, "raw_generations") == []
    scores = calls.filter(partner="large")
    assert scores["step_scores"].to_list() == [[0.1]] * 4
    assert scores["output_tokens"].to_list() == [0] * 4
    assert calls.filter(pl.col("partner").is_null())["step_scores"].null_count() == 4
    asked = {r.request_id: r.request_hash for r in (*ScriptedEngine.asked, *Large.asked)}

    half = lake.parent / "half"
    monkeypatch.setattr(Large, "breaks_after", 0)
    Large.asked.clear()
    assert ran(session, half).errors == 2
    monkeypatch.setattr(Large, "breaks_after", None)
    ScriptedEngine.asked.clear()
    Large.asked.clear()
    assert ran(session, half).missing == 0 and ScriptedEngine.asked == []
    again = read_raw(half, "raw_generations").filter(pl.col("finish_reason") != "error")
    assert dict(again.select("call_id", "request_hash").iter_rows()) == asked


@pytest.mark.slow
def test_a_session_of_two_engines_is_replayed_by_two(engines, tmp_path, monkeypatch):
    recorded, lake = tmp_path / "recorded", tmp_path / "lake"
    assert ran(cascade_session(prompts=("direct",)), recorded).missing == 0
    monkeypatch.setattr(payload, "PartnerEngine", PartnerEngine)  # a process of its own
    options = {"bank": str(recorded), "speed": 0}
    like = sessions.session("replay", options=options)
    again = sessions.session(
        "replay", method=CASCADE, options=options, prompts=("direct",),
        partners={"large": sessions.partner(like, "replay", options=options)},
    )  # fmt: skip
    assert ran(again, lake).missing == 0
    kept = ("problem_id", "sample_index", "call_index", "partner", "output_text", "logprob_sum")
    first, second = (
        read_raw(folder, "raw_generations").select(kept).sort(kept[:3])
        for folder in (recorded, lake)
    )
    assert first.equals(second) and set(first["partner"]) == {None, "large"}
