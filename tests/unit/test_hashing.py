"""Equal values have one text and one hash on every machine; what has no single text is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.hashing import canonical_json, sha256_hex, slug, text_hash

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_known_texts_and_hashes():
    assert canonical_json({"b": [1, 0.1, None], "a": True}) == '{"a":true,"b":[1,0.1,null]}'
    assert (
        sha256_hex({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    )
    assert sha256_hex({"a": 1}, 10) == "015abd7f5c"
    assert text_hash("abc") == "ba7816bf8f01cfea"


def test_one_letter_has_one_spelling():
    assert canonical_json("e\u0301") == canonical_json("\u00e9")


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_the_text_reads_back_and_does_not_depend_on_the_order_of_keys(value):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        {"a": [float("-inf")]},
        {1: 2},
        {"a": object()},
        b"bytes",
        {"a": {1, 2}},
    ],
)
def test_what_has_no_single_text_is_refused(value):
    with pytest.raises(IsocostError):
        canonical_json(value)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("SmolLM2 135M_Instruct", "smollm2-135m-instruct"),
        ("--", "x"),
        ("a" * 80, "a" * 60),
        ("a/b:c", "a-b-c"),
    ],
)
def test_a_slug_is_readable_and_safe(text, short):
    assert slug(text) == short


def test_what_is_nested_without_end_is_a_mistake_and_no_trace():
    value = 1
    for _ in range(5_000):
        value = [value]
    with pytest.raises(IsocostError, match="nested too deeply"):
        canonical_json(value)
