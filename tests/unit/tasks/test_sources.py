"""Problems are the same on every machine, each once, and a wrong task is reported with its key."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from isocost.sweep import PromptSpec, TaskSpec
from isocost.tasks import (
    TaskMistake,
    check_task,
    grade,
    load_problems,
    prompt_hash,
    render_messages,
    source_names,
    verifier_names,
)

pytestmark = pytest.mark.slow


def task(**changes):
    values = {
        "name": "sums",
        "source": "reasoning_gym",
        "dataset": "basic_arithmetic",
        "config": {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1},
        "n_problems": 5,
        "seed": 7,
        "verifier": "numeric",
    }
    return TaskSpec(**(values | changes))


def inline(*pairs, **changes):
    rows = [{"question": q, "reference": r} for q, r in pairs]
    return task(source="inline", config={"problems": rows}, n_problems=len(pairs), **changes)


def test_what_is_registered():
    assert {"reasoning_gym", "jsonl", "gsm8k", "inline"} <= set(source_names())
    assert {"numeric", "symbolic", "exact", "multiple_choice", "reasoning_gym", "code"} <= set(
        verifier_names()
    )


def test_problems_are_golden():
    """Changed ids orphan banked samples.

    A new version of the library that changes them needs a note in the changelog.
    """
    problems = load_problems(task())
    assert [(p.problem_id, p.question, p.reference) for p in problems[:2]] == [
        ("sums-87b537ec3597", "Calculate ( 2 + -8 ).", "-6"),
        ("sums-a79841e05582", "Calculate -8 + -5.", "-13"),
    ]


def test_problems_are_different_and_more_of_them_keep_the_first():
    few, many = load_problems(task(n_problems=20)), load_problems(task(n_problems=60))
    assert [p.problem_id for p in many[:20]] == [p.problem_id for p in few]
    assert len({p.problem_id for p in many}) == 60
    assert len({(p.question, p.reference) for p in many}) == 60


def test_another_seed_gives_other_problems():
    assert {p.problem_id for p in load_problems(task())} != {
        p.problem_id for p in load_problems(task(seed=1000))
    }


@pytest.mark.parametrize(
    ("changes", "key", "what"),
    [
        ({"source": "reasoning-gym"}, ("source",), "Did you mean reasoning_gym"),
        ({"dataset": "basic_arithmetics"}, ("dataset",), "Did you mean basic_arithmetic"),
        ({"verifier": "number"}, ("verifier",), "Did you mean numeric"),
        ({"config": {"min_term": 1}}, ("config", "min_term"), "Did you mean min_terms"),
        ({"config": {"seed": 1}}, ("config", "seed"), "the task's own key"),
        ({"config": {"min_terms": 9, "max_terms": 2}}, ("config",), "rejects its settings"),
        (
            {"source": "jsonl", "dataset": "none.jsonl", "config": {}},
            ("dataset",),
            "there is no file none.jsonl",
        ),
        ({"source": "inline", "config": {}}, ("config",), "no problems are given"),
        (
            {"source": "inline", "config": {"problems": [{"question": "q"}]}},
            ("config", "problems", 0),
            "question and reference",
        ),
    ],
)
def test_a_wrong_task_is_reported_with_its_key(changes, key, what):
    with pytest.raises(TaskMistake, match=what) as caught:
        check_task(task(**changes))
    assert caught.value.key == key


def test_too_few_problems_are_reported_with_their_number():
    with pytest.raises(TaskMistake, match="only 4 different problems") as caught:
        load_problems(
            task(
                dataset="coin_flip",
                config={"min_trials": 1, "max_trials": 1},
                n_problems=500,
                verifier="exact",
            )
        )
    assert caught.value.key == ("n_problems",)
    with pytest.raises(TaskMistake, match="1 different problems are given; 2"):
        load_problems(inline(("q", 1), ("q", 1)))


def test_a_reference_the_verifier_cannot_read_is_reported():
    with pytest.raises(TaskMistake, match=r"reference answer of problem 1.*'many' is not a number"):
        load_problems(inline(("a", 1), ("b", "many")))


def test_a_jsonl_file_is_read_by_field_names(tmp_path):
    path = tmp_path / "p.jsonl"
    rows = [{"q": "1+1?", "a": 2, "passage": "x"}, {"q": "2+2?", "a": "4", "passage": "x"}]
    path.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    config = {"question": "q", "reference": "a", "cluster": "passage"}
    problems = load_problems(task(source="jsonl", dataset=str(path), config=config, n_problems=2))
    assert [(p.question, p.reference, p.cluster_id) for p in problems] == [
        ("1+1?", "2", "x"),
        ("2+2?", "4", "x"),
    ]
    with pytest.raises(TaskMistake, match=r"line 1: field question .* Fields here: q, a, passage"):
        load_problems(task(source="jsonl", dataset=str(path), config={}, n_problems=2))
    path.write_text('{"question": "q", "reference": "1"}\n{oops\n', encoding="utf-8")
    with pytest.raises(TaskMistake, match="line 2: is not JSON"):
        load_problems(
            task(source="jsonl", dataset=str(path), config={}, n_problems=2, name="other")
        )


def test_gsm8k_rows_need_no_settings(tmp_path):
    path = tmp_path / "g.jsonl"
    path.write_text(
        json.dumps({"question": "How many?", "answer": "We add <<1+1=2>>2\n#### 1,002"}),
        encoding="utf-8",
    )
    (problem,) = load_problems(task(source="gsm8k", dataset=str(path), config={}, n_problems=1))
    assert grade(problem, "The answer is 1002.", "stop").correct


def test_reasoning_gyms_own_scorer_judges_its_own_problems():
    (problem,) = load_problems(task(n_problems=1, verifier="reasoning_gym"))
    assert grade(problem, f"Answer: {problem.reference}", "stop").correct is True
    assert grade(problem, "Answer: 12345", "stop").correct is False
    (stranger,) = load_problems(inline(("q", "r"), verifier="reasoning_gym"))
    assert grade(stranger, "r", "stop").reason == "not_a_reasoning_gym_problem"


def test_the_library_is_used_without_its_c_extension():
    """pycosat has no wheels; only one data set needs it."""
    program = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "pycosat":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "pycosat" else real(name, package)
from isocost.tasks.sources.reasoning_gym import ReasoningGym, has_pycosat
from types import SimpleNamespace
task = SimpleNamespace(name="t", source="reasoning_gym", dataset="letter_counting", config={}, n_problems=2, seed=1, verifier="numeric")
SOURCE = ReasoningGym()
assert len(SOURCE.load(task)) == 2 and not has_pycosat()
task.dataset = "zebra_puzzles"
try:
    SOURCE.check(task)
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert "needs the package pycosat" in done.stdout


def test_a_prompt_puts_the_question_in_and_leaves_other_braces():
    (problem,) = load_problems(inline(("What is {x} in {question}?", 1)))
    prompt = PromptSpec(name="p", system=None, template='{question} Answer as {"a": 1}.')
    messages = render_messages(prompt, problem)
    assert messages == [
        {"role": "user", "content": 'What is {x} in {question}? Answer as {"a": 1}.'}
    ]
    spoken = render_messages(prompt.model_copy(update={"system": "Be brief."}), problem)
    assert spoken == [{"role": "system", "content": "Be brief."}, *messages]
    assert prompt_hash(messages) != prompt_hash(spoken)
    assert len(prompt_hash(messages)) == 16
