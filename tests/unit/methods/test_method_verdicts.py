"""Verdicts in the probabilities of yes and no; those of texts are tested with the core tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.methods.verdicts import choice_verdict


@pytest.mark.parametrize(
    ("logprobs", "verdict"),
    [
        ([math.log(0.6), math.log(0.2)], 0.75),
        ([math.log(0.2), math.log(0.6)], 0.25),
        ([-3000.0, -3000.0], 0.5),  # both round to 0 as probabilities
        ([math.log(0.6), None], 1.0),
        ([None, -4.0], 0.0),
        ([None, None], None),
        ([-math.inf, -math.inf], None),
        ([-1.0], None),
        ([-1.0, -2.0, -3.0], None),
        (None, None),
    ],
)
def test_yes_against_no(logprobs, verdict):
    assert choice_verdict(logprobs) == (None if verdict is None else pytest.approx(verdict))


@given(yes=st.floats(-50, 0), no=st.floats(-50, 0))
def test_it_is_the_quotient_of_the_probabilities(yes, no):
    expected = math.exp(yes) / (math.exp(yes) + math.exp(no))
    assert choice_verdict([yes, no]) == pytest.approx(expected, rel=1e-9)
    assert choice_verdict([yes, no]) + choice_verdict([no, yes]) == pytest.approx(1)
