"""The costs of generate-then-verify, from banked calls to the tables, against the closed form
C(S, V) = S (1 + lambda V) of Singhi et al. 2025, arXiv:2504.01005.
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
from isocost.costs.verification import verification_budget
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.schema.frames import faults
from isocost.sweep import ModelVariant
from isocost.sweep.models import MethodSpec
from isocost.tables.core.samples import build_core
from isocost.tables.costs.method_calls import build_method_calls
from isocost.tables.outcomes.outcomes import build_outcomes

CARD = "smollm2-135m-instruct"
SAMPLES, VERIFICATIONS, PROBLEMS = 8, 5, 3
TOKENS = 12
SOLUTION_PROMPT, VERIFY_PROMPT = 40, 71
CACHED = 64
"""Prompt tokens of a verification that the engine found in its cache, but for the first one."""


def reply(request, ratio):
    """T tokens for a solution, ratio T for a verification; the second verdict is always no."""
    verifies = request.call_index > 0
    tokens = int(TOKENS * ratio) if verifies else TOKENS
    last = ("no" if request.call_index == 2 else "yes") if verifies else str(request.sample_index)
    later = request.call_index > 1
    return completion(
        request,
        " ".join([*["word"] * (tokens - 1), last]),
        prompt_tokens=VERIFY_PROMPT if verifies else SOLUTION_PROMPT,
        cached_tokens=CACHED if later else 0,
    )


@pytest.fixture(scope="module", params=[0.5, 1, 2])
def bank(request, tmp_path_factory):
    """lambda, core frames and outcomes of one point."""
    ratio, lake = request.param, tmp_path_factory.mktemp("lake")
    method = MethodSpec(name="generate_then_verify", parameters={"verifications": VERIFICATIONS})
    model = ModelVariant(
        name="tiny", path="none", revision=None, dtype="float32", quantization=None, card=CARD
    )
    session = sessions.session(
        "openai", prompts=("direct",), method=method, problems=PROBLEMS, samples=SAMPLES,
        max_tokens=64, model=model,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, Reporter() as reporter:
        patch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
        patch.setattr(ScriptedEngine, "context", None)
        patch.setattr(ScriptedEngine, "asked", [])
        patch.setattr(ScriptedEngine, "reply", staticmethod(lambda asked: reply(asked, ratio)))
        generate(session, str(lake), reporter=reporter, stop=Stop())
    core = build_core(
        read_raw(lake, "raw_generations"),
        [session],
        read_manifests(lake),
        answers=read_raw(lake, "raw_answers"),
    )
    outcomes, problems = build_outcomes(core["core_samples"], only="points")
    mine = outcomes.filter(pl.col("strategy_family") == "generate_then_verify")
    assert faults(core["core_samples"], "core_samples") == []
    return ratio, core, mine, problems


def test_tokens_are_exactly_those_of_the_closed_form(bank):
    ratio, core, outcomes, problems = bank
    asked = {1, 2, 4, VERIFICATIONS}  # every power of two, and all that are banked
    assert {name.rsplit("_", 1)[1] for name in outcomes["strategy"]} == {"1", "2", "4", "all"}
    assert outcomes["budget"].unique().sort().to_list() == [1, 2, 4, 5, 8]
    assert outcomes.height == len(asked) * 5
    for row in outcomes.iter_rows(named=True):
        v = row["strategy"].rsplit("_", 1)[1]
        v = VERIFICATIONS if v == "all" else int(v)
        closed = TOKENS * float(verification_budget(row["budget"], v, ratio))
        assert row["output_tokens_per_problem"] == closed
        each = problems.filter(pl.col("outcome_id") == row["outcome_id"])
        assert each["output_tokens_per_problem"].to_list() == [closed] * PROBLEMS
    samples = core["core_samples"]
    assert samples["output_tokens"].unique().to_list() == [TOKENS]
    assert samples["verification_tokens"].unique().to_list() == [VERIFICATIONS * ratio * TOKENS]
    by_role = build_method_calls(core["core_calls"], samples, core["core_points"]).sort("role")
    spent = by_role["output_tokens_per_problem"].to_list()
    assert sum(spent) == TOKENS * float(verification_budget(1, VERIFICATIONS, ratio))
    assert spent[1] / spent[0] / by_role["calls_per_problem"][1] == ratio


def test_flops_are_the_law_of_the_axis_with_prefixes_as_the_engine_counted_them(bank):
    ratio, _, outcomes, _ = bank
    card = load_book().model(CARD)
    solution = float(forward_flops(card, SOLUTION_PROMPT, TOKENS))
    cached = np.array([0, *[CACHED] * (VERIFICATIONS - 1)])
    verifications = forward_flops(card, VERIFY_PROMPT, int(ratio * TOKENS), cached_tokens=cached)
    assert verifications[1] < verifications[0]  # a prefix that is shared is computed once
    mean = float(verifications.mean())
    assert outcomes["flops_per_problem"].null_count() == 0
    for row in outcomes.iter_rows(named=True):
        v = row["strategy"].rsplit("_", 1)[1]
        v = VERIFICATIONS if v == "all" else int(v)
        closed = solution * float(verification_budget(row["budget"], v, mean / solution))
        assert row["flops_per_problem"] == pytest.approx(closed, rel=1e-12)


def test_prompts_are_those_of_every_call_and_shared_ones_once(bank):
    _, _, outcomes, _ = bank
    for row in outcomes.iter_rows(named=True):
        v = row["strategy"].rsplit("_", 1)[1]
        v = VERIFICATIONS if v == "all" else int(v)
        s = row["budget"]
        unshared = s * (SOLUTION_PROMPT + v * VERIFY_PROMPT)
        assert row["prompt_tokens_unshared_per_problem"] == unshared
        assert row["prompt_tokens_per_problem"] == SOLUTION_PROMPT + s * VERIFY_PROMPT
