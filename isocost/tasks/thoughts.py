"""Separate reasoning from the reply: the markers of common model families, in one table.

Lives here: the markers around reasoning, and its removal. Not here: the position of the answer in
the reply (``extract``).

Unfinished reasoning is not an answer, whatever it contains. A closing marker without an opening one
ends reasoning that started in the prompt (DeepSeek-R1, QwQ and Qwen3 templates put the opening
marker there).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

THOUGHT_MARKS: tuple[tuple[str, str], ...] = (
    (
        "<think>",
        "</think>",
        # DeepSeek-R1, Qwen3, QwQ, GLM, Phi-4-reasoning, Granite 3.3, SmolLM3, Olmo 3, Nemotron,
        # MiniMax, Hunyuan.
    ),
    ("<thinking>", "</thinking>"),  # Claude-style prompts, Reflection
    ("<thought>", "</thought>"),  # EXAONE Deep, Marco-o1
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),  # GRPO recipes, LLaVA-CoT
    ("<reason>", "</reason>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<longcat_think>", "</longcat_think>"),  # LongCat-Flash-Thinking
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    ("<|think|>", "<|end|>"),  # Solar Open
    ("<reflection>", "</reflection>"),  # Reflection, outside its <thinking>
    ("<analysis>", "</analysis>"),  # prompts that ask for it
    ("<|im_start|>think", "<|im_start|>answer"),  # s1
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<unused94>thought", "<unused95>"),  # MedGemma
    ("Here is my thought process:", "Here is my response:"),  # Granite 3.2
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),  # Apriel
)
"""Opening and closing marker, compared ignoring case."""

# gpt-oss (harmony): only the channel "final" is for the user; "analysis" and "commentary" are not.
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
# The same if the decoder dropped the special tokens and left their words: "analysisWe need
# ...assistantfinalIt is 9".
_BARE_ANALYSIS = re.compile(r"\A\s*analysis(?=[A-Z\"'(<0-9\\$])")
_BARE_FINAL = "assistantfinal"


_BEGINNINGS = frozenset("<[◁")
"""The first characters of markers, except for those that are sentences.

Most replies contain neither and need no further work.
"""
_SENTENCES = ("ere is my", "ere are my", "HERE ")


@dataclass(frozen=True, slots=True)
class Thoughts:
    """How a task's models mark their reasoning.

    Attributes:
        marks: pairs of an opening and a closing mark, in addition to THOUGHT_MARKS.
        is_open: whether the prompt's template opens the reasoning, so that a reply without a
            closing marker is only reasoning.
    """

    marks: tuple[tuple[str, str], ...] = ()
    is_open: bool = False


USUAL = Thoughts()


def thoughts_of(settings: Any) -> Thoughts:
    """Read the setting `thoughts` of a task.

    For example {"marks": [[open, close], ...], "is_open": true}; both keys are optional.

    Raises:
        ValueError: a description of the mistake.
    """
    if settings is None:
        return USUAL
    if not isinstance(settings, Mapping) or set(settings) - {"marks", "is_open"}:
        raise ValueError("thoughts has the keys marks and is_open")
    marks, is_open = settings.get("marks", []), settings.get("is_open", False)
    if not isinstance(is_open, bool):
        raise ValueError("thoughts.is_open must be true or false")
    if not isinstance(marks, list | tuple) or not all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(mark, str) and mark.strip() for mark in pair)
        for pair in marks
    ):
        raise ValueError("thoughts.marks is a list of pairs, each an opening and a closing mark")
    if any(opening.casefold() == closing.casefold() for opening, closing in marks):
        raise ValueError("an opening mark and its closing mark must differ")
    return Thoughts(tuple((opening, closing) for opening, closing in marks), is_open)


@lru_cache(maxsize=64)
def _marks(
    own: tuple[tuple[str, str], ...],
) -> tuple[re.Pattern[str], dict[str, int], dict[str, int]]:
    pairs = (*THOUGHT_MARKS, *own)
    opening = {mark.casefold(): index for index, (mark, _) in enumerate(pairs)}
    closing = {mark.casefold(): index for index, (_, mark) in enumerate(pairs)}
    longest_first = sorted({mark for pair in pairs for mark in pair}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE), opening, closing


def said(text: str, thoughts: Thoughts = USUAL) -> tuple[str, bool]:
    """The reply without its reasoning.

    Args:
        text: the reply as generated.
        thoughts: a task's own settings.

    Returns:
        The text outside reasoning, and whether the last reasoning ended. If it did not, the text is
        what precedes it.
    """
    if (
        not thoughts.marks
        and not thoughts.is_open
        and _BEGINNINGS.isdisjoint(text)
        and not any(words in text for words in _SENTENCES)
        and not _BARE_ANALYSIS.match(text)
    ):
        return text, True
    channels = list(_CHANNEL.finditer(text))
    if channels:
        return _final_channel(text, channels)
    if _BARE_ANALYSIS.match(text):
        _, found, final = text.rpartition(_BARE_FINAL)
        return (final, True) if found else ("", False)
    return _outside(text, thoughts)


def _final_channel(text: str, channels: list[re.Match[str]]) -> tuple[str, bool]:
    finals = [match for match in channels if match[1] == "final"]
    if not finals:
        return "", False
    start = finals[-1].end()
    end = _CHANNEL_END.search(text, start)
    return text[start : end.start() if end else len(text)], True


def _outside(text: str, thoughts: Thoughts) -> tuple[str, bool]:
    pattern, opening, closing = _marks(thoughts.marks)
    pieces: list[str] = []
    position, inside = (
        0,
        -2 if thoughts.is_open else -1,
    )  # -1: outside; -2: a thought of unknown mark, from the prompt
    for match in pattern.finditer(text):
        mark = match[0].casefold()
        if inside == -1 and mark in opening:
            pieces.append(text[position : match.start()])
            inside = opening[mark]
        elif mark in closing and inside in (closing[mark], -2):
            inside, position = -1, match.end()
        elif inside == -1 and mark in closing and mark != "<|end|>":
            pieces.clear()  # the reasoning started in the prompt
            position = match.end()
    if inside == -1:
        pieces.append(text[position:])
    return "".join(pieces), inside == -1
