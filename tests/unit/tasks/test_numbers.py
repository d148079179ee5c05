"""Numbers as models write them.

Found where they stand, one spelling for each value, nothing that can hang.
"""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.tasks.number_words import find_words, value_of_words
from isocost.tasks.numbers import MAX_DIGITS, NUMBER, spell, tidy, value_of


def find_numbers(text: str) -> list[str]:
    """Every number of a text as written, in order."""
    return [match[0] for match in NUMBER.finditer(tidy(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2 + -8 = **-6**.", ["2", "-8", "-6"]),
        ("5-3", ["5", "3"]),
        ("it costs $1,234.50 now", ["$1,234.50"]),
        ("1, 2, 3", ["1", "2", "3"]),
        ("-$3", ["-$3"]),
        ("3/4 of 1/0", ["3/4", "1/0"]),
        (r"\frac{1}{2} and \text{7}", ["1/2", "7"]),
        ("x2 v1.5 3rd", ["3"]),
        ("−4 (minus sign)", ["-4"]),
        (".5 and 6.", [".5", "6"]),
        ("1e5 and 2e", ["1e5", "2"]),
        ("12:30", ["12", "30"]),
        ("٣ and ৪২", ["3", "42"]),
        ("none", []),
    ],
)
def test_numbers_are_found_as_written(text, found):
    assert find_numbers(text) == found


def test_number_words_are_found():
    assert find_words("Seven of Twenty-one") == ["Seven", "Twenty-one"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seven", 7),
        ("minus five", -5),
        ("Twenty-one", 21),
        ("one hundred and twenty-three", 123),
        ("two thousand four hundred", 2400),
        ("one million two hundred thousand", 1_200_000),
        ("a dozen", 12),
        ("two and a half", Fraction(5, 2)),
        ("three quarters", Fraction(3, 4)),
        ("one third", Fraction(1, 3)),
        ("five six", None),
        ("twenty eleven", None),
        ("hundred million thousand", None),
        ("two and three halves", None),
        ("", None),
        ("seven apples", None),
    ],
)
def test_words_are_read_whole_or_not_at_all(text, value):
    assert value_of_words(text) == value


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("007", "7"),
        ("+7", "7"),
        ("-0", "0"),
        ("1,234.50", "1234.5"),
        ("$5", "5"),
        ("50%", "50"),
        ("1e3", "1000"),
        ("1e-3", "0.001"),
        ("2/4", "0.5"),
        ("-1/3", "-1/3"),
        ("10/3", "10/3"),
        ("-.25", "-0.25"),
        ("8.", "8"),
        ("1 000", "1000"),
        ("10'000", "10000"),
        (r"10\,000", "10000"),
        ("10{,}000", "10000"),
        ("12,34,567", "1234567"),
        ("3½", "3.5"),
        ("2 2/3", "8/3"),
        (r"3\frac{1}{2}", "3.5"),
        (r"\frac14", "0.25"),
        ("10^6", "1000000"),
        ("1.5 x 10^3", "1500"),
        ("3×10²", "300"),
        ("2^{-3}", "0.125"),
        ("1 million", "1000000"),
        ("$-3", "-3"),
        ("1_000", "1000"),
        ("1,2", "1.2"),
        ("0,125", "0.125"),
        ("1,234", "1234"),
        ("1.234", "1.234"),
        ("1.234,5", "1234.5"),
        ("1.234.567", "1234567"),
        ("1.234.567,89", "1234567.89"),
        ("1 234,56", "1234.56"),
        ("1 234,56 €", "1234.56"),
        ("٤٢", "42"),
        ("٣٫٥", "3.5"),
        ("3 and a half", "3.5"),
        ("3 and 1/2", "3.5"),
        ("3 over 4", "0.75"),
        ("__42__", "42"),
    ],
)
def test_equal_values_have_one_spelling(text, spelling):
    assert spell(value_of(text)) == spelling


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1/0",
        "5+3",
        "5 3",
        "1,2,3",
        "(1,2)",
        "1,23,4",
        "1.234,567",
        "1e999999999",
        "9" * 5000,
        "1e",
        "--1",
        "1.2.3",
        "inf",
        "nan",
        "1_00",
        "1_0000",
        "4 10/3",
        "9^999999999",
        "1 00",
        "1 million 2",
        "12:30",
        "2 h 30",
    ],
)
def test_what_is_no_number_has_no_value_and_takes_no_time(text):
    start = time.perf_counter()
    assert value_of(text) is None
    assert time.perf_counter() - start < 0.5


def test_four_hundred_digits_are_still_a_number():
    assert value_of("9" * MAX_DIGITS) == Fraction(10**MAX_DIGITS - 1)
    assert value_of("9" * (MAX_DIGITS + 1)) is None


@given(st.fractions())
@settings(max_examples=40, deadline=None)
def test_a_spelling_reads_back(value):
    assert value_of(spell(value)) == value


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9
    )
)
@settings(max_examples=40, deadline=None)
def test_a_decimal_is_found_in_a_sentence(value):
    assert [value_of(n) for n in find_numbers(f"The answer is {value}, and that is all.")] == [
        Fraction(value)
    ]


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_searched(text):
    for number in find_numbers(text):
        value_of(number)
