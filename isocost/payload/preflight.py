"""Checks of a session before its engine starts.

Lives here: budgets versus the model's context length, the requested power source. Not here: checks
that only the engine can make (`Engine.check`), nor the sweep file (``isocost.sweep``).
"""

from __future__ import annotations

from isocost.capabilities import AUTO
from isocost.engines.protocol import Engine
from isocost.errors import IsocostError
from isocost.methods import Method, check_engine
from isocost.payload.work import Work
from isocost.sweep import Session
from isocost.sweep.models import SAMPLE
from isocost.tasks import Problem
from isocost.telemetry import open_source


def check_budgets(session: Session) -> None:
    """Reject a token budget that leaves no room for a prompt.

    Raises:
        IsocostError: names the point and both numbers.
    """
    engines = [session.engine, *session.partners.values()]
    # None: the server's own, which it holds requests to
    longest = min((e.max_model_len for e in engines if e.max_model_len is not None), default=None)
    if longest is None:
        return
    for planned in session.points:
        wanted = planned.point.budget.max_tokens
        if wanted >= longest:
            raise IsocostError(
                f"max_tokens {wanted} leaves no room for a prompt within max_model_len {longest}",
                where=(
                    f"point {planned.point.point_id} (task {planned.point.task.name}, prompt"
                    f" {planned.point.prompt.name})"
                ),
                remedy="Lower the budget or raise the engine's max_model_len.",
            )


def check_methods(work: Work) -> None:
    """Reject a method that needs what an engine or a problem does not have, or no partner is.

    Raises:
        IsocostError: names the point, the method and the engine, or the problem's file and row.
    """
    for point_id, method in work.methods.items():
        check_engine(method, work.session.engine.engine, f"point {point_id}")
        for alias in method.partners():
            partner = work.session.partners.get(alias)
            if partner is None:
                raise IsocostError(
                    f"method {method.name} calls the partner {alias!r}, which the session does "
                    "not have",
                    where=f"point {point_id}",
                    remedy="Add it under partners in the sweep file, and plan again.",
                )
            check_engine(method, partner.engine, f"point {point_id}", partner=alias)
    for point, asked in work.asked():
        if point.point_id in work.methods:
            check_context(work.methods[point.point_id], asked.problem)


def check_context(method: Method, problem: Problem) -> None:
    """Reject a problem that a method of several calls cannot ask as the method or the task needs.

    One without a context for a method that needs one, or one whose task says where generation ends.

    Raises:
        IsocostError: names the problem's task, file and row, and the field.
    """
    if problem.stop and method.name != SAMPLE:
        raise IsocostError(
            f"method {method.name} decides itself where its calls end, and task {problem.task} says"
            " where generation ends",
            where=f"task {problem.task}, {_origin(problem)}",
            remedy=f"Measure this task with method {SAMPLE}, in a sweep of its own.",
        )
    if method.needs_context and problem.context is None:
        raise IsocostError(
            f"method {method.name} needs the context of every problem, and one has none",
            where=f"task {problem.task}, {_origin(problem)}, field context",
            remedy="Give every problem a context: with the source jsonl, name its field in "
            "config.context; with huggingface, its column in config.columns.",
        )


def _origin(problem: Problem) -> str:
    """Where a problem came from: file and row, as far as its source says so."""
    origin = problem.metadata
    place = "line" if "line" in origin else "index"
    named = [str(origin["file"])] if "file" in origin else []
    row = f"{'line' if place == 'line' else 'problem'} {origin[place]}" if place in origin else ""
    return " ".join([*named, row]).strip() or f"problem {problem.problem_id}"


def check_power_source(session: Session) -> None:
    """Reject a requested power source that cannot measure here, before an engine starts.

    Raises:
        IsocostError: there is none with that name, or the reason why it cannot measure.
    """
    if session.telemetry != AUTO:
        open_source(session.telemetry).close()


def check_prompts(
    work: Work, engine: Engine, *, per_request_seed: bool, partner: str | None = None
) -> int | None:
    """Reject prompts that do not fit together with their budget.

    Args:
        work: the session's prompts.
        engine: not started yet.
        per_request_seed: whether requests have their own seeds.
        partner: alias of the partner whose engine it is; None for the session's own.

    Returns:
        Tokens of the longest prompt; None if the engine cannot tell.

    Raises:
        IsocostError: names point, problem and the numbers.
    """
    if not engine.capabilities.reports_prompt_lengths:
        return None
    asked = work.asked()
    unique = {a.prompt_hash: a for _, a in asked}
    counted = engine.prompt_lengths([a.messages for a in unique.values()])
    if counted is None:
        return None
    tokens = dict(zip(unique, counted, strict=True))
    config = work.session.engine if partner is None else work.session.partners[partner]
    for point, item in asked:
        if (
            config.max_model_len is not None
            and tokens[item.prompt_hash] + point.budget.max_tokens > config.max_model_len
        ):
            raise IsocostError(
                f"the prompt has {tokens[item.prompt_hash]} tokens; with max_tokens "
                f"{point.budget.max_tokens} that exceeds max_model_len"
                f" {config.max_model_len}",
                where=(
                    f"point {point.point_id} (task {point.task.name}, prompt {point.prompt.name}),"
                    f" problem {item.problem.problem_id}"
                ),
                remedy=(
                    f"Raise max_model_len to at least {max(counted) + point.budget.max_tokens}, or"
                    " lower the budget."
                ),
            )
    longest = max(counted)
    if (
        per_request_seed
        and engine.capabilities.needs_whole_seeded_prompts
        and longest * config.max_num_seqs > config.max_num_batched_tokens
    ):
        raise IsocostError(
            f"per_request_seed needs room for whole prompts in a step: {config.max_num_seqs}"
            f" prompts of up to {longest} tokens do not fit into max_num_batched_tokens"
            f" {config.max_num_batched_tokens}",
            where="engine.options.per_request_seed",
            remedy=(
                f"Raise max_num_batched_tokens to {longest * config.max_num_seqs}, or leave"
                " per_request_seed out."
            ),
        )
    return longest
