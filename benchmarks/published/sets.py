"""The published files, the figure of each, and how it is graded.

Lives here: the files by project, with the figure that was published for them and where. Not here:
importing and printing (``__main__``).

Nothing is fetched: give the folder that holds the repositories, each under its name (``git
clone``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CUT_OFF = (
    "three texts are cut off before their answer, which the file does not tell; ours reads the"
    " option named last"
)
MEAN, ANY = "mean over samples", "any sample of a problem"


@dataclass(frozen=True, slots=True)
class Figure:
    """One published number.

    Attributes:
        value: percent, as published; None where the file has none.
        where: where it was published.
        measure: ``MEAN`` or ``ANY``.
        note: why ours may differ.
    """

    value: float | None
    where: str
    measure: str = MEAN
    note: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """One published file.

    Attributes:
        project: repository.
        name: what it holds.
        path: the file, relative to the folder of repositories.
        mapping: name of the mapping file in this folder.
        verifier: the verifier; None for the labels in the file.
        figures: what was published of it.
    """

    project: str
    name: str
    path: str
    mapping: str
    verifier: str | None
    figures: tuple[Figure, ...]


def published(root: Path) -> Iterator[Published]:
    """Every known file, present or not; those of BIG-Bench Hard as they lie under ``root``."""
    yield from _tree_of_thoughts()
    yield from _program_of_thoughts()
    yield from _tora()
    yield from _esc()
    yield from _big_bench_hard(root)


def _tree_of_thoughts() -> Iterator[Published]:
    project, paper = "tree-of-thought-llm", "paper, table 2"
    files = [
        (
            "game of 24, standard prompt",
            "naive_standard_sample_100",
            "game24_standard",
            [(7.3, paper, MEAN), (33.0, paper, ANY)],
        ),
        (
            "game of 24, chain of thought",
            "naive_cot_sample_100",
            "game24",
            [(4.0, paper, MEAN), (49.0, paper, ANY)],
        ),
        (
            "game of 24, breadth-first search",
            "propose1_value3_greedy5",
            "game24",
            [(69.0, "readme, of this very log", ANY)],
        ),
    ]
    for name, file, mapping, figures in files:
        path = f"{project}/logs/game24/gpt-4_0.7_{file}_start900_end1000.json"
        yield Published(
            project, name, path, mapping, None, tuple(Figure(*figure) for figure in figures)
        )


def _program_of_thoughts() -> Iterator[Published]:
    project, paper = "Program-of-Thoughts", "readme, figures"
    rounded = (
        "theirs rounds both numbers to the fewer decimals of the two (106.12 is 106); ours does not"
    )
    guessed = 'theirs counts "None" as option A; ours as no answer'
    files = [
        ("GSM8K, few-shot", "gsm8K_s0_e-1_11_17_10_20", "pot", "numeric", 71.6, rounded),
        ("GSM8K, zero-shot", "gsm8K_zs_s0_e-1_11_19_09_55", "pot", "numeric", 57.0, rounded),
        ("SVAMP, few-shot", "svamp_s0_e-1_11_24_14_38", "pot", "numeric", 85.2, rounded),
        ("SVAMP, zero-shot", "svamp_zs_s0_e-1_11_18_20_12", "pot", "numeric", 70.8, rounded),
        (
            "MultiArith, zero-shot",
            "multiarith_zs_s0_e-1_11_19_20_12",
            "pot",
            "numeric",
            92.2,
            rounded,
        ),
        ("AQuA, few-shot", "aqua_s0_e-1_11_06_18_38", "pot_aqua", "multiple_choice", 54.1, guessed),
        (
            "AQuA, 30 programs and a vote",
            "aqua_sc_s0_e-1_11_07_20_49",
            "pot_aqua",
            "multiple_choice",
            58.6,
            guessed,
        ),
        (
            "AQuA, zero-shot",
            "aqua_zs_s0_e-1_11_19_11_56",
            "pot_aqua",
            "multiple_choice",
            43.9,
            guessed,
        ),
    ]
    for name, file, mapping, verifier, value, note in files:
        yield Published(
            project,
            name,
            f"{project}/outputs/{file}.jsonl",
            mapping,
            verifier,
            (Figure(value, paper, MEAN, note),),
        )


def _tora() -> Iterator[Published]:
    hundredth = (
        "theirs takes a hundredth of the reference, or a hundred times it, for right (0.05 for 5)"
    )
    for model, value, note in (
        ("tora-70b-v1.0", 84.3, ""),
        ("tora-code-34b-v1.0", 80.7, hundredth),
    ):
        path = f"ToRA/src/outputs/llm-agents/{model}/gsm8k/test_tora_-1_seed0_t0.0_s0_e1319.jsonl"
        yield Published(
            "ToRA",
            f"GSM8K, {model}",
            path,
            "tora",
            "numeric",
            (Figure(value, "its .metrics file", MEAN, note),),
        )


def _esc() -> Iterator[Published]:
    where = "none published for these files"
    for name, path in (
        ("last letters, GPT-3.5", "GPT3.5_result/last_letters"),
        ("coin flip, GPT-4", "GPT4_result/coin_flip"),
    ):
        yield Published(
            "ESC", name, f"ESC/{path}/T0.7.jsonl", "esc", "exact", (Figure(None, where),)
        )


def _big_bench_hard(root: Path) -> Iterator[Published]:
    project = "BIG-Bench-Hard"
    for file in sorted(
        (root / project).glob("code-davinci-002-outputs/*/*_few_shot_template_0-255000.json")
    ):
        metrics = file.with_name(f"{file.stem}_eval_metrics.jsonl")
        value = (
            json.loads(metrics.read_text(encoding="utf-8"))["accuracy"]
            if metrics.is_file()
            else None
        )
        targets = re.findall(r'"target": "((?:[^"\\]|\\.)*)"', file.read_text(encoding="utf-8"))
        verifier = (
            "multiple_choice"
            if targets and all(re.fullmatch(r"\([A-Z]\)", target) for target in targets)
            else "exact"
        )
        name = f"{file.name.split('_few_shot')[0]}, {file.parent.name.rsplit('-', 1)[-1]}"
        where = "its _eval_metrics.jsonl" if value is not None else "none published for this file"
        figure = Figure(value, where, MEAN, _CUT_OFF if name == "snarks, cot" else "")
        yield Published(
            project, name, file.relative_to(root).as_posix(), "bbh", verifier, (figure,)
        )
    if not (root / project).is_dir():
        yield Published(
            project,
            "all tasks",
            f"{project}/code-davinci-002-outputs",
            "bbh",
            None,
            (Figure(None, ""),),
        )
