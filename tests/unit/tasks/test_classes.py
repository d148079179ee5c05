"""What votes together.

Two drawn answers are one class exactly when they mean the same, whatever their spelling.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.tasks import answer_classes, make_problem
from isocost.tasks.registry import verifier_of

pytestmark = pytest.mark.slow

ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
QUICK = settings(max_examples=150, deadline=None)


def classes(verifier: str, replies: list[str], reference: str) -> list[int | None]:
    problem = make_problem("t", "q", reference, verifier)
    grader = verifier_of(verifier)
    found = []
    for reply in replies:
        written = grader.extract(reply, False)
        found.append(grader.canonical(written) if written is not None else None)
    assert None not in found
    return answer_classes(problem, found)


def spelled(cents: int, way: int) -> str:
    """A number of cents in one of many spellings."""
    sign, size = "-" * (cents < 0), abs(cents)
    whole, part = divmod(size, 100)
    value = Fraction(size, 100)
    ways = [
        f"{sign}{whole}.{part:02}",
        f"{sign}{whole},{part:02}",
        f"{sign}{whole:,}.{part:02}",
        f"{sign}{whole:_}.{part:02}".replace("_", " "),
        f"{sign}{size}/100",
        rf"{sign}\frac{{{size}}}{{100}}",
        f"{sign}{value.numerator} over {value.denominator}",
        f"{sign}{whole}.{part:02}".translate(ARABIC),
        f"{sign}{size}e-2",
        f"{sign}{size} x 10^-2",
        f"${sign}{whole}.{part:02}",
        f"{sign}{whole}.{part:02} m^2",
        f"**{sign}{whole}.{part:02}**.",
        f"{sign}{whole:,}.{part:02}".translate(str.maketrans(",.", ".,"))
        if whole >= 1_000
        else f"{sign}{whole},{part:02} €",
        f"{sign}{whole} {value - whole}" if whole and value != whole else f"{sign}{value}",
    ]
    return ways[way % len(ways)]


NUMBERS = st.tuples(st.integers(-10_000_000, 10_000_000), st.integers(0, 14))


@QUICK
@given(
    NUMBERS,
    NUMBERS,
    st.booleans(),
    st.sampled_from(["The answer is {}", "Answer: {}", "\\boxed{{{}}}", "#### {}"]),
)
def test_numbers_merge_exactly_when_they_are_one_number(first, second, is_same, mark):
    cents = first[0] if is_same else second[0]
    one, two = classes(
        "numeric", [mark.format(spelled(*first)), mark.format(spelled(cents, second[1]))], "7"
    )
    assert (one == two) == (first[0] == cents)


# Sets of reals, each with its own way to tell what is inside.
ENDS = st.integers(-4, 4)


@st.composite
def intervals(draw):
    low, high = sorted(draw(st.lists(ENDS, min_size=2, max_size=2, unique=True)))
    opening, closing = draw(st.sampled_from("[(")), draw(st.sampled_from("])"))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return rf"(-\infty,{high}{closing}", lambda x: x < high or (closing == "]" and x == high)
    if kind == 1:
        return rf"{opening}{low},\infty)", lambda x: x > low or (opening == "[" and x == low)
    return (
        f"{opening}{low},{high}{closing}",
        lambda x: low < x < high or (opening == "[" and x == low) or (closing == "]" and x == high),
    )


@st.composite
def reals(draw):
    text, inside = draw(intervals())
    for _ in range(draw(st.integers(0, 2))):
        other, within = draw(intervals())
        text, inside = rf"{text}\cup{other}", lambda x, a=inside, b=within: a(x) or b(x)
    if r"\cup" not in text and draw(st.booleans()):
        gone = draw(ENDS)
        return rf"{text}\setminus\{{{gone}\}}", lambda x, a=inside: a(x) and x != gone
    return text, inside


@QUICK
@given(reals(), reals())
def test_unions_of_intervals_merge_exactly_when_they_hold_the_same_numbers(first, second):
    points = [Fraction(n, 2) for n in range(-12, 13)]
    same = all(first[1](x) == second[1](x) for x in points)
    if first[0][:1] == second[0][:1] == "(" and not (
        {r"\cup", r"\setminus"}
        & {part for part in (r"\cup", r"\setminus") if part in first[0] + second[0]}
    ):
        same = first[0] == second[0]  # two pairs in round brackets may be points
    one, two = classes("symbolic", [rf"\boxed{{{first[0]}}}", rf"\boxed{{{second[0]}}}"], "7")
    assert (one == two) == same, (first[0], second[0])


DATES = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
FORMS = st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y"])


@QUICK
@given(DATES, DATES, FORMS)
def test_dates_never_merge_with_other_dates_or_with_numbers(first, second, form):
    texts = [
        first.strftime(form),
        second.strftime(form),
        str(first.year - first.month - first.day),
        f"{first.month}/{first.day * first.year}",
    ]
    one, two, difference, quotient = classes(
        "symbolic", [rf"\boxed{{{text}}}" for text in texts], "7"
    )
    assert (one == two) == (first == second)
    assert one not in (difference, quotient)


VOCABULARY = (
    "yes",
    "no",
    "on",
    "east",
    "seat",
    "even",
    "odd",
    "not",
    "Paris",
    "London",
    "circle",
    "square",
    "always",
    "the",
    "an",
)
WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=3)


@QUICK
@given(WORDS, WORDS)
def test_words_merge_only_with_the_same_words(first, second):
    """Case and an article in front aside."""

    def plain(words: list[str]) -> str:
        kept = (
            words[1:]
            if len(words) > 1 and words[0] in ("the", "an") and len(words[1]) > 2
            else words
        )
        return " ".join(kept).casefold()

    for verifier in ("exact", "symbolic"):
        one, two = classes(
            verifier, [rf"\boxed{{\text{{{' '.join(words)}}}}}" for words in (first, second)], "7"
        )
        same = (
            plain(first) == plain(second)
            if verifier == "symbolic"
            else " ".join(first).casefold() == " ".join(second).casefold()
        )
        assert (one == two) == same


@QUICK
@given(
    st.lists(st.integers(-30, 30), min_size=2, max_size=3, unique=True),
    st.lists(st.integers(-30, 30), min_size=2, max_size=3, unique=True),
)
def test_lists_of_roots_merge_in_any_order_and_way_of_joining(first, second):
    def ways(items: list[int]) -> list[str]:
        texts = [str(item) for item in items]
        return [
            rf"\boxed{{{', '.join(texts)}}}",
            rf"\boxed{{\{{{', '.join(texts[::-1])}\}}}}",
            rf"\boxed{{{{{', '.join(texts)}}}}}",
            " and ".join(rf"$\boxed{{{text}}}$" for text in texts),
            " or ".join(f"$x = {text}$" for text in texts),
            rf"\boxed{{{' and '.join(texts)}}}",
        ]

    found = classes("symbolic", [*ways(first), *ways(second)], "7")
    assert len(set(found[:6])) == len(set(found[6:])) == 1
    assert (found[0] == found[6]) == (sorted(first) == sorted(second))
