"""Judged answers through the tables: imports and sweeps, failures, cost, agreement."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fake_judge import judging, pair_of, says_equal
from scipy.special import logit

from isocost.build import refresh
from isocost.build.proof import verify_store
from isocost.costs import load_book
from isocost.errors import IsocostError
from isocost.intake.plan import plan_sweep
from isocost.judges import client
from isocost.store import Store
from isocost.tables.judges.agreement import build_judge_tables
from isocost.tasks import make_problem
from isocost.verifier_settings import stated_value

sys.path.insert(0, str(Path(__file__).parents[1] / "payload"))
from scripted import ScriptedEngine

KEY = "sk-a-secret-of-tests"


@pytest.fixture(autouse=True)
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.0)


def bring_in(store: Store, rows: list[dict[str, Any]], verifier: Any, name: str = "j") -> str:
    folder = store.root.parent / f"{name}-source"
    folder.mkdir(exist_ok=True)
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = "problem: id, problem_text: q, output: out, reference: gold, correct: label"
    (folder / "m.yaml").write_text(f"columns: {{{columns}}}\n")
    stated = {"task": name, "task-version": "1", "model": "m", "prompt": "p", "sampling": {}}
    refresh.bring_in(
        store,
        f"import-{name}",
        format="generic",
        path=folder / "t.jsonl",
        provenance={key.replace("-", "_"): value for key, value in stated.items()},
        mapping=folder / "m.yaml",
        verifier=verifier if isinstance(verifier, str) else json.dumps(verifier),
    )
    return f"import-{name}"


def answers(
    n: int, per_problem: int = 1, wrong: float = 0.4, seed: int = 0
) -> list[dict[str, Any]]:
    """Answers that are the reference or another number, with their labels."""
    dice = random.Random(seed)
    rows = []
    for problem in range(n):
        for index in range(per_problem):
            is_right = dice.random() >= wrong
            text = str(problem) if is_right else f"{problem + 1000}.{index}"
            rows.append(
                {
                    "id": f"q{problem}",
                    "q": f"Which number is {problem}?",
                    "out": text,
                    "gold": str(problem),
                    "label": is_right,
                }
            )
    return rows


def judge(server: Any, **more: Any) -> dict[str, Any]:
    return {"name": "judge", "model": "j", "base_url": server.url, "retries": 0, **more}


def agreement(store: Store) -> dict[str, dict[str, Any]]:
    refresh.derive(store, "judges")
    return {row["judge"]: row for row in store.read("out_judge_agreement").to_dicts()}


def test_an_import_is_judged_once_and_its_cost_is_its_own(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "data"), answers(30)
    with judging(says_equal) as server:
        source = bring_in(store, [*rows, *rows], judge(server, price="gpt-4o-mini"))
        refresh.curate_session(store, source)
        assert len(server.asked) == 30
        again = refresh.curate_session(store, source, force=True)
        assert len(server.asked) == 30 and again.unjudged == ()
    samples, said = store.read("core_samples"), store.read("core_judgements")
    assert samples["correct"].to_list() == samples["label_correct"].to_list()
    assert samples["is_valid"].all() and said["n_samples"].to_list() == [2] * 30
    assert said["gold_source"].unique().to_list() == ["label"]
    # 100 and 10 tokens at 0.15 and 0.60 USD per million.
    assert said["cost_usd"].to_list() == pytest.approx([100 * 0.15e-6 + 10 * 0.60e-6] * 30)
    assert samples["cost_usd"].null_count() == samples.height  # no cost axis has it
    found = agreement(store)["j"]
    assert (found["n_judgements"], found["prompt_tokens"]) == (30, 3000)
    assert found["cost_usd"] == pytest.approx(30 * 21e-6)
    assert verify_store(store).faults == ()
    (part,) = (store.lake / "judgements").rglob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert [fault.path.startswith("lake/judgements") for fault in verify_store(store).faults] == [
        True
    ]


def test_a_judge_that_is_away_leaves_answers_ungraded_until_it_is_there(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "data"), answers(10)
    with judging(lambda _: 503) as server:
        source = bring_in(store, rows, judge(server))
        done = refresh.curate_session(store, source)
        bring_in(store, answers(5, seed=1), "exact", "other")
        refresh.curate_session(store, "import-other")
        (sentence,) = done.unjudged
        assert "judge j did not answer 10 questions" in sentence and "HTTP 503" in sentence
        samples = store.read("core_samples").filter(pl.col("task") == "j")
        assert samples["correct"].null_count() == 10 and not samples["is_valid"].any()
        assert samples["grade_reason"].unique().to_list() == ["judge_away"]
        said = store.read("core_judgements")
        assert said["no_verdict_reason"].unique().to_list() == ["judge_away"]
        assert said["cost_usd"].null_count() == 10
        assert said["cost_usd_unknown_reason"].unique().to_list() == ["judge_away"]
        found = agreement(store)["j"]
        assert (found["accuracy"], found["undefined_reason"]) == (None, "no_verdicts")
        other = store.read("core_samples").filter(pl.col("task") == "other")
        assert other["correct"].null_count() == 0
        # Not remembered as up to date: the next refresh asks again, and then no more.
        server.says = says_equal
        back = refresh.curate_session(store, source)
        assert not back.is_reused and back.unjudged == ()
        assert refresh.curate_session(store, source).is_reused
    assert store.read("core_samples")["correct"].null_count() == 0


@pytest.mark.slow
def test_a_refresh_says_that_a_judge_was_away_and_publishes_the_rest(
    tmp_path: Path, monkeypatch
) -> None:
    store = Store(tmp_path / "data")
    monkeypatch.setattr(refresh, "_published", lambda *_, **__: iter(()))
    with judging(lambda _: 500) as server:
        bring_in(store, answers(4), judge(server))
        bring_in(store, answers(4, seed=1), "exact", "other")
        with pytest.raises(IsocostError, match="judges did not answer") as caught:
            list(refresh.everything(store))
    assert "import-j: judge j did not answer" in str(caught.value)
    assert "import-other" not in str(caught.value)
    assert set(store.read("out_point_summary")["task"]) == {"j", "other"}


def test_nonsense_is_banked_and_is_not_a_verdict(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    with judging(lambda _: "As a language model, I like both.") as server:
        source = bring_in(store, answers(6), judge(server))
        done = refresh.curate_session(store, source)
        refresh.curate_session(store, source, force=True)
        assert len(server.asked) == 6 and done.unjudged == ()
    samples = store.read("core_samples")
    assert samples["correct"].null_count() == 6
    assert samples["grade_reason"].unique().to_list() == ["judge_unreadable"]
    assert store.read("core_judgements")["output_text"].str.contains("both").all()


def test_a_judgement_that_two_problems_share_is_paid_once(tmp_path: Path) -> None:
    from isocost.judges.asking import Asker
    from isocost.tables.core.grades import grade_samples
    from isocost.tables.core.judged import Judges

    with judging(says_equal) as server:
        verifier = stated_value(judge(server, price="gpt-4o-mini"))
        alike = [
            make_problem("t", "1 + 1?", "2", verifier, fields={"context": text}) for text in "ab"
        ]
        samples = pl.DataFrame(
            {
                "problem_id": [each.problem_id for each in alike],
                "output_text": ["2", "2"],
                "finish_reason": ["stop", "stop"],
            }
        )
        judges = Judges(Asker(tmp_path))
        grade_samples(samples, {each.problem_id: each for each in alike}, judges=judges)
        assert len(server.asked) == 1
    frame = judges.frame("s", load_book())
    assert sorted(frame["is_repeat"]) == [False, True]
    row = build_judge_tables(frame)["out_judge_agreement"].row(0, named=True)
    assert (row["n_answers"], row["n_judgements"], row["prompt_tokens"]) == (2, 1, 100)
    assert row["cost_usd"] == pytest.approx(21e-6)


def test_no_file_has_the_key(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ISOCOST_TEST_KEY", KEY)
    store = Store(tmp_path / "data")
    with judging(lambda _: 401) as server:
        source = bring_in(store, answers(3), judge(server, api_key_variable="ISOCOST_TEST_KEY"))
        refresh.curate_session(store, source)
        assert set(server.keys) == {f"Bearer {KEY}"}
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    monkeypatch.delenv("ISOCOST_TEST_KEY")
    with pytest.raises(IsocostError, match="ISOCOST_TEST_KEY is not set"):
        bring_in(store, answers(3), judge(server, api_key_variable="ISOCOST_TEST_KEY"), "k")
    with pytest.raises(IsocostError, match=r"--verifier\.api_key: api_key is a cred") as caught:
        bring_in(store, answers(3), judge(server, api_key=KEY), "k")
    assert KEY not in str(caught.value)
    with pytest.raises(IsocostError, match="Write NAME, or"):
        bring_in(store, answers(3), "{model: j}", "k")
    with pytest.raises(IsocostError, match=r"\{context\}"):
        bring_in(store, answers(3), judge(server, rubric="{context} {answer}"), "k")


def planted(
    false_positive: float, false_negative: float, *, first_is_better: float = 0.0, seed: int = 0
) -> Callable[[dict[str, Any]], str]:
    """A judge that errs with given rates, and likes an answer more that comes first.

    What it says of an answer is drawn from seed and request, in whatever order requests arrive.
    """

    def says(body: dict[str, Any]) -> str:
        dice = random.Random(f"{seed} {body['messages'][-1]['content']}")
        reference, answer, is_first = pair_of(body)
        is_right = reference == answer
        wrong = false_negative if is_right else false_positive
        says_correct = is_right if dice.random() >= wrong else not is_right
        if is_first and dice.random() < first_is_better:
            says_correct = True
        return "VERDICT: " + ("CORRECT" if says_correct else "INCORRECT")

    return says


@pytest.mark.slow
def test_planted_error_rates_and_bias_are_recovered(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "data"), answers(80, 3, seed=3)
    with judging(planted(0.2, 0.1, seed=1)) as server:
        refresh.curate_session(store, bring_in(store, rows, judge(server)))
        row = agreement(store)["j"]
        assert row["false_positive_rate_low"] < 0.2 < row["false_positive_rate_high"]
        assert row["false_negative_rate_low"] < 0.1 < row["false_negative_rate_high"]
        p = row["n_gold_correct"] / row["n_gold"]
        accuracy = p * 0.9 + (1 - p) * 0.8
        assert row["accuracy_low"] < accuracy < row["accuracy_high"]
        said = p * 0.9 + (1 - p) * 0.2
        chance = said * p + (1 - said) * (1 - p)
        assert row["kappa_low"] < (accuracy - chance) / (1 - chance) < row["kappa_high"]
        assert row["inflation_low"] < said - p < row["inflation_high"]
        assert row["n_both_orders"] == 0 and row["order_bias"] is None
        # The same judge in both orders, and one that prefers an answer that comes first.
        server.says = planted(0.2, 0.1, first_is_better=0.5, seed=2)
        options = judge(server, swap=True, seed=1)
        refresh.curate_session(store, bring_in(store, rows, options, "b"))
    biased = store_row(store, "b")
    bias = 0.5 * (1 - said)
    assert biased["order_bias_low"] < bias < biased["order_bias_high"]
    assert biased["order_bias_low"] > 0
    assert biased["order_consistency"] < row["accuracy"]
    assert biased["n_verdicts"] < biased["n_answers"] == biased["n_both_orders"]


def store_row(store: Store, task: str) -> dict[str, Any]:
    refresh.derive(store, "judges")
    return store.read("out_judge_agreement").row(by_predicate=pl.col("task") == task, named=True)


@pytest.mark.slow
def test_planted_abilities_are_recovered_and_the_majority_is_better(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "data"), answers(120, 2, seed=5)
    errors = {"good": 0.05, "fair": 0.15, "poor": 0.3}
    says = {name: planted(rate, rate, seed=n) for n, (name, rate) in enumerate(errors.items())}
    with judging(lambda body: says[body["model"]](body)) as server:
        judges = [{"model": name, "base_url": server.url, "name": name} for name in errors]
        refresh.curate_session(store, bring_in(store, rows, {"name": "judge", "judges": judges}))
    found = agreement(store)
    assert found["majority"]["accuracy"] > found["fair"]["accuracy"] > found["poor"]["accuracy"]
    assert found["majority"]["n_judgements"] == sum(found[one]["n_judgements"] for one in errors)
    truth = logit(1 - np.array([errors[one] for one in sorted(errors)]))
    truth -= truth.mean()
    rows_ = store.read("out_judge_abilities").sort("judge")
    assert rows_["judge"].to_list() == sorted(errors)
    for low, true, high in zip(rows_["ability_low"], truth, rows_["ability_high"], strict=True):
        assert low < true < high
    assert rows_["n_won"].sum() == rows_["n_lost"].sum()


_SWEEP = """
sweep: judged
models: {name: scripted, path: scripted}
engine: {engine: openai, max_num_seqs: 8, options: {base_url: "http://localhost:1/v1"}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: 4
    config: {problems: [PROBLEMS]}
    verifier:
      name: judge
      model: j
      base_url: URL
      gold: numeric
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.5, max_tokens: 20}
samples_per_problem: 3
bank: {warmup_requests: 0, telemetry: none}
"""


@pytest.mark.slow
def test_a_sweep_is_judged_where_its_samples_are_curated(tmp_path: Path, monkeypatch) -> None:
    from isocost.capabilities import ENGINES
    from isocost.payload.loop import Stop
    from isocost.payload.progress import Reporter
    from isocost.payload.session import generate
    from isocost.sweep import read_session

    def reply(request: Any) -> str:
        n = int(request.messages[0]["content"].split(" + ")[0])
        return str(n + 1 + (n + request.sample_index) % 2)

    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(reply))
    problems = ", ".join(f'{{question: "{n} + 1", reference: "{n + 1}"}}' for n in range(4))
    store = Store(tmp_path / "data")
    with judging(says_equal) as server:
        text = _SWEEP.replace("PROBLEMS", problems).replace("URL", server.url)
        (tmp_path / "s.yaml").write_text(text)
        [session_id] = plan_sweep(store, tmp_path / "s.yaml")
        session = read_session(store.session_file(session_id))
        with Reporter() as reporter:
            assert generate(session, str(store.lake), reporter=reporter, stop=Stop()).missing == 0
        assert server.asked == []  # judging is after generation
        refresh.curate_session(store, session_id)
        assert len(server.asked) == 8
    samples, points = store.read("core_samples"), store.read("core_points")
    assert samples["correct"].sum() == 6 and samples["is_valid"].all()
    assert points["verifier"].to_list() == ["judge"]
    assert json.loads(points["verifier_options"][0]) == {"model": "j"}
    assert store.read("core_judgements")["gold_source"].unique().to_list() == ["verifier"]
    row = store_row(store, "sums")
    assert (row["n_gold"], row["accuracy"]) == (8, 1.0)
