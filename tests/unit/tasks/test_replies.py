"""What of a reply counts.

No thoughts, nothing behind its end, of code blocks the one that is tested, of letters one that is
offered.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.sweep import TaskSpec
from isocost.tasks import TaskMistake, grade, grade_text, load_problems, make_problem
from isocost.tasks.registry import verifier_of
from isocost.tasks.run_on import cuts, turn
from isocost.tasks.thoughts import THOUGHT_MARKS, Thoughts, said, thoughts_of

PLAIN = st.text(
    st.characters(whitelist_categories=("L", "Nd", "Zs"), whitelist_characters=".,\n"), max_size=40
).filter(lambda t: "nalysis" not in t)


@pytest.mark.parametrize("marks", THOUGHT_MARKS)
@pytest.mark.parametrize("change", [str, str.upper, str.lower])
def test_every_known_mark_is_a_thought_that_counts_only_when_it_ended(marks, change):
    opening, closing = map(change, marks)
    assert grade_text("numeric", "9", f"{opening}the answer is 4{closing} 9").correct
    assert (
        grade_text("numeric", "9", f"the answer is 4{closing}\n9").correct
        or closing.lower() == "<|end|>"
    )
    for finish in ("stop", "length", None):
        unfinished = grade_text(
            "numeric", "9", f"{opening}so the answer is \\boxed{{9}}. #### 9", finish
        )
        assert (unfinished.parse_status, unfinished.correct) == ("no_answer", False)


@given(PLAIN, PLAIN, PLAIN, PLAIN, st.sampled_from(THOUGHT_MARKS))
@settings(max_examples=25, deadline=None)
def test_what_is_said_is_what_stands_outside_of_thoughts(before, thought, between, last, marks):
    opening, closing = marks
    assert said(
        f"{before}{opening}{thought}{closing}{between}{opening}{thought}{closing}{last}"
    ) == (before + between + last, True)
    assert said(f"{before}{opening}{thought}{closing}{between}{opening}{thought}") == (
        before + between,
        False,
    )
    assert said(before + last) == (before + last, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "<|channel|>analysis<|message|>4<|end|><|start|>assistant<|channel|>final<|message|>9<|return|>",
            ("9", True),
        ),
        ("<|channel|>analysis<|message|>so 9", ("", False)),
        (
            "<|channel|>commentary to=f <|constrain|>json<|message|>4<|call|><|channel|>final<|message|>9",
            ("9", True),
        ),
        ("analysisWe see 4.assistantfinalIt is 9.", ("It is 9.", True)),
        ("analysisWe see 4", ("", False)),
        ("Analysis: 9", ("Analysis: 9", True)),
        ("analysis of 9", ("analysis of 9", True)),
        ("a < b and [1, 2]", ("a < b and [1, 2]", True)),
        ("", ("", True)),
    ],
)
def test_channels_and_texts_without_marks(text, expected):
    assert said(text) == expected


def test_a_task_may_name_its_own_marks_and_an_open_thought():
    plan = {"marks": [["<plan>", "</plan>"]], "is_open": True}
    config = {"problems": [{"question": "3*3?", "reference": "9"}], "thoughts": plan}
    task = TaskSpec(
        name="t",
        source="inline",
        dataset="d",
        config=config,
        n_problems=1,
        seed=0,
        verifier="numeric",
    )
    (problem,) = load_problems(task)
    bare = load_problems(task.model_copy(update={"config": {"problems": config["problems"]}}))[0]
    assert problem.problem_id == bare.problem_id
    assert grade(bare, "<plan>the answer is 4</plan> 9. The answer is 4?", "stop").answer == "4"
    assert grade(problem, "The answer is 9", "stop").reason == "thought_unfinished"
    assert grade(problem, "The answer is 4</think>It is 9", "stop").correct
    assert grade(problem, "4</plan>It is <plan>4</plan>9", "stop").correct
    for wrong in (
        {"mark": []},
        {"marks": [["a"]]},
        {"marks": "x"},
        {"is_open": 1},
        {"marks": [["<a>", "<A>"]]},
        [],
    ):
        with pytest.raises(TaskMistake, match=r"thoughts|differ") as caught:
            load_problems(task.model_copy(update={"config": {**config, "thoughts": wrong}}))
        assert caught.value.key == ("config", "thoughts")
    assert thoughts_of(None) == Thoughts()


INVENTED = [
    "\n\nQ: and 4?\nA: 4",
    "\n\nQuestion: next\n#### 4",
    "\nProblem 2: x\nThe answer is 4",
    "\n\n**Question:** y \\boxed{4}",
    "\nHuman: 4?\nThe answer is 4",
    "<|im_end|>\n<|im_start|>user\n#### 4",
    "</s>#### 4",
    "<|eot_id|>A: 4",
    "\n\n## Exercise 3\nAnswer: 4",
    "\n\n问题：四？\n答案：4",
    "\nFrage: 4?\nAntwort: 4",
]


@pytest.mark.parametrize(
    "answer", ["#### 9", "The answer is 9.", r"\boxed{9}", "<answer>9</answer>", "9", "A: 9"]
)
@pytest.mark.parametrize("invented", INVENTED)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_an_invented_question_behind_the_answer_is_not_read(answer, invented, finish):
    assert grade_text("numeric", "9", answer + invented, finish).correct


@pytest.mark.parametrize(
    "question",
    [
        "Question: Tom has 3 pens and buys 6. How many?",
        "Problem: 3 + 6",
        "Q: 3 + 6?",
        "**Problem**\n3 + 6",
        "Let me see.\nQuestion: 3+6?",
    ],
)
def test_a_question_that_is_repeated_first_is_no_end(question):
    assert grade_text("numeric", "9", f"{question}\nAnswer: 9", "stop").correct
    assert grade_text("numeric", "9", f"{question}\n3 + 6 = 9", "stop").correct


@given(st.text(max_size=120))
@settings(max_examples=25, deadline=None)
def test_cutting_only_ever_shortens(text):
    kept = turn(text)
    assert kept in text
    assert all(text.startswith(before) and before.strip() for before in cuts(text))


OPTIONS = "Which?\nOptions:\n(A) one\n(B) two\n(C) three\n(D) four"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("The answer is (B)", "B"),
        ("The answer is (K)", None),
        ("The answer is I think B", "B"),
        ("So K.", None),
        ("(C) is wrong, so (D)", "D"),
        ("E", None),
    ],
)
def test_only_offered_letters_are_options(text, choice):
    for problem in (
        make_problem("t", OPTIONS, "(B)", "multiple_choice"),
        make_problem("t", "Which?", "(B)", "multiple_choice", metadata={"n_options": 4}),
    ):
        assert grade(problem, text, "stop").answer == choice


@given(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
@settings(max_examples=25, deadline=None)
def test_all_letters_are_options_and_two_are_none(first, second):
    assert verifier_of("multiple_choice").check_reference(f"({first})") is None
    for text in (
        f"The answer is ({first}).",
        f"({first})",
        f"{first}",
        f"Answer: {first}",
        rf"\boxed{{\text{{{first}}}}}",
        f"Option {first} is correct.",
    ):
        assert grade_text("multiple_choice", first, text, "stop").correct, text
    if first != second:
        for text in (
            f"({first}) is good. The answer is ({first}) or ({second}).",
            rf"\boxed{{{first}, {second}}}",
            f"Answer: {first} and {second}",
        ):
            assert grade_text("multiple_choice", first, text, "stop").correct is False, text


TESTS = "assert double(3) == 6\nassert double(0) == 0"
GOOD, OTHER, USE = (
    "def double(x):\n    return 2 * x",
    "def triple(x):\n    return 3 * x",
    "print(double(4))",
)


@pytest.mark.parametrize(
    "blocks",
    [
        [GOOD],
        [GOOD, USE],
        [OTHER, GOOD, USE],
        [GOOD, OTHER],
        ["```bash\npip install x", GOOD],
        [GOOD, "```text\n8"],
        ["class A: pass", GOOD, "x = 1"],
    ],
)
def test_the_block_that_defines_what_is_tested_is_the_answer(blocks):
    text = "Here:\n" + "\nand\n".join(
        block + "\n```" if block.startswith("```") else f"```python\n{block}\n```"
        for block in blocks
    )
    problem = make_problem("t", "q", TESTS, "code")
    code = verifier_of("code")
    assert code.extract_for(problem, text, False).strip() == GOOD
    assert code.extract_for(problem, text, True).strip() == GOOD
    named = make_problem("t", "q", "pass", "code", metadata={"entry_point": "double"})
    assert code.extract_for(named, text, False).strip() == GOOD


def test_of_two_versions_the_last_counts_and_an_open_block_only_when_finished():
    problem, code = make_problem("t", "q", TESTS, "code"), verifier_of("code")
    first = "def double(x):\n    return x"
    text = f"```python\n{first}\n```\nNo:\n```python\n{GOOD}\n"
    assert code.extract_for(problem, text, False).strip() == GOOD
    assert code.extract_for(problem, text, True).strip() == first
    indented = "1. So:\n\n    ```py\n    def double(x):\n        return 2 * x\n    ```\n"
    assert code.extract_for(problem, indented, False).strip() == GOOD
