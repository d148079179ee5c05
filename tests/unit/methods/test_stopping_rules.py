"""Live methods that stop early, held to the strategies that replay the same rules."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from play import asked, made, play

sys.path.insert(0, str(Path(__file__).parents[1] / "strategies"))
from brute import orders, orders_of, sequence_of
from stop_tables import beta_stop_table, sprt_stop_table

from isocost import strategies
from isocost.errors import IsocostError
from isocost.methods import LimitReached
from isocost.stopping import beta_leads, is_settled
from isocost.strategies.estimators.recorded import early_stopping_recorded
from isocost.strategies.registry import find_strategies

ORDERED = st.lists(st.integers(-1, 3), min_size=8, max_size=8)
"""Answer classes of samples in order, -1 without an answer."""
BANKS = st.tuples(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2)).filter(
    lambda b: 4 <= sum(b[0]) + b[1] <= 8 and orders_of([*b[0], b[1]]) <= 300
)


def question(tie=0.0, **changes):
    return asked(
        answer_of=lambda text, finish_reason=None: text.split()[-1].split("?")[0] or None,
        draw=lambda purpose: tie,
        **changes,
    )


def live(name, order, tie=0.0, **parameters):
    """How a method fares on answers in order: the answer's class, samples used, and its text."""
    texts = iter(f"sample {n} {g if g >= 0 else '?'}" for n, g in enumerate(order))
    found = play(made(name, **parameters), lambda call: next(texts), question(tie))
    answer = found.answers[-1]
    assert answer.text == found.replies[answer.call].text and answer.budget == len(found.calls)
    assert len(found.answers) == 1 and all(c == found.calls[0] for c in found.calls)
    said = answer.text.split()[-1]
    return (-1 if said == "?" else int(said)), len(found.calls), answer.text


def leaders(votes):
    """The classes with most votes, in the order of their first votes."""
    seen = list(dict.fromkeys(votes))
    most = max((votes.count(g) for g in seen), default=0)
    return [g for g in seen if votes.count(g) == most]


@settings(max_examples=80)
@given(
    order=ORDERED,
    most=st.integers(1, 8),
    level=st.sampled_from([0.5, 0.7, 0.9, 0.95, 1.0]),
    name=st.sampled_from(["adaptive_consistency", "sequential_ratio_test"]),
)
def test_on_given_answers_it_stops_where_the_replayed_rule_stops(order, most, level, name):
    if name == "adaptive_consistency":
        table, own = beta_stop_table(level, 8), {"threshold": level}
    else:
        share = 0.6 + level / 3
        table, own = sprt_stop_table(share, 0.1, 0.2, 8), {"share": share, "alpha": 0.1}
        own["beta"] = 0.2
    votes: list[int] = []
    for used, g in enumerate(order[:most], start=1):
        votes += [g] if g >= 0 else []
        first, second = sorted([votes.count(c) for c in set(votes)] + [0, 0])[-1:-3:-1]
        if table[first, second] or used == most:
            break
    said, calls, text = live(name, order, max_samples=most, **own)
    assert calls == used
    assert said == (leaders(votes)[0] if votes else -1)
    assert text.split()[1] == str(order.index(said))  # the first sample with the answer


@settings(max_examples=80)
@given(order=ORDERED, window=st.sampled_from([1, 2, 4, 8]))
def test_windows_stop_where_the_replayed_windows_stop(order, window):
    classes, values = np.array([order]), np.arange(1.0, 5.0)[None, :] / 5
    found = early_stopping_recorded(classes, values, np.array([8]), window, np.array([8]))
    said, calls, _ = live("early_stopping_consistency", order, window=window, max_samples=8)
    assert calls == found.used.item()
    if found.accuracy.item() != pytest.approx(0 if said < 0 else values[0, said]):
        # Tied in the final vote, where the replay in recorded order takes the class seen first.
        assert calls == 8 and -1 in leaders(order) and len(leaders(order)) > 1


def means(name, counts, abstained, **parameters):
    """Accuracy and samples over all orders and all ways to break ties; class 0 is right."""
    everything = orders([*sequence_of(counts), *[-1] * abstained])
    ties = [(n + 0.5) / 12 for n in range(12)]
    right = samples = 0.0
    for order in everything:
        for tie in ties:
            said, calls, _ = live(name, order, tie, **parameters)
            right += said == 0
            samples += calls
    return right / len(everything) / len(ties), samples / len(everything) / len(ties)


@settings(max_examples=6)
@given(bank=BANKS)
def test_the_mean_over_orders_and_ties_is_the_replay(bank):
    counts, abstained = bank
    n = sum(counts) + abstained
    for name, own in (
        ("adaptive_consistency", {"threshold": 0.8}),
        ("sequential_ratio_test", {"share": 0.8, "alpha": 0.1, "beta": 0.1}),
    ):
        replay = getattr(strategies, name)(counts, 0, max_samples=n, abstained=abstained, **own)
        right, samples = means(name, counts, abstained, max_samples=n, **own)
        assert right == pytest.approx(float(replay.accuracy)), name
        assert samples == pytest.approx(float(replay.samples)), name
    cap = n // 2 * 2
    replay = strategies.early_stopping_consistency(counts, 0, 2, cap, abstained=abstained)
    right, samples = means(
        "early_stopping_consistency", counts, abstained, window=2, max_samples=cap
    )
    assert right == pytest.approx(float(replay.accuracy))
    assert samples == pytest.approx(float(replay.samples))


def test_defaults_are_those_of_the_replay():
    families = {family: strategy() for family, strategy in _registered().items()}
    for name in ("adaptive_consistency", "sequential_ratio_test", "early_stopping_consistency"):
        method, replay = made(name), families[name]
        own = {k: v for k, v in method.model_dump().items() if k != "max_samples"}
        assert own == {key: getattr(replay, key) for key in own}
        assert method.max_samples == 40 and replay.tie_rule == "uniform"


def _registered():
    return {type(s).family: type(s) for s in find_strategies()}


def test_a_window_runs_at_the_same_time_and_single_samples_one_after_another():
    found = play(made("early_stopping_consistency", window=5), lambda call: "is 7")
    assert [len(wave) for wave in found.waves] == [5]
    found = play(made("adaptive_consistency"), lambda call: "is 7")
    assert [len(wave) for wave in found.waves] == [1] * 4  # published: four equal answers suffice
    found = play(made("sequential_ratio_test"), lambda call: "is 7")
    assert [len(wave) for wave in found.waves] == [1] * 3


def test_answers_that_are_equal_by_the_task_count_together_and_truncated_ones_are_read_as_such():
    same = {frozenset({"1", "1.0"}), frozenset({"1.0", "1.00"})}
    texts = iter(["1", "1.0", "1.00", "2", "2", "2"])
    found = play(
        made("adaptive_consistency", max_samples=6, threshold=1.0),
        lambda call: next(texts),
        asked(same=lambda a, b: a == b or frozenset({a, b}) in same, draw=lambda purpose: 0.0),
    )
    assert found.answers[-1].text == "2"  # 1 and 1.00 are not equal, and 1.00 has a vote alone
    texts = iter([{"text": "9", "finish_reason": "length"}, *["8 9"] * 4])
    found = play(
        made("adaptive_consistency"),
        lambda call: next(texts),
        asked(
            answer_of=lambda text, finish_reason=None: None if finish_reason == "length" else text
        ),
    )
    assert found.answers[-1].call == 1 and len(found.calls) == 5


@pytest.mark.parametrize("name", ["adaptive_consistency", "sequential_ratio_test"])
def test_samples_without_an_answer_cost_and_have_no_vote(name):
    assert live(name, [-1, -1, 2, -1], max_samples=4)[:2] == (2, 4)
    assert live(name, [-1] * 3, max_samples=3) == (-1, 3, "sample 0 ?")


@pytest.mark.parametrize("name", ["adaptive_consistency", "early_stopping_consistency"])
def test_at_a_limit_the_majority_until_there_counts(name):
    steps = made(name).run(question())
    calls = next(steps)
    many = len(calls)
    texts = ["a 1", "b 2", "c 2", "d 3"][:many]
    got = steps.send([_reply(n, text) for n, text in enumerate(texts)])
    assert len(got) == many
    answer = steps.throw(LimitReached("token_limit", "too much"))
    assert answer.text == ("b 2" if many == 4 else "a 1") and answer.budget == many
    with pytest.raises(LimitReached):
        steps.send([])
    steps = made(name).run(question())
    next(steps)
    with pytest.raises(LimitReached):
        steps.throw(LimitReached("context_limit", "too long"))


def _reply(index, text):
    from isocost.methods import Reply

    return Reply(index, text, None, "stop")


def test_a_tie_is_broken_by_the_draw_and_the_rule_reads_counts_in_any_order():
    order = [0, 1, 2, 0, 1, 2]
    picked = {live("adaptive_consistency", order, t, max_samples=6)[0] for t in (0.1, 0.5, 0.99)}
    assert picked == {0, 1, 2}
    leads = beta_leads(0.95, 10)
    assert is_settled([0, 4], leads) and not is_settled([3], leads) and not is_settled([], leads)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("adaptive_consistency", {"threshold": 0.0}, "greater than 0"),
        ("adaptive_consistency", {"max_samples": 0}, "greater than or equal to 1"),
        ("sequential_ratio_test", {"share": 0.5}, "greater than 0.5"),
        ("early_stopping_consistency", {"window": 3}, "multiple of the window"),
    ],
)
def test_impossible_parameters_are_refused(name, wrong, said):
    with pytest.raises(IsocostError, match=said):
        made(name, **wrong)
