"""What one measured configuration is, with nothing left to a default.

Lives here: the frozen types that an expanded sweep is made of (points and sessions), their ids, and
their JSON form. The payload, the tables and the orchestration read these. Not here: the sweep file
with its defaults and lists (isocost.sweep.spec), nor the expansion (isocost.sweep.expand).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from isocost.capabilities import Role, capabilities_of
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.plain_files import read_plain
from isocost.seals import sealed_text, unsealed_text

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,79}$")]
"""A name that ends up in ids, file names and partition keys."""

Count = Annotated[int, Field(strict=True, ge=1, le=2**53)]
Whole = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Many = Annotated[int, Field(strict=True, ge=1, le=10**9)]
"""How many samples or problems: the product of both fits the tables' integers."""
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]

Dtype = Literal["auto", "float32", "float16", "bfloat16"]
EngineName = Name
"""Under which an engine is registered; whether there is one is checked when a sweep is read."""
PowerSourceName = Name
"""Under which a power source is registered, or "auto"; checked when a sweep is read, too."""

_NESTED = ("model", "options")


class Frozen(BaseModel):
    """Immutable, and an unknown key is an error rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class ModelVariant(Frozen):
    """One set of weights in one numeric form.

    `path` is a local Hugging Face folder; "cache:NAME" names one in the project's model cache. Of
    an engine that loads no model it is what the server calls its model, and `dtype` may be unknown.
    """

    name: Name
    path: Annotated[str, Field(min_length=1)]
    revision: str | None
    dtype: Dtype | None
    quantization: str | None
    card: str | None


class EngineConfig(Frozen):
    """An engine's settings. Sizes in bytes, lengths in tokens; None where an engine that loads no
    model has its own.

    Which of them are part of a point, the engine declares (`isocost.capabilities`); whatever it
    does not exempt is.
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


class PromptSpec(Frozen):
    """A way of asking.

    `template` holds the marker {question} exactly where the problem's text goes; every other brace
    is literal.
    """

    name: Name
    system: str | None
    template: Annotated[str, Field(min_length=1)]

    @field_validator("template")
    @classmethod
    def _asks_the_question(cls, value: str) -> str:
        if "{question}" not in value:
            raise ValueError("a template must contain {question}")
        return value


class TaskSpec(Frozen):
    """Which problems, and how an answer is judged.

    `dataset` is a name or a file, as the source understands it.
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
    """What one sample may spend: generated tokens."""

    max_tokens: Count


class Point(Frozen):
    """One measured configuration.

    `point_id` hashes everything but the sweep's name, so two sweeps that measure the same thing
    share samples.
    """

    point_id: str
    sweep: Name
    task: TaskSpec
    model: ModelVariant
    prompt: PromptSpec
    sampling: Sampling
    budget: Budget
    seed: Seed
    method: Literal["sample"]
    engine: EngineConfig


class PlannedPoint(Frozen):
    """A point and how many samples of each problem are wanted.

    The count is no part of the point's identity: more may be added later.
    """

    point: Point
    samples_per_problem: Many


_SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9_=.-]*$"
MOST_SESSION_BYTES = 1 << 28


class Session(Frozen):
    """One engine start and all the points it measures: the payload's whole input, and one Dagster
    partition.

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
    """The settings of an engine configuration, in its JSON form, that have one of some roles for
    that engine.

    Raises:
        IsocostError: there is no such engine.
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
    }


def point_id_of(fields: dict[str, Any]) -> str:
    """Id of a point: "pt-" and 16 hexadecimal digits of the SHA-256 over its canonical JSON.

    Without `sweep` and `point_id`, and without the settings that its engine exempts.
    """
    engine = engine_settings_of(fields["engine"], Role.IDENTITY)
    model = engine_settings_of(
        {"engine": fields["engine"]["engine"], "model": fields["model"]}, Role.IDENTITY
    )["model"]
    return _hashed({**fields, "engine": engine, "model": model})


def _hashed(fields: dict[str, Any]) -> str:
    return "pt-" + sha256_hex(
        {key: value for key, value in fields.items() if key not in ("sweep", "point_id")}, 16
    )


def make_point(**fields: Any) -> Point:
    """Builds a point from all its fields but `point_id`, and gives it its id."""
    draft = Point(point_id="", **fields)
    return draft.model_copy(update={"point_id": point_id_of(draft.model_dump(mode="json"))})


def sample_id_of(point_id: str, problem_id: str, sample_index: int) -> str:
    """Id of one attempt: "<point_id>:<problem_id>:<sample_index>"."""
    return f"{point_id}:{problem_id}:{sample_index}"


def session_json(session: Session) -> bytes:
    """A session as the bytes of its file, with their checksum."""
    return sealed_text(session.model_dump_json(indent=1))


def session_from_json(text: str | bytes, *, where: str = "session file") -> Session:
    """Reads a session back from `session_json`, or from `Session.model_dump_json()` as it stands.

    Raises:
        IsocostError: when the text is no JSON, misses or adds a key, holds a value out of range, or
            a point's id does not match its content (somebody edited the file).
    """
    remedy = "Write it again with `isocost plan`; a session file is not edited."
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
        # Until engines could exempt settings, all of them were hashed: what was banked under such
        # an id stays readable.
        if planned.point.point_id not in (expected, _hashed(fields)):
            raise IsocostError(
                f"point {planned.point.point_id} does not match its content (which has the id"
                f" {expected})",
                where=where,
                remedy="Change the sweep file and plan again; a session file is not edited.",
            )
        if planned.point.engine != session.engine:
            raise IsocostError(
                f"point {planned.point.point_id} belongs to another engine configuration",
                where=where,
                remedy="Plan the sweep again.",
            )
    return session


def read_session(path: str | Path, *, named: str | None = None) -> Session:
    """Reads a session file.

    Args:
        path: the file.
        named: the session that it must be, as the name of a file in a lake says; any where None.

    Raises:
        IsocostError: it cannot be read, is none, or is another session's; with file and key.
    """
    raw = read_plain(path, most_bytes=MOST_SESSION_BYTES, what="session file")
    session = session_from_json(raw, where=str(path))
    if named is not None and session.session_id != named:
        raise IsocostError(
            f"is the file of session {session.session_id}, under another name",
            where=f"{path}: session_id",
            remedy="Remove the copy, or give it its name back.",
        )
    return session
