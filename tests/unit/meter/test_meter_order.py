"""Waves from times, parents from texts."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from isocost.meter.exchange import CHAT, TEXT, apportioned, read_request
from isocost.meter.order import parent_of, waves

SPANS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=12,
).map(sorted)


@given(SPANS)
def test_a_wave_is_the_longest_chain_of_calls_that_ended_before(spans):
    found = waves(spans)

    def longest(i):  # by trying every chain
        before = [longest(j) for j in range(len(spans)) if spans[j][1] <= spans[i][0]]
        return 1 + max(before, default=-1)

    assert found == [longest(i) for i in range(len(spans))]
    for (i, one), (j, other) in itertools.combinations(enumerate(spans), 2):
        if found[i] == found[j]:  # of a wave no call has waited for another
            assert not (one[1] <= other[0] or other[1] <= one[0])


def chat(*turns):
    messages = [{"role": role, "content": content} for role, content in turns]
    return read_request(CHAT, json.dumps({"model": "m", "messages": messages}).encode(), "m")


def test_the_parent_is_the_last_answer_in_the_prompt():
    earlier = [(0, "7"), (1, "The sum of both numbers is 12."), (2, "8"), (3, "7")]
    asked = chat(("user", "What is 7?"))
    assert parent_of(asked, earlier) is None, "a digit of the question is no quotation"
    asked = chat(("user", "?"), ("assistant", "7 "), ("user", "Again."))
    assert parent_of(asked, earlier) == 3, "of equal answers the latest"
    asked = chat(("user", "?"), ("assistant", "8"), ("user", "Is this right?"))
    assert parent_of(asked, earlier) == 2
    asked = chat(("user", "Check: The sum of both numbers is 12. Is it?"))
    assert parent_of(asked, earlier) == 1
    asked = chat(("user", "?"), ("assistant", "8"), ("user", "The sum of both numbers is 12."))
    assert parent_of(asked, earlier) == 1, "the later place in the prompt"
    begun = chat(("user", "?"), ("assistant", "First add.\n\nThen 8\n"))
    assert parent_of(begun, [(0, "First add."), (1, "Then 8")]) == 1, "a turn that is continued"
    assert parent_of(chat(("assistant", "It is 28")), earlier) is None, "8 is not its end"
    parts = [{"type": "text", "text": "So: The sum of both numbers is 12."}]
    assert parent_of(chat(("user", parts)), earlier) == 1
    body = b'{"model": "m", "prompt": "Q: A: The sum of both numbers is 12. Hence"}'
    assert parent_of(read_request(TEXT, body, "m"), earlier) == 1
    assert parent_of(chat(("user", "")), [(0, ""), (1, "  ")]) is None


@given(st.none() | st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=9))
def test_shares_add_up_and_are_near_their_weights(total, weights):
    found = apportioned(total, weights)
    if total is None:
        assert found == [None] * len(weights)
        return
    assert sum(found) == total
    scale = sum(weights)
    for share, weight in zip(found, weights, strict=True):
        exact = total * weight / scale if scale else total / len(weights)
        assert abs(share - exact) <= 1
