"""Reasoning apart from the answer: names of parsers, their use in vLLM, and what servers send."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from isocost.engines import vllm_serve
from isocost.engines.openai_stream import Answer
from isocost.engines.protocol import EngineSettings, engine_class
from isocost.engines.vllm import VllmEngine, begun_turn
from isocost.engines.vllm_reasoning import Reasoning, known_parsers
from isocost.errors import IsocostError

needs_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"
)


def settings(**changes) -> EngineSettings:
    values = {
        "model_path": "none", "model_name": "tiny", "dtype": "float32", "quantization": None, "revision": None, "seed": 0,
        "max_model_len": 256, "kv_cache_bytes": 2**26, "max_num_seqs": 4, "max_num_batched_tokens": 512, "block_size": None,
        "enable_prefix_caching": True, "enforce_eager": True, "logprobs_k": 5, "options": {},
    }  # fmt: skip
    return EngineSettings(**(values | changes))


@needs_vllm
@pytest.mark.parametrize(("engine", "key"), [("vllm", "engine_args"), ("vllm_serve", "serve_args")])
def test_an_unknown_parser_is_refused_with_the_nearest_names(engine, key):
    assert {"deepseek_r1", "qwen3", "openai_gptoss"} <= known_parsers()
    make = engine_class(engine)
    make(settings(reasoning_parser="qwen3"))
    with pytest.raises(IsocostError, match=r"no reasoning parser 'deepseek_r2'.*deepseek_r1") as it:
        make(settings(reasoning_parser="deepseek_r2"))
    assert it.value.where == "model.reasoning_parser"
    plugged = {key: {"reasoning_parser_plugin": "mine.py"}}
    make(settings(reasoning_parser="mine", options=plugged))
    with pytest.raises(IsocostError, match="stated twice"):
        make(settings(reasoning_parser="qwen3", options={key: {"reasoning_parser": "qwen3"}}))


def test_the_server_is_told_both_and_every_client_gets_them():
    told = settings(chat_template_kwargs={"enable_thinking": False}, reasoning_parser="qwen3")
    words = vllm_serve.arguments(told, {}, 1)
    where = words.index("--default-chat-template-kwargs")
    assert json.loads(words[where + 1]) == {"enable_thinking": False}
    assert words[words.index("--reasoning-parser") + 1] == "qwen3"
    assert not {"--default-chat-template-kwargs", "--reasoning-parser"} & {
        *vllm_serve.arguments(settings(), {}, 1)
    }
    with pytest.raises(IsocostError, match="stated twice"):
        args = {"serve_args": {"default-chat-template-kwargs": {"a": 1}}}
        vllm_serve.VllmServeEngine(settings(chat_template_kwargs={"a": 1}, options=args))


class Template:
    """A tokenizer of which a character is a token, with a template that may end the reasoning."""

    chat_template = "x"
    eos_token_id = 0

    def apply_chat_template(self, messages, add_generation_prompt, tokenize, enable_thinking=True):
        begun = "A:" + ("" if enable_thinking else "<></>")
        text = "".join(m["content"] for m in messages) + (begun if add_generation_prompt else "")
        return [ord(letter) for letter in text]

    def decode(self, ids, skip_special_tokens):
        return "".join(chr(i) for i in ids)


def test_arguments_of_the_chat_template_reach_it_and_change_the_prompt():
    made = {}
    for thinking in (True, False):
        engine = VllmEngine(settings(chat_template_kwargs={"enable_thinking": thinking}))
        engine._tokenizer = Template()
        (made[thinking],) = engine.prompt_lengths([[{"role": "user", "content": "q"}]])
    assert made[False] - made[True] == len("<></>")
    assert bytes(begun_turn(Template(), {"enable_thinking": False})) == b"A:<></>"
    assert bytes(begun_turn(Template(), {})) == b"A:"


class Parser:
    """Stands in for vLLM's parser: <...> is the reasoning."""

    def parse(self, text, request, model_output_token_ids):
        if not text.startswith("<"):
            return None, text, None
        thought, mark, answer = text[1:].partition(">")
        return thought, (answer or None) if mark else None, None


def separator(*, is_over: bool = False) -> Reasoning:
    made = object.__new__(Reasoning)
    made._tokenizer, made._template, made._class = Template(), {}, lambda *_, **__: Parser()
    made._request, made._is_over, made.keeps_special_tokens = None, is_over, True
    return made


@budget(max_examples=60)
@given(st.text("abc ", max_size=9), st.text("abc ", max_size=9), st.booleans())
def test_reasoning_and_answer_are_whole_and_every_token_is_counted_once(thought, answer, ends):
    whole = f"<{thought}>{answer}"
    ids = [ord(letter) for letter in whole] + [0] * ends
    reasoning, text, before = separator().separated(ids)
    assert (reasoning, text) == (thought, answer)
    assert before == (len(ids) if not answer else len(f"<{thought}>"))
    assert separator().separated([ord(c) for c in answer]) == (None, answer, 0)
    assert separator(is_over=True).separated([ord(c) for c in whole]) == (None, whole, 0)


def test_unfinished_reasoning_is_no_answer_and_a_stop_string_cuts_the_answer():
    assert separator().separated([ord(c) for c in "<no end"]) == ("no end", "", 7)
    ids = [ord(c) for c in "<t>4 Q: and more"]
    assert separator().separated(ids, "<t>4 ") == ("t", "4 ", 3)


def completed(*, is_turn: bool) -> object:
    engine = VllmEngine(settings(reasoning_parser="qwen3"))
    engine._tokenizer, engine._reasoning = Template(), separator()
    engine._engine = SimpleNamespace(add_request=lambda *_: None)
    engine._sampling = lambda request: None
    engine.add(
        SimpleNamespace(
            request_id="r", messages=[{"role": "user", "content": "q"}], choices=(), prefix=(), continuation="",
            is_turn=is_turn,
        )
    )  # fmt: skip
    choice = SimpleNamespace(
        token_ids=[ord(c) for c in "<t>42"], stop_reason=None, finish_reason="stop", logprobs=None
    )
    metrics = dict.fromkeys(
        ("arrival_time", "queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts", "num_preemptions"), 1
    )  # fmt: skip
    return engine._completion(
        SimpleNamespace(
            request_id="r", outputs=[choice], metrics=SimpleNamespace(**metrics),
            prompt_token_ids=[1], num_cached_tokens=0,
        )
    )  # fmt: skip


def test_only_whole_turns_are_separated_what_a_method_goes_on_with_stays_as_it_was():
    found = completed(is_turn=True)
    assert (found.text, found.reasoning_text, found.reasoning_tokens) == ("42", "t", 3)
    found = completed(is_turn=False)
    assert (found.text, found.reasoning_text, found.reasoning_tokens) == ("<t>42", None, None)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_that_a_server_sends_is_kept_apart_with_its_tokens(name):
    answer = Answer()
    for piece in ("we ", "add"):
        answer.take({"choices": [{"delta": {name: piece}}]}, chat=True)
    answer.take({"choices": [{"delta": {"content": "3"}, "finish_reason": "stop"}]}, chat=True)
    details = {"reasoning_tokens": 2}
    answer.take(
        {"usage": {"completion_tokens": 3, "completion_tokens_details": details}}, chat=True
    )
    assert (answer.whole_text(), answer.whole_reasoning()) == ("3", "we add")
    assert answer.counts(most_output=8, context=None)["reasoning_tokens"] == 2
    details["reasoning_tokens"] = 0  # a server that does not count them says zero
    assert answer.counts(most_output=8, context=None)["reasoning_tokens"] is None
    assert answer.notes == []


def test_without_reasoning_nothing_is_separated_and_an_odd_one_is_noted():
    answer = Answer()
    answer.take({"choices": [{"delta": {"content": "3", "reasoning": None}}]}, chat=True)
    assert answer.whole_reasoning() is None
    answer.take({"choices": [{"delta": {"reasoning": {"text": "we"}}}]}, chat=True)
    assert answer.whole_reasoning() is None
    assert answer.notes == ["the reasoning is an object, not a string"]


@needs_vllm
@pytest.mark.slow
def test_vllms_own_parsers_agree_with_the_text(tmp_path: Path):
    from isocost.engines.tiny_llama import tiny_tokenizer

    tokenizer = tiny_tokenizer(512)
    tokenizer.add_tokens(["<think>", "</think>"])

    def encoded(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    end = [tokenizer.eos_token_id]
    for name in ("deepseek_r1", "qwen3"):
        parser = Reasoning(name, tokenizer, {}, [])
        for begun in ("<think>", ""):  # the template may have opened the reasoning
            ids = [*encoded(f"{begun}1 plus 2</think>The answer is 3."), *end]
            reasoning, text, before = parser.separated(ids)
            assert (reasoning, text) == ("1 plus 2", "The answer is 3.")
            assert ids[before:-1] == encoded("The answer is 3.")
            cut = encoded(f"{begun}1 plus 2")
            assert parser.separated(cut) == ("1 plus 2", "", len(cut))
    closed = encoded("<think></think>")  # thinking is switched off
    assert Reasoning("qwen3", tokenizer, {}, closed).separated(encoded("It is 3")) == (
        None, "It is 3", 0,
    )  # fmt: skip
    with pytest.raises(IsocostError, match="mistral does not work with this model"):
        Reasoning("mistral", tokenizer, {}, [])
