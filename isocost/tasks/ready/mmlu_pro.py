"""MMLU-Pro: questions from fourteen subjects with up to ten choices, and five worked examples.

Lives here: the data set's columns, the examples (from its validation split, by subject) and the
prompt. Not here: which letter of a reply is the choice (the verifier "multiple_choice").
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from string import ascii_uppercase
from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.columns import choices_of, lettered
from isocost.tasks.hub_rows import Rows
from isocost.tasks.ready_made import (
    Made,
    ReadyTask,
    made_of_choices,
    register_ready,
    text,
    unexpected,
)

_INTRODUCTION = (
    "The following are multiple choice questions (with answers) about {category}. Think step by"
    ' step and then finish your answer with "the answer is (X)" where X is the correct letter'
    " choice.\n"
)
_BEGINNING = "A: Let's think step by step. "


@register_ready
class MmluPro(ReadyTask):
    """Five shots of the same subject, each ending with "The answer is (X)."."""

    name = "mmlu_pro"
    title = "fourteen subjects, up to ten choices, 5-shot chain of thought"
    is_sorted = True
    dataset = "TIGER-Lab/MMLU-Pro"
    split = "test"
    columns = ("question", "options", "answer", "answer_index", "category")
    verifier = "multiple_choice"
    n_shots = 5
    licence = "MIT"
    follows = (
        "Wang et al. 2024 (arXiv:2406.01574), as task mmlu_pro of lm-evaluation-harness,"
        " version 3.1"
    )

    def shots(self, rows: Rows, count: int) -> dict[str, str]:
        """The introduction and the first examples of each subject."""
        examples: dict[str, list[str]] = defaultdict(list)
        needed = {name: name for name in ("question", "options", "category", "cot_content")}
        for where, row in replace(rows, split="validation").read(needed):
            told = text(row, "cot_content", where).replace(_BEGINNING, "")
            examples[text(row, "category", where)].append(f"{_asked(row, where)} {told}\n\n")
        return {
            category: _INTRODUCTION.replace("{category}", category) + "".join(parts[:count])
            for category, parts in examples.items()
        }

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The letter of the answer is the reference; the order of the choices stays."""
        category = text(row, "category", where)
        if category not in shots:
            raise unexpected(f"the validation split has no examples about {category}", where)
        columns = {"choices": "options", "reference": "answer_index"}
        choices = choices_of(row, columns, where, form="index", shuffle=None)
        if choices.letter != text(row, "answer", where):
            raise unexpected(
                f"the answer {row['answer']} is not the choice number {row['answer_index']}", where
            )
        prompt = f"{shots[category]}{_asked(row, where)}"
        return made_of_choices(text(row, "question", where), choices, prompt, category=category)


def _asked(row: Row, where: str) -> str:
    options = [str(option).strip() for option in row["options"] or ()][: len(ascii_uppercase)]
    shown = lettered(options, "{letter}. {text}")
    question = text(row, "question", where)
    return f"Question:\n{question}\nOptions:\n{shown}\nAnswer: Let's think step by step."
