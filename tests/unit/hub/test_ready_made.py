"""Ready-made tasks: every one asks, refers and grades by its convention, on rows in its real schema."""

from __future__ import annotations

import json

import pytest
from hub_repos import TOKEN, card, lines, parquet
from ready_rows import PROMPTS, SAMPLES

from isocost import cli
from isocost.hashing import text_hash
from isocost.sweep.models import TaskSpec
from isocost.tasks import (
    TaskMistake,
    grade,
    grade_text,
    isolation,
    load_problems,
    resolved_config,
)
from isocost.tasks.ready import bbh
from isocost.tasks.ready.evalplus_tests import without_numpy
from isocost.tasks.ready_made import READY

pytestmark = pytest.mark.slow


def task(name, **changes):
    values = {
        "name": name,
        "source": "ready",
        "dataset": name,
        "config": {},
        "n_problems": 1,
        "seed": 0,
        "verifier": READY.get(name).verifier,
    }
    return TaskSpec(**(values | changes))


@pytest.fixture
def served(hub, monkeypatch):
    """A hub with the data set of every ready-made task; the gated one opens with the token."""
    monkeypatch.setenv("ISOCOST_RUN_CODE", "1")
    for name, sample in SAMPLES.items():
        ready = READY.get(name)
        is_gated = name == "gpqa_diamond"
        hub.add("dataset", ready.dataset, sample.files, is_gated=is_gated)
    hub.tokens[TOKEN].add("Idavidrein/gpqa")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


def test_every_ready_made_task_has_rows_to_be_tested_with():
    assert set(SAMPLES) == set(PROMPTS) == set(READY.names())


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_prompt_reference_and_verdicts(served, name):
    sample = SAMPLES[name]
    if READY.get(name).verifier == "code" and isolation.missing():
        pytest.skip("this machine cannot isolate model-written code")
    (problem,) = load_problems(task(name))
    assert problem.reference == (sample.reference or problem.reference)
    other = {"A": "B", "B": "C", "C": "D", "D": "A"}.get(problem.reference, "")
    for replies, verdict in ((sample.right, True), (sample.wrong, False)):
        for reply in replies:
            text = reply.replace("{letter}", problem.reference).replace("{other}", other)
            assert grade(problem, text, "stop").correct is verdict, text
    shown = text_hash(json.dumps([problem.fields["prompt"], problem.reference]))
    assert (READY.get(name).convention, shown) == (1, PROMPTS[name])


def test_gsm8k_asks_with_eight_examples(served):
    (problem,) = load_problems(task("gsm8k"))
    prompt = problem.fields["prompt"]
    assert prompt.startswith("Q: There are 15 trees in the grove.")
    assert prompt.count("\n\nQ: ") == 8
    assert prompt.count("The answer is ") == 8
    assert prompt.endswith(f"\n\nQ: {problem.question}\nA:")
    assert problem.question.startswith("Ann has 3 pens")


def test_aime_asks_for_a_box(served):
    (problem,) = load_problems(task("aime_2024"))
    assert "'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope" in problem.fields["prompt"]
    assert problem.fields["prompt"].endswith(f"\n\n{problem.question}")


def test_mmlu_pro_asks_with_five_examples_of_the_subject(served):
    (problem,) = load_problems(task("mmlu_pro"))
    prompt = problem.fields["prompt"]
    assert prompt.startswith(
        "The following are multiple choice questions (with answers) about computer science. Think"
    )
    assert prompt.count("Question:\n") == prompt.count("Let's think step by step.") == 6
    assert (
        "D. third\nE. fourth\nAnswer: Let's think step by step. It is 4. The answer is (E).\n\n"
        in prompt
    )
    assert prompt.endswith(
        "Question:\nWhich is number 9?\nOptions:\nA. none\nB. first\nC. second\nD. third\nE. fourth\n"
        "Answer: Let's think step by step."
    )


def test_arc_shows_letters_and_as_many_choices_as_there_are(served):
    four, three, five = load_problems(task("arc_challenge", n_problems=3))
    assert "A. thing 1\nB. thing 2\nC. thing 3\nD. thing 4\nYour response" in four.fields["prompt"]
    assert "is one of A, B, C or D." in three.fields["prompt"]
    assert (three.reference, five.reference) == ("A", "E")
    assert (
        "the following question and five candidate answers (A, B, C, D and E)"
        in (five.fields["prompt"])
    )
    assert [p.metadata["n_options"] for p in (four, three, five)] == [4, 3, 5]


def test_tests_of_code_need_no_package_and_say_what_they_cannot_do(served):
    halves, find_zero = load_problems(task("humaneval_plus", n_problems=2))
    assert "import numpy" not in halves.reference
    assert halves.reference.endswith("\n\ncheck(halves)\n")
    if not isolation.missing():
        root = "```python\ndef find_zero(xs):\n    return -0.5 if len(xs) == 2 else 1.0\n```"
        assert grade(find_zero, root, "stop").correct
        assert not grade(find_zero, root.replace("1.0", "1.5"), "stop").correct
    (shared,) = load_problems(task("mbpp_plus"))
    assert shared.fields["prompt"].endswith(
        '```\n"""\nWrite a function to find the shared elements of two lists.\n'
        'assert set(shared((3, 4), (5, 4))) == set((4,))\n"""\n```\n'
    )
    with pytest.raises(TaskMistake, match=r"the tests use np\.linalg, which the sandbox does not"):
        without_numpy("import numpy as np\nassert np.linalg.norm([1]) == 1", "row 1")


def test_the_stand_in_compares_as_numpy_does():
    import numpy

    space: dict = {}
    exec(without_numpy("import numpy as np\npass", ""), space)
    values = [0.0, 1.0, 1.0 + 5e-7, 1.001, float("inf"), float("nan"), -1.0, [], [1.0], [1.0, 2.0]]
    for out in values:
        for exp in values:
            for atol in (1e-6, 0.01):
                try:
                    wanted = bool(numpy.allclose(out, exp, rtol=1e-07, atol=atol))
                except ValueError:  # lists that NumPy cannot stretch to one length
                    wanted = False
                if isinstance(out, list) and isinstance(exp, list) and len(out) != len(exp):
                    wanted = False
                assert space["np"].allclose(out, exp, rtol=1e-07, atol=atol) is wanted, (out, exp)


def test_bbh_asks_each_subset_with_its_own_examples(served):
    repo = served.repos["dataset", "SaylorTwift/bbh"]
    config = {name: {"test": f"{name}/test-*"} for name in bbh.examples()}
    files = {
        f"{name}/test-00000.parquet": parquet([{"input": f"of {name}", "target": "] )"}])
        for name in config
    }
    repo.push({"README.md": card(*config.items()), **files})
    problems = load_problems(task("bbh", n_problems=27))
    assert [problem.metadata["subset"] for problem in problems] == sorted(config)
    for problem, shown in zip(problems, bbh.examples().values(), strict=True):
        assert shown.count("\n\nQ: ") == shown.count("A: Let's think step by step.") == 3
        assert shown.count("So the answer is ") >= 3 and "canary" not in shown
        asked = f"{shown}\n\nQ: {problem.question}\nA: Let's think step by step."
        assert problem.fields["prompt"] == asked
        assert grade(problem, 'So, we need "]", ")". So the answer is ] ).', "stop").correct
        assert not grade(problem, "So the answer is ) ].", "stop").correct


def test_ifeval_asks_what_rules_can_check_and_refuses_what_it_does_not_know(served):
    with pytest.raises(TaskMistake, match="holds 1 different problems"):
        load_problems(task("ifeval", n_problems=2))
    repo = served.repos["dataset", "google/IFEval"]
    row = {"key": 1, "prompt": "p", "instruction_id_list": ["keywords:existence"]}
    for given, says in (
        ([{}], "needs texts keywords"),
        ([{"keywords": ["("]}], "is not a pattern"),
        ([], "do not belong together"),
    ):
        repo.push({"ifeval_input_data.jsonl": lines([{**row, "kwargs": given}])})
        with pytest.raises(TaskMistake, match=says) as found:
            load_problems(task("ifeval"))
        assert found.value.where == "google/IFEval ifeval_input_data.jsonl row 1"


def test_gpqa_draws_the_order_of_its_choices_and_records_it(served):
    problems = load_problems(task("gpqa_diamond", n_problems=8))
    letters = {problem.reference for problem in problems}
    assert len(letters) > 2
    for index, problem in enumerate(problems):
        shown = problem.fields["choices"].splitlines()
        assert shown["ABCD".index(problem.reference)] == f"{problem.reference}) right {index}"
        order = problem.metadata["choice_order"]
        assert order["ABCD".index(problem.reference)] == 0
        assert problem.fields["prompt"].endswith(f"{problem.question}")
    again = load_problems(task("gpqa_diamond", n_problems=8, seed=1))
    assert [p.reference for p in again] != [p.reference for p in problems]


def test_gpqa_without_access_says_what_to_do(served, monkeypatch):
    served.tokens[TOKEN].clear()
    with pytest.raises(TaskMistake, match=r"is gated, .* Request access at .*Idavidrein/gpqa"):
        load_problems(task("gpqa_diamond"))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TaskMistake, match="is gated, and no token is set"):
        load_problems(task("gpqa_diamond"))


def test_an_order_that_is_drawn_depends_on_the_seed_alone(served):
    config = {"shuffle": True}
    drawn = load_problems(task("gpqa_diamond", n_problems=8, config=config))
    few = load_problems(task("gpqa_diamond", n_problems=3, config=config))
    assert drawn[:3] == few
    plain = load_problems(task("gpqa_diamond", n_problems=8))
    assert sorted(p.problem_id for p in drawn) == sorted(p.problem_id for p in plain)
    assert drawn != plain


def test_what_it_is_resolved_to_is_part_of_the_task(served):
    config = resolved_config(task("gsm8k"))
    assert config == {
        "commit": served.repos["dataset", "openai/gsm8k"].refs["main"],
        "convention": 1,
    }
    assert resolved_config(task("gsm8k", config=config)) == config
    old = {**config, "convention": 0}
    with pytest.raises(TaskMistake, match=r"was planned with version 0 .* Plan the sweep again"):
        load_problems(task("gsm8k", config=old))


@pytest.mark.parametrize(
    ("changes", "says", "key"),
    [
        ({"dataset": "gsm"}, "no ready-made task gsm. Did you mean gsm8k", ("dataset",)),
        ({"verifier": "exact"}, "is graded by numeric, not exact", ("verifier",)),
        ({"config": {"shot": 3}}, "no setting shot", ("config", "shot")),
        ({"config": {"shots": 3}}, "does not say where the examples", ("config", "shots")),
        ({"config": {"shuffle": "yes"}}, "must be true or false", ("config", "shuffle")),
        ({"config": {"revision": "v0"}}, "no revision v0", ("config", "revision")),
        ({"n_problems": 3}, "holds 2 different problems; 3 are requested", ("n_problems",)),
    ],
)
def test_mistakes_are_named_by_key(served, changes, says, key):
    with pytest.raises(TaskMistake, match=says) as found:
        load_problems(task("gsm8k", **changes))
    assert found.value.key == key


def test_a_data_set_of_another_schema_is_refused(served):
    repo = served.repos["dataset", "openai/gsm8k"]
    repo.push({"test.parquet": parquet([{"query": "q", "answer": "a"}]), "main/x/y.csv": b"a\n1"})
    with pytest.raises(TaskMistake, match=r"has no split test|no column question"):
        load_problems(task("gsm8k"))
    repo.push({"main/test.jsonl": lines([{"question": "q", "answer": "four"}])})
    with pytest.raises(TaskMistake, match="no final number after ####") as found:
        load_problems(task("gsm8k"))
    assert found.value.where == "openai/gsm8k main/test.jsonl row 1"


def test_the_command_lists_and_shows(served, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["tasks"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == list(READY.names())
    served.requests.clear()
    assert cli.main(["tasks", "gsm8k"]) == 0
    out = capsys.readouterr().out
    assert "openai/gsm8k (main, test)" in out
    assert "CC BY 4.0" in out
    assert "2201.11903" in out
    assert served.requests == []
    assert cli.main(["tasks", "gsm8k", "--show", "2"]) == 0
    out = capsys.readouterr().out
    assert out.count("--- reference\n") == 2
    assert "Q: What is half of 8?\nA:\n--- reference\n4" in out
    assert cli.main(["tasks", "gsm8k", "--show", "9"]) == 2
    assert "holds 2 different problems" in capsys.readouterr().err
    assert cli.main(["tasks", "--show", "1"]) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "hf"]


@pytest.mark.parametrize(
    ("reference", "reply"),
    [
        ("\\$32,\\!348", "ANSWER: $\\$32,\\!348$"),
        ("\\$32,\\!348", "ANSWER: 32,348"),
        ("\\$18.90", "ANSWER: $\\$18.90$"),
        ("10,\\!080", "ANSWER: $10080$"),
        ("11,\\! 111,\\! 111,\\! 100", "ANSWER: 11111111100"),
    ],
)
def test_money_and_thousands_as_the_math_data_set_writes_them(reference, reply):
    assert grade_text("symbolic", reference, reply, "stop").correct
    assert not grade_text("symbolic", reference, "ANSWER: $32$", "stop").correct


def test_conventional_examples_stay_unless_fewer_or_others_are_asked_for(served):
    whole = load_problems(task("gsm8k"))[0].fields["prompt"]
    for count in (0, 3, 8):
        (problem,) = load_problems(task("gsm8k", config={"n_shots": count}))
        prompt = problem.fields["prompt"]
        assert prompt.count("Q: ") == count + 1 and whole.endswith(f"Q: {problem.question}\nA:")
        assert (prompt == whole) is (count == 8) and whole.startswith(
            prompt[: prompt.rindex("Q: ")]
        )
        assert problem.shots == ()
    (subject,) = load_problems(task("mmlu_pro", config={"n_shots": 2}))
    assert subject.fields["prompt"].count("Question:\n") == 3
    (hard,) = load_problems(task("bbh", config={"n_shots": 1}))
    assert hard.fields["prompt"].count("\n\nQ: ") == 2
    assert load_problems(task("bbh"))[0].fields["prompt"].count("\n\nQ: ") == 4
    own = {"shots": {"examples": [{"question": "1 + 1?", "answer": "2"}]}}
    (problem,) = load_problems(task("gsm8k", config=own))
    assert problem.fields["prompt"] == f"Q: {problem.question}\nA:"
    assert [(shot.fields["prompt"], shot.answer) for shot in problem.shots] == [("1 + 1?", "2")]
    resolved = resolved_config(task("gsm8k", config=own))
    assert resolved["shots"] == own["shots"] and "n_shots" not in resolved
    with pytest.raises(TaskMistake, match="has 8 examples of its own"):
        load_problems(task("gsm8k", config={"n_shots": 9}))
    with pytest.raises(TaskMistake, match="has 0 examples of its own"):
        load_problems(task("math_500", config={"n_shots": 1}))


@pytest.mark.parametrize(
    ("name", "is_sorted"), [("bbh", True), ("mmlu_pro", True), ("gsm8k", False)]
)
def test_the_lines_for_a_sweep_shuffle_what_is_sorted(name, is_sorted, capsys):
    """Twenty problems from the top of a sorted data set are all of one subject."""
    cli.main(["tasks", name])
    said = capsys.readouterr().out
    assert f"source: ready, dataset: {name}" in said
    assert ("config: {shuffle: true}" in said) is is_sorted
