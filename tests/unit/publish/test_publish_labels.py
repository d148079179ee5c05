"""Words and numbers as people read them."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost import sql
from isocost.publish import labels


def plain(text: str) -> str:
    return text.replace(labels.NBSP, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.00312, "0.00312"),
        (0.5, "0.500"),
        (14.04, "14.0"),
        (10.0, "10"),
        (1.0000000000000002, "1"),
        (1.0004, "1.00"),
        (-3.0, "-3"),
        (812.4, "812"),
        (1240.0, "1,240"),
        (999_999.0, "999,999"),
        (2_310_000.0, "2.31 M"),
        (4.2e12, "4.20 T"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert plain(labels.number(value)) == text


@pytest.mark.parametrize(
    ("value", "axis", "text"),
    [
        (812.0, "output_tokens_per_problem", "812"),
        (2.31e12, "flops_per_problem", "2.31 TFLOP"),
        (0.42, "latency_parallel_s_per_problem", "0.420 s"),
        (0.0031, "cost_usd_per_problem", "$ 0.00310"),
        (None, "energy_j_per_problem", "–"),
    ],
)
def test_amounts_carry_their_unit(value, axis, text):
    assert plain(labels.amount(value, axis)) == text


def test_one_of_something_is_no_plural():
    said = [
        labels.amount_phrase(value, axis)
        for value, axis in (
            (1.0, "samples"),
            (1.0, "output_tokens"),
            (1.02, "samples"),
            (10.0, "samples"),
        )
    ]
    assert said == [
        "1 sample per problem",
        "1 generated token per problem",
        "1.02 samples per problem",
        "10 samples per problem",
    ]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "100 %"), (0.996, "> 99 %"), (0.5, "50 %"), (0.004, "< 1 %"), (0.0, "0 %"), (None, "–")],
)
def test_a_probability_claims_no_more_than_draws_can_give(ratio, text):
    assert plain(labels.probability(ratio)) == text


@pytest.mark.parametrize(
    ("strategy", "budget", "text"),
    [
        ("majority_at_k", 8.0, "majority@8"),
        ("majority_at_k", 1.0, "one sample"),
        ("best_of_k_longest", 1.0, "one sample"),
        ("adaptive_consistency", 1.0, "one sample"),
        ("truncated_at_tokens", 1.0, "truncated at tokens@1"),
        ("best_of_k_mean_logprob", 4.0, "best-of@4 (mean logprob)"),
        ("shortest_of_k", 2.0, "shortest-of@2"),
        ("pass_hat_k", 2.0, "pass hat k@2"),
        ("truncated_at_tokens", 64.0, "truncated at tokens@64"),
    ],
)
def test_outcomes_are_named_in_a_few_characters(strategy, budget, text):
    assert labels.outcome(strategy, budget) == text
    assert labels.outcome(strategy, budget, "think") == f"{text} · think"


def test_known_things_come_first():
    axes = ["flops_per_problem", "a_new_axis_per_problem", "output_tokens_per_problem"]
    assert labels.ordered_axes(axes) == [
        "output_tokens_per_problem",
        "flops_per_problem",
        "a_new_axis_per_problem",
    ]
    assert labels.axis_label("a_new_axis_per_problem").title == "A new axis per problem"
    assert (
        labels.ordered_strategies(["pass_at_k", "zeta", "best_of_k_x", "majority_at_k"])[0]
        == "majority_at_k"
    )
    assert labels.ordered_tasks(["(macro)", "b", "a", "a"]) == ["a", "b", "(macro)"]


@given(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(-3, 3))
def test_one_rounding_whatever_the_order_of_a_sum(part, whole, bits):
    import numpy as np

    value = exact = part / max(part, whole)
    for _ in range(abs(bits)):
        value = float(np.nextafter(value, 2.0 if bits > 0 else -1.0))
    assert (
        labels.percent(value)
        == labels.percent(exact)
        == f"{labels.hundredfold(exact)}{labels.NBSP}%"
    )
    wanted = (Decimal(part) * 100 / Decimal(max(part, whole))).quantize(
        Decimal("0.1"), rounding=ROUND_HALF_UP
    )
    assert Decimal(labels.hundredfold(exact)) == wanted


def test_halves_go_one_way():
    assert [plain(labels.percent(v)) for v in (0.2625, 0.26249999999999996, 0.0005, 0.1235)] == [
        "26.3 %",
        "26.3 %",
        "0.1 %",
        "12.4 %",
    ]
    assert (
        plain(labels.interval(0.2625, 0.2635)),
        labels.points(-0.0125),
        labels.points(0.0125),
    ) == ("26.3–26.4 %", "−1.3", "+1.3")
    assert plain(labels.probability(0.145)) == "15 %"


def test_sql_and_python_call_the_same_one_sample():
    text = (sql.sql_root() / "macros" / "names.sql").read_text(encoding="utf-8")
    assert f"'{labels.CHOOSING}'" in text
    assert re.search(labels.CHOOSING, "majority_at_k") and not re.search(
        labels.CHOOSING, "generate_then_verify_1"
    )


def test_means_over_tasks_come_last_and_say_their_tasks():
    tasks = ["(macro: b + c)", "(macro)", "z", "a"]
    assert labels.ordered_tasks(tasks) == ["a", "z", "(macro)", "(macro: b + c)"]
    assert [labels.task_words(task) for task in tasks] == [
        "mean over b + c",
        "mean over tasks",
        "z",
        "a",
    ]
