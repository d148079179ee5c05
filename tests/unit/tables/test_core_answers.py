"""Samples of methods in the core tables and outcomes: what each answer is, needs and costs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "payload"))
import sessions
from scripted import ScriptedEngine, completion

from isocost.axes.registry import all_axes
from isocost.bank.reader import read_manifests, read_raw
from isocost.capabilities import ENGINES
from isocost.methods import METHODS, Answer, Asked, Call, Method, Steps
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.schema.frames import faults
from isocost.strategies import PointBank
from isocost.strategies.cuts import cut_law
from isocost.sweep.models import MethodSpec
from isocost.tables.core.answers import cut_cost, sample_texts
from isocost.tables.core.samples import build_core
from isocost.tables.costs.method_calls import build_method_calls
from isocost.tables.outcomes.outcomes import build_outcomes


class Rounds(Method):
    """Answers right from round `right` on; waves of two after the first; verifies at the end."""

    name: ClassVar[str] = "test_rounds"
    source: ClassVar[str] = "this test"
    unit: ClassVar[str] = "rounds"
    rounds: Annotated[int, Field(ge=1)] = 3
    cut: int = 0
    raises: bool = False

    def run(self, asked: Asked) -> Steps:
        [reply] = yield [Call(asked.messages)]
        yield Answer(reply.text, 0, budget=1)
        made = 1
        for number in range(2, self.rounds + 1):
            replies = yield [Call(asked.messages, role="revise", parent=0) for _ in range(2)]
            made += 2
            yield Answer(replies[-1].text, replies[-1].index, budget=number)
        if self.raises:
            raise RuntimeError("after three rounds")
        yield [Call(asked.messages, role="verify", parent=made - 1)]
        if self.cut:
            return Answer("cut", 0, budget=self.rounds + 1, calls=[0], cuts={0: self.cut})
        return None


RIGHT_FROM = {0: 1, 1: 2, 2: 3, 3: 9}
"""First round with the right answer, by problem."""


def reply(request):
    index = request.request_id.rsplit(":", 1)[1]
    question = request.messages[-1]["content"]
    n = int(question.split("What is ")[1].split(" ")[0])
    call = int(index)
    is_right = 1 + (call + 1) // 2 >= RIGHT_FROM[n]
    text = f"so it is therefore the number {2 * n + 1 if is_right else 2 * n + 100}"
    if call == 5:
        text = "yes"
    seconds = 1.0 + call
    return completion(
        request, text, queued_s=100.0, scheduled_s=100.5, first_token_s=101.0, last_token_s=101.0 + seconds,
        cached_tokens=0,
    )  # fmt: skip


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(METHODS, "_items", METHODS.all() | {"test_rounds": Rounds})
    monkeypatch.setattr(ScriptedEngine, "context", None)
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(reply))
    return ScriptedEngine


def core(lake, samples=2, **parameters):
    spec = MethodSpec(name="test_rounds", parameters=Rounds(**parameters).model_dump(mode="json"))
    session = sessions.session(
        "openai", prompts=("direct",), method=spec, samples=samples, max_tokens=50
    )
    with Reporter() as reporter:
        generate(session, str(lake), reporter=reporter, stop=Stop())
    raw = {name: read_raw(lake, name) for name in ("raw_generations", "raw_answers")}
    return build_core(
        raw["raw_generations"],
        [session],
        read_manifests(lake),
        answers=raw["raw_answers"],
    )


def test_a_sample_is_its_last_answer_with_the_sum_of_its_calls(tmp_path, engine):
    frames = core(tmp_path)
    for name, frame in frames.items():
        assert faults(frame, name) == [], name
    samples = frames["core_samples"]
    assert samples.height == 8 and samples["is_valid"].all()
    assert samples["n_calls"].unique().to_list() == [5]
    by_problem = dict(samples.group_by("problem_id").agg(pl.col("correct").mean()).iter_rows())
    assert sorted(by_problem.values()) == [0.0, 1.0, 1.0, 1.0]
    assert samples["output_tokens"].unique().to_list() == [5 * 7]
    assert samples["verdicts"].to_list() == [[1.0]] * 8  # its own columns, not the sample's cost
    assert samples["verification_tokens"].unique().to_list() == [1.0]
    calls = frames["core_calls"]
    assert calls.height == 48 and calls["is_used"].all()
    assert calls["wave"].max() == 3
    point = frames["core_points"].row(0, named=True)
    assert (point["method"], point["samples_missing"]) == ("test_rounds", 0)
    assert '"rounds":3' in point["method_parameters"]


def test_the_time_of_a_sample_is_the_slowest_call_of_every_wave(tmp_path, engine):
    samples = core(tmp_path)["core_samples"]
    # Waves of calls 0, {1, 2} and {3, 4}, which decode for 1 + index seconds.
    assert samples["decode_s"].unique().to_list() == [1.0 + 3.0 + 5.0]
    assert samples["prefill_s"].unique().to_list() == [1.5]
    assert samples["latency_s"].unique().to_list() == [10.5]
    assert samples["queue_s"].unique().to_list() == [1.5]


def test_every_round_of_a_bank_is_an_outcome_of_its_own(tmp_path, engine):
    frames = core(tmp_path)
    answers = frames["core_answers"]
    assert answers.group_by("budget").len().sort("budget")["len"].to_list() == [8, 8, 8]
    assert answers["n_calls"].unique().sort().to_list() == [1, 3, 5]
    last = answers.filter("is_final").sort("sample_id")
    for name in ("correct", "answer_class", "output_tokens", "latency_s", "answer"):
        same = frames["core_samples"].sort("sample_id")[name]
        assert last[name].to_list() == same.to_list(), name
    outcomes, problems = build_outcomes(
        frames["core_samples"], answers=frames["core_answers"], only="points"
    )
    rounds = outcomes.filter(pl.col("strategy") == "answer_at_budget").sort("budget")
    assert rounds["budget"].to_list() == [1, 2, 3]
    assert rounds["budget_unit"].unique().to_list() == ["rounds"]
    assert rounds["accuracy"].to_list() == [0.25, 0.5, 0.75]
    assert rounds["output_tokens_per_problem"].to_list() == [7.0, 21.0, 35.0]
    assert rounds["latency_sequential_s_per_problem"].to_list() == [1.5, 5.0, 10.5]
    assert problems.filter(pl.col("outcome_id") == rounds["outcome_id"][1]).height == 4
    whole = outcomes.filter(
        pl.col("strategy_family").str.starts_with("majority"), pl.col("budget") == 1
    )
    assert whole["accuracy"].unique().to_list() == [0.75]


def test_an_answer_that_needed_the_beginning_of_a_call_costs_that(tmp_path, engine):
    frames = core(tmp_path, rounds=1, cut=3)
    samples = frames["core_samples"]
    assert samples["output_tokens"].unique().to_list() == [3]
    assert samples["n_calls"].unique().to_list() == [1]
    assert samples["decode_s"].unique().to_list() == [pytest.approx(1.0 * 2 / 6)]
    assert samples["logprob_sum"].null_count() == samples.height
    assert samples["correct"].to_list() == [False] * 8  # the text "cut"
    first = frames["core_answers"].filter(pl.col("budget") == 1)
    assert first["output_tokens"].unique().to_list() == [7]


def test_a_sample_whose_method_raised_is_invalid_and_its_calls_stay(tmp_path, engine):
    frames = core(tmp_path, raises=True)
    samples = frames["core_samples"]
    assert samples["invalid_reasons"].to_list() == [["method_error"]] * 8
    assert samples["correct"].null_count() == 8
    assert frames["core_calls"].height == 40 and frames["core_calls"]["is_used"].all()


def test_a_sample_under_way_is_no_sample_yet(tmp_path, engine):
    frames = core(tmp_path)
    spec = MethodSpec(name="test_rounds", parameters=Rounds().model_dump(mode="json"))
    session = sessions.session("openai", prompts=("direct",), method=spec, samples=2, max_tokens=50)
    raw = {name: read_raw(tmp_path, name) for name in ("raw_generations", "raw_answers")}
    first = frames["core_samples"]["sample_id"][0]
    for lost in (
        {"answers": raw["raw_answers"].filter(pl.col("sample_id") != first)},
        {"calls": raw["raw_generations"].filter(
            (pl.col("sample_id") != first) | (pl.col("call_index") != 2)
        )},
    ):  # fmt: skip
        partly = build_core(
            lost.get("calls", raw["raw_generations"]),
            [session],
            read_manifests(tmp_path),
            answers=lost.get("answers", raw["raw_answers"]),
        )
        assert first not in set(partly["core_samples"]["sample_id"])
        assert partly["core_points"]["samples_missing"].to_list() == [1]
        mine = partly["core_calls"].filter(pl.col("sample_id") == first)
        assert set(mine["not_used_reason"]) == {"unfinished"}


@pytest.mark.parametrize("name", sorted(all_axes()))
def test_a_call_cut_at_its_end_costs_as_much_as_the_whole_call(name):
    axis = all_axes()[name]
    if not axis.column:
        return
    row = {
        axis.column: 12.0, "output_tokens": 6, "kept_tokens": 6, "prefill_s": 2.0, "decode_s": 10.0,
        "energy_method": "nvml/output_token_share",
        **{field.name: 0.5 for field in axis.rise},
    }  # fmt: skip
    row |= {"output_tokens": 12, "kept_tokens": 12} if axis.column == "output_tokens" else {}
    found = pl.DataFrame([row]).select(cut_cost(axis).alias("cost"))["cost"][0]
    assert found is None or found == pytest.approx(12.0)


def test_calls_by_role_say_where_the_compute_went(tmp_path, engine):
    frames = core(tmp_path)
    found = build_method_calls(
        frames["core_calls"], frames["core_samples"], frames["core_points"]
    ).sort("role")
    assert faults(found, "out_method_calls") == []
    assert found["role"].to_list() == ["revise", "solve", "verify"]
    assert found["n_role_calls"].to_list() == [32, 8, 8]
    assert found["calls_per_problem"].to_list() == [4.0, 1.0, 1.0]
    assert found["output_tokens_per_problem"].to_list() == [28.0, 7.0, 1.0]
    assert found["output_tokens_ratio"].to_list() == pytest.approx([28 / 36, 7 / 36, 1 / 36])
    assert found["cached_ratio"].to_list() == [0.0] * 3
    assert found["latency_s_per_problem"].to_list() == [2 + 3 + 4 + 5 + 4 * 0.5, 1.5, 6.5]
    assert found["energy_j_per_problem"].null_count() == 3
    invalid = frames["core_samples"].with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(False).otherwise("is_valid").alias("is_valid")
    )
    fewer = build_method_calls(frames["core_calls"], invalid, frames["core_points"])
    assert fewer["n_samples"].unique().to_list() == [7] and fewer["n_role_calls"].sum() == 42
    assert fewer.sort("role")["calls_per_problem"].to_list() == [4.0, 1.0, 1.0]


def test_a_role_that_only_some_samples_have_is_a_mean_over_all(tmp_path, engine):
    frames = core(tmp_path)
    one = frames["core_samples"]["sample_id"][0]
    calls = frames["core_calls"].filter((pl.col("role") != "verify") | (pl.col("sample_id") == one))
    found = build_method_calls(calls, frames["core_samples"], frames["core_points"])
    verify = found.filter(role="verify")
    assert verify["calls_per_problem"].to_list() == [1 / 8] and verify["n_problems"][0] == 4
    unknown = calls.with_columns(
        pl.when(pl.col("role") != "verify").then("output_tokens").alias("output_tokens")
    )
    found = build_method_calls(unknown, frames["core_samples"], frames["core_points"])
    assert found.filter(role="verify")["output_tokens_per_problem"].to_list() == [None]
    assert found["output_tokens_ratio"].null_count() == found.height


def test_the_text_of_a_sample_is_the_one_that_was_graded(tmp_path, engine):
    frames = core(tmp_path)
    texts = sample_texts(frames["core_calls"], frames["core_answers"])
    assert texts["sample_id"].n_unique() == texts.height == 8
    graded = frames["core_samples"].join(texts, on=["sample_id", "session_id"])
    assert graded.height == 8
    for row in graded.iter_rows(named=True):  # not that of the verification, which came last
        assert row["output_text"].endswith(row["answer"])
    without = sample_texts(frames["core_calls"], frames["core_answers"].clear())
    assert without.sort("sample_id")["output_text"].to_list() == (
        texts.sort("sample_id")["output_text"].to_list()
    )


@pytest.mark.parametrize("name", sorted(all_axes()))
@given(
    length=st.integers(2, 40),
    kept=st.integers(1, 40),
    numbers=st.tuples(*[st.floats(0.01, 100) for _ in range(5)]),
)
def test_a_cut_call_costs_what_a_cut_sample_of_one_call_does(name, length, kept, numbers):
    """The law of an axis is the same in core_answers and in strategies that cut samples."""
    axis = all_axes()[name]
    kept = min(kept, length - 1)
    if not axis.column or axis.column == "output_tokens":
        return
    prefill, decode, whole, *rises = numbers
    whole = prefill + decode if axis.column == "latency_s" else whole
    row = {
        "output_tokens": float(length), "prefill_s": prefill, "decode_s": decode, axis.column: whole,
        **{field.name: rise / 1e3 for field, rise in zip(axis.rise, rises, strict=False)},
    }  # fmt: skip
    label = "nvml/output_token_share"
    columns = {key: np.array([[value]]) for key, value in row.items()}
    bank = PointBank(
        "p", ("a",), np.array([1]), np.ones((1, 1)), np.zeros((1, 1), dtype=np.int64), columns,
        labels={"energy_method": label},
    )  # fmt: skip
    law = cut_law(bank, axis)
    row |= {"output_tokens": length, "kept_tokens": kept, "energy_method": label}
    found = pl.DataFrame([row]).select(cut_cost(axis).alias("cost"))["cost"][0]
    if isinstance(law, str):
        assert found is None
    else:
        assert found == pytest.approx(float(law.at(float(kept))[0, 0]), rel=1e-9, abs=1e-9)
