"""A measured configuration with every default made explicit.

Lives here: the frozen types of an expanded sweep (points and sessions), their ids, and their JSON
form. The payload, the tables and the orchestration read these. Not here: the sweep file with its
defaults and lists (isocost.sweep.spec), nor the expansion (isocost.sweep.expand).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from isocost.capabilities import Role, capabilities_of
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.methods.base import Alias
from isocost.plain_files import read_plain
from isocost.seals import sealed_text, unsealed_text
from isocost.verifier_settings import identity_of

MOST_NAME = 80
Name = Annotated[str, Field(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._+-]{{0,{MOST_NAME - 1}}}$")]
"""A name that becomes part of ids, file names and partition keys."""

Count = Annotated[int, Field(strict=True, ge=1, le=2**53)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Many = Annotated[int, Field(strict=True, ge=1, le=10**9)]
"""How many samples or problems: the product of both fits the tables' integers."""
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
EngineName = Name
"""The registered name of an engine; whether it exists is checked when a sweep is read."""
PowerSourceName = Name
"""The registered name of a power source, or "auto"; also checked when a sweep is read."""

_NESTED = ("model", "options")
StopTexts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]
_QUESTIONS = ("{question}", "{stem}", "{prompt}")


class Frozen(BaseModel):
    """Immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Adapter(Frozen):
    """A LoRA adapter that is applied to a model's weights when it generates.

    `path` is a local folder in PEFT's format, or the id of a repository on the Hub. `commit` is
    what `revision` is resolved to; of a local folder, `sha256` is the hash of its files' contents.
    `parameters` is the number of its weights, which cost FLOPs as long as it is not merged.
    """

    path: Annotated[str, Field(min_length=1)]
    revision: str | None
    commit: str | None
    sha256: str | None
    parameters: Count | None


def _is_none(value: Any) -> bool:
    return value is None


class ModelVariant(Frozen):
    """One set of weights in one numeric form.

    `path` is a local Hugging Face folder; "cache:NAME" names one in the project's model cache. With
    a `commit`, it is the id of a repository on the Hub, and `revision` what the sweep asked for.
    For an engine that loads no model, it is the server's name for the model, and `dtype` may be
    unknown.

    `chat_template_kwargs` are arguments of the model's chat template, `reasoning_parser` is vLLM's
    name of what separates its reasoning from the answer, and `adapter` a LoRA adapter. Keys that a
    model does not have are not written, so that its ids and files are as before they existed.
    """

    name: Name
    path: Annotated[str, Field(min_length=1)]
    revision: str | None
    dtype: Dtype | None
    quantization: str | None
    card: str | None
    commit: str | None = Field(exclude_if=_is_none)
    chat_template_kwargs: dict[str, Any] | None = Field(exclude_if=_is_none)
    reasoning_parser: Annotated[str, Field(min_length=1)] | None = Field(exclude_if=_is_none)
    adapter: Adapter | None = Field(exclude_if=_is_none)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {**dict.fromkeys(_LATER), **value} if isinstance(value, dict) else value


_LATER = ("commit", "chat_template_kwargs", "reasoning_parser", "adapter")
"""Keys of a model that older session files do not have."""


class EngineConfig(Frozen):
    """An engine's settings, with sizes in bytes and lengths in tokens.

    None if an engine that loads no model determines the value itself. The engine declares which
    settings are part of a point (`isocost.capabilities`): all that it does not exempt.
    """

    engine: EngineName
    model: ModelVariant
    seed: Seed
    max_model_len: Count | None
    kv_cache_bytes: Count | None
    max_num_seqs: Count
    max_num_batched_tokens: Count
    block_size: Count | None
    enable_prefix_caching: bool
    enforce_eager: bool
    options: dict[str, Any]


class WithPartners(Frozen):
    """What may have partners: further models that methods call, each with an engine of its own.

    `partners` has the engine configuration of each by its alias. Without partners the key is not
    written, so that ids and files are those of a sweep that knows no partners.
    """

    partners: dict[Alias, EngineConfig]

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"partners": {}, **value} if isinstance(value, dict) else value

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found = write(self)
        if not self.partners:
            found.pop("partners", None)
        return found


def joined_names(model: ModelVariant, partners: Mapping[str, EngineConfig]) -> str:
    """The name of a model with its partners: answers of several models are not one model's."""
    names = sorted({partner.model.name for partner in partners.values()} - {model.name})
    return "+".join([model.name, *names])


class PromptSpec(Frozen):
    """A prompt: how a question is asked.

    `template` contains the marker {question} exactly where the problem's text goes, or another
    marker that includes it: {stem} without the choices, {prompt} of a ready-made task.
    It may name further fields of its tasks; every other brace is literal. Without `chat` it is
    sent as it is, without the model's chat template, and the model continues it. `stop` are texts
    that end the answer and are not part of it; not written if there are none.
    """

    name: Name
    system: str | None
    template: Annotated[str, Field(min_length=1)]
    stop: StopTexts = Field(exclude_if=lambda value: not value)
    chat: bool = Field(default=True, strict=True, exclude_if=lambda value: value)
    """Not written for a chat, so that its ids and files are as before."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return {"stop": (), **value} if isinstance(value, dict) else value

    @field_validator("template")
    @classmethod
    def _asks_the_question(cls, value: str) -> str:
        if not any(marker in value for marker in _QUESTIONS):
            raise ValueError("a template must contain {question} (or {stem}, or {prompt})")
        return value

    @field_validator("chat")
    @classmethod
    def _has_a_system_text_in_a_chat(cls, value: bool, info: ValidationInfo) -> bool:
        if not value and info.data.get("system") is not None:
            raise ValueError("a prompt with chat: false has no system text; put it in the template")
        return value


class TaskSpec(Frozen):
    """A set of problems, and how answers are graded.

    `dataset` is a name or a file, depending on the source; `verifier` is a name, and its options if
    it has any (``isocost.verifier_settings``).
    """

    name: Name
    source: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    config: dict[str, Any]
    n_problems: Many
    seed: Seed
    verifier: Annotated[str, Field(min_length=1)]


class Sampling(Frozen):
    """How tokens are drawn. temperature 0 is greedy; top_k 0 keeps all tokens."""

    temperature: Annotated[Real, Field(ge=0, le=2)]
    top_p: Annotated[Real, Field(gt=0, le=1)]
    top_k: Whole
    min_p: Annotated[Real, Field(ge=0, le=1)]


class Budget(Frozen):
    """The limit of one sample: generated tokens."""

    max_tokens: Count


class MethodSpec(Frozen):
    """A method of several calls, with every parameter (``isocost.methods``)."""

    name: Name
    parameters: dict[str, Any]


SAMPLE: Literal["sample"] = "sample"
"""The method whose samples are one call. Its points are hashed with this word alone."""


class Point(WithPartners):
    """One measured configuration.

    `point_id` hashes everything except the sweep's name, so two sweeps that measure the same thing
    share samples. `partners` are those that its method calls.
    """

    point_id: str
    sweep: Name
    task: TaskSpec
    model: ModelVariant
    prompt: PromptSpec
    sampling: Sampling
    budget: Budget
    seed: Seed
    method: Literal["sample"] | MethodSpec
    engine: EngineConfig

    @property
    def method_name(self) -> str:
        """The method's name."""
        return self.method if isinstance(self.method, str) else self.method.name

    @property
    def model_variant(self) -> str:
        """The name of what answers: the model, and its partners' after a + each."""
        return joined_names(self.model, self.partners)

    def engine_of(self, partner: str | None) -> EngineConfig | None:
        """The engine configuration of a partner, or its own for None; None for an unknown alias."""
        return self.engine if partner is None else self.partners.get(partner)


class PlannedPoint(Frozen):
    """A point and the number of samples wanted per problem.

    The count is not part of the point's identity: more samples may be added later.
    """

    point: Point
    samples_per_problem: Many


_SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9_=.-]*$"
MOST_SESSION_BYTES = 1 << 28


class Session(WithPartners):
    """One engine start and all the points it measures.

    With partners, their engines are started with it; all its points have the same ones. This is
    the payload's whole input, and one Dagster partition.

    `logprobs_k` is the number of top log-probabilities banked per token (0: of the sampled token
    only); `part_rows` the rows after which a raw part is sealed; `warmup_requests` are generated,
    counted and excluded.
    """

    session_schema: Literal[1]
    session_id: Annotated[str, Field(pattern=_SESSION_ID, max_length=200)]
    sweep: Name
    engine: EngineConfig
    points: Annotated[tuple[PlannedPoint, ...], Field(min_length=1)]
    logprobs_k: Whole
    warmup_requests: Whole
    part_rows: Count
    telemetry: PowerSourceName


def engine_settings_of(engine: dict[str, Any], *roles: Role) -> dict[str, Any]:
    """The settings of an engine configuration, as JSON, that have one of the given roles.

    Raises:
        IsocostError: the engine is unknown.
    """
    declared = capabilities_of(engine["engine"])

    def kept(values: dict[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: value
            for key, value in values.items()
            if key in _NESTED or declared.role(prefix + key) in roles
        }

    whole = kept(engine, "")
    return {
        key: kept(value, f"{key}.") if key in _NESTED else value for key, value in whole.items()
    } | {"model": _as_resolved(kept(whole["model"], "model."))}


def partner_settings_of(partners: dict[str, Any], *roles: Role) -> dict[str, Any]:
    """The same as `engine_settings_of` for the engine configuration of each partner."""
    return {alias: engine_settings_of(engine, *roles) for alias, engine in partners.items()}


def point_id_of(fields: dict[str, Any]) -> str:
    """Id of a point: "pt-" and 16 hexadecimal digits of a hash of its canonical JSON.

    Without `sweep` and `point_id`, and without the settings that an engine exempts.
    """
    engine = engine_settings_of(fields["engine"], Role.IDENTITY)
    if "partners" in fields:
        fields = {**fields, "partners": partner_settings_of(fields["partners"], Role.IDENTITY)}
    model = engine_settings_of(
        {"engine": fields["engine"]["engine"], "model": fields["model"]}, Role.IDENTITY
    )["model"]
    task = {
        **fields["task"],
        "config": _as_resolved(fields["task"]["config"]),
        "verifier": identity_of(fields["task"]["verifier"]),
    }
    return _hashed({**fields, "engine": engine, "model": model, "task": task})


def _as_resolved(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without the revision that was asked for, if they have the commit that it meant.

    The commit says what was measured; a branch moves, and two names may mean one commit. A card
    that was counted from the commit's own configuration follows from it, too. A local adapter is
    what its files contain, wherever they are.
    """
    if adapter := settings.get("adapter"):
        known = {key: value for key, value in adapter.items() if value is not None}
        known.pop("parameters", None)  # follows from its content
        if "commit" in known:
            known.pop("revision", None)
        if "sha256" in known:
            known.pop("path")
        settings = {**settings, "adapter": known}
    if settings.get("commit") is None:
        return settings
    left_out = {"revision"}
    if str(settings.get("card") or "").startswith(counted_card_name(settings)):
        left_out.add("card")
    return {key: value for key, value in settings.items() if key not in left_out}


def counted_card_name(model: Mapping[str, Any]) -> str:
    """How the name of a card begins that is counted from a model's configuration on the Hub."""
    return f"{model.get('path')}@{str(model.get('commit'))[:12]}"


def _hashed(fields: dict[str, Any]) -> str:
    return "pt-" + sha256_hex(
        {key: value for key, value in fields.items() if key not in ("sweep", "point_id")}, 16
    )


def make_point(**fields: Any) -> Point:
    """Build a point from all its fields except `point_id`, and set its id."""
    draft = Point(point_id="", **fields)
    return draft.model_copy(update={"point_id": point_id_of(draft.model_dump(mode="json"))})


def sample_id_of(point_id: str, problem_id: str, sample_index: int) -> str:
    """Id of one attempt: "<point_id>:<problem_id>:<sample_index>"."""
    return f"{point_id}:{problem_id}:{sample_index}"


def session_json(session: Session) -> bytes:
    """A session as the bytes of its file, with checksum."""
    return sealed_text(session.model_dump_json(indent=1))


def session_from_json(text: str | bytes, *, where: str = "session file") -> Session:
    """Read a session from `session_json` or `Session.model_dump_json()`.

    Raises:
        IsocostError: the text is not JSON, has a missing or extra key, a value is out of range, or
            a point's id does not match its content (the file was edited).
    """
    remedy = "Write it again with `isocost plan`; do not edit session files."
    try:
        session = Session.model_validate_json(
            unsealed_text(text if isinstance(text, bytes) else text.encode(), where, remedy)
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise IsocostError(
            f"{first['msg']}",
            where=f"{where}: {key}" if key else where,
            remedy=remedy,
        ) from None
    for planned in session.points:
        fields = planned.point.model_dump(mode="json")
        expected = point_id_of(fields)
        # Before engines could exempt settings, all settings were hashed; samples banked under such
        # ids stay readable.
        if planned.point.point_id not in (expected, _hashed(fields)):
            raise IsocostError(
                f"point {planned.point.point_id} does not match its content (which has the id"
                f" {expected})",
                where=where,
                remedy="Change the sweep file and plan again; do not edit session files.",
            )
        own = (planned.point.engine, planned.point.partners)
        if own != (session.engine, session.partners):
            raise IsocostError(
                f"point {planned.point.point_id} belongs to another engine configuration",
                where=where,
                remedy="Plan the sweep again.",
            )
    return session


def read_session(path: str | Path, *, named: str | None = None) -> Session:
    """Read a session file.

    Args:
        path: the file.
        named: the session that it must be, from the file's name in the lake; any if None.

    Raises:
        IsocostError: it cannot be read, is invalid, or belongs to another session; with file and
            key.
    """
    raw = read_plain(path, most_bytes=MOST_SESSION_BYTES, what="session file")
    session = session_from_json(raw, where=str(path))
    if named is not None and session.session_id != named:
        raise IsocostError(
            f"belongs to session {session.session_id}, under another name",
            where=f"{path}: session_id",
            remedy="Remove the copy, or rename it back.",
        )
    return session
