"""Verdicts of judges, and the rows of core_judgements.

Lives here: from answers that a model is to judge to grades, and what each judge said with what that
cost. Not here: asking and the bank of judgements (``isocost.judges``), rubrics and votes
(``isocost.tasks.rubrics``), agreement (``isocost.tables.judges``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from isocost.costs import CardBook
from isocost.costs.money import token_usd
from isocost.errors import IsocostError
from isocost.hashing import text_hash
from isocost.judges.asking import Asker
from isocost.judges.bank import Judgement
from isocost.judges.client import Failure
from isocost.schema.frames import conform, empty
from isocost.schema.registry import table
from isocost.tasks import Grade, Problem, grade, verifier_of
from isocost.tasks.model import NOT_JUDGED
from isocost.tasks.rubrics import Reading, Request, reading

NO_PRICE, NO_TOKENS = "no_price_card_named", "no_token_counts_from_server"
NO_LABEL, LABELS_DIFFER = "no_gold_label", "labels_of_equal_answers_differ"
_CUT_OFF = ("length", "max_tokens")
"""Finish reasons of servers for a reply that reached its token limit."""
_Text = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class _Answer:
    """One answer that models judge, with the texts that give it."""

    problem: Problem
    answer: str
    requests: tuple[Request, ...]
    texts: list[_Text] = field(default_factory=list)


@dataclass
class Judges:
    """The judges of a source's answers.

    Attributes:
        asker: asks them.
        rows: what they said so far, without the columns of the session.
    """

    asker: Asker
    rows: list[dict[str, Any]] = field(default_factory=list)

    def grades(
        self, texts: pl.DataFrame, grades: Sequence[Grade], problems: Mapping[str, Problem]
    ) -> list[Grade]:
        """The grades, with verdicts where judges gave them.

        Args:
            texts: problem_id, output_text, finish_reason; n_samples; and label_correct, the labels
                of the source, a list.
            grades: of each text; those with the reason `NOT_JUDGED` are judged here.
            problems: by problem_id.
        """
        waiting: dict[tuple[str, str], _Answer] = {}
        keys: list[tuple[str, str] | None] = []
        for text, found in zip(texts.iter_rows(named=True), grades, strict=True):
            if found.reason != NOT_JUDGED or found.answer is None:
                keys.append(None)
                continue
            problem = problems[text["problem_id"]]
            key = (problem.problem_id, found.answer)
            if key not in waiting:
                asks: Any = verifier_of(problem.verifier)
                requests = asks.requests(problem, found.answer)
                waiting[key] = _Answer(problem, found.answer, requests)
            waiting[key].texts.append((*key[:1], text["output_text"], text["finish_reason"]))
            keys.append(key)
        if not waiting:
            return list(grades)
        outcomes = self.asker.ask([one for each in waiting.values() for one in each.requests])
        verdicts = {key: self._judged(each, outcomes) for key, each in waiting.items()}
        facts = _facts(texts, keys)
        seen: set[str] = set()
        for key, each in waiting.items():
            self.rows += _rows(each, outcomes, facts[key], seen)
        return [
            found if key is None else verdicts[key] for key, found in zip(keys, grades, strict=True)
        ]

    def _judged(self, each: _Answer, outcomes: Mapping[str, Judgement | Failure]) -> Grade:
        asks: Any = verifier_of(each.problem.verifier)
        verdict = asks.verdict([_reading(each, one, outcomes) for one in each.requests])
        if verdict.correct is None:
            return Grade("error", each.answer, None, None, verdict.reason)
        return Grade("parsed", each.answer, verdict.correct, verdict.score, verdict.reason)

    def frame(self, session_id: str, book: CardBook) -> pl.DataFrame:
        """Rows of core_judgements of a session.

        Args:
            session_id: the session or import.
            book: has the price cards that judges name.
        """
        if not self.rows:
            return empty("core_judgements")
        rows = [{"session_id": session_id, **row, **_money(row, book)} for row in self.rows]
        names = [column.name for column in table("core_judgements").columns]
        frame = pl.DataFrame(
            [{name: row.get(name) for name in names} for row in rows],
            schema=empty("core_judgements").schema,
            orient="row",
        )
        return conform(frame, "core_judgements")


def _reading(
    each: _Answer, request: Request, outcomes: Mapping[str, Judgement | Failure]
) -> Reading:
    options = getattr(verifier_of(each.problem.verifier), "options", None)
    assert options is not None, "whoever asks has options"
    found = outcomes[request.key]
    if isinstance(found, Failure):
        return reading(options, request, None, found.reason)
    is_truncated = found.finish_reason in _CUT_OFF
    return reading(options, request, found.output_text, is_truncated=is_truncated)


def _facts(
    texts: pl.DataFrame, keys: Sequence[tuple[str, str] | None]
) -> dict[tuple[str, str], tuple[int, set[bool]]]:
    """Number of samples and the source's labels of each answer."""
    found: dict[tuple[str, str], tuple[int, set[bool]]] = {}
    for key, n, labels in zip(keys, texts["n_samples"], texts["label_correct"], strict=True):
        if key is not None:
            before, known = found.get(key, (0, set()))
            own = () if labels is None else labels
            found[key] = (before + int(n), known | {bool(one) for one in own if one is not None})
    return found


def _rows(
    each: _Answer,
    outcomes: Mapping[str, Judgement | Failure],
    facts: tuple[int, set[bool]],
    seen: set[str],
) -> list[dict[str, Any]]:
    gold = _gold(each, facts[1])
    rows = []
    for request in each.requests:
        said, read = outcomes[request.key], _reading(each, request, outcomes)
        row: dict[str, Any] = {
            "problem_id": each.problem.problem_id,
            "task": each.problem.task,
            "cluster_id": each.problem.cluster_id,
            "answer_hash": text_hash(each.answer),
            "judge": request.judge.label,
            "answer_order": request.order,
            "role": "judge",
            "model": request.judge.model,
            "judgement_key": request.key,
            "n_samples": facts[0],
            "verdict_correct": read.correct,
            "verdict_score": read.score,
            "no_verdict_reason": read.reason,
            "price": request.judge.price,
            **gold,
        }
        if isinstance(said, Judgement):
            names = ("output_text", "prompt_tokens", "cached_tokens", "output_tokens")
            row |= {name: getattr(said, name) for name in (*names, "latency_s", "num_retries")}
            row["is_repeat"] = request.key in seen
            seen.add(request.key)
        else:
            row |= {"is_repeat": False, "failure": said.detail}
        rows.append(row)
    return rows


def _gold(each: _Answer, labels: set[bool]) -> dict[str, Any]:
    """The label that judges are compared with, and where it is from."""
    if labels:
        known = next(iter(labels)) if len(labels) == 1 else None
        return {
            "gold_correct": known,
            "gold_source": "label",
            "no_gold_reason": None if known is not None else LABELS_DIFFER,
        }
    gold = getattr(getattr(verifier_of(each.problem.verifier), "options", None), "gold", None)
    if gold is None:
        return {"gold_correct": None, "gold_source": None, "no_gold_reason": NO_LABEL}
    problem = Problem(
        each.problem.problem_id,
        each.problem.task,
        each.problem.question,
        each.problem.reference,
        gold,
        each.problem.cluster_id,
        each.problem.metadata,
        each.problem.fields,
    )
    found = grade(problem, each.texts[0][1], each.texts[0][2])
    return {
        "gold_correct": found.correct,
        "gold_source": "verifier",
        "no_gold_reason": None if found.correct is not None else found.reason,
    }


def _money(row: Mapping[str, Any], book: CardBook) -> dict[str, Any]:
    """What a judgement cost by its judge's price card; NULL with the reason if that is unknown."""
    if "failure" in row:
        return {"cost_usd": None, "cost_usd_unknown_reason": row["no_verdict_reason"]}
    if row["price"] is None:
        return {"cost_usd": None, "cost_usd_unknown_reason": NO_PRICE}
    if row["prompt_tokens"] is None or row["output_tokens"] is None:
        return {"cost_usd": None, "cost_usd_unknown_reason": NO_TOKENS}
    try:
        usd = token_usd(
            book.price(row["price"]),
            np.array(row["prompt_tokens"]),
            np.array(row["output_tokens"]),
            cached_tokens=np.array(row["cached_tokens"] or 0),
        )
    except IsocostError as error:
        return {"cost_usd": None, "cost_usd_unknown_reason": error.what}
    return {"cost_usd": float(usd), "cost_usd_unknown_reason": None}
