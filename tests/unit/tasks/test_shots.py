"""Worked examples: where they come from, how they are shown, and that none is a problem asked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.sweep import PromptSpec, TaskSpec
from isocost.tasks import TaskMistake, load_problems, render_messages, resolved_config

PROMPT = PromptSpec(name="p", system="Be brief.", template="Q: {question}\nA:")


def task(config, *, source="inline", dataset="d", n=2, seed=0) -> TaskSpec:
    return TaskSpec(
        name="t", source=source, dataset=dataset, config=config, n_problems=n, seed=seed,
        verifier="numeric",
    )  # fmt: skip


def sums(*first: int) -> list[dict[str, str]]:
    return [{"question": f"What is {n} + 1?", "reference": str(n + 1)} for n in first]


def worked(*first: int) -> list[dict[str, str]]:
    return [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}."} for n in first]


def test_every_example_is_a_turn_with_the_same_template():
    asked = {"problems": sums(1, 2), "shots": {"examples": worked(7, 8)}}
    one, two = load_problems(task(asked))
    shown = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Q: What is 7 + 1?\nA:"},
        {"role": "assistant", "content": "It is 8."},
        {"role": "user", "content": "Q: What is 8 + 1?\nA:"},
        {"role": "assistant", "content": "It is 9."},
    ]
    for problem, first in ((one, 1), (two, 2)):
        last = {"role": "user", "content": f"Q: What is {first} + 1?\nA:"}
        assert render_messages(PROMPT, problem) == [*shown, last]
    (fewer, _) = load_problems(task({**asked, "n_shots": 1}))
    assert render_messages(PROMPT, fewer) == [
        *shown[:3],
        {"role": "user", "content": "Q: What is 1 + 1?\nA:"},
    ]
    bare, _ = load_problems(task({"problems": sums(1, 2)}))
    assert bare.problem_id == one.problem_id and bare.shots == ()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(0, 4))
def test_examples_of_a_file_never_are_problems_asked(tmp_path_factory, rows, count):
    folder = tmp_path_factory.mktemp("shots")
    (folder / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in sums(0, 1, 2)))
    (folder / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in sums(*rows)))
    shots = {"file": str(folder / "train.jsonl")}
    made = task(
        {"n_shots": count, "shots": shots}, source="jsonl", dataset=str(folder / "test.jsonl"), n=3
    )
    fresh = list(dict.fromkeys(n for n in rows if n > 2))
    if len(fresh) < count:
        with pytest.raises(TaskMistake, match=f"fewer than {count} examples") as error:
            load_problems(made)
        assert error.value.key == ("config", "n_shots")
        return
    for problem in load_problems(made):
        assert [shot.fields["question"] for shot in problem.shots] == [
            f"What is {n} + 1?" for n in fresh[:count]
        ]
        assert problem.question not in {shot.fields["question"] for shot in problem.shots}


def test_an_example_that_is_a_problem_asked_is_refused_however_it_is_spaced():
    same = [{"question": "what  is 2 + 1?", "answer": "3"}]
    with pytest.raises(TaskMistake, match="the model would see the answer") as error:
        load_problems(task({"problems": sums(1, 2), "shots": {"examples": worked(7) + same}}))
    assert error.value.key == ("config", "shots", "examples", 1)


def test_examples_of_a_file_are_fixed_when_they_are_planned(tmp_path):
    (tmp_path / "test.jsonl").write_text(json.dumps(sums(1)[0]) + "\n")
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps({**sums(5)[0], "solution": "5 and 1 is 6."}) + "\n")
    config = {"n_shots": 1, "shots": {"file": str(train), "answer": "solution"}}
    first = task(config, source="jsonl", dataset=str(tmp_path / "test.jsonl"), n=1)
    planned = resolved_config(first)
    assert len(planned["shots"]["sha256"]) == 64
    fixed = first.model_copy(update={"config": planned})
    assert resolved_config(fixed) == planned
    (problem,) = load_problems(fixed)
    assert problem.shots[0].answer == "5 and 1 is 6."
    train.write_text(json.dumps({**sums(5)[0], "solution": "Six."}) + "\n")
    from isocost.tasks import load

    load._load.cache_clear()
    with pytest.raises(TaskMistake, match="differ from those that were planned"):
        load_problems(fixed)
    assert resolved_config(first)["shots"]["sha256"] != planned["shots"]["sha256"]


def test_examples_of_a_procedural_data_set_come_from_another_seed():
    config = {"min_terms": 2, "max_terms": 2, "n_shots": 2, "shots": {"seed": 99}}
    made = task(config, source="reasoning_gym", dataset="chain_sum", n=3)
    problems = load_problems(made)
    asked = {problem.question for problem in problems}
    (shots,) = {tuple(s.fields["question"] for s in problem.shots) for problem in problems}
    assert len(shots) == 2 and asked.isdisjoint(shots)
    same = load_problems(made.model_copy(update={"config": {**config, "shots": {"seed": 0}}}))
    assert {p.question for p in same} == asked
    assert asked.isdisjoint(s.fields["question"] for s in same[0].shots)


@pytest.mark.parametrize(
    ("config", "said", "key"),
    [
        ({"n_shots": 2}, "not stated where the examples come from", ("config", "n_shots")),
        ({"n_shots": -1, "shots": {"examples": worked(7)}}, "whole number", ("config", "n_shots")),
        ({"n_shots": 2, "shots": {"examples": worked(7)}}, "1 examples are given; 2 are", ("config", "n_shots")),
        ({"shots": {}}, "does not say where", ("config", "shots")),
        ({"shots": {"examples": []}}, "no examples are given", ("config", "shots", "examples")),
        ({"shots": {"examples": [{"question": "x"}]}}, "a question and an answer", ("config", "shots", "examples", 0)),
        ({"shots": {"examples": worked(7), "file": "x"}}, "written here and taken from file", ("config", "shots", "file")),
        ({"shots": {"file": "x"}}, "number of examples is not stated", ("config", "shots")),
        ({"n_shots": 1, "shots": {"file": "x"}}, "source inline offers no examples", ("config", "shots")),
    ],
)  # fmt: skip
def test_mistakes_name_their_key(config, said, key):
    with pytest.raises(TaskMistake, match=said) as error:
        load_problems(task({"problems": sums(1, 2), **config}))
    assert error.value.key == key


def test_a_place_that_a_source_does_not_have_is_refused_with_the_nearest(tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text(json.dumps(sums(1)[0]) + "\n")
    made = task({"n_shots": 1, "shots": {"fil": "x"}}, source="jsonl", dataset=str(file), n=1)
    with pytest.raises(TaskMistake, match=r"takes no examples from fil.*Did you mean file"):
        load_problems(made)


def test_an_example_without_a_field_of_the_template_is_refused():
    examples = {"shots": {"examples": worked(7)}}
    (problem, _) = load_problems(
        task({"problems": [{**row, "context": "c"} for row in sums(1, 2)], **examples})
    )
    prompt = PROMPT.model_copy(update={"template": "{context} {question}"})
    with pytest.raises(TaskMistake, match=r"names \{context\}, which example 1 of task t"):
        render_messages(prompt, problem)


def test_a_plain_text_has_its_examples_before_it():
    asked = {"problems": sums(1, 2), "shots": {"examples": worked(7, 8)}}
    (problem, _) = load_problems(task(asked))
    plain = PromptSpec(name="p", system=None, template="Q: {question}\nA:", chat=False)
    assert render_messages(plain, problem) == [
        {
            "role": "text",
            "content": "Q: What is 7 + 1?\nA: It is 8.\n\nQ: What is 8 + 1?\nA: It is 9.\n\n"
            "Q: What is 1 + 1?\nA:",
        }
    ]
