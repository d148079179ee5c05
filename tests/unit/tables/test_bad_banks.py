"""Banks with odd problems.

What every registered strategy says of each, in the row and problem by problem.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.schema.frames import faults
from isocost.strategies import ChainStrategy, all_variants
from isocost.tables.outcomes.outcomes import Bootstrap, build_outcomes

pytestmark = pytest.mark.slow
SAMPLES, FEW = 20, 3
SCORES = (
    "logprob_mean",
    "logprob_sum",
    "self_certainty_low",
    "entropy_mean_high",
    "confidence_mean",
    "confidence_tail",
    "confidence_lowest_group",
    "external_score",
)
NO_SCORE = ("no_sample_has_the_score", "missing_scores", "too_few_verifications")


def problem(
    name: str, point: str, n: int, correct, classes, *, scored: bool = True, truncated: bool = False
) -> pl.DataFrame:
    """Samples of one problem with everything that any strategy reads."""
    rng = np.random.default_rng([len(point), n, *name.encode()])
    tokens = rng.integers(5, 60, n)
    lowest = rng.uniform(1, 2, n)
    columns = {
        "task": ["sums"] * n,
        "model_variant": [point] * n,
        "prompt": ["direct"] * n,
        "point_id": [f"pt-{point}"] * n,
        "problem_id": [f"pr-{name}"] * n,
        "sample_index": range(n),
        "session_id": ["s"] * n,
        "is_valid": [True] * n,
        "correct": pl.Series(correct, dtype=pl.Boolean),
        "answer_class": pl.Series(classes, dtype=pl.Int32),
        "is_truncated": [truncated] * n,
        "output_tokens": tokens,
        "prompt_tokens": [40] * n,
        "flops": tokens * (1e9 if point == "small" else 1e10),
        "prefill_s": [0.1] * n,
        "decode_s": (tokens - 1) * 0.01,
        "latency_s": 0.1 + (tokens - 1) * 0.01,
        "completion_hash": [f"{name}{i}" for i in range(n)],
        "confidence_record_tokens": pl.Series(
            [[int(t)] for t in tokens // 2 + 1], dtype=pl.List(pl.Int32)
        ),
        "confidence_record_values": pl.Series([[v] for v in lowest], dtype=pl.List(pl.Float32)),
        "verdicts": pl.Series(
            [[float(v) for v in rng.integers(0, 2, 2)] for _ in range(n)] if scored else [None] * n,
            dtype=pl.List(pl.Float64),
        ),
        "verification_tokens": pl.Series([30 if scored else None] * n, dtype=pl.Int64),
    }
    scores = {
        c: lowest
        if c == "confidence_lowest_group"
        else -rng.random(n)
        if c.startswith("logprob")
        else rng.random(n)
        for c in SCORES
    }
    return pl.DataFrame(
        columns | {c: values if scored else np.full(n, np.nan) for c, values in scores.items()}
    )


def odd_bank() -> pl.DataFrame:
    """Two models; ordinary problems beside one of each kind that may go wrong."""
    rng, parts = np.random.default_rng(0), []
    for point in ("small", "large"):
        for i in range(3):
            right = rng.random(SAMPLES) < 0.5
            parts.append(
                problem(
                    f"plain{i}",
                    point,
                    SAMPLES,
                    right,
                    np.where(right, 0, rng.integers(1, 4, SAMPLES)),
                )
            )
        parts += [
            problem("few", point, FEW, [True, False, True], [0, 1, 0]),
            problem("mute", point, SAMPLES, [False] * SAMPLES, [None] * SAMPLES),
            problem("cut", point, SAMPLES, [False] * SAMPLES, [None] * SAMPLES, truncated=True),
            problem("sure", point, SAMPLES, [True] * SAMPLES, [0] * SAMPLES),
            problem("wrong", point, SAMPLES, [False] * SAMPLES, [0] * SAMPLES),
            problem(
                "nan",
                point,
                SAMPLES,
                [True, False] * (SAMPLES // 2),
                [0, 1] * (SAMPLES // 2),
                scored=False,
            ),
        ]
    return pl.concat(parts)


@pytest.fixture(scope="module")
def played() -> tuple[pl.DataFrame, pl.DataFrame]:
    names = sorted({variant.family for variant in all_variants().values()} - {"one_sample"})
    return build_outcomes(odd_bank(), strategies=names, bootstrap=Bootstrap(draws=0))


def every_variant() -> list[str]:
    # One sample is replayed only where there is nothing to vote on; more than two verdicts are not
    # banked here.
    return [
        n
        for n, v in all_variants().items()
        if v.family != "one_sample"
        and (v.family != "generate_then_verify" or n.endswith(("_1", "_2")))
    ]


@pytest.mark.parametrize("name", every_variant())
def test_every_strategy_says_what_it_makes_of_odd_problems(played, name):
    outcomes, problems = played
    rows = outcomes.filter(pl.col("strategy") == name)
    assert rows.height > 0
    is_chain = isinstance(all_variants()[name], ChainStrategy)
    for row in rows.iter_rows(named=True):
        own = problems.filter(pl.col("outcome_id") == row["outcome_id"])
        found = {
            p.removeprefix("pr-"): (a, r)
            for p, a, r in own.select("problem_id", "accuracy", "undefined_reason").iter_rows()
        }
        assert len(found) == 9
        assert_problems(name, row, found, is_chain)
        # Nothing is dropped unseen: the row counts each undefined problem under its reason.
        reasons = own["undefined_reason"].drop_nulls().value_counts().rows()
        assert row["undefined_reasons"] == sorted(f"{reason}:{count}" for reason, count in reasons)
        assert (row["n_problems"], row["n_problems_undefined"]) == (
            own["accuracy"].count(),
            own["accuracy"].null_count(),
        )
        points = 2 if is_chain else 1
        assert row["n_samples_no_answer"] == points * 2 * SAMPLES
        assert row["n_problems_no_answer"] == points * 2
        assert row["n_problems_all_truncated"] == points
        assert row["n_problems_one_class"] == points * 2


def assert_problems(name: str, row: dict, found: dict, is_chain: bool) -> None:
    """One row's values at the odd problems."""
    is_short = row["budget_unit"] == "samples" and row["budget"] > FEW
    if is_short:
        assert found["few"] == (None, "budget_exceeds_samples")
    elif name != "rpc" and not is_chain and row["budget_unit"] == "samples":
        assert found["few"][0] is not None
    whole = row["budget_unit"] != "tokens" or row["budget"] >= 60
    is_left_out = name == "rpc" and row["budget"] != SAMPLES
    for nothing in ("mute", "cut", "wrong"):
        assert found[nothing] == ((None, "budget_below_samples") if is_left_out else (0.0, None))
    if whole and not is_left_out:
        assert found["sure"] == (pytest.approx(1.0, abs=1e-12), None)
    accuracy, reason = found["nan"]
    needs = set(all_variants()[name].needs)
    if (needs & set(SCORES) or "verdicts" in needs) and not is_chain and not is_left_out:
        assert (accuracy, reason in NO_SCORE) == (None, True)
    elif needs & set(SCORES) and is_chain:
        # An answer without a score is never accepted: it is passed on, and reported.
        assert accuracy == pytest.approx(0.5)
        assert row["n_samples_unscored"] == SAMPLES
    elif not is_left_out:
        assert accuracy is not None


def test_rows_of_an_odd_bank_conform_and_costs_are_never_free(played):
    outcomes, problems = played
    assert faults(outcomes, "out_strategy_outcomes") == []
    assert faults(problems, "out_strategy_problems") == []
    defined = problems.filter(
        pl.col("accuracy").is_not_null(), pl.col("output_tokens_per_problem").is_not_null()
    )
    assert defined["output_tokens_per_problem"].min() > 0
    short = problems.filter(pl.col("undefined_reason") == "budget_exceeds_samples")
    assert short["output_tokens_per_problem"].null_count() == short.height


def test_scores_unknown_for_some_samples_are_counted_in_the_row():
    bank = odd_bank().filter(pl.col("model_variant") == "small")
    gaps = bank.with_columns(
        pl.when(pl.col("sample_index") % 4 == 1).then(None).otherwise(pl.col(c)).alias(c)
        for c in SCORES
    )
    names = [
        n
        for n, v in all_variants().items()
        if not isinstance(v, ChainStrategy) and set(v.needs) & set(SCORES)
    ]
    outcomes, _ = build_outcomes(gaps, strategies=names, bootstrap=Bootstrap(draws=0))
    assert set(outcomes["strategy"]) == set(names)
    for row in outcomes.iter_rows(named=True):
        reported = row["n_samples_unscored"] > 0 or any(
            r.startswith(("missing_scores", "budget_below")) for r in row["undefined_reasons"]
        )
        assert reported, row["strategy"]
