"""MBPP+: basic programming problems with EvalPlus' many more tests.

Lives here: the data set's columns and the prompt. Not here: running programs (the verifier "code").
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.ready.evalplus_tests import INSTRUCTION, without_numpy
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text, unexpected


@register_ready
class MbppPlus(ReadyTask):
    """The problem is shown with the first of its original tests, which says the function's name."""

    name = "mbpp_plus"
    title = "basic Python problems, with EvalPlus' tests; needs ISOCOST_RUN_CODE=1"
    dataset = "evalplus/mbppplus"
    split = "test"
    columns = ("prompt", "test_list", "test")
    verifier = "code"
    licence = "Apache-2.0; MBPP CC BY 4.0"
    follows = (
        "Austin et al. 2021 (arXiv:2108.07732), Liu et al. 2023 (arXiv:2305.01210); prompt of"
        " EvalPlus"
    )

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """All of EvalPlus' tests are the reference."""
        shown = row["test_list"]
        if not isinstance(shown, list) or not shown:
            raise unexpected("column test_list is not a list of tests", where)
        question = f"{text(row, 'prompt', where)}\n{str(shown[0]).strip()}"
        return Made(
            question,
            without_numpy(text(row, "test", where), where),
            INSTRUCTION.replace("{prompt}", f'"""\n{question}\n"""'),
        )
