"""Where a reply ends although the text continues.

An invented next question, or the markers of a chat template. Lives here: the places at which a text
may be cut. Not here: whether there is an answer before one (``grading``): a model that repeats the
question first has not answered yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Markers by which chat templates end a turn or start another one.
_TURN = (
    r"<\|(?:im_end|im_start|eot_id|eom_id|end_of_text|endoftext|end|user|assistant|system|start_header_id|begin_of_text|return|start"
    r"|END_OF_TURN_TOKEN|START_OF_TURN_TOKEN|im_sep)\|>|</s>|<(?:end|start)_of_turn>|<eos>|\[/?INST\]|<｜(?:end▁of▁sentence|User|Assistant)｜>"
)
# Another speaker.
_SPEAKER = r"^[ \t]*(?:\*\*|#{1,6}[ \t]*)?(?:Human|User)[ \t]*(?:\*\*)?[ \t]*:"
_MARKS = re.compile(_TURN)
_MARKS_AND_SPEAKERS = re.compile(f"(?:{_TURN})|(?:{_SPEAKER})", re.MULTILINE)
_ASKED = (
    "question|problem|instruction|input|student|exercise|task|example|quiz|next question|new"
    " question|another question|"
    "frage|aufgabe|pregunta|problema|ejercicio|"
    "exercice|domanda|pergunta|exercício|вопрос|задача|задание"
)
_WEAK = re.compile(
    rf"^[ \t]*(?:\*\*|#{{1,6}}[ \t]*|[-=]{{3,}}\s*)?(?:Q[ \t]*[0-9]{{0,4}}|"
    rf"(?:{_ASKED})(?:[ \t]*\#?[0-9]{{1,4}})?)(?:\*\*)?[ \t]*[:：.](?![0-9])"
    r"|^[ \t]*(?:\*\*|#{1,6}[ \t]*)(?:question|problem|exercise)\b"
    r"|(?<=\n\n)[ \t]*(?:problem|question|exercise|Q)[ \t]*\#?[0-9]{0,4}[ \t]*$"
    r"|^[ \t]*(?:\*\*)?(?:题目|问题|問題|下一题|问|質問|문제|질문)[ \t]*[0-9]{0,4}(?:\*\*)?["
    r" \t]*[:：]",
    re.MULTILINE | re.IGNORECASE,
)
_HEAD = re.compile(rf"\A(?:\s*(?:{_TURN})(?:assistant\b)?)+")
MAX_CUTS = 50
"""Places tried in one text; a text with more just keeps inventing questions."""


def turn(text: str, *, speakers: bool = True) -> str:
    """The text up to the first marker of another turn; markers at the very start are skipped.

    Args:
        text: the reply.
        speakers: whether a line that starts with "Human:" or "User:" is such a marker.
    """
    if "<" not in text and "[" not in text and "Human" not in text and "User" not in text:
        return text
    text = _HEAD.sub("", text)
    for found in (_MARKS_AND_SPEAKERS if speakers else _MARKS).finditer(text):
        if text[: found.start()].strip():
            return text[: found.start()]
    return text


def cuts(text: str) -> Iterator[str]:
    """The text before each place at which a next question may start, the shortest first.

    Blank ones are left out.
    """
    if "\n" not in text:
        return
    for number, match in enumerate(_WEAK.finditer(text)):
        if number == MAX_CUTS:
            return
        before = text[: match.start()]
        if before.strip():
            yield before
