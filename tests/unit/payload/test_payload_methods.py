"""Samples of several calls: through the payload's loop, killed, continued, and going wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import polars as pl
import pytest
import sessions
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field
from scripted import ScriptedEngine, completion

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.capabilities import ENGINES
from isocost.errors import IsocostError
from isocost.methods import METHODS, Answer, Asked, Call, LimitReached, Method, Steps
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.schema.frames import faults
from isocost.sweep.models import MethodSpec

pytestmark = pytest.mark.slow


class Tree(Method):
    """Waves of different widths: 1, then `width`, then 1."""

    name: ClassVar[str] = "tree"
    source: ClassVar[str] = "this test"
    unit: ClassVar[str] = "waves"
    width: Annotated[int, Field(ge=1)] = 3
    word: str = "go"
    fault: str = ""

    def run(self, asked: Asked) -> Steps:
        [first] = yield [Call(asked.messages)]
        yield Answer(first.text, first.index, budget=1)
        if self.fault == "raises":
            raise ZeroDivisionError("of its own")
        if self.fault == "nothing":
            yield []
        if self.fault == "for ever":
            while True:
                yield [Call(asked.messages, role="again")]
        if self.fault == "answers for ever":
            while True:
                yield Answer("x", 0)
        if self.fault == "wrong call":
            yield ["call"]
        if self.fault == "silent":
            return None
        many = yield [
            Call(({"role": "user", "content": f"{self.word} {n} {first.text}"},), "branch", 0)
            for n in range(self.width)
        ]
        yield Answer(many[0].text, many[0].index, budget=2, calls=[0, many[0].index], cuts={0: 1})
        texts = " ".join(reply.text for reply in many)
        try:
            [last] = yield [Call(({"role": "user", "content": texts},), "join", many[-1].index)]
        except LimitReached:
            if self.fault != "catches":
                raise
            return Answer("caught", 0)
        return Answer(last.text, last.index, budget=3)


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(METHODS, "_items", METHODS.all() | {"tree": Tree})
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "most_in_flight", 0)
    monkeypatch.setattr(ScriptedEngine, "context", None)
    monkeypatch.setattr(
        ScriptedEngine, "reply", lambda r: f"said {len(r.messages[-1]['content'])} {r.request_id}"
    )
    return ScriptedEngine


def tree(samples=3, problems=4, **parameters):
    spec = MethodSpec(name="tree", parameters=Tree(**parameters).model_dump(mode="json"))
    return sessions.session("openai", method=spec, samples=samples, problems=problems)


def go(lake, session, stop=None, **options):
    with Reporter() as reporter:
        return generate(
            session, str(lake), reporter=reporter, stop=Stop() if stop is None else stop, **options
        )


def both(lake):
    return read_raw(lake, "raw_generations"), read_raw(lake, "raw_answers")


def test_many_samples_are_in_flight_and_every_call_and_answer_is_banked(lake, engine):
    outcome = go(lake, tree())
    calls, answers = both(lake)
    assert (outcome.status, outcome.generated, outcome.missing) == ("finished", 24, 0)
    assert faults(calls, "raw_generations") == [] and faults(answers, "raw_answers") == []
    assert calls.height == 24 * 5 and answers.height == 24 * 3
    assert engine.most_in_flight == 8  # in_flight: waves of several samples fill the engine
    one = calls.filter(pl.col("sample_id") == calls["sample_id"][0]).sort("call_index")
    sample = one["sample_id"][0]
    assert one["wave"].to_list() == [0, 1, 1, 1, 2]
    assert one["role"].to_list() == ["solve", "branch", "branch", "branch", "join"]
    assert one["parent_call_id"].to_list() == [None, *[f"{sample}:0"] * 3, f"{sample}:3"]
    assert one["method"].unique().to_list() == ["tree"] and one["request_hash"].null_count() == 0
    rows = answers.filter(pl.col("sample_id") == sample).sort("answer_index")
    assert rows["is_final"].to_list() == [False, False, True]
    assert rows["budget"].to_list() == [1, 2, 3]
    assert rows["used_calls"].to_list() == [[0], [0, 1], [0, 1, 2, 3, 4]]
    assert rows["used_tokens"].to_list() == [[None], [1, None], [None] * 5]
    assert rows["call_attempts"].to_list() == [[1], [1] * 4, [1] * 5]
    assert rows["answer_text"][-1] == one["output_text"][-1]
    report = verify_bank(lake)
    assert report.faults == () and report.samples == 24
    assert go(lake, tree()).status == "complete"


def test_points_of_both_kinds_share_a_session(lake, engine):
    mixed = sessions.session("openai", prompts=("direct",))
    other = sessions.session(
        "openai", prompts=("direct",), method=MethodSpec(name="tree", parameters={})
    )
    session = mixed.model_copy(update={"points": (*mixed.points, *other.points)})
    assert go(lake, session).missing == 0
    calls, answers = both(lake)
    assert calls.group_by("method").len().sort("method")["len"].to_list() == [12, 60]
    assert set(answers["point_id"]) == {other.points[0].point.point_id}
    assert mixed.points[0].point.point_id != other.points[0].point.point_id


class After(Stop):
    """Asks to stop after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@settings(max_examples=25)
@given(looks=st.lists(st.integers(0, 40), max_size=4), part_rows=st.integers(1, 30))
def test_stopped_anywhere_no_call_is_made_twice_and_the_bank_is_the_same(
    tmp_path_factory, looks, part_rows
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
        patch.setattr(METHODS, "_items", METHODS.all() | {"tree": Tree})
        patch.setattr(ScriptedEngine, "asked", [])
        patch.setattr(ScriptedEngine, "reply", lambda r: f"said {len(r.messages[-1]['content'])}")
        lake = tmp_path_factory.mktemp("stopped")
        session = tree(samples=2, problems=2).model_copy(update={"part_rows": part_rows})
        for number in looks:
            go(lake, session, After(number))
        assert go(lake, session).missing == 0
        calls, answers = both(lake)
        assert calls.filter(pl.col("call_id").is_duplicated()).is_empty()
        final = answers.filter("is_final")
        assert final.height == final["sample_id"].n_unique() == 8
        assert verify_bank(lake).faults == () and verify_bank(lake).samples == 8
        plain = tmp_path_factory.mktemp("plain")
        go(plain, session)
        same = ("sample_id", "call_index", "output_text", "request_hash", "wave")
        assert calls.select(same).sort(same).equals(both(plain)[0].select(same).sort(same))
        kept = ("sample_id", "answer_index", "answer_text", "is_final", "used_calls", "budget")
        assert (
            answers.filter(
                pl.struct("sample_id", "attempt").is_in(
                    final.select(pl.struct("sample_id", "attempt")).to_series().implode()
                )
            )
            .select(kept)
            .sort("sample_id", "answer_index")
            .equals(both(plain)[1].select(kept).sort("sample_id", "answer_index"))
        )


def test_a_lost_part_makes_its_samples_missing_and_only_lost_calls_are_made_again(
    lake, engine, monkeypatch
):
    monkeypatch.setattr("isocost.bank.writer._SEALING_SHARE", 1e9)  # a part whenever it is full
    session = tree(samples=2).model_copy(update={"part_rows": 6})
    go(lake, session)
    made = len(engine.asked)
    part = sorted(Path(lake).glob("raw/generations/*/part-*.parquet"))[2]
    lost = pl.read_parquet(part)
    part.unlink()
    outcome = go(lake, session)
    assert outcome.missing == 0 and len(engine.asked) - made == lost.height
    assert outcome.generated == lost["sample_id"].n_unique()
    assert verify_bank(lake).samples == 16


def test_a_method_that_asks_something_else_starts_its_samples_again_and_says_so(
    lake, engine, capsys
):
    go(lake, tree(problems=1, samples=2), After(3))
    before, answered = both(lake)
    assert before.height and answered.filter("is_final").is_empty()
    changed = Tree.run

    def run(self, asked):
        steps = changed(self, asked)
        [call] = next(steps)
        got = yield [Call(({"role": "user", "content": "changed"},))]
        assert call
        while True:
            try:
                got = yield steps.send(got)
            except StopIteration as end:
                return end.value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tree, "run", run)
        assert go(lake, tree(problems=1, samples=2)).missing == 0
    assert "is started again: call 0 of method tree" in capsys.readouterr().out
    _, answers = both(lake)
    final = answers.filter("is_final")
    assert final.height == 4
    begun = set(before["sample_id"])
    assert all(
        set(row["call_attempts"]) == {2}
        for row in final.iter_rows(named=True)
        if row["sample_id"] in begun
    )
    assert verify_bank(lake).faults == ()


@pytest.mark.parametrize(
    ("fault", "reason", "said"),
    [
        ("raises", "error", "method tree raised ZeroDivisionError: of its own (line"),
        ("nothing", "error", "asked for no calls"),
        ("wrong call", "error", "str is neither a call nor an answer"),
        ("for ever", "call_limit", "more than 1000 calls"),
        ("answers for ever", "call_limit", "answers"),
    ],
)
def test_a_method_that_misbehaves_costs_its_own_samples_only(lake, engine, fault, reason, said):
    spec = MethodSpec(name="tree", parameters=Tree(fault=fault).model_dump(mode="json"))
    wrong = sessions.session("openai", prompts=("direct",), method=spec, samples=1, problems=2)
    right = sessions.session("openai", prompts=("direct",), problems=2, samples=1)
    session = wrong.model_copy(update={"points": (*wrong.points, *right.points)})
    outcome = go(lake, session)
    _, answers = both(lake)
    final = answers.filter("is_final")
    assert set(final["finish_reason"]) == {reason} and said in final["error"][0]
    if reason == "error":
        assert (outcome.errors, outcome.missing, outcome.generated) == (2, 2, 2)
        assert final["answer_text"].null_count() == 2 and outcome.first_error == final["error"][0]
    else:  # what it answered before counts
        assert (outcome.errors, outcome.missing) == (0, 0)
        assert final["answer_text"].null_count() == 0 and final["answer_call_index"][0] == 0


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.just("\ud800"), st.just(b"x"), st.just([]), st.just({}), st.just(("a", 1)), st.just([-1]),
    st.just({0: 0}), st.just(({"role": "user"},)), st.just(({"role": "user", "content": 3},)),
)  # fmt: skip


class Drawn(Method):
    """Does whatever a test has put into `what`."""

    name: ClassVar[str] = "drawn"
    source: ClassVar[str] = "this test"
    what: ClassVar[dict] = {}

    def run(self, asked: Asked) -> Steps:
        kind = self.what["kind"]
        if kind == "no generator":
            return self.what["value"]
        if kind == "at once":
            raise KeyError("\ud800")
        return self.steps(asked, kind)

    def steps(self, asked, kind):
        try:
            yield [Call(**{"messages": asked.messages, **self.what.get("call", {})})]
            if kind == "limit":
                raise LimitReached(self.what["value"], "by the method")
            if kind == "yields":
                yield self.what["value"]
            yield Answer(**{"text": "x", "call": 0, **self.what.get("answer", {})})
            if kind == "returns":
                return self.what["value"]
            return Answer(**{"text": "y", "call": 0, **self.what.get("answer", {})})
        finally:
            if kind == "does not end":
                yield [Call(asked.messages)]


def fields(kind: type) -> st.SearchStrategy:
    names = [name for name in kind.__slots__ if name != "__pydantic_config__"]
    return st.dictionaries(st.sampled_from(names), ODD, min_size=1, max_size=2)


@settings(max_examples=150)
@given(
    what=st.one_of(
        fields(Call).map(lambda f: {"kind": "call", "call": f}),
        fields(Answer).map(lambda f: {"kind": "answer", "answer": f}),
        st.tuples(
            st.sampled_from(["no generator", "at once", "limit", "yields", "returns"]), ODD
        ).map(lambda pair: {"kind": pair[0], "value": pair[1]}),
        fields(Call).map(lambda f: {"kind": "does not end", "call": f}),
    )
)
def test_whatever_a_method_does_the_other_samples_are_banked(tmp_path_factory, what):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
        patch.setattr(METHODS, "_items", METHODS.all() | {"drawn": Drawn})
        patch.setattr(ScriptedEngine, "asked", [])
        patch.setattr(ScriptedEngine, "reply", lambda r: "two words")
        patch.setattr(Drawn, "what", what)
        spec = MethodSpec(name="drawn", parameters={})
        options = {"prompts": ("direct",), "problems": 1, "samples": 1}
        wrong = sessions.session("openai", method=spec, **options)
        right = sessions.session("openai", **options)
        lake = tmp_path_factory.mktemp("drawn")
        outcome = go(lake, wrong.model_copy(update={"points": (*wrong.points, *right.points)}))
        calls, answers = both(lake)
        assert faults(calls, "raw_generations") == [] and faults(answers, "raw_answers") == []
        assert calls.filter(pl.col("method") == "sample").height == 1
        final = answers.filter("is_final")
        assert final.height == 1 and outcome.generated + outcome.errors == 2
        assert (final["finish_reason"][0] == "error") == (final["answer_text"][0] is None)
        assert (final["error"][0] is not None) == (final["finish_reason"][0] == "error")
        assert verify_bank(lake).faults == ()


def test_a_call_that_the_engine_refuses_fails_its_sample_alone(lake, engine, monkeypatch):
    added = engine.add

    def add(self, request):
        if request.call_index == 2:
            raise ValueError("token id 7 is out of vocabulary")
        added(self, request)

    monkeypatch.setattr(engine, "add", add)
    mixed = sessions.session("openai", prompts=("direct",), problems=2, samples=1)
    several = tree(samples=1, problems=2)
    outcome = go(lake, several.model_copy(update={"points": (*several.points, *mixed.points)}))
    assert (outcome.errors, outcome.missing, outcome.generated) == (4, 4, 2)
    assert "call 2 (branch): the engine refuses the call: token id 7" in outcome.first_error


def test_a_method_that_returns_nothing_gives_its_last_answer(lake, engine):
    assert go(lake, tree(fault="silent", samples=1)).missing == 0
    _, answers = both(lake)
    assert answers["is_final"].all() and answers["finish_reason"].unique().to_list() == ["stop"]
    assert answers["budget"].unique().to_list() == [1]


@pytest.mark.parametrize("fault", ["", "catches"])
def test_beyond_the_context_the_sample_ends_with_what_it_has(lake, engine, fault):
    engine.context = 8  # the joined texts of three branches do not fit
    assert go(lake, tree(samples=1, problems=2, fault=fault)).missing == 0
    calls, answers = both(lake)
    final = answers.filter("is_final")
    assert calls["call_index"].max() == 3
    if fault:
        assert set(final["answer_text"]) == {"caught"} and set(final["finish_reason"]) == {"stop"}
    else:
        assert set(final["finish_reason"]) == {"context_limit"}
        assert "call 4 (join) exceeds the context" in final["error"][0]
        assert final["budget"].unique().to_list() == [2]


def test_a_call_gets_no_more_tokens_than_the_context_holds(lake, engine):
    engine.context = 9
    go(lake, tree(samples=1, problems=1))
    assert len({r.max_tokens for r in engine.asked}) > 1
    for request in engine.asked:
        assert request.max_tokens <= 9 - len(request.messages[-1]["content"].split())


def test_a_failed_call_fails_its_sample_and_is_made_again_by_the_next_run(lake, engine):
    def reply(request):
        if request.request_id.endswith(":1:2"):
            return completion(request, "", finish_reason="error", error="boom", token_ids=None)
        return f"said {len(request.messages[-1]['content'])}"

    engine.reply = reply
    outcome = go(lake, tree(samples=3, problems=2))
    assert (outcome.errors, outcome.missing, outcome.generated) == (4, 4, 8)
    assert outcome.first_error == "call 2 (branch): boom"
    _, answers = both(lake)
    failed = answers.filter("is_final", pl.col("finish_reason") == "error")
    assert failed.height == 4 and failed["answer_text"].null_count() == 4
    made = len(engine.asked)
    engine.reply = lambda request: f"said {len(request.messages[-1]['content'])}"
    assert go(lake, tree(samples=3, problems=2)).missing == 0
    assert len(engine.asked) - made == 4 * 2  # the failed branch and the join
    assert verify_bank(lake).samples == 12


def test_an_engine_that_cannot_continue_refuses_before_it_starts(lake, monkeypatch, recorded):
    class Needy(Tree):
        name = "needy"
        needs = ("continues_tokens",)

    monkeypatch.setattr(METHODS, "_items", METHODS.all() | {"needy": Needy})
    session = sessions.session(
        "openai",
        method=MethodSpec(name="needy", parameters={}),
        options={"base_url": "http://localhost:1/v1"},
    )
    with pytest.raises(IsocostError, match="needs an engine that continues from given tokens"):
        go(lake, session)
    assert not Path(lake).exists()
