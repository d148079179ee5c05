"""Notes on the context first, for all questions about it; then the answer with the notes."""

from __future__ import annotations

import pytest
from play import asked, made, play

from isocost.errors import IsocostError
from isocost.methods import Call
from isocost.payload.work import numbered
from isocost.tasks import load_problems
from isocost.tasks.model import make_problem
from isocost.tasks.prompts import render_messages


def test_the_notes_know_only_the_context_and_the_answer_sees_the_notes():
    method = made("sleep_time", instruction="Think ahead.", sleep_tokens=7)
    question = asked("How many marbles?", context="Six bags of seven.")
    found = play(method, lambda call: "42 in all" if call.shared else "42", question)
    [[notes], [solve]] = found.waves
    assert notes.messages == ({"role": "user", "content": "Six bags of seven.\n\nThink ahead."},)
    assert (notes.shared, notes.role, notes.max_tokens) == (True, "sleep", 7)
    assert solve.messages == ({"role": "user", "content": "42 in all\n\nHow many marbles?"},)
    assert (solve.shared, solve.parent, solve.max_tokens) == (False, 0, None)
    other = play(method, lambda call: "x", asked("Another?", context="Six bags of seven."))
    assert other.calls[0] == notes
    assert found.answers[0].text == "42" and method.needs_context


def test_without_context_and_sharing_nothing_has_another_id():
    """Ids and hashes as they were before problems had a context and calls were shared."""
    problem = make_problem("t", "What is 1 + 1?", "2", "numeric")
    assert problem.problem_id == "t-dbb2cef57a37" and problem.context_id is None
    call = Call(({"role": "user", "content": "hello"},), role="revise", max_tokens=5, stop=("x",))
    assert numbered(0, 0, call).request_hash == "6153af3dcf599c8b"


def test_a_context_is_part_of_a_problem_and_shared_by_equal_texts():
    one, two, other = (
        make_problem("t", question, "2", "numeric", fields={"context": context})
        for question, context in (("a", "x"), ("b", "x"), ("a", "y"))
    )
    assert one.context_id == two.context_id != other.context_id
    assert (
        len({p.problem_id for p in (one, two, other, make_problem("t", "a", "2", "numeric"))}) == 4
    )


class Prompt:
    name, system, template, chat = "p", None, "{context} Q: {question}", True


def test_a_prompt_shows_the_context_where_it_says_so():
    fields = {"context": "{question}"}
    problem = make_problem("t", "{context}?", "2", "numeric", fields=fields)
    [message] = render_messages(Prompt, problem)
    assert message["content"] == "{question} Q: {context}?"
    with pytest.raises(IsocostError, match=r"names \{context\}"):
        render_messages(Prompt, make_problem("t", "q", "2", "numeric"))


class Task:
    name, source, dataset, config, n_problems, seed, verifier = (
        "t", "jsonl", "", {"context": "text"}, 2, 0, "numeric",
    )  # fmt: skip


def test_a_field_of_a_file_is_the_context(tmp_path, monkeypatch):
    file = tmp_path / "rows.jsonl"
    file.write_text(
        '{"question": "a", "reference": "1", "text": "Six bags."}\n'
        '{"question": "b", "reference": "2", "text": "Six bags."}\n'
    )
    monkeypatch.setattr(Task, "dataset", str(file))
    problems = load_problems(Task)
    assert [p.context for p in problems] == ["Six bags."] * 2
