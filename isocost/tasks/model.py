"""Types of problems and grades, and the protocols of sources and verifiers.

Lives here: the frozen types and the two protocols. Not here: any particular source (sources/) or
verifier (verifiers/), nor the sweep's own types: tasks and prompts are known here only by their
fields, so that this package does not depend on the sweep package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.verifier_settings import identity_of

ParseStatus = Literal["parsed", "no_answer", "error"]


class TaskLike(Protocol):
    """The fields of a task that this package reads (isocost.sweep.models.TaskSpec has them)."""

    name: str
    source: str
    dataset: str
    config: dict[str, Any]
    n_problems: int
    seed: int
    verifier: str


class PromptLike(Protocol):
    """The fields of a prompt that this package reads (isocost.sweep.models.PromptSpec has them)."""

    name: str
    system: str | None
    template: str
    chat: bool


class TaskMistake(IsocostError):
    """A mistake in a task.

    `key` is the key at fault within the task's entry, so that an error can show the line in the
    sweep file.
    """

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", key: tuple[str | int, ...] = ()
    ) -> None:
        """Build the message; see IsocostError."""
        super().__init__(what, where=where, remedy=remedy)
        self.key = key


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example that is shown before a problem.

    Attributes:
        fields: what a prompt's template may name, the question included.
        answer: what the model is shown as the reply.
    """

    fields: Mapping[str, str] = field(hash=False)
    answer: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a task.

    Attributes:
        problem_id: task name and 12 hexadecimal digits over question, reference and verifier.
        task: name of the task.
        question: what the model is asked, without the prompt's framing; with its lettered choices
            if there are any.
        reference: the correct answer (or the tests, for code) as the verifier reads it.
        verifier: registered name of the verifier, and its options if it has any
            (``isocost.verifier_settings``).
        cluster_id: problems that share a passage or template share it; None if each is independent.
        metadata: where the problem came from; JSON values only.
        fields: what else a prompt's template may name, by name; see `DERIVED_FIELDS`.
        stop: texts that end generation, if the task says so.
        messages: the whole prompt as a chat, for a task that makes chats; empty for the others.
        shots: worked examples that are shown before it; part of its task, not of its id.
    """

    problem_id: str
    task: str
    question: str
    reference: str
    verifier: str
    cluster_id: str | None
    metadata: Mapping[str, Any] = field(hash=False)
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    stop: tuple[str, ...] = ()
    messages: tuple[Mapping[str, str], ...] = field(default=(), hash=False)
    shots: tuple[Shot, ...] = ()

    @property
    def context(self) -> str | None:
        """Text that the question is about, the same for several problems; None for none."""
        return self.fields.get("context")

    @property
    def context_id(self) -> str | None:
        """Task name and 12 hexadecimal digits over the context; None without one."""
        if self.context is None:
            return None
        return f"{self.task}-context-{sha256_hex(self.context, 12)}"


DERIVED_FIELDS = ("stem", "choices", "prompt", "cluster", "tests")
"""Fields that add nothing to a problem's identity.

The question contains the stem and the choices, the reference the tests, and a prompt is made of the
question by a convention that is part of the task. Every other field is part of the problem's id.
"""


def make_problem(
    task: str,
    question: str,
    reference: str,
    verifier: str,
    *,
    cluster_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    fields: Mapping[str, str] | None = None,
    stop: tuple[str, ...] = (),
    messages: tuple[Mapping[str, str], ...] = (),
) -> Problem:
    """Build a problem and its id."""
    content: dict[str, Any] = {
        "question": question,
        "reference": reference,
        "verifier": identity_of(verifier),
    }
    fields = dict(fields or {})
    if own := {name: text for name, text in fields.items() if name not in DERIVED_FIELDS}:
        content["fields"] = own
    return Problem(
        f"{task}-{sha256_hex(content, 12)}",
        task,
        question,
        reference,
        verifier,
        cluster_id,
        dict(metadata or {}),
        fields,
        stop,
        messages,
    )


@dataclass(frozen=True, slots=True)
class Grade:
    """What a verifier found in one output.

    Attributes:
        parse_status: "parsed" (an answer was found), "no_answer", or "error" (the verifier could
            not grade).
        answer: canonical answer; None when none was found.
        correct: None if it could not be graded; an output without an answer is not correct.
        score: 0 to 1; None if it could not be graded.
        reason: why there is no answer or no verdict ("empty", "length", "no_match", "timeout",
            ...); None for a parsed answer.
    """

    parse_status: ParseStatus
    answer: str | None
    correct: bool | None
    score: float | None
    reason: str | None


NOT_JUDGED = "not_judged"
"""The reason of an answer that a model is still to judge."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's verdict on one canonical answer.

    `correct` is None, with a reason, if there is no verdict.
    """

    correct: bool | None
    score: float | None
    reason: str | None = None


class TaskSource(Protocol):
    """A source of problems. Registered by its `name`; one file in sources/ each.

    A source whose data can change under the same name also has `resolve(task)`: the task's `config`
    with what the name means now, such as `commit`; `config` with a `commit` is final.

    A source that offers examples for few-shot prompts also has `example_changes(task, place)`: the
    fields of the task that differ for its examples, for a checked setting `config.shots`. One with
    `has_own_shots` gets the setting `n_shots` for the examples that it has itself.
    """

    name: str

    def check(self, task: TaskLike) -> None:
        """Raise TaskMistake if the task cannot be loaded; cheap, reads as little as possible."""

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first `n_problems` distinct problems, the same on every machine."""
        ...


class Verifier(Protocol):
    """A way to find and grade an answer. Registered by its `name`; one file in verifiers/ each.

    A verifier may also have: `extract_for(problem, text, truncated)`, used instead of `extract` if
    the answer depends on the problem; `merges` (true where different canonical answers can be
    equivalent), with `bucket(answer)` (answers in different buckets are never equivalent; None if
    that is not known in advance), so that thousands of answers are classified quickly;
    `is_whole_text` (true if a reply is not cut at an invented next question);
    `grade_whole(problem, text)` and `answer_whole(problem, text)`, used instead of all other steps
    by a verifier that has rules of its own for all of a text, its reasoning and its end included.

    One with options has `settings`, a pydantic model of them, and is created with an instance of
    it; without an argument it has the defaults. `check_problem(problem)` raises TaskMistake if the
    options do not suit a problem. One that asks models has `requests(problem, answer)` and
    `verdict(readings)`; its `judge` gives no verdict, with the reason `NOT_JUDGED`.
    """

    name: str

    def check_reference(self, reference: str) -> str | None:
        """The fault in a reference answer; None if it can be used."""

    def extract(self, text: str, truncated: bool) -> str | None:
        """The answer as written.

        None if there is none. A truncated text counts only with an explicitly marked answer.
        """

    def canonical(self, answer: str) -> str:
        """One spelling for answers that are obviously the same."""
        ...

    def judge(self, problem: Problem, answer: str) -> Verdict:
        """Whether a canonical answer is correct. A function of problem and answer alone.

        If the answer makes grading impossible, it is not correct, with a reason; None is for
        failures that are not the model's.
        """
        ...

    def equivalent(self, first: str, second: str) -> bool:
        """Whether two different canonical answers mean the same.

        Symmetric; need not be transitive.
        """
        ...
