"""Token counts of chat APIs, converted to one meaning.

Also counts of several completions.

Lives here: whether a prompt's count includes what came from a cache, whether an output's includes
the reasoning, zeros that mean unknown, counts and times of several completions. Not here: any
format, and the physics of what came in (isocost.tables).
"""

from __future__ import annotations

from typing import Any

from isocost.importers.row import Row


def put_usage(row: Row, usage: dict[str, Any], *, completions: int = 1) -> None:
    """Prompt, output, reasoning and cached tokens of a usage report.

    ``{input_tokens, output_tokens, total_tokens, input_tokens_cache_read, ...}``.

    Here, prompt_tokens is the whole prompt and cached_tokens the part from a cache; output_tokens
    is everything generated and reasoning_tokens the reasoning part of it. APIs differ: OpenAI
    counts what a cache served among the input tokens, and reasoning among the output; Anthropic
    counts a cache's reads and writes beside the input; Gemini and Grok count reasoning beside the
    output. ``total_tokens`` tells which it is. Without a total that fits, only what cannot be meant
    otherwise is added: more read from the cache than there is input, more reasoning than there is
    output.

    Args:
        row: where the counts go.
        usage: the counts of one request.
        completions: completions that the request returned; its counts are no single one's where
            there are several.
    """
    if completions > 1:
        covers_several(
            row, completions, *(column for column, name in _COLUMNS.items() if _count(usage, name))
        )
        return
    for column, name in _COLUMNS.items():
        row.integer(column, usage.get(name))
    prompt, output = row.values.get("prompt_tokens"), row.values.get("output_tokens")
    cached, thought = row.values.get("cached_tokens") or 0, row.values.get("reasoning_tokens") or 0
    beside = cached + _count(usage, "input_tokens_cache_write")
    if not prompt and not output and not beside and not thought:
        for column in ("prompt_tokens", "output_tokens"):
            if column in row.values:
                row.null(column, "zero_means_unknown")
        return
    cache_beside, thought_beside = _beside(
        prompt or 0, output or 0, beside, cached, thought, _count(usage, "total_tokens")
    )
    if prompt is not None and cache_beside:
        row.integer("prompt_tokens", prompt + beside)
    elif prompt == 0 and not beside:
        row.null("prompt_tokens", "zero_means_unknown")
    if output is not None and thought_beside:
        row.integer("output_tokens", output + thought)
    if not cache_beside and not thought_beside:
        # Where nothing had to be read into the total, whether the parts add up to it is a matter of
        # physics.
        row.integer("total_tokens", _count(usage, "total_tokens") or None)


def covers_several(row: Row, completions: int, *columns: str) -> None:
    """Leave columns NULL whose value the source states of several completions together."""
    for column in columns:
        row.null(column, f"usage_covers_{completions}_samples")


def put_summed_latency(row: Row, ttft: Any, gaps: list[Any]) -> None:
    """The latency of a request as time to first token plus gaps.

    A time of 0 to an existing first token, or an unknown one, was not measured, and neither was the
    sum.
    """
    if (
        isinstance(ttft, int | float)
        and not isinstance(ttft, bool)
        and (ttft > 0 or row.values.get("output_tokens") == 0)
    ):
        row.seconds("latency_s", ttft + sum(gaps))
    elif ttft is not None:
        row.null("latency_s", "time_to_first_token_is_unknown")


_COLUMNS = {
    "prompt_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cached_tokens": "input_tokens_cache_read",
}


def _beside(
    prompt: int, output: int, beside: int, cached: int, thought: int, total: int
) -> tuple[bool, bool]:
    """Whether cached and reasoning tokens are counted separately from prompt and output."""
    possible = [
        (of_cache, of_thought)
        for of_cache in ((False, True) if beside else (False,))
        for of_thought in ((False, True) if thought else (False,))
        # A part is never more than the whole that it is counted in.
        if (of_cache or cached <= prompt) and (of_thought or thought <= output)
    ]
    fitting = [
        way for way in possible if total == prompt + output + beside * way[0] + thought * way[1]
    ]
    # If unknown, the reading that adds the least; caches are counted separately more often than
    # reasoning is.
    return min(fitting or possible, key=lambda way: (way[1], way[0]))


def _count(usage: dict[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
