"""What an engine declares about itself: what it loads and reports, and its settings' roles.

A role says how a setting relates to a measured point. Lives here, in the lowest layer, because
packages that do not know each other use it: the sweep (ids, which keys are needed, which names
exist), the payload, the tables and the checks (what may be unknown). Not here: the engines, which
declare it (``isocost.engines``), the power sources (``isocost.telemetry``), nor any of their names:
each is found by the name that it is registered under.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from isocost.registry import Registry


class Role(StrEnum):
    """What a setting is to a point."""

    IDENTITY = "identity"
    """It changes the answer or the measurement: another value is another point."""
    CONDITION = "condition"
    """It determines how a session runs.

    Another value is another session that continues the same points.
    """
    NEITHER = "neither"
    """It changes neither, or has no effect on this engine: another value is the same session."""


@dataclass(frozen=True, slots=True)
class Exempt:
    """A setting that is not part of a point's identity, and the reason.

    Attributes:
        role: condition or neither.
        reason: one sentence.
    """

    role: Role
    reason: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one engine declares.

    Attributes:
        loads_model: whether it loads a model folder on this machine. Then the sweep has to say
            number format, context and cache.
        computes_here: whether what it does is computed on this machine, whose power then is the
            engine's. A server may be anywhere; a replay computes nothing.
        has_steps: whether `Engine.drain_steps` has a row for every step.
        counts_cached_tokens: whether every answer says how many tokens of its prompt came from a
            cache.
        reports_prompt_lengths: whether `Engine.prompt_lengths` knows the tokens of a prompt before
            the engine is started.
        reports_configuration: whether `Engine.describe` always has the configuration that the
            engine resolved.
        reports_version: whether the version of what generated is always known.
        needs_whole_seeded_prompts: whether a request with a seed of its own has to find room for
            its whole prompt in one step.
        continues_tokens: whether a call can begin with tokens of the model's own turn
            (`Request.prefix`).
        scores_choices: whether it reports the probability of each of a call's choices.
        scores_steps: whether it scores the steps of a solution (`Request.steps`).
        generates: whether it generates text; the engine of a sweep must.
        serves_http: whether it is a server with OpenAI's API, which others can call as well.
        model_settings: keys of a model in a sweep that the engine applies, of those that not every
            engine can: ``chat_template_kwargs``, ``reasoning_parser``, ``adapter``.
        packages: distributions that the engine may come from; the version of the first one that is
            installed is the engine's.
        exempt: settings that are not identity, by dotted key ("model.card", "options.timeout_s").
            What is not listed is identity.
    """

    loads_model: bool
    computes_here: bool
    has_steps: bool
    counts_cached_tokens: bool
    reports_prompt_lengths: bool
    reports_configuration: bool
    reports_version: bool
    needs_whole_seeded_prompts: bool = False
    continues_tokens: bool = False
    scores_choices: bool = False
    scores_steps: bool = False
    generates: bool = True
    serves_http: bool = False
    model_settings: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    exempt: Mapping[str, Exempt] = field(default_factory=dict)

    def role(self, key: str) -> Role:
        """What a setting is, by its dotted key under ``engine``."""
        return self.exempt[key].role if key in self.exempt else Role.IDENTITY


NEEDS = {
    "continues_tokens": "continues from given tokens",
    "scores_choices": "reports the probability of given choices",
    "scores_steps": "scores the steps of a solution",
    "generates": "generates text",
    "serves_http": "is a server with OpenAI's API",
}
"""What a method may need of an engine, by capability, as the rest of a sentence."""


class Declares(Protocol):
    """An engine, as seen by packages that do not drive it.

    Attributes:
        name: its name in a sweep.
        capabilities: what it declares.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]


class Named(Protocol):
    """A power source, seen from the rooms that do not read it.

    Attributes:
        name: what a sweep calls it.
    """

    name: ClassVar[str]


AUTO = "auto"
"""What a sweep says for the first power source that works."""

POWER_SOURCES: Registry[type[Named]] = Registry("power source", "isocost.telemetry.sources")
"""Every power source's class; what one declares is in ``isocost.telemetry.source``."""

ENGINES: Registry[type[Declares]] = Registry("engine", "isocost.engines")
"""Every engine's class. No module of the engines' room imports anything heavy when it is found."""


def engine_names() -> list[str]:
    """Every engine, sorted."""
    return list(ENGINES.names())


def capabilities_of(engine: str) -> Capabilities:
    """What the engine with a name declares.

    Raises:
        IsocostError: there is no such engine.
    """
    return ENGINES.get(engine, where="engine.engine").capabilities
