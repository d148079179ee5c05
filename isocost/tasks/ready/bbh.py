"""BIG-Bench Hard: twenty-seven subsets, each with a task description and three worked examples.

Lives here: the data set's columns and the prompt. Not here: the examples themselves
(``bbh_examples.json``: those of the paper's repository, by subset, with its canary).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from isocost.hub.rows import Row
from isocost.tasks.hub_rows import Rows
from isocost.tasks.model import Problem, TaskLike
from isocost.tasks.ready_made import Made, ReadyTask, register_ready, text

_BEFORE = "\n\nQ: "


@cache
def examples() -> dict[str, str]:
    """Description and examples by subset, in the order of the subsets' names."""
    read = json.loads(Path(__file__).with_name("bbh_examples.json").read_text("utf-8"))
    return {name: read[name] for name in sorted(read) if name != "canary"}


@register_ready
class Bbh(ReadyTask):
    """Three shots, each "Q: ... A: Let's think step by step. ... So the answer is X."."""

    name = "bbh"
    title = "27 hard subsets of BIG-Bench, 3-shot chain of thought; sorted by subset"
    is_sorted = True
    dataset = "SaylorTwift/bbh"
    split = "test"
    columns = ("input", "target")
    verifier = "exact"
    n_shots = 3
    licence = "MIT; BIG-Bench Apache-2.0"
    follows = (
        "Suzgun et al. 2022 (arXiv:2210.09261): examples and prompts of its repository, which"
        " tasks bbh_cot_fewshot of lm-evaluation-harness contain, too"
    )

    def problems(self, task: TaskLike, rows: Rows) -> Iterator[Problem]:
        """Subset after subset, in the order of their names."""
        for subset in examples():
            yield from super().problems(task, replace(rows, subset=subset))

    def shots(self, rows: Rows, count: int) -> tuple[str, str]:
        """Name, and description and first examples, of a subset."""
        parts = examples()[str(rows.subset)].split(_BEFORE)
        return str(rows.subset), _BEFORE.join(parts[: 1 + count])

    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """The target is the reference: an option's letter, a word, a number or a sequence."""
        subset, shown = shots
        question, target = text(row, "input", where), text(row, "target", where)
        prompt = f"{shown}{_BEFORE}{question}\nA: Let's think step by step."
        return Made(question, target, prompt, metadata={"subset": subset})
