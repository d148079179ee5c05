"""ARC: grade-school science questions with three to five choices, the easy and the challenge set.

Lives here: the data set's columns and the prompt. Not here: which letter of a reply is the choice
(the verifier "multiple_choice").
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.columns import choices_of
from isocost.tasks.ready_made import Made, ReadyTask, made_of_choices, register_ready, text

_PROMPT = (
    "Given the following question and {many} candidate answers ({letters}), choose the best"
    " answer.\nQuestion: {question}\n{choices}\nYour response should end with"
    ' "The best answer is [the_answer_letter]" where the [the_answer_letter] is one of {ends}.'
)
_MANY = {5: ("five", "A, B, C, D and E", "A, B, C, D or E")}
"""The convention speaks of four also where there are three; it never shows a fifth."""
_FOUR = ("four", "A, B, C and D", "A, B, C or D")


class _Arc(ReadyTask):
    dataset = "allenai/ai2_arc"
    split = "test"
    columns = ("question", "choices", "answerKey")
    verifier = "multiple_choice"
    licence = "CC BY-SA 4.0"
    follows = (
        "Clark et al. 2018 (arXiv:1803.05457); prompt of task arc_challenge_chat of"
        " lm-evaluation-harness, version 1, without its beginning of the reply, and with a fifth"
        " choice where there is one"
    )

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """Labels are letters or numbers in the data set; shown are letters."""
        question = text(row, "question", where)
        columns = {"choices": "choices", "reference": "answerKey"}
        choices = choices_of(row, columns, where, form="label", shuffle=None)
        many, letters, ends = _MANY.get(len(choices.texts), _FOUR)
        prompt = _PROMPT.format(
            many=many, letters=letters, ends=ends, question=question, choices=choices.lettered
        )
        return made_of_choices(question, choices, prompt)


@register_ready
class ArcChallenge(_Arc):
    """The challenge set."""

    name = "arc_challenge"
    title = "grade-school science, hard questions, zero-shot"
    subset = "ARC-Challenge"


@register_ready
class ArcEasy(_Arc):
    """The easy set."""

    name = "arc_easy"
    title = "grade-school science, easy questions, zero-shot"
    subset = "ARC-Easy"
