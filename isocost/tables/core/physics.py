"""Impossible values: imported records checked against physics and against each other.

Lives here: the list of rules, each with what it sets to NULL or repairs, their application to rows
of raw_imports, and the few that also apply to calls of our own engines. Not here: types
and ranges of single values (``isocost.importers.row``), clocks of generated calls
(``isocost.tables.core.samples``).

raw_imports keeps what the source wrote. The rules run in their order, each on the result of the
earlier ones, and every change is reported: in ``physics_reasons`` (``column: reason``, which
becomes core_samples.costs_unknown_reasons), for energy in ``energy_unknown_reason``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

REASONS = "physics_reasons"
SLACK_S = 1e-3
"""Two clocks of one client may be this far out of step; more is a defect."""
TOLERANCE_RATIO = 0.05
"""Mean gap x (tokens - 1) and latency - time to first token may differ by this much.

The end of a stream is not a token.
"""
MAX_TOKENS_PER_S = 1e5
"""Tokens generated per second for one request.

The fastest published single streams reach a few thousand.
"""
MAX_POWER_W = 1e6
"""Energy of a request over its latency.

A full rack of the largest accelerators draws about 140 kW.
"""
MAX_TOKENS = 1e9
"""Tokens of one request. The longest context that anybody announced is 100 million."""
MAX_SECONDS = 1e7
"""Duration of one request. A batch service answers within days; this is four months."""
MAX_ENERGY_J = 1e12
"""Energy of one record without a latency to determine its power: a rack at full load for three
months.
"""
MAX_COST_USD = 1e6
"""Price of one record.

The longest context at the highest published price is a few hundred dollars.
"""
MIN_LOGPROB_PER_TOKEN = -30.0
"""Mean log-probability.

Less likely tokens are sampled by no model, see ``isocost.gates.thresholds``.
"""
MIN_LOGPROB_SUM = MIN_LOGPROB_PER_TOKEN * MAX_TOKENS
MAX_UNIX_S = 4_102_444_800.0
"""The year 2100: a larger Unix time is in milliseconds or nanoseconds."""


@dataclass(frozen=True)
class Rule:
    """One impossible condition.

    Attributes:
        code: the recorded reason.
        broken: true where the rule is violated; NULL counts as not violated.
        clears: columns that then become NULL.
        repairs: columns that then get another value.
        kinds: kinds of records that it applies to; a window is a summary number.
    """

    code: str
    broken: pl.Expr
    clears: tuple[str, ...] = ()
    repairs: Mapping[str, pl.Expr] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("sample", "request")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the rule may change."""
        return (*self.clears, *self.repairs)


def _c(name: str) -> pl.Expr:
    return pl.col(name)


_OUTPUT, _PROMPT, _REASONING = _c("output_tokens"), _c("prompt_tokens"), _c("reasoning_tokens")
_CACHED, _TOTAL = _c("cached_tokens"), _c("total_tokens")
_HAS_TEXT = _c("output_text").str.len_bytes().fill_null(0) > 0
_NO_TOKENS = (_OUTPUT == 0).fill_null(False) & ~_HAS_TEXT
_DECODING = _c("latency_s") - _c("ttft_s")
_GAPS = _OUTPUT - 1
_SUM = _PROMPT + _OUTPUT
_COUNTS = (
    "prompt_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "total_tokens",
    "verification_tokens",
)
_SECONDS = ("queue_s", "ttft_s", "inter_token_s", "latency_s")

RULES: tuple[Rule, ...] = (
    *(
        Rule("negative", _c(name) < 0, (name,))
        for name in (*_COUNTS, *_SECONDS, "energy_j", "cost_usd")
    ),
    *(Rule("longer_than_any_request", _c(name) > MAX_SECONDS, (name,)) for name in _SECONDS),
    Rule("more_energy_than_any_record", _c("energy_j") > MAX_ENERGY_J, ("energy_j",)),
    Rule("more_than_any_price", _c("cost_usd") > MAX_COST_USD, ("cost_usd",)),
    *(Rule("more_than_any_context_holds", _c(name) > MAX_TOKENS, (name,)) for name in _COUNTS),
    # A text of no tokens: the count is the source's word for unknown.
    Rule("zero_tokens_beside_a_text", (_OUTPUT == 0) & _HAS_TEXT, ("output_tokens",)),
    # Counts: the parts of the generated tokens, and the tokens from a cache.
    Rule(
        "reasoning_is_counted_beside_output",
        (_REASONING > _OUTPUT)
        & ((_TOTAL == _SUM + _REASONING) | _TOTAL.is_null() | _PROMPT.is_null()),
        repairs={"output_tokens": _OUTPUT + _REASONING},
    ),
    Rule("more_reasoning_than_output", _REASONING > _OUTPUT, ("output_tokens", "reasoning_tokens")),
    Rule(
        "reasoning_is_counted_beside_output",
        (_REASONING > 0) & (_TOTAL == _SUM + _REASONING),
        repairs={"output_tokens": _OUTPUT + _REASONING},
    ),
    Rule(
        "cache_is_counted_beside_prompt",
        (_CACHED > _PROMPT) & (_TOTAL == _SUM + _CACHED),
        repairs={"prompt_tokens": _PROMPT + _CACHED},
    ),
    Rule("more_cached_than_prompt", _CACHED > _PROMPT, ("cached_tokens",)),
    # That nothing was generated is borne out by an empty text; then it is the total that is off.
    Rule(
        "input_and_output_are_not_the_total",
        (_TOTAL != _SUM) & ~_NO_TOKENS,
        ("prompt_tokens", "output_tokens"),
    ),
    # A request has a prompt: a count of nothing is the source's word for unknown.
    Rule("zero_tokens_of_a_prompt", _PROMPT == 0, ("prompt_tokens",)),
    # Times: a duration of zero was not measured.
    Rule("not_unix_seconds", _c("started_unix_s") > MAX_UNIX_S, ("started_unix_s",)),
    Rule("not_unix_seconds", _c("ended_unix_s") > MAX_UNIX_S, ("ended_unix_s",)),
    *(
        Rule("before_any_computer", _c(name) < 0, (name,))
        for name in ("started_unix_s", "ended_unix_s")
    ),
    Rule(
        "ends_before_it_starts",
        _c("ended_unix_s") < _c("started_unix_s") - SLACK_S,
        ("started_unix_s", "ended_unix_s"),
    ),
    Rule("zero_time_is_no_measurement", (_c("latency_s") == 0) & ~_NO_TOKENS, ("latency_s",)),
    Rule("faster_than_any_hardware", _c("latency_s") * MAX_TOKENS_PER_S < _OUTPUT, ("latency_s",)),
    Rule("zero_time_is_no_measurement", (_c("ttft_s") == 0) & ~_NO_TOKENS, ("ttft_s",)),
    Rule("no_token_came", _c("ttft_s").is_not_null() & _NO_TOKENS, ("ttft_s",)),
    Rule("first_token_after_the_end", _c("ttft_s") > _c("latency_s") + SLACK_S, ("ttft_s",)),
    # Gaps between chunks of several tokens are not time per token; the ends determine it.
    Rule(
        "fewer_than_two_tokens",
        _c("inter_token_s").is_not_null() & ((_OUTPUT == 1) | _NO_TOKENS),
        ("inter_token_s",),
    ),
    Rule(
        "recomputed_from_latency_and_ttft",
        ((_c("inter_token_s") * _GAPS - _DECODING).abs() > _DECODING * TOLERANCE_RATIO + SLACK_S)
        & (_DECODING > 0)
        & (_GAPS > 0),
        repairs={"inter_token_s": _DECODING / _GAPS},
    ),
    Rule(
        "all_tokens_came_at_once",
        _c("inter_token_s").is_not_null() & (_DECODING <= 0) & (_GAPS > 0),
        ("inter_token_s",),
    ),
    Rule("zero_time_is_no_measurement", _c("inter_token_s") == 0, ("inter_token_s",)),
    Rule(
        "gaps_longer_than_the_record",
        _c("inter_token_s") * _GAPS > _c("latency_s") * (1 + TOLERANCE_RATIO) + SLACK_S,
        ("inter_token_s",),
    ),
    # Energy.
    Rule(
        "zero_energy_is_no_measurement",
        (_c("energy_j") == 0) & ~((_c("latency_s") == 0).fill_null(False) & _NO_TOKENS),
        ("energy_j",),
        kinds=("sample", "request", "aggregate"),
    ),
    Rule(
        "more_power_than_any_machine", _c("energy_j") > _c("latency_s") * MAX_POWER_W, ("energy_j",)
    ),
    # A price of zero for tokens means an unknown price: tools write 0 for a model that is not in
    # their list.
    Rule(
        "zero_is_no_price",
        (_c("cost_usd") == 0) & ~_NO_TOKENS,
        ("cost_usd",),
        kinds=("sample", "request"),
    ),
    # Chances are at most 1.
    Rule("probability_above_one", _c("logprob_sum") > 1e-6, ("logprob_sum",)),
    Rule(
        "less_likely_than_any_sampling",
        (_c("logprob_sum") < MIN_LOGPROB_SUM)
        | ((_OUTPUT > 0) & (_c("logprob_sum") < MIN_LOGPROB_PER_TOKEN * _OUTPUT)),
        ("logprob_sum",),
    ),
)


def mean_gap() -> pl.Expr:
    """Mean time between two tokens from latency, time to first token and tokens.

    NULL where one is unknown or nothing is between them.
    """
    return pl.when((_DECODING > 0) & (_GAPS > 0)).then(_DECODING / _GAPS)


CALL_RULES: tuple[Rule, ...] = (
    Rule("zero_tokens_of_a_prompt", _PROMPT == 0, ("prompt_tokens",)),
    Rule("more_cached_than_prompt", _CACHED > _PROMPT, ("cached_tokens",)),
    Rule("probability_above_one", _c("logprob_sum") > 1e-6, ("logprob_sum",)),
    Rule(
        "faster_than_any_hardware",
        _c("latency_s") * MAX_TOKENS_PER_S < _OUTPUT,
        ("latency_s", "prefill_s", "decode_s"),
    ),
)
"""Rules that also apply to calls of our own engines.

Their clocks are checked in ``isocost.tables.core.samples``.
"""


def judged_by_physics(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows with impossible values set to NULL or repaired, and ``physics_reasons``.

    Args:
        raw: rows of raw_imports, of any kind; readings of devices are unchanged, and only the
            energy of summary numbers is checked.

    Returns:
        The same rows in the same order with one more column, ``physics_reasons`` (list of ``column:
        reason``, in the order of the rules).
        Where energy became NULL its method is NULL, too, and ``energy_unknown_reason`` is the
        rule's code.
    """
    return _applied(raw, RULES, has_kinds=True)


def calls_judged_by_physics(calls: pl.DataFrame) -> pl.DataFrame:
    """Call of an engine with their times, by ``CALL_RULES``; else as ``judged_by_physics``."""
    return _applied(calls, CALL_RULES, has_kinds=False)


def _applied(frame: pl.DataFrame, rules: tuple[Rule, ...], *, has_kinds: bool) -> pl.DataFrame:
    added: list[str] = []
    hits = [_hit(rule, has_kinds) for rule in rules]
    # Most frames break no rule: one pass finds that out. A change can make a later rule apply, so
    # from the first broken rule on each is asked of the frame as it is then.
    broken = frame.select(hit.any().alias(str(i)) for i, hit in enumerate(hits)).row(0)
    first = broken.index(True) if True in broken else len(rules)
    for rule, hit in zip(rules[first:], hits[first:], strict=True):
        marked = frame.with_columns(hit.alias("_hit"))
        if not marked["_hit"].any():
            continue
        words = {
            f"_reason{len(added) + number}": word for number, word in enumerate(_reasons(rule))
        }
        frame = marked.with_columns(*_changes(rule), **words).drop("_hit")
        added += words
    reasons = pl.concat_list(added).list.drop_nulls() if added else pl.lit([], pl.List(pl.String))
    return frame.with_columns(reasons.alias(REASONS)).drop(added)


def _hit(rule: Rule, has_kinds: bool) -> pl.Expr:
    is_judged = pl.col("record_kind").is_in(rule.kinds) if has_kinds else pl.lit(True)
    return rule.broken.fill_null(False) & is_judged


def _changes(rule: Rule) -> list[pl.Expr]:
    changed = [pl.when(~pl.col("_hit")).then(pl.col(name)).alias(name) for name in rule.clears]
    changed += [
        pl.when("_hit").then(value).otherwise(pl.col(name)).alias(name)
        for name, value in rule.repairs.items()
    ]
    if "energy_j" in rule.columns:
        changed.append(
            pl.when(~pl.col("_hit")).then(pl.col("energy_method")).alias("energy_method")
        )
        changed.append(
            pl.when("_hit")
            .then(pl.lit(rule.code))
            .otherwise("energy_unknown_reason")
            .alias("energy_unknown_reason")
        )
    return changed


def _reasons(rule: Rule) -> list[pl.Expr]:
    """The reason for each column that had a value: a NULL value has not changed."""
    return [
        pl.when(pl.col("_hit") & pl.col(name).is_not_null()).then(pl.lit(f"{name}: {rule.code}"))
        for name in rule.columns
        if name != "energy_j"
    ]
