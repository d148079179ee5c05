"""AIME: the thirty problems of each year's American Invitational Mathematics Examination.

Lives here: the data sets' columns and the prompt. Not here: when two numbers are equal (the
verifier "numeric").
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text

_PROMPT = (
    "Solve the following math problem efficiently and clearly.  The last line of your response"
    " should be of the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I"
    " hope it is correct' (without quotes) where ANSWER is just the final number or expression that"
    " solves the problem. Think step by step before answering.\n\n"
)
"""Of lighteval's AIME tasks (MIT), which took it from Llama 3's and simple-evals' prompts.

Without the white space around it.
"""


class _Aime(ReadyTask):
    columns = ("problem", "answer")
    verifier = "numeric"
    licence = "problems of the Mathematical Association of America; see the data set's card"
    follows = "prompt and scoring of the AIME tasks of lighteval, version 2"

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """No shots; the reference is a whole number from 0 to 999, the reply's in a box."""
        question = text(row, "problem", where)
        return Made(question, text(row, "answer", where), f"{_PROMPT}{question}")


@register_ready
class Aime2024(_Aime):
    """The year 2024."""

    name = "aime_2024"
    title = "olympiad qualifier of 2024, whole numbers, zero-shot"
    dataset = "HuggingFaceH4/aime_2024"
    split = "train"


@register_ready
class Aime2025(_Aime):
    """The year 2025."""

    name = "aime_2025"
    title = "olympiad qualifier of 2025, whole numbers, zero-shot"
    dataset = "math-ai/aime25"
    split = "test"
