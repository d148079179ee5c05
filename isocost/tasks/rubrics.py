"""What a judge is asked and how its reply is read: settings, rubrics, the parse rule, votes.

Lives here: the options of the verifier "judge" as types, filling a rubric, which part of a reply
counts, and the verdict of several judges. Not here: the line that is a verdict
(``isocost.tasks.verdict_lines``), the verifier (``isocost.tasks.verifiers.judge``), asking servers
and keeping what they said (``isocost.judges``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from isocost.credentials import url_credential
from isocost.hashing import canonical_json, sha256_hex
from isocost.tasks.model import Problem, Verdict
from isocost.tasks.thoughts import said
from isocost.tasks.verdict_lines import ByScore, ByWord
from isocost.verifier_settings import stated_value

AS_WRITTEN, REFERENCE_FIRST, ANSWER_FIRST = "as_written", "reference_first", "answer_first"
ORDERS = (AS_WRITTEN, REFERENCE_FIRST, ANSWER_FIRST)
MAJORITY = "majority"
"""What tables call all judges of a task together."""
MARKERS = ("question", "reference", "answer", "pair")
MOST_JUDGES = 15

NOT_ASKED, UNREADABLE = "judge_not_asked", "judge_unreadable"
INCONSISTENT, NO_MAJORITY = "judge_inconsistent", "judge_no_majority"

DEFAULT_RUBRIC = """\
Grade an answer to a question by comparing it with a reference answer.

Question:
{question}

{pair}

The submitted answer is correct if it gives the same final answer as the reference answer. Ignore
its style, its length and the form of its notation. Do not solve the question yourself.
Explain in at most three sentences, then end with a line that is exactly "VERDICT: CORRECT" or
"VERDICT: INCORRECT"."""

_OWN_KEYS = frozenset(["messages", "model", "n", "stream"])
"""Keys of a request without which its reply does not answer the rubric, or is not read."""
_PAIR = {
    REFERENCE_FIRST: "Reference answer:\n{reference}\n\nSubmitted answer:\n{answer}",
    ANSWER_FIRST: "Submitted answer:\n{answer}\n\nReference answer:\n{reference}",
}
_MARKER = re.compile(r"(?<![\w\\^$])\{([a-z][a-z0-9_]*)\}")
"""A name in braces that is not an argument of a TeX command such as \\boxed{answer}."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def _has_valid_host(url: str) -> bool:
    """Whether host and port of an address can be connected to, as far as their form says."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        return False


class JudgeModel(_Settings):
    """One judge: a model behind an address of OpenAI's chat interface, and how it draws tokens."""

    model: Annotated[str, Field(min_length=1)]
    base_url: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1, max_length=80)] = ""
    api_key_variable: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2, strict=True)] = 0.0
    max_tokens: Annotated[int, Field(ge=1, le=2**20, strict=True)] = 1024
    seed: Annotated[int | None, Field(strict=True)] = None
    system: str | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    price: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=86_400, strict=True)] = 120.0
    in_flight: Annotated[int, Field(ge=1, le=1024, strict=True)] = 8
    retries: Annotated[int, Field(ge=0, le=20, strict=True)] = 3

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if found := url_credential(value):
            raise ValueError(f"the address contains {found}; name the key in api_key_variable")
        if not re.fullmatch(r"https?://[^\s?#]+", value) or not _has_valid_host(value):
            raise ValueError("an HTTP address is needed, such as http://localhost:8000/v1")
        return value.rstrip("/")

    @field_validator("extra_body")
    @classmethod
    def _leaves_the_question(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OWN_KEYS & set(value)):
            raise ValueError(f"{taken[0]} is set by the judge and cannot be replaced")
        return value

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or self.model

    def body(self, rubric: str) -> dict[str, Any]:
        """The request that asks it a filled rubric."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": [*system, {"role": "user", "content": rubric}],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        return asked | ({} if self.seed is None else {"seed": self.seed}) | self.extra_body


def _stated(value: Any) -> str | None:
    return None if value is None else stated_value(value)


_ONE = tuple(JudgeModel.model_fields)


class JudgeSettings(_Settings):
    """The options of the verifier "judge".

    One judge is stated by its keys directly, several under `judges`.
    """

    judges: Annotated[tuple[JudgeModel, ...], Field(min_length=1, max_length=MOST_JUDGES)]
    rubric: Annotated[str, Field(min_length=1)] = DEFAULT_RUBRIC
    verdict: ByWord | ByScore = ByWord()
    swap: bool = False
    gold: Annotated[str | None, BeforeValidator(_stated)] = None

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        own = {key: item for key, item in value.items() if key in _ONE}
        if "judges" not in value:
            rest = {key: item for key, item in value.items() if key not in _ONE}
            for key in ("model", "base_url"):
                if key not in own:
                    raise ValueError(f"a judge needs {key}; several are listed under judges")
            return {**rest, "judges": [own]}
        if own:
            raise ValueError(f"{min(own)} belongs to one of the judges, under judges")
        return value

    @field_validator("verdict", mode="before")
    @classmethod
    def _by_its_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return (ByScore if {"score", "passes"} & set(value) else ByWord).model_validate(value)
        if not isinstance(value, ByWord | ByScore):
            raise ValueError("a mapping with correct and incorrect, or score and passes, is needed")
        return value

    @model_validator(mode="after")
    def _fits(self) -> JudgeSettings:
        labels = [judge.label for judge in self.judges]
        for label in labels:
            if label == MAJORITY:
                raise ValueError(f"the row of all judges is called {MAJORITY}; choose another name")
            if labels.count(label) > 1:
                raise ValueError(f"two judges are called {label}; give each its own name")
        bodies = [canonical_json(judge.body("")) for judge in self.judges]
        if len(set(bodies)) < len(bodies):
            raise ValueError(
                "two judges are the same model with the same settings, which is one judge; give"
                " them different seeds or temperatures"
            )
        names = set(_MARKER.findall(self.rubric))
        if not names & {"answer", "pair"}:
            raise ValueError("the rubric must contain {answer}, or {pair}")
        if self.swap and "pair" not in names:
            raise ValueError("swap needs a rubric with {pair}: reference and answer side by side")
        if self.swap and names & {"answer", "reference"}:
            raise ValueError(
                "swap needs a rubric with {pair} alone: {answer} or {reference} elsewhere fixes an"
                " order"
            )
        return self

    def orders(self) -> tuple[str, ...]:
        """The orders of reference and answer in which each judge is asked."""
        if "pair" not in _MARKER.findall(self.rubric):
            return (AS_WRITTEN,)
        return (REFERENCE_FIRST, ANSWER_FIRST) if self.swap else (REFERENCE_FIRST,)

    def unknown_field(self, fields: Sequence[str]) -> str | None:
        """The first name in the rubric that is neither a marker nor one of these fields."""
        known = {*MARKERS, *fields}
        return next((name for name in _MARKER.findall(self.rubric) if name not in known), None)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one judge about one answer.

    Attributes:
        judge: whom to ask.
        order: see ``ORDERS``.
        body: of the HTTP request.
        key: hash of the body: equal requests have equal keys, whatever the address.
    """

    judge: JudgeModel
    order: str
    body: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What one judge's reply to one request says.

    Attributes:
        judge: its label.
        order: of reference and answer.
        correct: its verdict; None without one.
        score: 0 to 1.
        reason: why there is no verdict.
    """

    judge: str
    order: str
    correct: bool | None
    score: float | None
    reason: str | None


def requests_of(settings: JudgeSettings, problem: Problem, answer: str) -> tuple[Request, ...]:
    """Everything that the judges are asked about one answer."""
    found = []
    for judge in settings.judges:
        for order in settings.orders():
            body = judge.body(filled(settings.rubric, order, problem, answer))
            found.append(Request(judge, order, body, sha256_hex(body, 32)))
    return tuple(found)


def filled(rubric: str, order: str, problem: Problem, answer: str) -> str:
    """A rubric with the question, reference and answer in their places."""
    values = {
        **problem.fields,
        "question": problem.question,
        "reference": problem.reference,
        "answer": answer,
    }
    if order in _PAIR:
        values["pair"] = _MARKER.sub(lambda found: values[found[1]], _PAIR[order])
    return _MARKER.sub(lambda found: values.get(found[1], found[0]), rubric)


def reading(
    settings: JudgeSettings,
    request: Request,
    text: str | None,
    reason: str | None = None,
    *,
    is_truncated: bool = False,
) -> Reading:
    """Read a judge's reply; its reasoning does not count.

    Args:
        settings: have the parse rule.
        request: what was asked.
        text: the reply; None if the call failed.
        reason: why it failed.
        is_truncated: whether the reply was cut off; its last line does not count then, because
            "Score: 1" may be the beginning of "Score: 10".
    """
    label = request.judge.label
    if text is None:
        return Reading(label, request.order, None, None, reason or NOT_ASKED)
    reply, _ = said(text)
    if is_truncated:
        reply = reply.rpartition("\n")[0]
    correct, score = settings.verdict.read(reply)
    why = None if correct is not None else UNREADABLE
    return Reading(label, request.order, correct, score, why)


def majority(settings: JudgeSettings, readings: Sequence[Reading]) -> Verdict:
    """The verdict of most judges.

    A judge that was asked in both orders has a vote only if it said the same in both. A verdict
    needs more than half of all judges, so that a vote that is still missing cannot change it.
    Otherwise there is no verdict, and the reason is what kept votes from being counted.
    """
    votes: dict[str, list[Reading]] = {}
    for one in readings:
        votes.setdefault(one.judge, []).append(one)
    said_correct = [own for own in votes.values() if all(one.correct is True for one in own)]
    said_wrong = [own for own in votes.values() if all(one.correct is False for one in own)]
    for agreeing, correct in ((said_correct, True), (said_wrong, False)):
        if 2 * len(agreeing) > len(settings.judges):
            scores = [one.score for own in agreeing for one in own if one.score is not None]
            return Verdict(correct, sum(scores) / len(scores) if scores else float(correct))
    reasons = [one.reason for one in readings if one.reason is not None]
    if reasons:
        failed = [reason for reason in reasons if reason != UNREADABLE]
        return Verdict(None, None, (failed or reasons)[0])
    if len(said_correct) + len(said_wrong) < len(votes):
        return Verdict(None, None, INCONSISTENT)
    return Verdict(None, None, NO_MAJORITY)
