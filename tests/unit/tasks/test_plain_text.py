"""A prompt that is no chat reaches the engine as its own text, with the task's ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from isocost.engines.openai_calls import Calls
from isocost.engines.protocol import Request
from isocost.engines.vllm import encode_chat
from isocost.errors import IsocostError
from isocost.messages import is_plain
from isocost.payload.work import Work, request_of
from isocost.sweep import PromptSpec, plan_sessions, sweep_from_text
from isocost.tasks import (
    Grade,
    TaskMistake,
    answer_of,
    grade,
    make_problem,
    prompt_hash,
    render_messages,
    unsuited,
)
from isocost.tasks.registry import VERIFIERS

SWEEP = """sweep: s
models: [{name: a, path: pa, dtype: float32}]
engine: {max_model_len: 256, kv_cache_bytes: 1 GiB, max_num_seqs: 8}
tasks:
  - name: t
    source: inline
    dataset: d
    n_problems: 1
    verifier: exact
    config: {problems: [{question: "Q: 1 + 1?\\nA:", reference: "2"}]}
prompts:
  - {name: raw, template: "{question}"}
grid: {temperature: 0.5, max_tokens: 16}
samples_per_problem: 1
"""
RAW = SWEEP.replace('"{question}"', '"{question}", chat: false')


def only_point(text):
    (session,) = plan_sessions(sweep_from_text(text, "f.yaml"))
    return session, session.points[0].point


def test_a_text_is_one_message_and_another_point_and_chats_keep_their_ids():
    chat, plain = only_point(SWEEP)[1], only_point(RAW)[1]
    assert chat.point_id == "pt-340563b9f64f198a"
    assert plain.point_id != chat.point_id
    assert "chat" not in chat.prompt.model_dump() and plain.prompt.model_dump()["chat"] is False
    assert PromptSpec(**plain.prompt.model_dump()) == plain.prompt
    problem = make_problem("t", "Q: 1 + 1?\nA:", "2", "exact")
    asked, text = render_messages(chat.prompt, problem), render_messages(plain.prompt, problem)
    assert text == [{"role": "text", "content": "Q: 1 + 1?\nA:"}]
    assert is_plain(text) and not is_plain(asked) and prompt_hash(text) != prompt_hash(asked)


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        (("chat: false", "chat: false, system: s"), "prompts[0].chat", "has no system text"),
        (("chat: false", 'chat: "no"'), "prompts[0].chat", "boolean"),
        (
            ("max_tokens: 16", "max_tokens: 16, method: adaptive_consistency"),
            "prompts[0].chat",
            "makes chats",
        ),
    ],
)
def test_what_cannot_be_a_text_is_refused(change, where, said):
    with pytest.raises(IsocostError) as caught:
        sweep_from_text(RAW.replace(*change), "f.yaml")
    assert where in str(caught.value) and said in str(caught.value)


class Words:
    """A tokenizer with a chat template, of which a character is a token and <s> comes first."""

    chat_template, bos_token = "x", "<s>"

    def apply_chat_template(self, messages, add_generation_prompt, tokenize):
        return [0]

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [1] * add_special_tokens + [ord(letter) for letter in text]}


def test_vllm_encodes_the_text_itself_and_begins_it_once():
    plain = [{"role": "text", "content": "ab"}]
    assert encode_chat(Words(), plain) == [1, 97, 98]
    assert encode_chat(Words(), [{"role": "text", "content": "<s>"}]) == [60, 115, 62]
    assert encode_chat(Words(), [{"role": "user", "content": "ab"}]) == [0]
    without = SimpleNamespace(bos_token=None)
    made = type("Other", (Words,), vars(without))()
    assert encode_chat(made, plain) == [1, 97, 98]


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_server_is_asked_to_complete_the_text(api):
    session, _ = only_point(RAW)
    work = Work(session)
    sample = next(work.samples(work.plan))
    problem = replace(sample.asked.problem, stop=("Q:", "</s>"))
    request = request_of(
        replace(sample, asked=replace(sample.asked, problem=problem)), per_request_seed=False
    )
    assert isinstance(request, Request) and request.stop == ("Q:", "</s>")
    settings = SimpleNamespace(model_path="m", logprobs_k=0)
    calls = Calls(None, settings, None, None, chat=api == "chat", extra={}, context=None)
    body = calls._body(request)
    assert body["prompt"] == "Q: 1 + 1?\nA:" and "messages" not in body
    assert body["stop"] == ["Q:", "</s>"]


def test_a_chat_of_the_task_is_sent_as_it_is_or_refused():
    chat = ({"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"})
    asked = (*chat, {"role": "user", "content": "2?"})
    problem = replace(make_problem("t", "2?", "2", "exact"), messages=asked)
    whole = PromptSpec(name="p", system=None, template="{prompt}")
    assert render_messages(whole, problem) == list(asked)
    for change in ({"system": "s"}, {"template": "Say {prompt}"}, {"chat": False}):
        other = whole.model_copy(update=change)
        assert "would change the chat" in str(unsuited(other, problem))
        with pytest.raises(TaskMistake, match="would change the chat"):
            render_messages(other, problem)


def test_a_verifier_with_rules_for_the_whole_text_gets_all_of_it(monkeypatch):
    class Whole:
        name = "whole"

        def grade_whole(self, problem, text):
            return Grade("parsed", text, True, 1.0, None)

        def answer_whole(self, problem, text):
            return text

    monkeypatch.setattr(VERIFIERS, "all", lambda: {"whole": Whole()})
    problem = make_problem("t", "q", "r", "whole")
    for text in ("<think>a</think> b\nQ: c", "", "</s> d"):
        assert grade(problem, text, "length").answer == text == answer_of(problem, text, "length")
    assert grade(problem, None, "stop").answer == ""
    assert grade(problem, "x", "error").correct is None and answer_of(problem, "x", "abort") is None
