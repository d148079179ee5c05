"""Search over steps: what is grown, what is kept, what is answered."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from play import asked, made, play
from trees import SEPARATOR, Node, TreeModel, random_tree, solutions, text_of, token

from isocost.errors import IsocostError
from isocost.methods import LimitReached, Reply, method_of
from isocost.methods.particle_filtering import resampled
from isocost.methods.paths import Search
from isocost.methods.rebase import expansion_widths
from isocost.payload.work import derived_seed

AGGREGATES = {"last": lambda s: s[-1], "min": min, "prod": math.prod}
SEARCHES = {
    "beam_search": {"width": 2, "expansions": 2},
    "rebase": {"solutions": 4},
    "best_first": {"width": 2},
    "particle_filtering": {"particles": 4},
}


def small_tree():
    """Two first steps; the better one leads to the worse solutions."""
    return [
        Node("w0", 0.9, children=[Node("w1", 0.2, True), Node("w2", 0.3, True)]),
        Node("w3", 0.5, children=[Node("w4", 0.8, True), Node("w5", 0.1, True)]),
    ]


def test_a_beam_of_one_is_greedy_and_continues_from_the_same_tokens():
    found = play(made("beam_search", width=1, expansions=2, depth=5), TreeModel(small_tree()))
    first, second = found.waves
    assert [c.prefix for c in first] == [()] * 2 and [c.parent for c in first] == [None] * 2
    assert [c.prefix for c in second] == [(token("w0"),)] * 2  # the better first step
    assert [c.parent for c in second] == [0, 0]
    assert {c.stop for c in found.calls} == {(SEPARATOR,)} and {c.role for c in found.calls} == {
        "step"
    }
    assert [c.max_tokens for c in first + second] == [None, None, 99, 99]
    assert not any(c.continuation for c in found.calls)
    partial, final = found.answers
    assert (partial.text, partial.call, partial.budget, partial.is_whole) == (
        "w0" + SEPARATOR, 0, 1, False,
    )  # fmt: skip
    assert (final.text, final.call, final.budget, final.is_whole) == ("w0\n\nw2", 3, 2, True)


def test_a_wider_beam_finds_what_the_greedy_one_drops_and_subtrees_do_not_compete():
    found = play(made("beam_search", width=2, expansions=2), TreeModel(small_tree()))
    assert [len(wave) for wave in found.waves] == [4, 4]
    assert [c.prefix[0] for c in found.waves[1]] == [token("w0")] * 2 + [token("w3")] * 2
    assert found.answers[-1].text == "w3\n\nw4"
    # All second steps after w0 are better than those after w3: the beam leaves w3, subtrees do not.
    roots = small_tree()
    for node in roots[0].children:
        node.ends, node.score = False, 0.95
        node.children = [Node(f"w{10 + int(node.word[1:])}", 0.1, True)]
    beam = play(made("beam_search", width=2, expansions=2), TreeModel(roots))
    assert {c.prefix[0] for c in beam.waves[2]} == {token("w0")}
    one_each, rest = iter(["w0", "w0", "w3", "w3"]), TreeModel(roots)

    def fixed(call):
        if not call.prefix:
            word = next(one_each)
            return TreeModel([n for n in roots if n.word == word])(call)
        return rest(call)

    apart = play(made("beam_search", width=2, expansions=2, subtrees=True), fixed)
    assert [c.prefix[0] for c in apart.waves[1]] == [token("w0")] * 2 + [token("w3")] * 2
    assert [len(wave) for wave in apart.waves] == [4, 4, 2]  # the second subtree has ended
    assert apart.answers[-1].text == "w3\n\nw4"


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 3),
    branches=st.integers(1, 3),
    aggregate=st.sampled_from(sorted(AGGREGATES)),
)
def test_a_beam_of_full_width_finds_the_best_solution(seed, depth, branches, aggregate):
    roots = random_tree(seed, depth=depth, branches=branches)
    scores = {
        text_of(path): AGGREGATES[aggregate]([node.score for node in path])
        for path in solutions(roots)
    }
    width = branches**depth
    method = made("beam_search", width=width, expansions=branches, aggregate=aggregate)
    found = play(method, TreeModel(roots))
    assert scores[found.answers[-1].text] == max(scores.values())
    best = max(scores, key=scores.__getitem__)
    if list(scores.values()).count(scores[best]) == 1:
        assert found.answers[-1].text == best


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 4), expansions=st.integers(1, 3))
def test_a_beam_keeps_the_best_of_what_was_grown(seed, width, expansions):
    roots = random_tree(seed, depth=3, branches=12, early=0.3)
    found = play(made("beam_search", width=width, expansions=expansions), TreeModel(roots))
    # An independent walk: by depth, the best distinct paths of those grown and those that ended.
    beam, count = [((), None)] * width, {}
    ended = []
    for wave in found.waves:
        grown = {}
        for path, node in beam:
            for _ in range(expansions):
                children = roots if node is None else node.children
                if node is not None and node.ends:
                    break
                child = children[count.get(path, 0) % len(children)]
                count[path] = count.get(path, 0) + 1
                grown[(*path, child.word)] = child
        stay = {path: node for path, node in beam if node is not None and node.ends}
        everything = sorted((stay | grown).items(), key=lambda item: -item[1].score)
        assert len(wave) == expansions * sum(node is None or not node.ends for _, node in beam)
        beam = everything[:width]
        ended += [item for item in everything if item[1].ends]
    assert all(node.ends for _, node in beam)
    best = max(ended, key=lambda item: item[1].score)
    assert found.answers[-1].text == SEPARATOR.join(best[0])


def test_an_ended_solution_that_is_outranked_still_answers_if_what_follows_is_worse():
    roots = [Node("w0", 0.5, True), Node("w1", 0.9, children=[Node("w2", 0.1, True)])]
    found = play(made("beam_search", width=1, expansions=2), TreeModel(roots))
    assert len(found.waves) == 2 and [a.text for a in found.answers] == ["w0", "w0"]


def test_rebase_gives_good_nodes_more_children():
    assert expansion_widths([0.9, 0.9], 4, 0.1) == [2, 2]
    assert expansion_widths([0.9, 0.1], 4, 0.1) == [4, 0]
    assert expansion_widths([0.5, 0.4, 0.3], 10, 0.1) == [7, 2, 1]  # 6.65, 2.45, 0.90
    assert expansion_widths([0.2, 0.3, 0.1], 1, 1000.0) == [0, 1, 0]  # each share is a third
    roots = small_tree()
    found = play(made("rebase", solutions=4, choose="best"), TreeModel(roots))
    shares = [math.exp(0.9 / 0.1), math.exp(0.9 / 0.1), math.exp(0.5 / 0.1), math.exp(0.5 / 0.1)]
    widths = [math.floor(4 * s / sum(shares) + 0.5) for s in shares]
    assert [len(wave) for wave in found.waves] == [4, sum(widths)] and widths == [2, 2, 0, 0]
    assert {c.prefix for c in found.waves[1]} == {(token("w0"),)}
    assert found.answers[-1].text == "w0\n\nw2"


def test_rebase_takes_ended_solutions_off_its_budget():
    roots = [Node("w0", 0.5, True), Node("w1", 0.5, children=[Node("w2", 0.5, True)])]
    found = play(made("rebase", solutions=6, balance=1.0), TreeModel(roots))
    assert [len(wave) for wave in found.waves] == [6, 3]


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=40),
    budget=st.integers(1, 40),
    balance=st.floats(0.01, 100),
)
def test_rebase_keeps_near_its_budget_and_prefers_better_nodes(scores, budget, balance):
    widths = expansion_widths(scores, budget, balance)
    assert 1 <= sum(widths) <= budget + len(scores) / 2
    for one, other in zip(scores, widths, strict=True):
        assert all(w <= other for s, w in zip(scores, widths, strict=True) if s < one)


def test_a_vote_is_weighted_by_scores_and_read_by_the_task():
    roots = [Node("w0", 0.6, True), Node("w1", 0.35, True), Node("w2", 0.4, True)]
    question = asked(same=lambda one, other: {one, other} <= {"w1", "w2"} or one == other)
    for choose, said in (("best", "w0"), ("weighted_vote", "w2")):  # 0.75 for w1 and w2
        method = made("beam_search", width=3, expansions=1, choose=choose)
        assert play(method, TreeModel(roots), question).answers[-1].text == said
    roots[0].score = 0.9  # one vote of much weight against two of little
    method = made("beam_search", width=3, expansions=1, choose="weighted_vote")
    assert play(method, TreeModel(roots), question).answers[-1].text == "w0"
    silent = asked(answer_of=lambda text, finish_reason=None: None)
    method = made("rebase", solutions=3)
    assert play(method, TreeModel(roots), silent).answers[-1].text == "w0"


def weights(scores, temperature):
    raised = [(s / (1 - s)) ** (1 / temperature) for s in scores]
    return [w / sum(raised) for w in raised]


@settings(max_examples=50)
@given(
    scores=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6),
    temperature=st.floats(0.5, 4),
)
def test_resampling_is_unbiased(scores, temperature):
    grid = [(n + 0.5) / 4000 for n in range(4000)]
    found = resampled(scores, grid, temperature)
    for number, weight in enumerate(weights(scores, temperature)):
        assert abs(found.count(number) / 4000 - weight) <= 1.5 / 4000


def test_the_draws_of_a_sample_resample_particles_as_often_as_their_weights_say():
    roots = [
        Node(f"w{n}", s, children=[Node(f"w{n + 4}", 0.5, True)])
        for n, s in enumerate([0.2, 0.4, 0.5, 0.7])
    ]
    expected = weights([0.2, 0.4, 0.5, 0.7], 1.0)
    counts, samples = [0] * 4, 500
    purposes = []
    for sample in range(samples):
        purposes.clear()

        def draw(purpose, sample=sample):
            purposes.append(purpose)
            return derived_seed(sample, purpose) / 2**31

        question = asked(draw=draw)
        found = play(made("particle_filtering"), TreeModel(roots), question)
        for call in found.waves[1]:
            counts[call.prefix[0] - 10] += 1
    for count, weight in zip(counts, expected, strict=True):
        assert len(purposes) == len(set(purposes)) == 4  # of independent draws
        sigma = math.sqrt(4 * samples * weight * (1 - weight))
        assert abs(count - 4 * samples * weight) < 4 * sigma


def test_ended_particles_are_drawn_too_and_extreme_scores_have_weights():
    assert resampled([0.0, 1.0], [0.001, 0.5, 0.999], 1.0) == [1, 1, 1]
    assert resampled([0.0, 0.0], [0.25, 0.75], 1.0) == [0, 1]
    roots = [Node("w0", 0.999999, True), Node("w1", 0.01, children=[Node("w2", 0.9, True)])]
    found = play(
        made("particle_filtering", particles=2), TreeModel(roots), asked(draw=lambda p: 0.1)
    )
    assert len(found.waves) == 1 and found.answers[-1].text == "w0"
    kept = play(
        made("particle_filtering", particles=2), TreeModel(roots), asked(draw=lambda p: 1.0)
    )
    assert len(kept.waves) == 2 and kept.answers[-1].text == "w1\n\nw2"


def test_particles_that_have_ended_stay_while_others_are_grown():
    roots = [Node("w0", 0.5, True), Node("w1", 0.5, children=[Node("w2", 0.4, True)])]
    places = iter([0.1, 0.9])  # both particles are drawn once
    question = asked(draw=lambda purpose: next(places))
    found = play(made("particle_filtering", particles=2), TreeModel(roots), question)
    assert [len(wave) for wave in found.waves] == [2, 1]
    assert [c.prefix for c in found.waves[1]] == [(token("w1"),)]
    assert [a.text for a in found.answers] == ["w0", "w0"]


class Chatter:
    """A model that may say anything: the reply depends on the seed and the number of the call."""

    def __init__(self, seed: int) -> None:
        self.seed, self.calls = seed, 0

    def __call__(self, call):
        rng = random.Random(self.seed * 10_007 + self.calls)
        self.calls += 1
        if call.choices:
            return {
                "text": "yes",
                "choice_logprobs": rng.choice([(-0.1, None), (None, None), (-2.0, -1.0)]),
            }
        tokens = rng.choice([0, 1, 1, 2, 5])
        tokens = min(tokens, call.max_tokens or 12)
        goes_on = bool(call.stop) and tokens > 0 and rng.random() < 0.7
        reason = "stop" if goes_on else rng.choice(["stop", "stop", "length", "repetition"])
        return {
            "text": rng.choice(["", "a", "the 7", "\n"]) if tokens else "",
            "token_ids": tuple(rng.choices(range(9), k=tokens)),
            "output_tokens": None if rng.random() < 0.1 and tokens else tokens,
            "logprob_sum": -rng.random() * tokens,
            "finish_reason": reason,
            "stop_text": SEPARATOR if goes_on else rng.choice([None, "151645"]),
        }  # fmt: skip


@settings(max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(sorted(SEARCHES)),
    depth=st.integers(1, 6),
    budget=st.integers(1, 12),
    options=st.fixed_dictionaries(
        {
            "aggregate": st.sampled_from(sorted(AGGREGATES)),
            "choose": st.sampled_from(["best", "weighted_vote"]),
            "scorer": st.sampled_from(["self_evaluation", "logprob_mean"]),
        }
    ),
)
def test_whatever_the_model_says_a_search_ends_with_an_answer_within_its_limits(
    seed, name, depth, budget, options
):
    method = made(name, depth=depth, **SEARCHES[name], **options)
    question = asked(max_tokens=budget)

    def model():
        chatter = Chatter(seed)
        if options["scorer"] == "logprob_mean":  # it needs to know the counts
            return lambda call: {
                **(r := chatter(call)),
                "output_tokens": r.get("output_tokens") or 0,
            }
        return chatter

    found = play(method, model(), question)
    again = play(method, model(), question)
    assert again.calls == found.calls and again.answers == found.answers
    assert isinstance(method, Search)
    most = method.paths_per_step() * (2 if options["scorer"] == "self_evaluation" else 1)
    assert all(found.waves) and len(found.calls) <= most * method.waves()
    assert [a.budget for a in found.answers] == sorted(a.budget for a in found.answers)
    assert (
        1 <= found.answers[-1].budget <= method.waves() and found.answers[-1].is_whole is not None
    )
    made_before = 0
    for wave in found.waves:
        for call in wave:
            assert call.parent is None or call.parent < made_before
            if call.role == "step":
                assert len(call.prefix) + (call.max_tokens or budget) <= budget
                assert call.max_tokens is None or call.max_tokens >= 1
        made_before += len(wave)
    for answer in found.answers:
        assert found.calls[answer.call].role == "step"


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_a_model_that_ends_at_once_answers_with_nothing(name):
    ended = {"text": "", "token_ids": (2,), "output_tokens": 1, "logprob_sum": -0.5}
    found = play(made(name, **SEARCHES[name]), lambda call: ended)
    assert len(found.waves) == 1 and len(found.answers) == 1
    assert (found.answers[0].text, found.answers[0].is_whole) == ("", True)


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_a_truncated_path_answers_only_if_none_is_whole(name):
    cut = {"text": "and so", "finish_reason": "length", "logprob_sum": 0.0, "output_tokens": 2}
    found = play(made(name, **SEARCHES[name]), lambda call: cut)
    assert (found.answers[-1].text, found.answers[-1].is_whole) == ("and so", False)
    replies = iter([cut, {"text": "is 7", "logprob_sum": -9.0, "output_tokens": 2}, cut, cut])
    found = play(made(name, **SEARCHES[name]), lambda call: next(replies))
    assert (found.answers[-1].text, found.answers[-1].is_whole) == ("is 7", True)


def test_the_tokens_of_all_steps_are_one_budget_and_a_spent_one_truncates():
    def model(call):
        n = min(3, call.max_tokens or 7)
        return {
            "text": "x", "token_ids": (5,) * n, "output_tokens": n, "logprob_sum": -1.0 * n,
            "stop_text": SEPARATOR,
        }  # fmt: skip

    found = play(made("beam_search", width=1, expansions=1), model, asked(max_tokens=7))
    assert [c.max_tokens for c in found.calls] == [None, 4, 1]
    assert found.answers[-1].is_whole is False and found.answers[-1].budget == 3


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(sorted(SEARCHES)),
    scorer=st.sampled_from(["self_evaluation", "logprob_mean"]),
)
def test_a_search_begins_with_that_of_a_smaller_budget(seed, name, scorer):
    budget = "expansions" if name == "best_first" else "depth"

    def searched(most):
        roots = random_tree(seed, depth=5, branches=3, early=0.1)
        tree = TreeModel(roots)

        def model(call):
            if call.choices:
                rng = random.Random(f"{seed} {call.messages}")
                return {"text": "yes", "choice_logprobs": (-rng.random(), -rng.random())}
            return tree(call)

        return play(made(name, **{budget: most}, scorer=scorer, **SEARCHES[name]), model)

    whole = searched(5)
    for most in range(1, 5):
        part = searched(most)
        assert part.waves == whole.waves[: len(part.waves)]
        assert part.answers == whole.answers[: len(part.answers)]
        assert len(part.answers) == min(most, len(whole.answers))


def test_without_token_ids_there_is_nothing_to_continue_from():
    with pytest.raises(ValueError, match="the engine reports no tokens of call 0"):
        play(made("rebase"), lambda call: {"text": "x", "token_ids": None})


def test_another_separator_ends_steps():
    found = play(
        made("particle_filtering", particles=1, separator="Step"),
        lambda call: {"text": "so ", "stop_text": "Step" if len(call.prefix) < 2 else None},
    )
    assert found.answers[-1].text == "so Stepso Stepso "
    assert {c.stop for c in found.calls} == {("Step",)}


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_at_a_limit_the_last_answer_counts(name):
    steps = made(name, **SEARCHES[name]).run(asked())
    calls = next(steps)
    answer = steps.send(
        [Reply(n, f"s{n}", (n,), "stop", SEPARATOR, 1, -0.1 * n) for n in range(len(calls))]
    )
    assert answer.text == "s0" + SEPARATOR
    assert len(steps.send([])) > 0
    with pytest.raises(LimitReached):
        steps.throw(LimitReached("token_limit", "too much"))


def test_self_evaluation_asks_about_the_step_and_takes_the_share_of_yes():
    verdicts = iter([(-0.1, -3.0), (None, -0.1), (None, None), (-0.2, None)])
    unsure = iter([(None, None), (-2.0, -1.0)])

    def model(call):
        if call.choices:
            return {"text": "", "choice_logprobs": next(verdicts)}
        return f"step {len(call.prefix)} {{question}}"

    found = play(
        made(
            "beam_search", width=4, expansions=1,
            scorer={"name": "self_evaluation", "instruction": "{question}|{solution}|{step}|{x}"},
        ),
        model,
    )  # fmt: skip
    _, scores = found.waves
    assert [c.role for c in scores] == ["score"] * 4 and {c.choices for c in scores} == {
        ("yes", "no")
    }
    assert [c.parent for c in scores] == [0, 1, 2, 3] and not any(c.prefix for c in scores)
    text = scores[0].messages[-1]["content"]
    assert text == "What is 6 * 7?|step 0 {question}|step 0 {question}|{x}"
    assert found.answers[-1].call == 3  # of the four only this one is certainly right
    found = play(
        made("beam_search", width=2, expansions=1, scorer="self_evaluation"),
        lambda call: {"text": "", "choice_logprobs": next(unsure)} if call.choices else "a b",
    )
    assert found.answers[-1].call == 1  # unsure is worse than probably wrong
    default = made("rebase", scorer="self_evaluation").scorer
    assert "{question}" in default.instruction and "{solution}" in default.instruction


def test_a_scorer_without_its_numbers_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="log-probabilities of call 0 are unknown"):
        play(made("beam_search"), lambda call: {"text": "a b", "logprob_sum": None})
    with pytest.raises(ValueError, match="choices of call 4 are unknown"):
        play(made("particle_filtering", scorer="self_evaluation"), lambda call: "a b")


def test_what_a_search_needs_depends_on_its_scorer():
    assert made("beam_search").required() == ("continues_tokens",)
    assert made("rebase", scorer="self_evaluation").required() == (
        "continues_tokens",
        "scores_choices",
    )


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("beam_search", {"scorer": "logprob"}, "Did you mean logprob_mean"),
        ("beam_search", {"scorer": {"name": "logprob_mean", "k": 1}}, "has no parameter 'k'"),
        (
            "beam_search",
            {"scorer": {"name": "self_evaluation", "yes": ""}},
            "scorer self_evaluation.yes",
        ),
        ("beam_search", {"scorer": 3}, "a scorer is its name"),
        ("beam_search", {"width": 256, "expansions": 256}, "a sample could take 2,621,440 calls"),
        (
            "beam_search",
            {"width": 64, "expansions": 8, "scorer": "self_evaluation"},
            "a sample could take 40,960 calls",
        ),
        ("rebase", {"balance": 0.0}, "greater than 0"),
        ("rebase", {"separator": ""}, "at least 1 character"),
        ("particle_filtering", {"aggregate": "mean"}, "'last', 'min' or 'prod'"),
    ],
)
def test_impossible_parameters_are_refused(name, wrong, said):
    with pytest.raises(IsocostError, match=said):
        method_of(name, wrong, where="grid.method.0")


def test_every_parameter_is_written_out():
    written = made("beam_search", scorer="self_evaluation").model_dump(mode="json")
    assert written["scorer"]["name"] == "self_evaluation" and "instruction" in written["scorer"]
    assert made("beam_search", **written) == made("beam_search", scorer="self_evaluation")


def test_best_first_goes_back_to_a_path_that_it_left():
    # w0 is the better first step, but its steps are worse than w3, whose best step ends.
    found = play(made("best_first", width=2), TreeModel(small_tree()))
    assert [{c.prefix for c in wave} for wave in found.waves] == [
        {()}, {(token("w0"),)}, {(token("w3"),)}
    ]  # fmt: skip
    assert [answer.text for answer in found.answers] == ["w0\n\n", "w0\n\nw2", "w3\n\nw4"]
    assert [answer.budget for answer in found.answers] == [1, 2, 3]
    assert made("best_first").unit == "expansions"


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 4),
    width=st.integers(1, 3),
    expansions=st.integers(1, 30),
    aggregate=st.sampled_from(sorted(AGGREGATES)),
    most=st.integers(1, 4),
)
def test_best_first_grows_the_best_there_is(seed, depth, width, expansions, aggregate, most):
    roots = random_tree(seed, depth=depth, branches=width)
    method = made("best_first", width=width, expansions=expansions, aggregate=aggregate, depth=most)
    found = play(method, TreeModel(roots))
    # An independent walk: a list that is searched in full at each expansion.
    score = AGGREGATES[aggregate]
    waiting, ended, grown = [()], [], []
    while len(grown) < expansions:
        path = max(waiting, key=lambda nodes: score([n.score for n in nodes]) if nodes else 2)
        if path and path[-1].ends:
            break
        waiting.remove(path)
        grown.append(tuple(token(node.word) for node in path))
        new = [(*path, node) for node in (path[-1].children if path else roots)]
        ended += [nodes for nodes in new if nodes[-1].ends]
        waiting += [nodes for nodes in new if nodes[-1].ends or len(nodes) < most]
        if not waiting:
            break
    assert [wave[0].prefix for wave in found.waves] == grown
    assert all(len(wave) == width for wave in found.waves)
    assert len(found.answers) == len(grown)
    if ended:
        best = max(ended, key=lambda nodes: score([node.score for node in nodes]))
        assert found.answers[-1].text == text_of(best) and found.answers[-1].is_whole
    else:
        assert not found.answers[-1].is_whole


def test_a_best_first_search_beyond_its_calls_is_refused():
    with pytest.raises(IsocostError, match="search fewer paths or fewer steps"):
        made("best_first", width=256, expansions=4096)
