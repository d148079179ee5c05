"""MATH-500: five hundred problems of the MATH benchmark, chosen by Lightman et al.

Lives here: the data set's columns and the prompt. Not here: when two formulas are equal (the
verifier "symbolic").
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text

_PROMPT = (
    "Solve the following problem. The final line of your response MUST be of the following"
    ' format:\n"ANSWER: $ANSWER" (without quotes) where $ANSWER is the final answer. Think step by'
    " step before answering.\n\n"
)


@register_ready
class Math500(ReadyTask):
    """No shots; the last line is "ANSWER: ..."."""

    name = "math_500"
    title = "competition mathematics, zero-shot"
    dataset = "HuggingFaceH4/MATH-500"
    split = "test"
    columns = ("problem", "answer", "subject", "level")
    verifier = "symbolic"
    licence = "MIT (MATH of Hendrycks et al. 2021, chosen in PRM800K)"
    follows = (
        "Lightman et al. 2023 (arXiv:2305.20050); prompt of task math_500 of lighteval, version 2"
    )

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The final answer, without the solution, is the reference."""
        question = text(row, "problem", where)
        known = {"subject": text(row, "subject", where), "level": text(row, "level", where)}
        return Made(question, text(row, "answer", where), f"{_PROMPT}{question}", metadata=known)
