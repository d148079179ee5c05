"""Words and numbers as people read them."""

from __future__ import annotations

import pytest

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
        for value, axis in ((1.0, "samples"), (1.0, "output_tokens"), (1.02, "samples"), (10.0, "samples"))
    ]
    assert said == ["1 sample a problem", "1 generated token a problem", "1.02 samples a problem", "10 samples a problem"]


@pytest.mark.parametrize(("ratio", "text"), [(1.0, "100 %"), (0.996, "> 99 %"), (0.5, "50 %"), (0.004, "< 1 %"), (0.0, "0 %"), (None, "–")])
def test_a_probability_claims_no_more_than_draws_can_give(ratio, text):
    assert plain(labels.probability(ratio)) == text


@pytest.mark.parametrize(
    ("strategy", "budget", "text"),
    [
        ("majority_at_k", 8.0, "majority@8"),
        ("majority_at_k", 1.0, "one sample"),
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
    assert labels.ordered_axes(axes) == ["output_tokens_per_problem", "flops_per_problem", "a_new_axis_per_problem"]
    assert labels.axis_label("a_new_axis_per_problem").title == "A new axis a problem"
    assert labels.ordered_strategies(["pass_at_k", "zeta", "best_of_k_x", "majority_at_k"])[0] == "majority_at_k"
    assert labels.ordered_tasks(["(macro)", "b", "a", "a"]) == ["a", "b", "(macro)"]
