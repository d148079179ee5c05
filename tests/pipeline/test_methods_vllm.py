"""Calls of methods on a real vLLM engine: turns that go on after given tokens, and choices."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.methods import method_of
from isocost.sweep.models import MethodSpec

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]
CUTS = (1, 7, 16, 23)
END = 7
GENERATE = f"""
import sys
from isocost.generate import main
from isocost.methods import METHODS, Answer, Call, Method

@METHODS.add
class Continued(Method):
    name, source, needs = "continued", "this test", ("continues_tokens",)

    def run(self, asked):
        [whole] = yield [Call(asked.messages)]
        ids = whole.token_ids
        turns = [*(ids[:b] for b in {CUTS}), (*ids[:{END}], 1)]  # 1 ends a turn
        yield [
            Call(asked.messages, prefix=t, max_tokens=len(ids) - len(t) + (t[-1] == 1))
            for t in turns
        ]
        return Answer(whole.text, 0)

sys.exit(main(sys.argv[1:]))
"""
METHODS = [
    ("continued", {}),
    ("forced_answers", {"budgets": [4, 8], "answer_tokens": 3}),
    ("budget_forcing", {"thinking_tokens": 6, "answer_tokens": 3}),
    ("generate_then_verify", {"verdict": "first_token"}),
    ("beam_search", {"width": 1, "expansions": 2, "depth": 3, "separator": "e"}),
    ("sleep_time", {"sleep_tokens": 8}),
    *(("sequential_revision", {"rounds": rounds, "history": 1}) for rounds in (1, 2, 3)),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    from isocost.engines.prepare import make_tiny_llama

    folder = tmp_path_factory.mktemp("methods")
    model = make_tiny_llama(folder / "tiny-random-llama")
    made = []
    for name, given in METHODS:
        full = method_of(name, given).model_dump(mode="json") if given else {}
        session = sessions.session(
            "vllm",
            path=str(model),
            problems=2,
            samples=1,
            prompts=("direct",),
            max_tokens=24,
            max_model_len=512,
            max_num_seqs=8,
            temperature=0.0,
            method=MethodSpec(name=name, parameters=full),
            contexts=1 if name == "sleep_time" else 0,
        )
        made += session.points
    session = session.model_copy(update={"points": tuple(made)})
    file = folder / "session.json"
    file.write_text(session.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, "--session", str(file), "--lake", str(folder / "lake")],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_bank(folder / "lake").faults == ()
    return folder


def calls(place: Path, method: str) -> list[list[dict]]:
    """The calls of each sample of a method, in order."""
    rows = read_raw(place / "lake", "raw_generations").filter(method=method)
    samples = rows.sort("call_index").partition_by("sample_id")
    assert len(samples) == 2
    return [sample.to_dicts() for sample in samples]


def test_a_continued_call_generates_what_the_uncut_greedy_trace_has(place):
    for whole, *continued, after_its_end in calls(place, "continued"):
        tokens = whole["output_token_ids"]
        assert len(tokens) == 24
        for cut, row in zip(CUTS, continued, strict=True):
            assert row["output_token_ids"] == tokens[cut:], cut
            assert row["prompt_tokens"] == whole["prompt_tokens"] + cut
        assert after_its_end["output_token_ids"] == tokens[END:]
        assert after_its_end["prompt_tokens"] == whole["prompt_tokens"] + END


def test_forced_answers_go_on_after_the_cut_and_the_forcing_text(place):
    from transformers import AutoTokenizer

    encode = AutoTokenizer.from_pretrained(place / "tiny-random-llama")
    forced = len(encode("\n\nFinal Answer:", add_special_tokens=False)["input_ids"])
    answers = read_raw(place / "lake", "raw_answers").filter(method="forced_answers")
    for trace, *probes, last in calls(place, "forced_answers"):
        lengths = [row["prompt_tokens"] - trace["prompt_tokens"] - forced for row in probes]
        assert lengths == [4, 8]
        assert last["prompt_tokens"] == trace["prompt_tokens"] + 24 + forced
        assert {row["output_tokens"] for row in (*probes, last)} == {3}
        own = answers.filter(sample_id=trace["sample_id"]).sort("answer_index")
        assert own["budget"].to_list() == [4, 8, 24]
        assert own["used_tokens"].to_list() == [[4, None], [8, None], [None, None]]
        assert own["answer_text"].str.starts_with("\n\nFinal Answer:").all()
    for think, answer in calls(place, "budget_forcing"):
        assert think["output_tokens"] == 6
        assert answer["prompt_tokens"] == think["prompt_tokens"] + 6 + forced


def test_a_choice_has_a_probability_for_each_answer(place):
    for _, verdict in calls(place, "generate_then_verify"):
        assert verdict["output_tokens"] == 1
        yes, no = verdict["choice_logprobs"]
        # A random model need not have either among its twenty most likely tokens.
        assert all(value is None or (math.isfinite(value) and value < 0) for value in (yes, no))
        assert verdict["output_text"] in ("Y", "N")
        if yes is not None and no is not None:
            assert verdict["output_text"] == ("Y" if yes > no else "N")


def test_steps_of_a_search_go_on_after_the_separator(place):
    from transformers import AutoTokenizer

    encode = AutoTokenizer.from_pretrained(place / "tiny-random-llama")
    steps = [row for sample in calls(place, "beam_search") for row in sample]
    made = {row["call_id"]: row for row in steps}
    ended = [row for row in steps if row["stop_reason"] == "e"]
    assert ended, "no step ended at the separator"
    for row in ended:  # its tokens are among the reply's, and its text is not
        said = encode.decode(row["output_token_ids"], skip_special_tokens=True)
        assert "e" not in row["output_text"] and said.startswith(row["output_text"] + "e")
    later = [row for row in steps if row["parent_call_id"] is not None]
    assert later
    for row in later:
        parent = made[row["parent_call_id"]]
        assert row["prompt_tokens"] == parent["prompt_tokens"] + parent["output_tokens"]


def test_the_rounds_of_a_bank_are_those_of_a_bank_of_fewer_rounds(place):
    """Greedy, token by token: round t of a bank of three is that of a bank made with t rounds."""
    rows = read_raw(place / "lake", "raw_generations").filter(method="sequential_revision")
    answers = read_raw(place / "lake", "raw_answers").filter(method="sequential_revision")
    asked = ("problem_id", "call_index", "role", "prompt_hash", "prompt_tokens", "request_hash")
    said = (*asked, "output_token_ids", "output_text", "finish_reason")
    made = {
        part["call_index"].max() + 1: part.select(said).sort("problem_id", "call_index")
        for part in rows.partition_by("point_id")
    }
    given = {
        part["budget"].max(): part.select("problem_id", "budget", "answer_text").sort(
            "problem_id", "budget"
        )
        for part in answers.partition_by("point_id")
    }
    assert sorted(made) == sorted(given) == [1, 2, 3]
    assert made[3].filter(call_index=2)["output_token_ids"].list.len().to_list() == [24, 24]
    for rounds in (1, 2):
        begun = made[3].filter(pl.col("call_index") < rounds)
        assert begun.equals(made[rounds]), rounds
        assert given[3].filter(pl.col("budget") <= rounds).equals(given[rounds]), rounds


def test_questions_about_one_context_are_answered_with_the_same_notes(place):
    rows = read_raw(place / "lake", "raw_generations").filter(method="sleep_time")
    notes, solved = rows.filter(role="sleep"), rows.filter(role="solve")
    assert (notes.height, solved.height) == (1, 2) and notes["output_tokens"].to_list() == [8]
    assert solved["parent_call_id"].to_list() == notes["call_id"].to_list() * 2
    answers = read_raw(place / "lake", "raw_answers").filter(method="sleep_time")
    assert set(answers["shared_id"]) == set(notes["sample_id"])
