"""IFEval: prompts with instructions on the form of the reply.

Lives here: the data set's columns, and which of its prompts are asked. Not here: the rules
(``isocost.tasks.instructions``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.hub_rows import Rows
from isocost.tasks.instructions import CHECKS, instructions_of, reference_of
from isocost.tasks.model import Problem, TaskLike
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text, unexpected


@register_ready
class IfEval(ReadyTask):
    """The prompts all of whose instructions a rule can check."""

    name = "ifeval"
    title = "instructions on form: prompts that rules can check without a language detector"
    dataset = "google/IFEval"
    split = "train"
    columns = ("prompt", "instruction_id_list", "kwargs")
    verifier = "instructions"
    licence = "Apache-2.0"
    follows = (
        "Zhou et al. 2023 (arXiv:2311.07911): prompt-level strict accuracy; the score is the share"
        " of instructions followed"
    )

    def problems(self, task: TaskLike, rows: Rows) -> Iterator[Problem]:
        """Those of the data set's order that can be checked."""
        for problem in super().problems(task, rows):
            if problem.metadata["is_checkable"]:
                yield problem

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The instructions are the reference; the prompt is asked as it is."""
        question = text(row, "prompt", where)
        names, given = row["instruction_id_list"], row["kwargs"]
        if not names or not given or len(names) != len(given):
            raise unexpected("instructions and their parameters do not belong together", where)
        reference = reference_of(names, [one or {} for one in given])
        is_checkable = all(name in CHECKS for name in names)
        if is_checkable:
            try:
                instructions_of(reference)
            except ValueError as error:
                raise unexpected(str(error), where) from None
        return Made(question, reference, question, metadata={"is_checkable": is_checkable})
