"""Validate engine output, for all engines alike, before it becomes a row.

Lives here: `judged` (types, ranges and plausibility of a row's values) and `judged_logprobs`. Not
here: the format in which an engine receives them (``isocost.engines``), nor whether a sample counts
(``isocost.tables``).

One value that a part cannot store, such as half of a surrogate pair, would cost every row that is
sealed with it. So every row leaves here in a form that the table accepts: the essentials of a
sample (text, tokens, finish reason) are intact or the row is an error with its reason; any other
impossible value is NULL, with its reason in ``error``, and the finish reason is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isocost.engines.logprobs import TokenLogprobs
from isocost.schema.model import Column
from isocost.schema.registry import table

MOST_TOKENS = 10**8
"""No context has a hundred million tokens; a larger count is a mistake or an attack."""
HIGHEST_LOGPROB = 1e-3
"""Rounding can make ln p slightly positive, also in half precision."""
LOWEST_LOGPROB = -1e4
ENDED = ("stop", "length", "repetition", "content_filter", "refusal")
"""Finish reasons of a call that came back, whatever its text is worth."""
FINISHES = (*ENDED, "abort", "error")

_OURS = frozenset(
    [
        "session_id",
        "run_id",
        "call_id",
        "sample_id",
        "point_id",
        "problem_id",
        "attempt",
        "sample_index",
        "call_index",
        "parent_call_id",
        "role",
        "method",
        "wave",
        "request_hash",
        "partner",
        "task",
        "model_variant",
        "prompt_name",
        "prompt_hash",
        "seed",
        "is_warmup",
        "completion_hash",
    ]
)
"""Columns that do not come from the engine."""
_MAKE_THE_SAMPLE = ("finish_reason", "output_text", "output_token_ids")
_COUNTS = (
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "num_preemptions",
    "num_retries",
)
_LIMITS = {"int32": 2**31 - 1, "int64": 2**63 - 1}
_MOST_REASON = 4000


def judged(row: dict[str, Any], *, notes: Sequence[str] = ()) -> dict[str, Any]:
    """A row of raw_generations with values that are valid and do not contradict each other.

    Args:
        row: from an engine's completion; changed in place and returned.
        notes: faults found earlier, added to ``error``.

    Returns:
        The row. ``finish_reason`` is "error" if text, tokens or finish reason are invalid;
        everything from the engine is then NULL except times and retry counts.
    """
    fatal, notes = [], list(notes)
    for column in table("raw_generations").columns:
        value = row.get(column.name)
        if column.name in _OURS or value is None:
            continue
        row[column.name], fault = _typed(column, value)
        if fault:
            (fatal if column.name in _MAKE_THE_SAMPLE else notes).append(f"{column.name} {fault}")
    finish = row.get("finish_reason")
    if not fatal and finish not in FINISHES:
        fatal.append(
            "finish_reason is missing"
            if finish is None
            else f"finish_reason {finish[:40]!r} is not one of {', '.join(FINISHES)}"
        )
    if (
        not fatal
        and finish in ENDED
        and row.get("output_text") is None
        and row.get("output_token_ids") is None
    ):
        fatal.append("it ended normally, but there is neither text nor tokens")
    notes += _senseless(row)
    if fatal:
        for name in (
            c.name
            for c in table("raw_generations").columns
            if c.name not in _OURS and not c.name.endswith("_s")
        ):
            row[name] = (
                None if name not in ("error", "num_retries", "num_preemptions") else row.get(name)
            )
        row["finish_reason"], row["completion_hash"] = "error", None
    if fatal or notes:
        reported = [row["error"]] if row.get("error") else []
        row["error"] = "; ".join([*reported, *fatal, *notes])[:_MOST_REASON]
    return row


def _typed(column: Column, value: Any) -> tuple[Any, str | None]:
    """The value as its column stores it, or None and a description of the fault."""
    if column.type == "string":
        return _text(value)
    if column.type in _LIMITS:
        return _whole(value, _LIMITS[column.type])
    if column.type == "float64":
        return _real(value)
    if column.name == "choice_logprobs":
        return _choice_logprobs(value)
    if column.type.startswith("list["):
        return _list(value, column.type[5:-1])
    return value, None


def _text(value: Any) -> tuple[str | None, str | None]:
    if not isinstance(value, str):
        return None, f"is {type(value).__name__}, not text"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return (
            None,
            (
                f"contains half of a surrogate pair (U+{ord(value[error.start]):04X}) at "
                f"character {error.start + 1}, which is not valid text"
            ),
        )
    return value, None


def _whole(value: Any, most: int) -> tuple[int | None, str | None]:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None, f"is {type(value).__name__}, not a whole number"
    if isinstance(value, float | np.floating) and (not math.isfinite(value) or value != int(value)):
        return None, f"is {value:g}, not a whole number"
    if abs(int(value)) > most:
        return None, "is out of range"
    return int(value), None


def _real(value: Any) -> tuple[float | None, str | None]:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None, f"is {type(value).__name__}, not a number"
    if not abs(value) <= 1e300:
        return None, "is not finite"
    return float(value), None


def _list(value: Any, kind: str) -> tuple[list[Any] | None, str | None]:
    if not isinstance(value, list | tuple | np.ndarray):
        return None, f"is {type(value).__name__}, not a list"
    if not len(value):
        return [], None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None, "is not a list of numbers"
    if array.ndim != 1 or array.dtype.kind not in ("iu" if kind == "int32" else "iuf"):
        return (
            None,
            "is not a list of whole numbers" if kind == "int32" else "is not a list of numbers",
        )
    if bool in set(map(type, value)):
        return None, "is not a list of numbers"
    if kind == "int32":
        fits = int(array.min()) >= 0 and int(array.max()) <= _LIMITS["int32"]
        return (list(value), None) if fits else (None, "contains a number that is not a token id")
    fits = bool((np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max).all())
    return (list(value), None) if fits else (None, "contains a number that is not finite")


def _choice_logprobs(value: Any) -> tuple[list[Any] | None, str | None]:
    """Ln p of each choice; None inside for one that was not among the most likely tokens."""
    is_list = isinstance(value, list | tuple)
    known, fault = _list([v for v in value if v is not None] if is_list else value, "float64")
    if known is None:
        return None, fault
    if known and max(known) > HIGHEST_LOGPROB:
        return None, f"contains a log-probability of {max(known):.3g}, which is impossible"
    return list(value), None


def _senseless(row: dict[str, Any]) -> list[str]:
    """Remove impossible or contradictory numbers; return what was wrong with them."""
    notes = []
    for name in _COUNTS:
        value = row.get(name)
        if value is not None and not 0 <= value <= MOST_TOKENS:
            notes.append(
                f"{name} is {'negative' if value < 0 else f'{value:.3g}'}, which is impossible "
                f"for a count"
            )
            row[name] = None
    prompt, output, cached, ids = (
        row.get(name)
        for name in ("prompt_tokens", "output_tokens", "cached_tokens", "output_token_ids")
    )
    if prompt == 0:
        notes.append("prompt_tokens is 0, though there was a prompt")
        row["prompt_tokens"] = None
    elif prompt is not None and cached is not None and cached > prompt:
        notes.append(f"cached_tokens ({cached}) are more than prompt_tokens ({prompt})")
        row["prompt_tokens"] = row["cached_tokens"] = None
    thoughts = row.get("reasoning_tokens")
    if output is not None and thoughts is not None and thoughts > output:
        notes.append(f"reasoning_tokens ({thoughts}) are more than output_tokens ({output})")
        row["reasoning_tokens"] = None
    if output is not None and ids is not None and output != len(ids):
        notes.append(f"output_tokens is {output}, but there are {len(ids)} tokens")
        row["output_tokens"] = None
    elif output == 0 and (row.get("output_text") or row.get("reasoning_text")):
        notes.append("output_tokens is 0, though there is text")
        row["output_tokens"] = None
    if (total := row.get("logprob_sum")) is not None and total > HIGHEST_LOGPROB * max(
        output or 1, 1
    ):
        notes.append(
            f"logprob_sum is {total:.3g}, which is impossible for a sum of log-probabilities"
        )
        row["logprob_sum"] = None
    for name in ("arrival_unix_s", "queued_s", "scheduled_s", "first_token_s", "last_token_s"):
        if (moment := row.get(name)) is not None and not 0 <= moment < 1e11:
            notes.append(f"{name} is not a valid time ({moment:.3g} s)")
            row[name] = None
    return notes


def judged_logprobs(logprobs: TokenLogprobs | None) -> tuple[TokenLogprobs | None, str | None]:
    """Valid log-probabilities, or None and a description of the fault.

    A most likely token may have probability zero (it was masked); a generated token may not.
    """
    if logprobs is None or not len(logprobs.sampled):
        return logprobs, None
    sampled, top = logprobs.sampled, logprobs.top
    if not np.isfinite(sampled).all():
        return None, "a token's log-probability is not finite"
    if sampled.max() > HIGHEST_LOGPROB or (top.size and not (top <= HIGHEST_LOGPROB).all()):
        return None, "a log-probability is positive or not a number"
    if sampled.min() < LOWEST_LOGPROB or (
        top.size and top[np.isfinite(top)].min(initial=0.0) < LOWEST_LOGPROB
    ):
        return None, f"a log-probability is below {LOWEST_LOGPROB:g}"
    return logprobs, None
