"""Why generation ended: the common values, mapped to one meaning.

Lives here: the one table for all importers. Not here: what a finish means for grading
(isocost.tasks).

The values are those of OpenAI (chat and responses), Anthropic, Gemini and Vertex, Bedrock
(Converse, Titan, Cohere, AI21), Mistral, Cohere, vLLM, SGLang, TGI, llama.cpp, Ollama, Inspect and
HELM. They are compared ignoring case, and ``-``, ``.`` and spaces are ``_``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

CUT_OFF, FINISHED, FAILED, ABORTED = "length", "stop", "error", "abort"
WITHHELD, REFUSED = "content_filter", "refusal"

_WORDS = {
    CUT_OFF: (
        "length max_tokens max_length max_output_tokens max_new_tokens max_completion_tokens"
        " max_gen_toks maxtokens model_length model_context_window_exceeded context_length_exceeded"
        " context_length context_full contextfull token_limit token_budget max_tokens_reached"
        " length_limit limit error_limit truncated incomplete"
    ),
    FINISHED: (
        "stop eos eos_token eot eog end_turn stop_sequence stop_word word stop_criteria_met"
        " endoftext end_of_text complete completed finish finished normal tool_calls tool_call"
        " tool_use function_call"
    ),
    WITHHELD: (
        "content_filter content_filtered contentfilter safety recitation blocklist"
        " prohibited_content spii language image_safety guardrail_intervened error_toxic"
        " sensitive"
    ),
    REFUSED: "refusal refused",
    FAILED: (
        "error failed failure model_error network_error insufficient_system_resource"
        " malformed_function_call malformed_model_output malformed_tool_use"
        " rag_query_when_rag_disabled timeout"
    ),
    ABORTED: "abort aborted cancelled canceled user_cancel user_cancelled",
}
MEANING = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
"""Word of the field -> ``length`` (cut off), ``stop``, ``content_filter`` (not finished, by a
filter), ``refusal`` (by the model), ``error`` or ``abort``.
"""
_SAYS_NOTHING = ("", "unknown", "unspecified", "other", "none", "null", "nan", "n/a", "n_a")
"""Values that do not state a reason; kept unchanged and not reported."""
_PREFIXES = ("finish_reason_", "finishreason_", "stop_reason_", "stopreason_")


def meaning(word: str) -> str | None:
    """What a word means; None where it is not known."""
    return MEANING.get(_spelled(word))


def _spelled(word: str) -> str:
    spelled = word.strip().casefold()
    for mark in "-. ":
        spelled = spelled.replace(mark, "_")
    for prefix in _PREFIXES:
        spelled = spelled.removeprefix(prefix)
    return spelled


def finish_meaning(words: pl.Series) -> pl.Series:
    """Words of a source as the words of this project; one that is not known stays as it is."""
    found = {word: meaning(word) or word for word in words.drop_nulls().unique()}
    return words.replace(found) if found else words


def unknown_words(words: Iterable[tuple[str | None, int]]) -> str | None:
    """A sentence on unknown values, with their counts; None if there are none.

    Args:
        words: value and its count.
    """
    tally: Counter[str] = Counter()
    for word, number in words:
        if word is not None and meaning(word) is None and _spelled(word) not in _SAYS_NOTHING:
            tally[word] += number
    if not tally:
        return None
    listed = ", ".join(
        f"{word[:40]!r} ({number})"
        for word, number in sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:8]
    )
    return (
        f"unknown finish reasons are kept unchanged, and such samples count as finished: {listed}"
    )
