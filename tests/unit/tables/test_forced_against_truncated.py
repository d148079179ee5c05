"""Forced answers against truncation of the same traces: the curves differ by what forcing adds.

A trace that has ended by the budget answers in both. Of a longer one truncation has no answer, and
forcing has that of its probe, at the probe's cost.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "payload"))
import sessions
from scripted import ScriptedEngine, completion

from isocost.bank.reader import read_manifests, read_raw
from isocost.capabilities import ENGINES
from isocost.costs import forward_flops, load_book
from isocost.methods import method_of
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.sweep import ModelVariant
from isocost.sweep.models import MethodSpec
from isocost.tables.core.samples import build_core
from isocost.tables.outcomes.outcomes import build_outcomes

CARD = "smollm2-135m-instruct"
BUDGETS, MOST = (16, 32), 40
PROBLEMS, SAMPLES = 5, 4
FORCED_PROMPT = 9
"""Prompt tokens of a probe beyond those of the trace it goes on after."""


class Plan:
    """Length and verdict of every trace, and length and verdict of its probe after b tokens."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        shape = (PROBLEMS, SAMPLES)
        self.length = rng.integers(4, MOST + 1, shape)
        self.length[0, 0], self.length[1, 0] = MOST, BUDGETS[0]  # cut by the point; at a budget
        self.is_cut = np.zeros(shape, dtype=bool)
        self.is_cut[0, 0] = True
        self.right = (rng.random(shape) < 0.5) & ~self.is_cut
        self.probe_right = {b: rng.random(shape) < 0.5 for b in (*BUDGETS, MOST)}
        self.probe_right[MOST][0, 0] = True
        self.probe_length = {b: rng.integers(1, 6, shape) for b in (*BUDGETS, MOST)}

    def forced(self, b):
        """The samples that are asked for their answer at a budget."""
        return (self.length > b) | (self.is_cut & (b == MOST))

    def reply(self, request):
        question = request.messages[-1]["content"]
        n, j = int(question.split("What is ")[1].split(" ")[0]), request.sample_index
        if request.call_index == 0:
            right, length = self.right[n, j], int(self.length[n, j])
            ended = "length" if self.is_cut[n, j] else "stop"
        else:
            b = len(request.prefix)
            right, length, ended = (
                self.probe_right[b][n, j],
                int(self.probe_length[b][n, j]),
                "stop",
            )
        says = "word" if ended == "length" else str(2 * n + 1 if right else 2 * n + 100)
        return completion(
            request,
            " ".join(["so"] * (length - 1) + [says]),
            finish_reason=ended,
            prompt_tokens=20 + (len(request.prefix) + FORCED_PROMPT if request.call_index else 0),
            cached_tokens=0,
        )


def curves(plan, lake, patch):
    """Outcomes with their problems: truncated plain samples, and forced answers."""
    patch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    patch.setattr(ScriptedEngine, "context", None)
    patch.setattr(ScriptedEngine, "asked", [])
    patch.setattr(ScriptedEngine, "reply", staticmethod(plan.reply))
    model = ModelVariant(
        name="tiny", path="none", revision=None, dtype="float32", quantization=None, card=CARD
    )
    full = method_of("forced_answers", {"budgets": list(BUDGETS)}).model_dump(mode="json")
    both = [
        sessions.session(
            "openai", prompts=("direct",), method=method, problems=PROBLEMS, samples=SAMPLES,
            max_tokens=MOST, model=model,
        )
        for method in ("sample", MethodSpec(name="forced_answers", parameters=full))
    ]  # fmt: skip
    session = both[0].model_copy(update={"points": both[0].points + both[1].points})
    with Reporter() as reporter:
        generate(session, str(lake), reporter=reporter, stop=Stop())
    core = build_core(
        read_raw(lake, "raw_generations"), [session], read_manifests(lake),
        answers=read_raw(lake, "raw_answers"),
    )  # fmt: skip
    outcomes, problems = build_outcomes(
        core["core_samples"], answers=core["core_answers"], only="points"
    )
    plain, forced = (own.points[0].point.point_id for own in both)
    number = {
        row["problem_id"]: int(row["reference"]) // 2
        for row in core["core_problems"].iter_rows(named=True)
    }
    found = {}
    for point, strategy in ((plain, "truncated_at_tokens"), (forced, "answer_at_budget")):
        mine = outcomes.filter(pl.col("point_id") == point, pl.col("strategy") == strategy)
        assert mine["budget"].sort().to_list() == [*BUDGETS, MOST]
        joined = problems.join(mine.select("outcome_id", "budget"), on="outcome_id")
        found[strategy] = joined.with_columns(
            pl.col("problem_id").replace_strict(number, return_dtype=pl.Int64).alias("n")
        ).sort("budget", "n")
    return found["truncated_at_tokens"], found["answer_at_budget"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forced_answers_are_truncation_and_what_forcing_adds(seed, tmp_path, monkeypatch):
    plan = Plan(seed)
    truncated, forced = curves(plan, tmp_path, monkeypatch)
    card = load_book().model(CARD)
    for b in (*BUDGETS, MOST):
        without, having = (frame.filter(budget=b) for frame in (truncated, forced))
        assert without["n"].to_list() == having["n"].to_list() == list(range(PROBLEMS))
        asked = plan.forced(b)
        ended = (plan.length <= b) & plan.right
        assert without["accuracy"].to_list() == ended.mean(axis=1).tolist()
        added = (asked & plan.probe_right[b]).mean(axis=1)
        assert added.any()
        np.testing.assert_allclose(having["accuracy"] - without["accuracy"], added, atol=1e-15)
        tokens = np.where(asked, plan.probe_length[b], 0).mean(axis=1)
        spent = "output_tokens_per_problem"
        assert without[spent].to_list() == np.minimum(plan.length, b).mean(axis=1).tolist()
        assert (having[spent] - without[spent]).to_list() == tokens.tolist()
        probes = forward_flops(card, 20 + b + FORCED_PROMPT, plan.probe_length[b])
        flops = (having["flops_per_problem"] - without["flops_per_problem"]).to_numpy()
        np.testing.assert_allclose(flops, np.where(asked, probes, 0).mean(axis=1), rtol=1e-9)
