"""What a session requests: problems, prompts, and the requests of missing samples.

Not here: which samples are missing (``isocost.bank.resume``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from isocost.bank.resume import planned_samples
from isocost.capabilities import capabilities_of
from isocost.engines.protocol import EngineSettings, Request
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.methods import Asked as AskedOfMethod
from isocost.methods import Call, Method, method_of
from isocost.sweep import Point, Session, adapter_folder, sample_id_of, weights_folder
from isocost.sweep.models import SAMPLE, MethodSpec
from isocost.tasks import (
    Problem,
    answer_of,
    load_problems,
    prompt_hash,
    render_messages,
    same_answer,
)

PAYLOAD_OPTIONS = {
    "in_flight": int,
    "isolate_points": bool,
    "per_request_seed": bool,
    "confidence_window": int,
    "clients": int,
}
"""Engine options that the payload itself reads; the engine receives the others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One problem with one prompt, ready to be sent.

    Attributes:
        problem: the problem.
        messages: chat messages.
        prompt_hash: their hash.
    """

    problem: Problem
    messages: tuple[dict[str, str], ...]
    prompt_hash: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample to be generated, or the calls that samples of one context share."""

    point: Point
    asked: Asked
    sample_index: int

    @property
    def sample_id(self) -> str:
        """``<point_id>:<problem_id>:<sample_index>``."""
        return sample_id_of(self.point.point_id, self.asked.problem.problem_id, self.sample_index)

    @property
    def owner(self) -> Sample | None:
        """What holds the calls that it shares with other questions about its context.

        In the bank it is like a sample of a problem whose id is the context's; None without one.
        """
        problem = self.asked.problem
        if problem.context is None or problem.context_id is None:
            return None
        about = replace(problem, problem_id=problem.context_id, question=problem.context)
        return replace(self, asked=replace(self.asked, problem=about))


class Work:
    """Everything that a session requests, loaded once.

    Attributes:
        session: the session.
        points: its points by id.
        methods: the methods of points whose samples may be several calls, by point_id.
        plan: every planned sample (columns point_id, problem_id, sample_index), in order of
            generation.
    """

    def __init__(self, session: Session) -> None:
        """Load the problems of every task and render every prompt.

        Raises:
            IsocostError: a task cannot be loaded.
        """
        self.session = session
        self.points = {planned.point.point_id: planned.point for planned in session.points}
        self.methods = {
            point_id: _method(point)
            for point_id, point in self.points.items()
            if point.method != SAMPLE
        }
        self._asked: dict[str, dict[str, Asked]] = {}
        loaded: dict[str, tuple[Problem, ...]] = {}
        rendered: dict[tuple[str, str], dict[str, Asked]] = {}
        for point in self.points.values():
            task, prompt = point.task.model_dump_json(), point.prompt.model_dump_json()
            if task not in loaded:
                loaded[task] = load_problems(point.task)
            if (task, prompt) not in rendered:
                rendered[task, prompt] = {p.problem_id: _asked(point, p) for p in loaded[task]}
            self._asked[point.point_id] = rendered[task, prompt]
        self.plan = planned_samples(
            (
                planned.point.point_id,
                list(self._asked[planned.point.point_id]),
                planned.samples_per_problem,
            )
            for planned in session.points
        )

    def samples(self, missing: pl.DataFrame) -> Iterator[Sample]:
        """The samples of a frame like `plan`, in its order."""
        for point_id, problem_id, index in missing.iter_rows():
            yield Sample(self.points[point_id], self._asked[point_id][problem_id], index)

    def owners(self, missing: pl.DataFrame) -> pl.DataFrame:
        """What holds the shared calls of missing samples, in the columns of `plan`.

        And ``users``, the number of the samples that share them.
        """
        contexts = {
            problem_id: asked.problem.context_id
            for mine in self._asked.values()
            for problem_id, asked in mine.items()
            if asked.problem.context_id is not None
        }
        about = pl.col("problem_id").replace_strict(contexts, default=None, return_dtype=pl.String)
        held = missing.with_columns(about).drop_nulls("problem_id")
        return held.group_by(missing.columns, maintain_order=True).agg(pl.len().alias("users"))

    def asked(self) -> list[tuple[Point, Asked]]:
        """Every point with each of its rendered problems."""
        return [
            (point, asked)
            for point in self.points.values()
            for asked in self._asked[point.point_id].values()
        ]


def _method(point: Point) -> Method:
    assert isinstance(point.method, MethodSpec)
    where = f"point {point.point_id}: method"
    return method_of(point.method.name, point.method.parameters, where=where)


def _asked(point: Point, problem: Problem) -> Asked:
    messages = render_messages(point.prompt, problem)
    return Asked(problem, tuple(messages), prompt_hash(messages))


def request_of(sample: Sample, *, per_request_seed: bool) -> Request:
    """The engine request of a sample's only call."""
    sampling = sample.point.sampling
    return Request(
        request_id=f"{sample.sample_id}:0",
        messages=sample.asked.messages,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        max_tokens=sample.point.budget.max_tokens,
        seed=derived_seed(sample.point.seed, sample.sample_id) if per_request_seed else None,
        problem_id=sample.asked.problem.problem_id,
        prompt_hash=sample.asked.prompt_hash,
        sample_index=sample.sample_index,
        stop=tuple(dict.fromkeys((*sample.asked.problem.stop, *sample.point.prompt.stop))),
    )


@dataclass(frozen=True, slots=True)
class NumberedCall:
    """A call of a method in its sample.

    Attributes:
        index: call_index.
        wave: calls with the same number run at the same time.
        call: what the method asked.
        request_hash: hash of all of it.
        parent_holder: sample_id under which the call that it builds on is banked, if that is not
            the sample's own.
    """

    index: int
    wave: int
    call: Call
    request_hash: str
    parent_holder: str | None = None


def numbered(index: int, wave: int, call: Call, parent_holder: str | None = None) -> NumberedCall:
    """A call with its place in the sample, and the hash of what it asks."""
    asked = {name: getattr(call, name) for name in Call.__slots__}
    for later in ("partner", "steps", "shared"):  # calls without have the hashes that they had
        if not asked[later]:
            del asked[later]
    return NumberedCall(index, wave, call, sha256_hex(asked, 16), parent_holder)


def method_request(sample: Sample, item: NumberedCall, *, per_request_seed: bool) -> Request:
    """The engine request of one call of a method; what it leaves open is the point's."""
    call, sample_id = item.call, sample.sample_id
    first = request_of(sample, per_request_seed=per_request_seed)
    seed = first.seed
    if per_request_seed and item.index:
        seed = derived_seed(sample.point.seed, sample_id, item.index)
    return replace(
        first,
        request_id=f"{sample_id}:{item.index}",
        messages=call.messages,
        temperature=first.temperature if call.temperature is None else call.temperature,
        max_tokens=call.max_tokens or first.max_tokens,
        seed=seed,
        prompt_hash=prompt_hash([dict(message) for message in call.messages]),
        call_index=item.index,
        request_hash=item.request_hash,
        prefix=call.prefix,
        continuation=call.continuation,
        stop=call.stop or first.stop,
        choices=call.choices,
        steps=call.steps,
        partner=call.partner,
        is_turn=not (call.prefix or call.continuation or call.stop or call.choices or call.steps),
    )


def asked_of_method(sample: Sample) -> AskedOfMethod:
    """The question of a sample as its method sees it."""
    problem = sample.asked.problem

    def draw(purpose: str) -> float:
        return derived_seed(sample.point.seed, sample.sample_id, purpose) / 2**31

    return AskedOfMethod(
        messages=sample.asked.messages,
        question=problem.question,
        max_tokens=sample.point.budget.max_tokens,
        answer_of=lambda text, finish_reason=None: answer_of(problem, text, finish_reason),
        same=lambda one, other: same_answer(problem, one, other),
        draw=draw,
        context=problem.context,
    )


def derived_seed(seed: int, *what: object) -> int:
    """A 31-bit seed derived from a seed and its purpose (SHA-256), the same on every machine."""
    text = ":".join(str(item) for item in (seed, *what))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def payload_options(session: Session) -> dict[str, int | bool]:
    """The payload's own options with their defaults.

    in_flight: requests in flight, by default twice ``max_num_seqs``: enough that a slot is never
        empty for lack of work, few enough that queueing does not dominate.
    isolate_points: finish one point before the next starts.
    per_request_seed: seed each request separately.
    confidence_window: tokens of DeepConf's window.
    clients: clients of the method `external` at once, each a process, by default eight, or as many
        as ``max_num_seqs`` if that is less.

    Raises:
        IsocostError: an option has the wrong type or an impossible value.
    """
    found: dict[str, int | bool] = {
        "in_flight": 2 * session.engine.max_num_seqs,
        "isolate_points": False,
        "per_request_seed": False,
        "confidence_window": 2048,
        "clients": min(session.engine.max_num_seqs, 8),
    }
    for name, kind in PAYLOAD_OPTIONS.items():
        if name in session.engine.options:
            value = session.engine.options[name]
            if type(value) is not kind or (kind is int and value < 1):
                raise IsocostError(
                    f"must be {'true or false' if kind is bool else 'a positive whole number'}, is"
                    f" {value!r}",
                    where=f"engine.options.{name}",
                )
            found[name] = value
    return found


def engine_settings(session: Session, seed: int, partner: str | None = None) -> EngineSettings:
    """The settings of the session's engine, or of a partner's.

    `seed` may differ from the session's in later attempts.
    """
    engine = session.engine if partner is None else session.partners[partner]
    loads_model = capabilities_of(engine.engine).loads_model
    adapter = engine.model.adapter
    # The payload reads its options from the session's engine; a partner has none of them.
    ours = PAYLOAD_OPTIONS if partner is None else ()
    return EngineSettings(
        model_path=str(weights_folder(engine.model)) if loads_model else engine.model.path,
        model_name=engine.model.name,
        dtype=engine.model.dtype,
        quantization=engine.model.quantization,
        revision=engine.model.revision,
        seed=seed,
        max_model_len=engine.max_model_len,
        kv_cache_bytes=engine.kv_cache_bytes,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        block_size=engine.block_size,
        enable_prefix_caching=engine.enable_prefix_caching,
        enforce_eager=engine.enforce_eager,
        logprobs_k=session.logprobs_k,
        options={k: v for k, v in engine.options.items() if k not in ours},
        chat_template_kwargs=engine.model.chat_template_kwargs or {},
        reasoning_parser=engine.model.reasoning_parser,
        adapter_path=None if adapter is None else str(adapter_folder(adapter)),
    )
