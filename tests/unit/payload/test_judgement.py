"""What an engine returns becomes a row that a part takes, whatever it is.

What cannot be true is NULL with its reason.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.protocol import Completion
from isocost.payload.judgement import FINISHES, MOST_TOKENS, judged_logprobs
from isocost.payload.rows import generation_row
from isocost.payload.work import Work, request_of
from isocost.schema.frames import faults
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from tests.unit.payload.sessions import session

WORK = Work(session(problems=1, samples=1, prompts=("direct",)))
SAMPLE = next(WORK.samples(WORK.plan))
GOOD = {
    "text": "five",
    "token_ids": [1, 2],
    "finish_reason": "stop",
    "prompt_tokens": 7,
    "output_tokens": 2,
    "cached_tokens": 0,
}
FOREIGN = (
    "text",
    "token_ids",
    "finish_reason",
    "stop_reason",
    "error",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
)
TIMES = (
    "arrival_unix_s",
    "queued_s",
    "scheduled_s",
    "first_token_s",
    "last_token_s",
    "num_preemptions",
    "num_retries",
)
HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [
            2**31,
            2**62,
            2**63,
            10**400,
            -1,
            0,
            math.nan,
            math.inf,
            -1e308,
            1e308,
            2.5,
            "\ud83d",
            "a\udc00b",
            "\x00",
            b"x",
        ]
    ),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.lists(
        st.none() | st.booleans() | st.integers(-3, 2**33) | st.floats() | st.text(max_size=2),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
NUMERIC = [
    c.name
    for c in table("raw_generations").columns
    if c.name.startswith(("logprob", "confidence", "entropy", "token_"))
]


def row(**changes):
    completion = Completion(request_id="r", **(GOOD | changes))
    request = request_of(SAMPLE, per_request_seed=False)
    return generation_row(
        SAMPLE, request, completion, attempt=1, logprobs_k=2, window=8, is_warmup=False
    )


def seals(made) -> pl.DataFrame:
    """The row as the writer makes a part of it."""
    whole = made | {"session_id": "s", "run_id": "r"}
    frame = pl.DataFrame(
        [whole], schema=polars_schema(table("raw_generations")), orient="row", strict=False
    )
    assert faults(frame, "raw_generations") == []
    return frame


def test_a_good_completion_is_left_as_it_is():
    made = row(num_retries=2)
    assert (
        made["output_text"],
        made["output_token_ids"],
        made["finish_reason"],
        made["error"],
    ) == ("five", [1, 2], "stop", None)
    assert (
        made["prompt_tokens"],
        made["output_tokens"],
        made["cached_tokens"],
        made["num_retries"],
    ) == (7, 2, 0, 2)


@pytest.mark.parametrize(
    ("given_", "kept", "said"),
    [
        ([-0.5, -2.0], [-0.5, -2.0], None),
        ((None, -2.0), [None, -2.0], None),  # yes was not among the most likely tokens
        ((None, None), [None, None], None),
        (None, None, None),
        ([0.5, -2.0], None, "choice_logprobs contains a log-probability of 0.5"),
        ([float("nan"), -2.0], None, "choice_logprobs contains a number that is not finite"),
        (["yes", None], None, "choice_logprobs is not a list of numbers"),
        ("yes", None, "choice_logprobs is str, not a list"),
    ],
)
def test_probabilities_of_choices_may_be_unknown_one_by_one(given_, kept, said):
    made = row(choice_logprobs=given_)
    assert seals(made)["choice_logprobs"].to_list() == [kept]
    assert (made["error"] is None) if said is None else (said in made["error"])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(FOREIGN + TIMES), HOSTILE, min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(NUMERIC), HOSTILE),
)
def test_whatever_an_engine_returns_the_row_is_sealed_and_makes_sense(changes, recorded):
    made = row(**changes, recorded=recorded)
    (stored,) = seals(made).rows(named=True)
    assert stored["finish_reason"] in FINISHES
    for name in ("prompt_tokens", "output_tokens", "cached_tokens"):
        assert stored[name] is None or 0 <= stored[name] <= MOST_TOKENS
    if stored["finish_reason"] == "error" and changes.get("finish_reason", "stop") != "error":
        assert (
            stored["error"] and stored["output_text"] is None and stored["output_token_ids"] is None
        )
    for name in set(changes) & {"prompt_tokens", "output_tokens", "cached_tokens"}:
        if changes[name] is not None and stored[name] is None:
            assert name in stored["error"] or stored["finish_reason"] == "error"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "a\ud83d"}, "U+D83D"),
        ({"text": 42}, "output_text is int"),
        ({"token_ids": [1, -2]}, "not a token id"),
        ({"token_ids": [1, True]}, "output_token_ids"),
        ({"finish_reason": "banana"}, "not one of stop"),
        ({"text": None, "token_ids": None}, "neither text nor tokens"),
    ],
)
def test_what_makes_no_sample_is_an_error_row_with_its_reason(changes, said):
    made = row(**changes)
    assert (
        made["finish_reason"] == "error" and said in made["error"] and made["output_tokens"] is None
    )


@pytest.mark.parametrize(
    ("changes", "unknown", "said"),
    [
        ({"prompt_tokens": -5}, ("prompt_tokens",), "negative"),
        ({"prompt_tokens": 2**62}, ("prompt_tokens",), "impossible for a count"),
        ({"prompt_tokens": "20"}, ("prompt_tokens",), "str"),
        ({"prompt_tokens": 0}, ("prompt_tokens",), "there was a prompt"),
        ({"output_tokens": 2.5}, ("output_tokens",), "whole number"),
        ({"output_tokens": True}, ("output_tokens",), "bool"),
        ({"output_tokens": 3}, ("output_tokens",), "there are 2 tokens"),
        ({"output_tokens": 0, "token_ids": None}, ("output_tokens",), "there is text"),
        ({"cached_tokens": 8}, ("cached_tokens", "prompt_tokens"), "more than prompt_tokens"),
        ({"scheduled_s": math.nan}, ("scheduled_s",), "finite"),
    ],
)
def test_a_value_beside_it_that_cannot_be_true_costs_that_value_alone(changes, unknown, said):
    made = row(**changes)
    assert (made["finish_reason"], made["output_text"]) == ("stop", "five")
    assert all(made[name] is None for name in unknown) and said in made["error"]


@pytest.mark.parametrize(
    ("sampled", "top"),
    [
        ([0.5, -1], []),
        ([math.nan, -1], []),
        ([-math.inf, -1], []),
        ([-1e308, -1], []),
        ([-1, -1], [[2.0], [-1]]),
        ([-1, -1], [[math.nan], [-1]]),
    ],
)
def test_log_probabilities_that_cannot_be_ones_are_left_out_whole(sampled, top):
    given_ones = TokenLogprobs(
        np.array(sampled, dtype=float), np.array(top, dtype=float).reshape(2, -1), None
    )
    assert judged_logprobs(given_ones)[0] is None
    made = row(logprobs=given_ones)
    assert (
        made["logprob_sum"] is None
        and made["token_logprobs"] is None
        and "log-probability" in made["error"]
        and made["output_text"] == "five"
    )


def test_log_probabilities_with_masked_alternatives_and_rounding_stay():
    kept = TokenLogprobs(np.array([1e-6, -1.0]), np.array([[1e-6, -math.inf], [-0.5, -1.0]]), None)
    assert judged_logprobs(kept) == (kept, None)
