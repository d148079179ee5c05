"""HumanEval+: HumanEval's 164 functions with EvalPlus' many more tests.

Lives here: the data set's columns, the prompt, and one test that the data set has wrong. Not here:
running programs (the verifier "code").
"""

from __future__ import annotations

from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.ready.evalplus_tests import INSTRUCTION, without_numpy
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text

_MISCALLED = ("_poly(*candidate(*inp), inp)", "abs(_poly(*inp, candidate(*inp)))")
"""The data set unpacks the number that `find_zero` returns, so that no program could pass.

The second is how EvalPlus itself judges this problem.
"""


@register_ready
class HumanEvalPlus(ReadyTask):
    """The program has to be whole: imports, helpers and the function."""

    name = "humaneval_plus"
    title = "Python functions from docstrings, with EvalPlus' tests; needs ISOCOST_RUN_CODE=1"
    dataset = "evalplus/humanevalplus"
    split = "test"
    columns = ("prompt", "test", "entry_point")
    verifier = "code"
    licence = "Apache-2.0; HumanEval MIT"
    follows = (
        "Chen et al. 2021 (arXiv:2107.03374), Liu et al. 2023 (arXiv:2305.01210); prompt of"
        " EvalPlus"
    )

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The tests and the call of their `check` are the reference."""
        question, entry = text(row, "prompt", where), text(row, "entry_point", where)
        tests = without_numpy(text(row, "test", where).replace(*_MISCALLED), where)
        return Made(
            question,
            f"{tests}\n\ncheck({entry})\n",
            INSTRUCTION.replace("{prompt}", question),
            metadata={"entry_point": entry},
        )
