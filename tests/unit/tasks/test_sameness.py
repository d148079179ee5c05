"""Numbers in whatever spelling are one answer exactly when they are one number.

Formulas when they mean the same; both ways round.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from verdict_table import TABLE

from isocost.tasks import answer_classes, grade_text, make_problem
from isocost.tasks.formulas.reader import read
from isocost.tasks.formulas.trees import num
from isocost.tasks.registry import verifier_of

pytestmark = pytest.mark.slow

SYMBOLIC = verifier_of("symbolic")
POOL = sorted(
    {
        text
        for verifier, *texts, _ in TABLE
        if verifier == "symbolic"
        for text in texts
        if len(text) < 60
    }
)


def is_terminating(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def decimal_of(value: Fraction) -> str:
    places = next(k for k in range(400) if (10**k) % value.denominator == 0)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else sign + digits


def spellings(value: Fraction) -> list[str]:
    """Ways in which people write one rational number, without per cent."""
    top, bottom, sign = abs(value.numerator), value.denominator, "-" if value < 0 else ""
    found = [
        rf"{sign}\frac{{{top}}}{{{bottom}}}",
        rf"{sign}\dfrac{{{7 * top}}}{{{7 * bottom}}}",
        f"{sign}{top}/{bottom}",
    ]
    whole, rest = divmod(top, bottom)
    if whole and rest:
        found += [rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}", f"{sign}{whole} {rest}/{bottom}"]
        if (rest, bottom) == (1, 2):
            found.append(f"{sign}{whole}½")
    if top < 10 and 1 < bottom < 10:
        found += [rf"{sign}\frac{top}{bottom}"]
    if is_terminating(value):
        plain = decimal_of(value)
        found += [plain, rf"\text{{{plain}}}", f"${plain}$", plain.replace("-", "−")]
        if bottom == 1:
            grouped = f"{top:,}"
            found += [
                sign + grouped.replace(",", mark)
                for mark in (",", "{,}", r"\,", " ", "'", "\u2009", "\u202f", r"\ ")
            ]
            found += [plain + ".0", rf"{sign}{top}\cdot 10^{{0}}"]
        found.append(rf"{decimal_of(value / 1000)} \times 10^{{3}}")
        found.append(f"{decimal_of(value * 10**5)}e-5")
    return found


WHOLE = st.one_of(
    st.integers(-(10**6), 10**6), st.integers(-(10**40), 10**40), st.integers(-12, 12)
)
RATIONAL = st.builds(
    Fraction,
    WHOLE,
    st.one_of(
        st.integers(1, 12), st.sampled_from([10**k for k in range(12)]), st.integers(1, 10**30)
    ),
)


@given(RATIONAL)
@settings(max_examples=80, deadline=None)
def test_every_spelling_of_a_number_is_one_answer(value):
    problem = make_problem("t", "q", "x", "symbolic")
    texts = spellings(value)
    assert {read(text) for text in texts} == {num(value)}
    assert len(set(answer_classes(problem, [SYMBOLIC.canonical(text) for text in texts]))) == 1
    for text in texts:
        assert grade_text("symbolic", texts[0], rf"so \boxed{{{text}}}").correct, text
        assert grade_text("numeric", texts[0], rf"so \boxed{{{text}}}").correct, text


@given(RATIONAL, st.data())
@settings(max_examples=80, deadline=None)
def test_different_numbers_are_different_however_close_large_or_small(value, data):
    step = data.draw(
        st.one_of(
            RATIONAL,
            st.integers(1, 380).map(lambda k: Fraction(1, 10**k)),
            st.integers(2, 300).map(lambda k: value / 10**k),
        )
    )
    assume(step)
    first, second = (
        data.draw(st.sampled_from(spellings(value))),
        data.draw(st.sampled_from(spellings(value + step))),
    )
    assume(max(len(first), len(second)) < 900)
    for verifier in ("symbolic", "numeric"):
        assert grade_text(verifier, first, rf"\boxed{{{second}}}").correct is False, (first, second)
        problem = make_problem("t", "q", "17", verifier)
        answers = [verifier_of(verifier).canonical(text) for text in (first, second)]
        assert len(set(answer_classes(problem, answers))) == 2


@given(
    st.integers(2, 3000),
    st.integers(2, 3000),
    st.sampled_from(["2^{-%d}", r"\frac{1}{%d!}", r"\frac{1}{\binom{5000}{%d}}", "3^{%d}", "%d!"]),
)
@example(99, 98, "2^{-%d}")
@settings(max_examples=40, deadline=None)
def test_powers_factorials_and_binomials_beyond_floats_are_exact(first, second, form):
    assume(first != second and (form[-6:] != "{%d}}}" or first != 5000 - second))
    first, second = form % first, form % second
    assert SYMBOLIC.equivalent(first, first + " ")
    assert not SYMBOLIC.equivalent(first, second) and not SYMBOLIC.equivalent(second, first)


@given(st.sampled_from(POOL), st.sampled_from(POOL))
@settings(max_examples=150, deadline=None)
def test_sameness_is_symmetric_and_canonical_spelling_keeps_it(first, second):
    one, two = SYMBOLIC.canonical(first), SYMBOLIC.canonical(second)
    assert SYMBOLIC.canonical(one) == one
    if read(first) is not None:  # words that name a number become that number
        assert read(one) == read(first)
    assert SYMBOLIC.equivalent(one, two) == SYMBOLIC.equivalent(two, one)
    assert grade_text("symbolic", first, rf"\boxed{{{second}}}").correct in (True, False, None)


ATOM = st.one_of(
    st.integers(1, 30).map(str),
    st.sampled_from(
        ["x", "y", r"\pi", "e", r"\sqrt{2}", r"\sqrt[3]{5}", r"\ln 3", r"\sin x", r"\frac{2}{7}"]
    ),
)


def expressions(children: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """Pairs of an expression and the same one written differently."""
    two = st.tuples(children, children)
    return st.one_of(
        two.map(lambda p: (f"({p[0][0]}) + ({p[1][0]})", f"({p[1][1]}) + ({p[0][1]})")),
        two.map(lambda p: (rf"({p[0][0]}) \cdot ({p[1][0]})", f"({p[1][1]})({p[0][1]})")),
        two.map(lambda p: (f"({p[0][0]}) - ({p[1][0]})", f"-({p[1][1]}) + ({p[0][1]})")),
        two.map(
            lambda p: (
                rf"\frac{{{p[0][0]}}}{{({p[1][0]})^2 + 1}}",
                f"({p[0][1]})/(({p[1][1]})*({p[1][1]}) + 1)",
            )
        ),
        children.map(lambda p: (f"({p[0]})^2", f"({p[1]})({p[1]})")),
    )


PAIR = st.recursive(ATOM.map(lambda text: (text, text)), expressions, max_leaves=5)


@given(PAIR, st.integers(1, 250))
@settings(max_examples=60, deadline=None)
def test_an_expression_equals_itself_rewritten_and_not_itself_and_a_little_more(pair, k):
    first, second = pair
    assert SYMBOLIC.equivalent(first, second) and SYMBOLIC.equivalent(second, first)
    assert not SYMBOLIC.equivalent(first, rf"{second} + 10^{{-{k}}}")


@given(st.decimals(min_value=Decimal("0.01"), max_value=Decimal("9999"), places=2))
@settings(max_examples=40, deadline=None)
def test_per_cent_is_a_hundredth_in_a_formula_and_a_unit_of_a_plain_number(percent):
    share = Fraction(percent) / 100
    assert grade_text(
        "symbolic", f"{share.numerator}/{share.denominator}", rf"\boxed{{{percent}\%}}"
    ).correct
    assert grade_text("numeric", str(percent), rf"The answer is {percent}%.").correct
    assert not grade_text(
        "numeric", f"{share.numerator}/{share.denominator}", f"The answer is {percent}%."
    ).correct


def test_what_equals_a_third_answer_does_not_merge_through_it():
    """50% is 0.5, and 50 where per cent are asked for.

    5 is 5 cm and 5 m. The classes hold no two that differ.
    """
    problem = make_problem("t", "q", "7", "symbolic")
    half, fifty, _ = answer_classes(problem, ["0.5", "50", r"50\%"])
    assert half != fifty
    bare, centimetres, metres = answer_classes(problem, ["5", r"5\text{ cm}", r"5\text{ m}"])
    assert centimetres != metres and bare in (centimetres, metres)
