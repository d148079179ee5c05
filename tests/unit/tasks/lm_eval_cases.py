"""Cases of ``test_lm_eval_source``, run in an environment with lm-eval.

The oracle is ``lm_eval.simple_evaluate`` itself with a model that replies from a list: what it
asked and how it scored is compared with what Isocost asks and how it scores.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import lm_eval
import pytest
import yaml
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from isocost.cli import main
from isocost.errors import IsocostError
from isocost.intake.preflight import check_tasks, resolved_tasks
from isocost.payload.work import Work, request_of
from isocost.sweep import TaskSpec, plan_sessions, sweep_from_text
from isocost.tasks import TaskMistake, grade, load, load_problems, resolved_config
from isocost.tasks.harness import asking, finding

NUMBER = 12
REPLIES = (
    " 3 + 4 = 7. The answer is 7.",
    " The answer is 12. Q: The answer is 13.",
    " The answer is $1,2.",
    " It has 6.",
    "",
    " nothing",
    " The answer is 5.<|im_end|>",
    " The answer is",
)


class Listed(LM):
    """Replies from the list, cut where the request says that it ends."""

    tokenizer_name = "none"

    def generate_until(self, requests, disable_tqdm=False):
        replies = []
        for request in requests:
            text = reply(request.doc)
            for end in request.args[1]["until"]:
                text = text.split(end)[0]
            replies.append(text)
        return replies

    def loglikelihood(self, requests):
        raise AssertionError

    loglikelihood_rolling = loglikelihood

    def chat_template(self, chat_template=False):
        return "json"

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return json.dumps(chat_history)


def reply(document):
    """Every second reply is correct, in one of two forms."""
    number, right = len(document["question"]), document["answer"].rpartition("#### ")[2]
    if number % 2:
        return f" It is {right}." if number % 3 else f" So. The answer is {right}."
    return REPLIES[number % len(REPLIES)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The benchmark's tasks, and one whose shots are drawn at random from the documents."""
    made = tmp_path_factory.mktemp("tasks")
    own = Path(__file__).parents[3] / "benchmarks" / "lm_eval_tasks"
    for file in own.iterdir():
        shutil.copy(file, made)
    for file in made.glob("*.yaml"):
        text = file.read_text()
        file.write_text(text.replace("benchmarks/lm_eval_tasks", str(made)))
    task = yaml.safe_load((made / "shop_cot.yaml").read_text())
    drawn = {
        **task,
        "task": "shop_drawn",
        "fewshot_split": "test",
        "fewshot_config": {"sampler": "default"},
        "doc_to_target": "{{answer.split('####')[-1].strip()}}",
        "description": "Solve.\n\n",
        "num_fewshot": 2,
    }
    for name, changed in {
        "shop_drawn": {},
        "shop_zero": {"num_fewshot": 0},
        "shop_begun": {"gen_prefix": "The answer is"},
        "shop_broken": {"doc_to_text": "{{no_such_field}}"},
        "shop_away": {"dataset_path": "somebody/something", "dataset_kwargs": {}},
        "shop_gone": {"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}},
        "shop_code": {"unsafe_code": True},
        "shop_many": {"filter_list": [{"name": "vote", "filter": [{"function": "majority_vote"}]}]},
    }.items():
        (made / f"{name}.yaml").write_text(yaml.safe_dump({**drawn, "task": name, **changed}))
    (made / "all.yaml").write_text("group: shop_all\ntask: [shop_cot, shop_choice]\n")
    return str(made)


@pytest.fixture(autouse=True)
def quick(folder, monkeypatch):
    """Only the tasks of the folder are known when a name is wrong: all of them take 10 s."""
    manager = TaskManager(include_defaults=False, include_path=folder)
    monkeypatch.setattr(finding, "_everything", lambda include_path: manager)


def spec(folder, name="shop_cot", number=NUMBER, **config):
    return TaskSpec(
        name="shop",
        source="lm_eval",
        dataset=name,
        config={"include_path": folder, **config},
        n_problems=number,
        seed=0,
        verifier="lm_eval",
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shop_cot", {}),
        ("shop_cot", {"num_fewshot": 1, "system_instruction": "Think."}),
        ("shop_drawn", {}),
        ("shop_drawn", {"num_fewshot": 4}),
        ("shop_zero", {}),
        ("shop_begun", {}),
        ("shop_drawn", {"apply_chat_template": True}),
        ("shop_drawn", {"apply_chat_template": True, "fewshot_as_multiturn": False}),
        ("shop_cot", {"apply_chat_template": True, "system_instruction": "Think."}),
    ],
)
def test_prompts_answers_and_scores_are_those_of_lm_eval(folder, name, options):
    manager = TaskManager(include_path=folder, include_defaults=False)
    found = lm_eval.simple_evaluate(
        Listed(), tasks=[name], task_manager=manager, limit=NUMBER, bootstrap_iters=0, **options
    )
    samples = found["samples"][name]
    filters = {sample["filter"] for sample in samples}
    assert filters == {"strict-match", "flexible-extract"}
    for chosen in filters:
        problems = load_problems(spec(folder, name, filter=chosen, **options))
        theirs = {sample["doc_id"]: sample for sample in samples if sample["filter"] == chosen}
        assert sorted(theirs) == [problem.metadata["doc_id"] for problem in problems]
        grades = []
        for problem in problems:
            sample = theirs[problem.metadata["doc_id"]]
            asked, stated = sample["arguments"][0]
            assert list(problem.stop) == stated["until"]
            if options.get("apply_chat_template"):
                assert list(problem.messages) == json.loads(asked)
            else:
                assert problem.fields["prompt"] == asked and not problem.messages
            got = grade(problem, reply(sample["doc"]), "length")  # not cut at a stop yet
            grades.append(got)
            assert got.score == sample["exact_match"] and got.correct == bool(got.score)
            assert (got.answer or "[invalid]") == sample["filtered_resps"][0]
            assert (got.parse_status == "parsed") == (got.answer is not None)
        mean = sum(one.score for one in grades) / len(grades)
        assert mean == pytest.approx(found["results"][name][f"exact_match,{chosen}"])
        assert 0 < mean < 1 or name == "shop_begun"


def test_the_settings_are_resolved_and_every_change_is_another_identity(folder):
    resolved = resolved_config(spec(folder))
    assert {key: resolved[key] for key in ("filter", "metric", "num_fewshot", "max_gen_toks")} == {
        "filter": "strict-match",
        "metric": "exact_match",
        "num_fewshot": 3,
        "max_gen_toks": 48,
    }
    assert resolved["lm_eval"] == finding.version() and resolved["version"] == "1.0"
    assert "commit" not in resolved  # a local file has none
    again = TaskSpec(**{**spec(folder).model_dump(), "config": resolved})
    assert resolved_config(again) == resolved
    hashes = {
        json.dumps(options): resolved_config(spec(folder, name, **options))["requests"]
        for name, options in (
            ("shop_cot", {}),
            ("shop_cot", {"num_fewshot": 2}),
            ("shop_cot", {"system_instruction": "Think."}),
            ("shop_cot", {"apply_chat_template": True}),
        )
    }
    assert len(set(hashes.values())) == len(hashes)


def test_a_changed_file_or_version_is_refused(folder, tmp_path):
    for file in Path(folder).iterdir():
        shutil.copy(file, tmp_path)
    here = spec(str(tmp_path))
    planned = TaskSpec(**{**here.model_dump(), "config": resolved_config(here)})
    before = load_problems(planned)[0]
    file = tmp_path / "shop_cot.yaml"
    file.write_text(file.read_text().replace("Nora has 7", "Nora has 8"))
    for cached in (asking.loaded, asking.first_asked, finding.entry, load._load):
        cached.cache_clear()
    with pytest.raises(TaskMistake, match="not those that were planned") as caught:
        load_problems(planned)
    assert caught.value.key == ("config", "requests")
    other = TaskSpec(**{**planned.model_dump(), "config": {**planned.config, "lm_eval": "0.4.0"}})
    with pytest.raises(TaskMistake, match=r"planned with lm-eval 0\.4\.0"):
        load_problems(other)
    changed = before.metadata | {"document": "0" * 12}
    found = grade(dataclasses.replace(before, metadata=changed), "7", "stop")
    assert (found.correct, found.reason) == (None, "document_changed")


@pytest.mark.parametrize(
    ("name", "options", "key", "said"),
    [
        ("shop_cott", {}, ("dataset",), r"has no task shop_cott.*Did you mean shop_cot"),
        ("shop_all", {}, ("dataset",), r"a group of 2 tasks.*shop_cot, shop_choice"),
        (
            "shop_choice",
            {},
            ("dataset",),
            r"likelihood.*multiple_choice.*Tasks that generate: shop",
        ),
        ("shop_code", {}, ("dataset",), r"runs what the model writes.*humaneval_plus"),
        ("shop_broken", {}, ("dataset",), r"'no_such_field' is undefined.*names a field"),
        ("shop_away", {}, ("dataset",), r"somebody/something.*only the cache is read"),
        ("shop_gone", {}, ("dataset",), r"gone\.jsonl.*data_files"),
        ("shop_many", {}, ("config", "filter"), r"makes no answer of one text"),
        ("shop_cot", {"filter": "strict"}, ("config", "filter"), r"Did you mean strict-match"),
        ("shop_cot", {"metric": "acc"}, ("config", "metric"), r"Known metrics: exact_match"),
        ("shop_cot", {"num_shots": 3}, ("config", "num_shots"), r"Did you mean num_fewshot"),
        ("shop_cot", {"num_fewshot": -1}, ("config", "num_fewshot"), r"whole number from 0"),
        ("shop_cot", {"max_gen_toks": 0}, ("config", "max_gen_toks"), r"whole number from 1"),
        ("shop_zero", {"num_fewshot": 3}, ("config", "num_fewshot"), r"without shots"),
        ("shop_cot", {"fewshot_as_multiturn": True}, ("config", "fewshot_as_multiturn"), "chat"),
        ("shop_begun", {"apply_chat_template": True}, ("config", "apply_chat_template"), "begins"),
        ("shop_cot", {"thoughts": {"is_open": True}}, ("config", "thoughts"), "whole text"),
        ("shop_cot", {"number": 33}, ("n_problems",), r"holds 32.*33 are requested"),
        ("shop_cot", {"include_path": "gone"}, ("config", "include_path"), "no folder gone"),
    ],
)
def test_mistakes_say_what_to_do(folder, name, options, key, said):
    with pytest.raises(TaskMistake) as caught:
        load_problems(spec(folder, name, **options))
    assert caught.value.key == key
    assert re.search(said, str(caught.value), re.DOTALL)


SWEEP = """sweep: s
models: [{{name: a, path: pa, dtype: float32}}]
engine: {{max_model_len: 1024, kv_cache_bytes: 1 GiB, max_num_seqs: 8}}
tasks:
  - {{name: shop, source: lm_eval, dataset: shop_cot, n_problems: 2, verifier: lm_eval,
      config: {{include_path: {folder}{more}}}}}
prompts: [{{name: raw, template: "{{prompt}}", chat: {chat}}}]
grid: {{temperature: 0.0, max_tokens: {most}, method: {method}}}
samples_per_problem: 1
"""


def swept(folder, *, chat="false", most=48, method="sample", more=""):
    text = SWEEP.format(folder=folder, chat=chat, most=most, method=method, more=more)
    spec = resolved_tasks(sweep_from_text(text, "f.yaml"))
    check_tasks(spec)
    return spec


def test_a_sweep_sends_the_text_with_its_ends(folder):
    (session,) = plan_sessions(swept(folder))
    work = Work(session)
    sample = next(work.samples(work.plan))
    request = request_of(sample, per_request_seed=False)
    (message,) = request.messages
    assert message == {"role": "text", "content": sample.asked.problem.fields["prompt"]}
    assert request.stop == ("Q:", "</s>", "<|im_end|>") and request.max_tokens == 48
    (chat,) = plan_sessions(swept(folder, chat="true", more=", apply_chat_template: true"))
    asked = next(iter(Work(chat).asked()))[1]
    assert [message["role"] for message in asked.messages] == [*["user", "assistant"] * 3, "user"]
    assert chat.points[0].point.point_id != session.points[0].point.point_id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"most": 32}, r"line 8: grid.max_tokens.*up to 48 tokens"),
        ({"more": ", apply_chat_template: true"}, r"line 7: prompts\[0\].template.*would change"),
        ({"method": "adaptive_consistency"}, r"line 7: prompts\[0\].chat.*makes chats"),
        ({"method": "adaptive_consistency", "chat": "true"}, "adaptive_consistency decides itself"),
    ],
)
def test_a_sweep_that_would_ask_otherwise_is_refused(folder, changes, said):
    with pytest.raises(IsocostError) as caught:
        swept(folder, **changes)
    assert re.search(said, str(caught.value)), str(caught.value)
    swept(folder, most=32, more=", max_gen_toks: 32")


def test_the_command_shows_a_task_without_fetching_it(capsys):
    assert main(["tasks", "lm_eval:gsm8k_cot"]) == 0
    shown = capsys.readouterr().out
    assert "data set   openai/gsm8k (main)" in shown and "strict-match, flexible-extract" in shown
    assert "shots      8" in shown and "max_tokens 256" in shown and "chat: false" in shown
    assert main(["tasks", "lm_eval:gsm8k_cot", "--show", "1"]) != 0
    assert "only the cache is read" in capsys.readouterr().err
