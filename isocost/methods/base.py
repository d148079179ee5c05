"""The interface of a method.

Lives here: what a method asks (`Call`), what it is answered (`Reply`), what it returns (`Answer`),
its base class and the registry. Not here: any method (one module each in this folder), and the loop
that runs them (``isocost.payload``).

A method is a plain generator for one sample. It yields a list of calls, which run at the same time,
and is resumed with their replies in the same order. It may yield an `Answer` at any time: an answer
that could be given at this point, with the budget spent until then. What it returns is the sample's
answer; if it returns None, that is the last answer it yielded. It must be deterministic: the same
replies lead to the same calls, because a sample that was interrupted is continued by handing it
the replies that are banked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from isocost.capabilities import NEEDS, capabilities_of
from isocost.errors import IsocostError
from isocost.registry import Registry, did_you_mean

M = TypeVar("M", bound=BaseModel)
Message = Mapping[str, str]

MOST_CALLS = 1000
"""Calls of one sample, unless the method states its own limit: more are taken for a loop without
end."""


# A method is other people's code: what it asks and answers is judged where it enters (`judged`).
_JUDGED = ConfigDict(strict=True, revalidate_instances="always")
_Index = Annotated[int, Field(ge=0, lt=2**31)]
_Tokens = Annotated[int, Field(ge=1, lt=2**31)]
_Word = Annotated[str, Field(min_length=1)]


def _alias(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        raise ValueError(
            "an alias is 1 to 40 lower-case letters, digits and _, and begins with a letter"
        )
    return value


Alias = Annotated[str, AfterValidator(_alias)]
"""What a method calls a partner."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the model.

    Attributes:
        messages: chat messages, the last one from the user.
        role: what the call is for, such as solve, revise or verify. Calls with the role verify
            grade an answer and are not part of its cost; see ``verdicts`` of core_samples.
        parent: index of the call whose output this one builds on; None for none.
        prefix: tokens with which the model's own turn begins, such as the first tokens of an
            earlier reply; it continues after them. The engine leaves out a token at their end
            that ended that reply.
        continuation: text after the prefix with which the turn goes on.
        max_tokens: tokens to generate at most; the point's budget if None.
        temperature: of this call; the point's if None.
        stop: texts that end generation; they are not part of the reply's text.
        choices: answers to choose from. The reply has the probability of each one's first token,
            and the text of the most probable one; one token is generated.
        steps: steps of a solution to the last message. The reply has the score of each; nothing is
            generated.
        partner: alias of the partner that is asked; the point's own model if None. The method
            declares it, see `Method.partners`.
        shared: whether it is about the problem's context and not about its question. It is made
            once for all questions about the context and their samples of one number, and each of
            them bears its part of the cost. It may depend on nothing but the context, and comes
            before all calls that are not shared.
    """

    __pydantic_config__ = _JUDGED

    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    role: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] = "solve"
    parent: _Index | None = None
    prefix: tuple[_Index, ...] = ()
    continuation: str = ""
    max_tokens: _Tokens | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    stop: tuple[_Word, ...] = ()
    choices: tuple[_Word, ...] = ()
    steps: tuple[str, ...] = ()
    partner: Alias | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered.

    Attributes:
        index: index of the call in its sample.
        text: generated text.
        token_ids: generated tokens; None if the engine does not report them.
        finish_reason: stop, length, repetition, content_filter or refusal.
        stop_text: the text that ended generation, if one of the call's did.
        output_tokens: number of generated tokens; None if unknown.
        logprob_sum: sum over them of ln p; None if unknown.
        choice_logprobs: ln p of each of the call's choices as first token; None inside for one
            that is not among the most likely tokens, None without choices.
        step_scores: score of each of the call's steps, from 0 to 1; None without steps.
    """

    index: int
    text: str
    token_ids: tuple[int, ...] | None
    finish_reason: str
    stop_text: str | None = None
    output_tokens: int | None = None
    logprob_sum: float | None = None
    choice_logprobs: tuple[float | None, ...] | None = None
    step_scores: tuple[float, ...] | None = None

    @property
    def logprob_mean(self) -> float | None:
        """Mean ln p per generated token; None if unknown."""
        if self.logprob_sum is None or not self.output_tokens:
            return None
        return self.logprob_sum / self.output_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that a sample could give, and what it has cost.

    Attributes:
        text: the text to be graded.
        call: index of the call that holds it.
        budget: what was spent, in the method's `unit`; None if the method has only one answer.
        calls: indices of the calls that were needed; all calls made until now if None.
        cuts: calls of which only the first so many tokens were needed, by index.
        is_whole: whether the text ended by itself; None leaves that to the call that holds it.
    """

    __pydantic_config__ = _JUDGED

    text: str
    call: _Index
    budget: Annotated[float, Field(allow_inf_nan=False)] | None = None
    calls: Sequence[_Index] | None = None
    cuts: Mapping[_Index, _Tokens] | None = None
    is_whole: bool | None = None


_CALL, _ANSWER = TypeAdapter(Call), TypeAdapter(Answer)


def judged(value: object) -> Call | Answer:
    """A call or an answer whose fields have the types and ranges that are declared.

    Raises:
        TypeError: it is neither.
        ValueError: a field is not what it must be.
    """
    try:
        if isinstance(value, Call):
            return _CALL.validate_python(value)
        if isinstance(value, Answer):
            return _ANSWER.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = type(value).__name__.lower()
        raise ValueError(f"the {what}'s {key} is refused: {first['msg']}") from None
    raise TypeError(f"{type(value).__name__} is neither a call nor an answer")


class AnswerOf(Protocol):
    """See `Asked`."""

    def __call__(self, text: str, finish_reason: str | None = None) -> str | None:
        """The answer in a text that ended for a reason, such as length; None for by itself."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The question of a sample.

    Attributes:
        messages: the rendered prompt.
        question: the problem's text alone.
        max_tokens: the point's budget per call.
        answer_of: the canonical answer in a text by the task's own rules; None if there is none. It
            depends on how the text ended: of a truncated one not every number is an answer.
        same: whether two canonical answers are equal by the task's own rules.
        draw: a number from 0 to 1 for a purpose, the same whenever the sample is run.
        context: text that the question is about, the same for several problems; None for none.
    """

    messages: tuple[Message, ...]
    question: str
    max_tokens: int
    answer_of: AnswerOf
    same: Callable[[str, str], bool]
    draw: Callable[[str], float]
    context: str | None = None


Steps = Generator["Sequence[Call] | Answer", "list[Reply]", "Answer | None"]
"""What `Method.run` returns: yields calls or answers, is sent replies, returns the answer."""


class LimitReached(Exception):
    """Raised inside a method when it may not go on; what it has answered so far counts.

    Attributes:
        reason: call_limit, token_limit or context_limit; becomes the sample's finish reason.
    """

    def __init__(self, reason: str, what: str) -> None:
        super().__init__(what)
        self.reason = reason


class Method(BaseModel):
    """A way to spend calls on one sample. A subclass is a method; its fields are its parameters.

    Class attributes:
        name: snake_case, as the source calls it.
        source: where its definition comes from.
        unit: unit of its answers' budgets, in the plural; empty if it has only one answer.
        most_calls: calls of one sample at most.
        needs: capabilities of an engine that it cannot do without whatever its parameters, such as
            continues_tokens; see `required`.
        needs_context: whether every problem must have a context.
        is_outside: whether its samples are made by a process of its own, whose calls arrive over
            HTTP (``isocost.meter``); `run` is never called then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ClassVar[str]
    source: ClassVar[str]
    unit: ClassVar[str] = ""
    most_calls: ClassVar[int] = MOST_CALLS
    needs: ClassVar[tuple[str, ...]] = ()
    needs_context: ClassVar[bool] = False
    is_outside: ClassVar[bool] = False

    def run(self, asked: Asked) -> Steps:
        """Make one sample; see the module's docstring.

        Raises:
            LimitReached: not caught by the method, it ends the sample with its last answer.
        """
        raise NotImplementedError

    def required(self) -> tuple[str, ...]:
        """The capabilities that it needs with these parameters; `needs` unless overridden."""
        return self.needs

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """The partners that it calls, by alias, with the capabilities that it needs of each."""
        return {}


METHODS: Registry[type[Method]] = Registry("method", "isocost.methods")
"""Every method's class."""


def method_of(name: str, parameters: Mapping[str, Any], *, where: str = "method") -> Method:
    """The method with a name and parameters; those left out have their defaults.

    Raises:
        IsocostError: there is no such method, it has no such parameter, or a value is not allowed.
    """
    return with_parameters(METHODS.get(name, where=where), "method", name, parameters, where)


def with_parameters(
    kind: type[M], what: str, name: str, parameters: Mapping[str, Any], where: str
) -> M:
    """A method or scorer with parameters as a file states them.

    Args:
        kind: its class.
        what: "method" or "scorer", for messages.
        name: its name.
        parameters: those stated; YAML and JSON have lists where the class has tuples.
        where: place of the parameters, for messages.

    Raises:
        IsocostError: it has no such parameter, or a value is not allowed.
    """
    unknown = sorted(parameters.keys() - kind.model_fields.keys())
    if unknown:
        raise IsocostError(
            f"{what} {name} has no parameter {unknown[0]!r}",
            where=f"{where}.{unknown[0]}",
            remedy=did_you_mean(unknown[0], kind.model_fields, kind="parameters")
            if kind.model_fields
            else "It has no parameters.",
        )
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in parameters.items()}
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([where, *(str(part) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        raise IsocostError(
            f"{message[:1].lower()}{message[1:]} (got {str(first.get('input'))[:80]!r})",
            where=key,
            remedy=f"Correct the parameter of the {what} {name}.",
        ) from None


def check_engine(method: Method, engine: str, where: str, *, partner: str | None = None) -> None:
    """Refuse a method that needs what an engine cannot do.

    Args:
        method: the method.
        engine: name of the engine.
        where: place of the method, for messages.
        partner: alias of the partner whose engine it is; the point's own if None.

    Raises:
        IsocostError: names both and what is missing, or the engine is unknown.
    """
    declared = capabilities_of(engine)
    needed = ("generates", *method.required()) if partner is None else method.partners()[partner]
    of_partner = "" if partner is None else f" for the partner {partner}"
    for need in needed:
        if not getattr(declared, need):
            raise IsocostError(
                f"method {method.name} needs an engine that {NEEDS[need]}{of_partner}; {engine} "
                "does not",
                where=where,
                remedy="Use another engine, or another method.",
            )
