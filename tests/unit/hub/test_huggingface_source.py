"""Problems of a data set on the hub: fields, choices, identity, and mistakes with file and line."""

from __future__ import annotations

from collections import Counter

import pytest
from hub_repos import TOKEN, lines, parquet, quiz, sums

from isocost.errors import IsocostError
from isocost.intake.preflight import check_tasks, preflight, resolved_tasks
from isocost.sweep import expand, plan_sessions, sweep_from_text
from isocost.sweep.models import TaskSpec
from isocost.tasks import TaskMistake, grade, load_problems, make_problem, render_messages

pytestmark = pytest.mark.slow

SUMS = {"columns": {"question": "question", "reference": "answer"}}
QUIZ = {
    "split": "test",
    "columns": {
        "question": "ask",
        "reference": "right",
        "choices": "options",
        "context": "passage",
        "cluster": "topic",
    },
}

SWEEP = """sweep: hub
models:
  - {{name: adder, path: adder}}
engine:
  engine: openai
  options: {{base_url: "http://127.0.0.1:9/v1"}}
tasks:
  - name: sums
    source: huggingface
    dataset: org/sums
    config:
      subset: main
      split: test
      columns: {{question: question, reference: answer}}
    n_problems: 3
    verifier: numeric
  - name: quiz
    source: huggingface
    dataset: {quiz}
    config:
      split: {split}
      revision: {revision}
      columns:
        question: {question}
        reference: right
        choices: options
        context: passage
    n_problems: {n}
    verifier: {verifier}
prompts:
  - name: plain
    tasks: sums
    template: "{{question}}"
  - name: reading
    tasks: quiz
    template: "{template}"
grid: {{temperature: 0.5, max_tokens: 8}}
samples_per_problem: 2
"""


def task(config, **changes):
    values = {
        "name": "t",
        "source": "huggingface",
        "dataset": "org/sums",
        "config": config,
        "n_problems": 5,
        "seed": 0,
        "verifier": "numeric",
    }
    return TaskSpec(**(values | changes))


def quiz_task(**settings):
    config = {**QUIZ, **settings}
    return task(config, dataset="org/quiz", verifier="multiple_choice", n_problems=10)


def sweep(**changes):
    values = {
        "quiz": "org/quiz",
        "split": "test",
        "revision": "main",
        "question": "ask",
        "n": "4",
        "verifier": "multiple_choice",
        "template": "{context} {question}",
    }
    return SWEEP.format(**(values | changes))


def test_rows_are_read_in_order_over_all_files_of_a_split(hub):
    config = {**SUMS, "subset": "main", "split": "test"}
    problems = load_problems(task(config, n_problems=40))
    assert [p.question for p in problems] == [row["question"] for row in sums()]
    assert problems[21].metadata == {
        "source": "huggingface",
        "dataset": "org/sums",
        "commit": hub.repos["dataset", "org/sums"].refs["main"],
        "row": "org/sums main/test-00001-of-00002.parquet row 2",
    }
    assert grade(problems[3], "It is 6.", "stop").correct
    assert not grade(problems[3], "It is 7.", "stop").correct
    assert load_problems(task({**SUMS, "files": "hard/*.parquet"}))[0].reference == "#### 1000"
    assert load_problems(task({**SUMS, "subset": "hard"}))[0].reference == "#### 1000"


def test_only_the_files_that_are_needed_are_fetched(hub):
    load_problems(task({**SUMS, "subset": "main", "split": "test"}, n_problems=20))
    fetched = [path for method, path, _ in hub.requests if "/resolve/" in path and method == "GET"]
    assert [path.rsplit("/", 1)[1] for path in fetched] == [
        "README.md",
        "test-00000-of-00002.parquet",
    ]


def test_every_mapped_field_but_the_reference_can_be_named(hub):
    columns = {**QUIZ["columns"], "kind": "topic"}
    problem = load_problems(quiz_task(columns=columns))[2]
    assert problem.question == "Which number follows 2?\n\nA. 2\nB. 3\nC. 4"
    assert problem.reference == "B"
    assert problem.fields == {
        "stem": "Which number follows 2?",
        "choices": "A. 2\nB. 3\nC. 4",
        "context": "Passage 2.",
        "cluster": "numbers",
        "kind": "numbers",
    }
    template = "{kind}: {context} {stem} [{choices}] \\boxed{answer} {question"
    prompt = type("Prompt", (), {"name": "p", "system": None, "template": template, "chat": True})
    (message,) = render_messages(prompt, problem)
    assert message["content"] == (
        "numbers: Passage 2. Which number follows 2? [A. 2\nB. 3\nC. 4] \\boxed{answer} {question"
    )


def test_a_text_of_a_problem_is_never_taken_for_a_marker(hub):
    hub.add(
        "dataset",
        "org/braces",
        {"test.jsonl": lines([{"q": "{context}?", "r": "1", "c": "{question} {kind}"}])},
    )
    config = {"columns": {"question": "q", "reference": "r", "context": "c"}}
    (problem,) = load_problems(task(config, dataset="org/braces", n_problems=1))
    prompt = type(
        "Prompt",
        (),
        {"name": "p", "system": None, "template": "{context}|{question}", "chat": True},
    )
    assert render_messages(prompt, problem)[0]["content"] == "{question} {kind}|{context}?"


def test_shuffled_choices_keep_their_meaning_and_are_recorded(hub):
    hub.add("dataset", "org/quiz", {"test.jsonl": lines(quiz() * 1)})
    shuffled = load_problems(quiz_task(shuffle_choices=True))
    plain = load_problems(quiz_task())
    for one, other in zip(shuffled, plain, strict=True):
        order = one.metadata["choice_order"]
        texts = other.fields["choices"].splitlines()
        shown = [text[3:] for text in one.fields["choices"].splitlines()]
        assert shown == [texts[index][3:] for index in order]
        assert shown["ABC".index(one.reference)] == texts["ABC".index(other.reference)][3:]
    assert load_problems(quiz_task(shuffle_choices=True)) == shuffled
    assert len(Counter(one.reference for one in shuffled)) > 1
    assert [p.metadata["choice_order"] for p in plain] == [[0, 1, 2]] * 10
    other_seed = quiz_task(shuffle_choices=True).model_copy(update={"seed": 1})
    assert load_problems(other_seed) != shuffled


@pytest.mark.parametrize(
    ("columns", "row", "settings", "letter"),
    [
        ({"choices": "c"}, {"c": ["x", "y"], "r": 1}, {}, "B"),
        ({"choices": "c"}, {"c": ["x", "y"], "r": "B"}, {}, "B"),
        ({"choices": "c"}, {"c": ["x", "y"], "r": "y"}, {}, "B"),
        ({"choices": "c"}, {"c": ["B", "A"], "r": "A"}, {"reference_is": "text"}, "B"),
        ({"choices": "c"}, {"c": ["B", "A"], "r": "A"}, {"reference_is": "letter"}, "A"),
        ({"choices": "c"}, {"c": {"text": ["x", "y"], "label": ["1", "2"]}, "r": "2"}, {}, "B"),
        ({"choices": "c.options"}, {"c": {"options": ["x", "y"]}, "r": 0}, {}, "A"),
        ({"choices": ["r", "w"]}, {"r": "x", "w": "y"}, {}, "A"),
    ],
)
def test_how_a_reference_names_its_choice(hub, columns, row, settings, letter):
    hub.add("dataset", "org/one", {"test.parquet": parquet([{"q": "Which?", **row}])})
    columns = {"question": "q", "reference": "r", **columns}
    (problem,) = load_problems(
        task(
            {"columns": columns, **settings},
            dataset="org/one",
            verifier="multiple_choice",
            n_problems=1,
        )
    )
    assert problem.reference == letter
    assert grade(problem, f"The answer is {letter}.", "stop").correct


@pytest.mark.parametrize(
    ("row", "says", "key"),
    [
        ({"c": ["B", "A"], "r": "A"}, "'A' names several of the 2 choices", "reference"),
        ({"c": ["x", "y"], "r": "z"}, "'z' names none of the 2 choices", "reference"),
        ({"c": ["x", "y"], "r": 2}, "'2' names none", "reference"),
        ({"c": ["x"], "r": 0}, "there are 1 choices", "choices"),
        ({"c": "x", "r": 0}, "'x', not a list of texts", "choices"),
        ({"c": ["x", "y"], "r": None}, "column r .reference. is missing", "reference"),
        ({"c": ["x", None], "r": 0}, "choice .choices. is missing", "choices"),
    ],
)
def test_a_row_that_says_nothing_is_named(hub, row, says, key):
    hub.add("dataset", "org/one", {"test.jsonl": lines([{"q": "Which?", **row}])})
    columns = {"question": "q", "reference": "r", "choices": "c"}
    with pytest.raises(TaskMistake, match=says) as found:
        load_problems(
            task({"columns": columns}, dataset="org/one", verifier="multiple_choice", n_problems=1)
        )
    assert found.value.where == "org/one test.jsonl row 1"
    assert found.value.key == ("config", "columns", key)


def test_a_file_that_lacks_a_column_is_named(hub):
    files = {
        "test-0.parquet": parquet([{"q": "a", "r": "1"}]),
        "test-1.parquet": parquet([{"q": "b", "reference": "2"}]),
    }
    hub.add("dataset", "org/two", files)
    asked = task({"columns": {"question": "q", "reference": "r"}}, dataset="org/two")
    with pytest.raises(TaskMistake, match=r"no column r \(reference\).* Did you mean re") as found:
        load_problems(asked)
    assert found.value.where == "org/two test-1.parquet"
    assert found.value.key == ("config", "columns", "reference")


@pytest.mark.parametrize("column", ["t", "part.t"])
def test_tests_are_the_reference_of_code(hub, column):
    tests = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
    rows = [{"q": "Add.", "t": tests, "part": {"t": tests}, "s": "import re"}]
    hub.add("dataset", "org/code", {"test.parquet": parquet(rows)})
    config = {"columns": {"question": "q", "tests": ["s", column]}}
    (problem,) = load_problems(task(config, dataset="org/code", verifier="code", n_problems=1))
    assert problem.reference == "import re\nassert add(1, 2) == 3\nassert add(0, 0) == 0"
    assert problem.fields["tests"] == problem.reference


def test_what_is_shown_is_part_of_a_problem_and_ids_without_fields_stay():
    plain = make_problem("t", "q", "r", "exact")
    assert plain.problem_id == "t-adfbdddfe438"
    derived = make_problem("t", "q", "r", "exact", fields={"stem": "q", "prompt": "p"})
    context = make_problem("t", "q", "r", "exact", fields={"context": "a"})
    other = make_problem("t", "q", "r", "exact", fields={"context": "b"})
    assert derived.problem_id == plain.problem_id
    assert len({plain.problem_id, context.problem_id, other.problem_id}) == 3


def planned(text):
    spec = resolved_tasks(sweep_from_text(text, "hub.yaml"))
    check_tasks(spec)
    return spec


def test_a_point_is_made_of_the_commit_and_records_what_was_asked(hub):
    repo = hub.repos["dataset", "org/quiz"]
    first = repo.refs["main"]
    repo.refs["v1"] = first
    by_branch, by_tag, by_commit = (
        expand(planned(sweep(revision=name)))[1].point for name in ("main", "v1", first)
    )
    assert by_branch.task.config["revision"] == "main"
    assert by_branch.task.config["commit"] == by_tag.task.config["commit"] == first
    assert by_branch.point_id == by_tag.point_id == by_commit.point_id
    repo.push({"test.jsonl": lines(quiz()[::-1])})
    moved = expand(planned(sweep()))[1].point
    assert moved.point_id != by_branch.point_id
    assert expand(planned(sweep(revision="v1")))[1].point.point_id == by_branch.point_id
    again = load_problems(by_branch.task)
    assert again[0].fields["context"] == "Passage 0."
    assert load_problems(moved.task)[0].fields["context"] == "Passage 9."


def test_a_planned_session_needs_no_network(hub, monkeypatch):
    (session,) = plan_sessions(planned(sweep()))
    from isocost.tasks import load

    load._load.cache_clear()
    hub.requests.clear()
    for planned_point in session.points:
        load_problems(planned_point.point.task)
    assert hub.requests == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert [p.point.point_id for p in plan_sessions(planned(sweep()))[0].points] == [
        p.point.point_id for p in session.points
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"quiz": "org/quizz"}, r"line 19: tasks\[1\]\.dataset: there is no data set org/quizz"),
        ({"quiz": "org/secret"}, r"line 19: tasks\[1\]\.dataset: .* is gated, and no token is set"),
        ({"revision": "v7"}, r"line 22: tasks\[1\]\.config\.revision: .* has no revision v7"),
        ({"split": "tets"}, r"line 21: tasks\[1\]\.config\.split: .* no split tets. Did you mean"),
        (
            {"question": "asks"},
            r"line 24: tasks\[1\]\.config\.columns\.question: there is no column asks .*mean ask\?",
        ),
        ({"n": "11"}, r"line 28: tasks\[1\]\.n_problems: .*holds 10 different problems; 11"),
        (
            {"verifier": "numeric"},
            r"line 29: tasks\[1\]\.verifier: .*reference answer of problem 0 does not suit .*"
            r"\(org/quiz test.jsonl row 1\)",
        ),
        (
            {"template": "{contxt} {question}"},
            r"line 36: prompts\[1\]\.template: names {contxt}, .* Did you mean context",
        ),
        (
            {"template": "{question}"},
            r"line 36: prompts\[1\]\.template: does not name {context}",
        ),
        (
            {"template": "{context} {question} {choices}"},
            r"prompts\[1\]\.template: shows the choices of task quiz twice",
        ),
        ({"template": "{context} {stem}"}, r"template: names {stem} without {choices}"),
        ({"template": "{context} {prompt}"}, r"template: names {prompt}, which task quiz does not"),
    ],
)
def test_mistakes_are_named_by_file_line_and_key(hub, tmp_path, changes, says):
    path = tmp_path / "hub.yaml"
    path.write_text(sweep(**changes))
    with pytest.raises(IsocostError, match=says) as found:
        preflight(path)
    assert str(found.value).startswith(str(path))


@pytest.mark.parametrize(
    ("config", "says", "key"),
    [
        ({}, "the columns are not named", ("config", "columns")),
        ({"columns": {"question": "q"}}, "must name the question, and the reference or", None),
        ({"columns": {"question": "q", "reference": 3}}, "reference must be the name of a c", None),
        ({"columns": {"question": "q", "reference": "r", "tests": "t"}}, "both are named", None),
        ({"columns": {"question": "q", "reference": "r", "Stem": "t"}}, "cannot be the name", None),
        ({"columns": {"question": "q", "reference": "r", "prompt": "t"}}, "cannot be the", None),
        ({**SUMS, "spilt": "test"}, "no setting spilt", ("config", "spilt")),
        ({**SUMS, "split": 3}, "split must be a text", ("config", "split")),
        ({**SUMS, "split": "test", "files": "*"}, "Give either `files`, or", ("config", "files")),
        ({**SUMS, "shuffle_choices": 1}, "must be true or false", ("config", "shuffle_choices")),
        ({**SUMS, "shuffle_choices": True}, "no column of choices is named", None),
        ({**SUMS, "reference_is": "word"}, "'word' is not how a reference", None),
    ],
)
def test_settings_are_checked_before_anything_is_asked(hub, config, says, key):
    with pytest.raises(TaskMistake, match=says) as found:
        load_problems(task(config))
    assert key is None or found.value.key == key
    assert hub.requests == []


def test_the_commit_is_not_for_the_sweep_file(hub, tmp_path):
    path = tmp_path / "hub.yaml"
    path.write_text(sweep().replace("revision: main", "commit: main"))
    with pytest.raises(IsocostError, match=r"line 22: .*commit: .*Give a commit under revision"):
        preflight(path)


def test_no_error_of_a_sweep_shows_the_token(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    path = tmp_path / "hub.yaml"
    for changes in ({"quiz": "org/secret"}, {"quiz": "org/none"}, {"revision": "none"}):
        path.write_text(sweep(**changes))
        with pytest.raises(IsocostError) as found:
            preflight(path)
        assert TOKEN not in str(found.value)


def test_tasks_of_other_sources_ask_no_hub(hub):
    text = sweep(quiz="org/quiz").split("  - name: quiz")[0]
    rest = sweep().split("prompts:")[1]
    local = text.replace("source: huggingface", "source: inline").replace(
        text[text.index("    config:") : text.index("    n_problems")],
        "    config: {problems: [{question: a, reference: 1}]}\n",
    )
    spec = planned(
        local.replace("n_problems: 3", "n_problems: 1")
        + "prompts:"
        + rest.replace("    tasks: quiz\n", "").replace("{context} ", "").replace("tasks: sums", "")
    )
    assert spec.tasks[0].config == {"problems": [{"question": "a", "reference": 1}]}
    assert hub.requests == []


def test_examples_come_from_another_split_of_the_same_commit(hub):
    config = {
        **SUMS, "subset": "main", "split": "test", "n_shots": 2, "shots": {"split": "train"},
    }  # fmt: skip
    made = task(config=config, n_problems=3)
    problems = load_problems(made)
    assert [shot.fields["question"] for shot in problems[0].shots] == [
        "What is 100 + 100?",
        "What is 101 + 101?",
    ]
    assert problems[0].shots[0].answer == "#### 200"
    same = {**config, "shots": {"split": "test", "answer": "level"}}
    problems = load_problems(made.model_copy(update={"config": same}))
    assert [shot.fields["question"] for shot in problems[0].shots] == [
        "What is 3 + 3?",  # the first three are asked
        "What is 4 + 4?",
    ]
    assert [shot.answer for shot in problems[0].shots] == ["0", "1"]
    with pytest.raises(TaskMistake, match="validaton") as error:
        load_problems(
            made.model_copy(update={"config": {**config, "shots": {"split": "validaton"}}})
        )
    assert error.value.key == ("config", "shots")
