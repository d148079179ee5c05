"""Calls that all questions about a context share: made once, borne by all, and known everywhere."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import polars as pl
import pytest
import sessions
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, completion

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.capabilities import ENGINES
from isocost.costs import forward_flops, load_book
from isocost.errors import IsocostError
from isocost.methods import METHODS, Answer, Asked, Call, Method, Steps
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.payload.shared import SharedCalls
from isocost.payload.work import Work
from isocost.schema.frames import faults
from isocost.sweep import ModelVariant
from isocost.sweep.models import MethodSpec
from isocost.tables.core.answers import sample_texts
from isocost.tables.core.samples import build_core
from isocost.tables.costs.efficiency import build_intelligence_per_watt
from isocost.tables.costs.method_calls import build_method_calls
from isocost.tables.outcomes.outcomes import build_outcomes

CARD = "smollm2-135m-instruct"
PROBLEMS, SAMPLES = 5, 2
QUESTIONS = {0: 3, 1: 2}
"""Questions about each context: those of problems 0, 2, 4 and of 1, 3."""
SLEEP_PROMPT, PROMPT, CACHED = 50, 30, 16


class Peeks(Method):
    """A shared call that depends on the question."""

    name: ClassVar[str] = "test_peeks"
    source: ClassVar[str] = "this test"
    asks: str = "question"

    def run(self, asked: Asked) -> Steps:
        if self.asks == "late":
            yield [Call(asked.messages)]
        shown = asked.question if self.asks == "question" else "the context"
        [reply] = yield [Call(({"role": "user", "content": shown},), shared=True)]
        cuts = {reply.index: 1} if self.asks == "cut" else None
        return Answer("1", reply.index, cuts=cuts)


def context_of(request):
    return int(request.messages[-1]["content"].split("number ")[1].split(" ")[0])


def reply(request):
    """Notes of 10 or 20 words, which say their context and sample; answers of 4 words."""
    if request.call_index == 0:
        number = context_of(request)
        text = " ".join(["note"] * (10 * number + 8) + [f"<{number}:{request.sample_index}>", "."])
        return completion(
            request, text, prompt_tokens=SLEEP_PROMPT, cached_tokens=CACHED, queued_s=1.0,
            scheduled_s=1.0, first_token_s=2.0, last_token_s=9.0,
        )  # fmt: skip
    asked = request.messages[-1]["content"]
    n = int(asked.split("What is ")[1].split(" ")[0])
    assert f"<{n % 2}:{request.sample_index}>" in asked, "the notes of another context or sample"
    return completion(
        request, f"the sum is {2 * n + 1}", prompt_tokens=PROMPT, cached_tokens=0, queued_s=1.0,
        scheduled_s=1.0, first_token_s=1.5, last_token_s=2.0,
    )  # fmt: skip


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(METHODS, "_items", METHODS.all() | {"test_peeks": Peeks})
    monkeypatch.setattr(ScriptedEngine, "context", None)
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(reply))
    return ScriptedEngine


def session_of(name="sleep_time", contexts=2, in_flight=8, **parameters):
    full = METHODS.get(name)(**parameters).model_dump(mode="json")
    model = ModelVariant(
        name="tiny", path="none", revision=None, dtype="float32", quantization=None, card=CARD
    )
    return sessions.session(
        "openai", prompts=("direct",), method=MethodSpec(name=name, parameters=full),
        problems=PROBLEMS, samples=SAMPLES, contexts=contexts, max_tokens=50, model=model,
        part_rows=3, options={"in_flight": in_flight},
    )  # fmt: skip


def go(lake, session=None, **options):
    with Reporter() as reporter:
        return generate(
            session or session_of(), str(lake), reporter=reporter, stop=Stop(), **options
        )


def raw(lake):
    return read_raw(lake, "raw_generations"), read_raw(lake, "raw_answers")


def core(lake, calls=None, answers=None, session=None):
    made = raw(lake)
    return build_core(
        made[0] if calls is None else calls,
        [session or session_of()],
        read_manifests(lake),
        answers=made[1] if answers is None else answers,
    )


@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_shared_call_is_made_and_banked_once(tmp_path, engine, in_flight):
    outcome = go(tmp_path, session_of(in_flight=in_flight))
    assert (outcome.missing, outcome.errors, outcome.generated) == (0, 0, 10)
    calls, answers = raw(tmp_path)
    asked = Counter(request.request_id for request in engine.asked)
    assert set(asked.values()) == {1} and len(asked) == 2 * SAMPLES + PROBLEMS * SAMPLES
    sleep = calls.filter(role="sleep")
    assert sleep.height == 2 * SAMPLES and sleep["call_id"].is_unique().all()
    assert set(sleep["sample_id"]) == set(answers["shared_id"])
    solve = calls.filter(role="solve").join(answers, on="sample_id")
    assert (solve["parent_call_id"] == solve["shared_id"] + ":0").all()
    assert set(answers["n_shared_calls"]) == {1}
    report = verify_bank(tmp_path)
    assert report.faults == () and report.samples == PROBLEMS * SAMPLES


def test_costs_are_those_of_the_answer_and_a_part_of_the_notes(tmp_path, engine):
    go(tmp_path)
    frames = core(tmp_path)
    for name, frame in frames.items():
        assert faults(frame, name) == [], name
    card = load_book().model(CARD)
    samples = frames["core_samples"]
    assert samples.height == 10 and samples["is_valid"].all() and samples["correct"].all()
    number = {
        row["problem_id"]: int(row["reference"]) // 2
        for row in frames["core_problems"].iter_rows(named=True)
    }
    for row in samples.iter_rows(named=True):
        context = number[row["problem_id"]] % 2
        many, notes = QUESTIONS[context], 10 * context + 10
        place = number[row["problem_id"]] // 2  # among the questions about its context
        dealt = notes * (place + 1) // many - notes * place // many
        assert row["n_context_questions"] == many and row["n_calls"] == 2
        assert row["output_tokens"] == 4 + dealt
        assert row["cached_tokens"] <= row["prompt_tokens"]
        flops = float(forward_flops(card, SLEEP_PROMPT, notes, cached_tokens=CACHED)) / many
        assert row["flops"] == pytest.approx(float(forward_flops(card, PROMPT, 4)) + flops)
        assert (row["prefill_s"], row["decode_s"], row["latency_s"]) == (0.5, 0.5, 1.0)
    # What falls to all questions of a context is the call, once.
    for (shared_id,), part in samples.group_by("shared_id"):
        call = frames["core_calls"].filter(sample_id=shared_id).row(0, named=True)
        assert part["output_tokens"].sum() == 4 * part.height + call["output_tokens"]
        assert part["prompt_tokens"].sum() == PROMPT * part.height + call["prompt_tokens"]
        assert part["cached_tokens"].sum() == call["cached_tokens"]
        assert call["is_used"] and call["not_used_reason"] is None
    total = frames["core_calls"]["output_tokens"].sum()
    assert samples["output_tokens"].sum() == total == SAMPLES * (5 * 4 + 10 + 20)
    outcomes, _ = build_outcomes(samples, answers=frames["core_answers"], only="points")
    one = outcomes.filter(strategy="majority_at_k", budget=1.0).row(0, named=True)
    assert one["output_tokens_per_problem"] == pytest.approx(total / SAMPLES / PROBLEMS)


def test_a_shared_call_is_no_sample_of_its_own(tmp_path, engine):
    go(tmp_path)
    frames = core(tmp_path)
    texts = sample_texts(frames["core_calls"], frames["core_answers"])
    assert sorted(texts["sample_id"]) == sorted(frames["core_samples"]["sample_id"])
    assert frames["core_points"]["samples_banked"].to_list() == [10]
    # Joules by another rule leave out what shared calls cost: those samples have no row of it.
    joules = frames["core_samples"].with_columns(
        pl.lit(2.0).alias("energy_j"), pl.lit("nvml/output_token_share").alias("energy_method")
    )
    charged = frames["core_calls"].select(
        "call_id", "sample_id", "session_id", "run_id", "attempt",
        attribution=pl.lit("time_share"), is_default=pl.lit(False), energy_j=pl.lit(1.0),
        energy_method=pl.lit("nvml/time_share"),
    )  # fmt: skip
    found = build_intelligence_per_watt(joules, charged)
    assert found["energy_basis"].to_list() == ["nvml/output_token_share"]
    alone = joules.with_columns(pl.lit(None, pl.String).alias("shared_id"))
    both = build_intelligence_per_watt(alone, charged)["energy_basis"].to_list()
    assert sorted(both) == ["nvml/output_token_share", "nvml/time_share"]


def test_a_replay_of_the_bank_has_the_same_answers(tmp_path, engine):
    go(tmp_path / "first")
    again = session_of().model_copy(deep=True)
    config = again.engine.model_copy(
        update={"engine": "replay", "options": {"bank": str(tmp_path / "first"), "speed": 0.0}}
    )
    go(tmp_path / "again", again.model_copy(update={"engine": config}))
    texts = [
        raw(tmp_path / name)[1].select("sample_id", "answer_text", "shared_id").sort("sample_id")
        for name in ("first", "again")
    ]
    assert texts[0].equals(texts[1]) and texts[0].height == 10


def test_calls_by_role_count_a_shared_call_once(tmp_path, engine):
    go(tmp_path)
    frames = core(tmp_path)
    found = build_method_calls(
        frames["core_calls"], frames["core_samples"], frames["core_points"]
    ).sort("role")
    assert faults(found, "out_method_calls") == []
    assert found["role"].to_list() == ["sleep", "solve"]
    assert found["n_role_calls"].to_list() == [2 * SAMPLES, PROBLEMS * SAMPLES]
    assert found["calls_per_problem"].to_list() == pytest.approx([2 / PROBLEMS, 1.0])
    assert found["output_tokens_per_problem"].to_list() == pytest.approx([30 / PROBLEMS, 4.0])
    assert found["latency_s_per_problem"].to_list() == pytest.approx([2 * 8 / PROBLEMS, 1.0])


@pytest.mark.parametrize("first", [1, 3, 7])
def test_what_is_banked_is_shared_by_later_runs(tmp_path, engine, first):
    go(tmp_path, max_samples=first)
    assert go(tmp_path).missing == 0
    asked = Counter(request.request_id for request in engine.asked)
    assert set(asked.values()) == {1} and len(asked) == 2 * SAMPLES + PROBLEMS * SAMPLES
    assert verify_bank(tmp_path).samples == 10
    assert raw(tmp_path)[0].filter(role="sleep").height == 4
    assert core(tmp_path)["core_samples"]["is_valid"].sum() == 10


def test_samples_whose_shared_call_is_lost_are_missing_and_made_again(tmp_path, engine):
    go(tmp_path)
    calls, answers = raw(tmp_path)
    lost = calls.filter(role="sleep").sort("call_id")["call_id"][0]
    mine = answers.filter(pl.col("shared_id") + ":0" == lost)["sample_id"]
    frames = core(tmp_path, calls=calls.filter(pl.col("call_id") != lost))
    assert set(frames["core_samples"]["sample_id"]) == set(answers["sample_id"]) - set(mine)
    assert frames["core_points"]["samples_missing"].to_list() == [len(mine)]
    alone = calls.filter(pl.col("sample_id").is_in(mine.implode())).select("sample_id").unique()
    part = next(
        path for path in sorted(tmp_path.rglob("part-*.parquet"))
        if "generations" in str(path) and lost in pl.read_parquet(path)["call_id"].to_list()
    )  # fmt: skip
    part.write_bytes(b"lost")
    engine.asked.clear()
    assert go(tmp_path).missing == 0
    assert [r.request_id for r in engine.asked].count(lost) == 1
    assert verify_bank(tmp_path).samples == 10 and alone.height == len(mine)
    assert core(tmp_path)["core_samples"]["is_valid"].sum() == 10


@pytest.mark.parametrize("in_flight", [1, 8])
def test_a_shared_call_that_fails_fails_its_samples_and_no_others(tmp_path, engine, in_flight):
    def failing(request):
        if request.call_index == 0 and context_of(request) == 1:
            return completion(request, "", finish_reason="error", error="out of order")
        return reply(request)

    engine.reply = staticmethod(failing)
    outcome = go(tmp_path, session_of(in_flight=in_flight))
    assert (outcome.generated, outcome.missing, outcome.errors) == (6, 4, 4)
    assert "call 0 (sleep): out of order" in outcome.first_error
    tries = [r for r in engine.asked if r.call_index == 0 and context_of(r) == 1]
    assert len(tries) == SAMPLES
    engine.reply = staticmethod(reply)
    assert go(tmp_path, session_of(in_flight=in_flight)).missing == 0
    assert verify_bank(tmp_path).faults == ()
    assert (
        core(tmp_path, session=session_of(in_flight=in_flight))["core_samples"]["is_valid"].sum()
        == 10
    )


def test_a_problem_without_context_is_refused_before_the_engine_starts(tmp_path, engine):
    engine.start = lambda self: pytest.fail("the engine was started")
    try:
        with pytest.raises(IsocostError, match="needs the context of every problem") as error:
            go(tmp_path, session_of(contexts=0))
    finally:
        engine.start = lambda self: None
    assert error.value.where == "task sums, problem 0, field context"
    assert not list(tmp_path.rglob("part-*"))


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        ("question", "differs between samples of one context"),
        ("late", "shared after one that is not"),
        ("cut", "beginning of a shared call"),
    ],
)
def test_a_method_that_shares_what_it_must_not_fails(tmp_path, engine, asks, says):
    engine.reply = staticmethod(lambda request: "word")
    outcome = go(tmp_path, session_of("test_peeks", asks=asks))
    assert outcome.errors > 0 and says in outcome.first_error


def test_sharing_without_a_context_fails_the_sample(tmp_path, engine):
    engine.reply = staticmethod(lambda request: "word")
    outcome = go(tmp_path, session_of("test_peeks", contexts=0))
    assert outcome.errors == 10 and "has no context to share it with" in outcome.first_error


@given(
    rows=st.lists(
        st.tuples(st.integers(0, PROBLEMS - 1), st.integers(0, SAMPLES - 1)),
        unique=True,
        min_size=1,
    ),
    data=st.data(),
)
def test_shared_calls_are_known_until_the_last_sample_has_begun(rows, data):
    work = Work(session_of())
    names = work.plan["problem_id"].unique(maintain_order=True).to_list()
    [point_id] = work.points
    todo = pl.DataFrame(
        [(point_id, names[problem], index) for problem, index in rows],
        schema=work.plan.schema,
        orient="row",
    )
    users = {(row[1], row[2]): row[3] for row in work.owners(todo).iter_rows()}
    assert sum(users.values()) == len(rows)
    shared = SharedCalls(work.owners(todo), {})
    order = data.draw(st.permutations(list(work.samples(todo))))
    seen: dict[str, dict] = {}
    for sample in order:
        holder = sample.owner.sample_id
        given_rows = shared.begin(sample)
        assert seen.setdefault(holder, given_rows) is given_rows
    assert not shared._rows and not shared._left
