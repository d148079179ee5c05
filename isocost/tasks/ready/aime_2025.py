"""AIME 2025: the thirty problems of the American Invitational Mathematics Examination of 2025.

Lives here: the data set's columns. Not here: the prompt (``math_prompts``).
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.ready.math_prompts import BOXED
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text


@register_ready
class Aime2025(ReadyTask):
    """No shots; the answer is a whole number from 0 to 999 in a box."""

    name = "aime_2025"
    title = "olympiad qualifier of 2025, whole numbers, zero-shot"
    dataset = "math-ai/aime25"
    split = "test"
    columns = ("problem", "answer")
    verifier = "numeric"
    licence = "problems of the Mathematical Association of America; see the data set's card"
    follows = "prompt and scoring of the AIME tasks of lighteval, version 2"

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The number is the reference."""
        question = text(row, "problem", where)
        return Made(question, text(row, "answer", where), f"{BOXED}{question}")
