"""GPQA-Diamond: graduate-level science questions with four choices in an order that is drawn.

Lives here: the data set's columns, the order of the choices and the prompt. Not here: access to the
data set, which is gated (``isocost.hub``).
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.columns import choices_of, lettered
from isocost.tasks.ready_made import Made, ReadyTask, made_of_choices, register_ready, text

_CHOICES = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
_PROMPT = (
    "Answer the following multiple choice question. The last line of your response should be of the"
    " following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step"
    " by step before answering.\n\n"
)


@register_ready
class GpqaDiamond(ReadyTask):
    """No shots; the last line is "Answer: LETTER"."""

    name = "gpqa_diamond"
    title = "graduate-level science, four choices in an order drawn from the seed, zero-shot"
    dataset = "Idavidrein/gpqa"
    files = "gpqa_diamond.csv"
    columns = ("Question", *_CHOICES)
    verifier = "multiple_choice"
    licence = "CC BY 4.0; gated: its authors ask not to publish examples"
    follows = "Rein et al. 2023 (arXiv:2311.12022); prompt and scoring of simple-evals"

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The letter under which the correct answer is shown is the reference."""
        question = text(row, "Question", where)
        columns = {"choices": list(_CHOICES), "reference": _CHOICES[0]}
        choices = choices_of(row, columns, where, form=None, shuffle=f"{seed}:{question}")
        shown = lettered(choices.texts, "{letter}) {text}")
        prompt = f"{_PROMPT}{question}\n\n{shown}"
        return made_of_choices(
            question, choices, prompt, shown=shown, choice_order=list(choices.order)
        )
