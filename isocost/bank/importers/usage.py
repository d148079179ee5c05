"""Token counts as chat interfaces report them, brought to one meaning.

Lives here: whether the prompt's count includes what came from a cache, and zeros that mean unknown. Not here: any format.
"""

from __future__ import annotations

from typing import Any

from isocost.bank.importers.row import Row


def put_usage(row: Row, usage: dict[str, Any]) -> None:
    """Prompt, output, reasoning and cached tokens of ``{input_tokens, output_tokens, total_tokens, input_tokens_cache_read, ...}``.

    OpenAI counts what a cache served among the input tokens, Anthropic beside them. ``total_tokens`` tells which; without it, more
    read from the cache than there is input does. prompt_tokens is all of the prompt here, cached_tokens the part from a cache.
    """
    row.integer("prompt_tokens", usage.get("input_tokens"))
    row.integer("output_tokens", usage.get("output_tokens"))
    row.integer("reasoning_tokens", usage.get("reasoning_tokens"))
    row.integer("cached_tokens", usage.get("input_tokens_cache_read"))
    prompt, cached = row.values.get("prompt_tokens"), row.values.get("cached_tokens") or 0
    if prompt is None:
        return
    written = usage.get("input_tokens_cache_write")
    beside = cached + (written if isinstance(written, int) and not isinstance(written, bool) and written > 0 else 0)
    total, output = usage.get("total_tokens"), row.values.get("output_tokens") or 0
    if beside and (total == prompt + output + beside or (total != prompt + output and cached > prompt)):
        row.integer("prompt_tokens", prompt + beside)
    elif prompt == 0 and not beside:
        row.null("prompt_tokens", "zero_means_unknown")
        if output == 0:
            row.null("output_tokens", "zero_means_unknown")
    elif total:
        # Whether the parts add up to it is judged with the rest of physics, in isocost.tables.imports_physics.
        row.integer("total_tokens", total)
