"""A few rows of each ready-made task's data set, in its real schema and layout, written for tests.

The problems are made up. Each entry has the repository's files, one reply that is right for the
first problem and one that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub_repos import card, lines, parquet


@dataclass(frozen=True)
class Sample:
    """A data set and replies to its first problem."""

    files: dict[str, bytes]
    reference: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def csv_of(columns: list[str], rows: list[list[str]]) -> bytes:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([columns, *rows])
    return out.getvalue().encode()


def _splits(name: str, folder: str, *splits: str) -> bytes:
    return card((name, {split: f"{folder}/{split}-*" for split in splits}))


GSM8K = Sample(
    files={
        "README.md": _splits("main", "main", "train", "test"),
        "main/train-00000-of-00001.parquet": parquet([{"question": "t", "answer": "#### 1"}]),
        "main/test-00000-of-00001.parquet": parquet(
            [
                {
                    "question": "Ann has 3 pens and buys 4 boxes of 300 pens. How many has she?",
                    "answer": "4 * 300 = <<4*300=1200>>1200\n3 + 1200 = 1203\n#### 1,203",
                },
                {"question": "What is half of 8?", "answer": "8 / 2 = <<8/2=4>>4\n#### 4"},
            ]
        ),
    },
    reference="1,203",
    right=(
        "She buys 4 * 300 = 1200. 1200 + 3 = 1203. The answer is 1203.",
        "The answer is 1,203.\n\nQ: What is 1 + 1?\nA: The answer is 2.",
    ),
    wrong=("1200 pens. The answer is 1200.", "I do not know."),
)
MATH_500 = Sample(
    files={
        "README.md": b"# no metadata",
        "test.jsonl": lines(
            [
                {
                    "problem": "What is $\\frac{1}{2} + \\frac{1}{4}$?",
                    "solution": "It is $\\boxed{\\frac{3}{4}}$.",
                    "answer": "\\frac{3}{4}",
                    "subject": "Prealgebra",
                    "level": 2,
                    "unique_id": "test/prealgebra/1.json",
                },
                {
                    "problem": "Give the interval of $x$ with $1 < x < 2$.",
                    "solution": "",
                    "answer": "(1,2)",
                    "subject": "Algebra",
                    "level": 1,
                    "unique_id": "test/algebra/2.json",
                },
            ]
        ),
    },
    reference="\\frac{3}{4}",
    right=("Add.\nANSWER: $\\frac34$", "ANSWER: 0.75", "So it is $\\boxed{3/4}$."),
    wrong=("ANSWER: $\\frac{4}{3}$", "ANSWER: 3"),
)


def _aime(split: str, answer: object) -> dict[str, bytes]:
    row = {
        "id": 60,
        "problem": "Find the remainder when $2^{10}$ is divided by $1000$.",
        "solution": "$1024 = 1000 + 24$.",
        "answer": answer,
        "url": "https://example.org",
        "year": "2024",
    }
    return {
        "README.md": card(("default", {split: f"data/{split}-*"})),
        f"data/{split}-00000-of-00001.parquet": parquet([row]),
    }


AIME_2024 = Sample(
    files=_aime("train", "024"),
    reference="024",
    right=("Therefore, the final answer is: $\\boxed{24}$. I hope it is correct", "\\boxed{024}"),
    wrong=("Therefore, the final answer is: $\\boxed{240}$. I hope it is correct",),
)
AIME_2025 = Sample(
    files={
        "test.jsonl": lines([{"problem": "What is $5^2$?", "answer": "25", "id": "0"}]),
    },
    reference="25",
    right=("Therefore, the final answer is: $\\boxed{25}$. I hope it is correct",),
    wrong=("Therefore, the final answer is: $\\boxed{52}$. I hope it is correct",),
)
_GPQA = [
    "Pre-Revision Question",
    "Question",
    "Correct Answer",
    "Incorrect Answer 1",
    "Incorrect Answer 2",
    "Incorrect Answer 3",
    "High-level domain",
]
GPQA_DIAMOND = Sample(
    files={
        "README.md": card(
            ("gpqa_main", {"train": "gpqa_main.csv"}),
            ("gpqa_diamond", {"train": "gpqa_diamond.csv"}),
        ),
        "gpqa_main.csv": csv_of(_GPQA, [["", "m?", "a", "b", "c", "d", "Physics"]]),
        "gpqa_diamond.csv": csv_of(
            _GPQA,
            [
                ["x", f"Which is {i},\nof these?\n", f" right {i}\n", "w1", "w2", "w3", "Physics"]
                for i in range(8)
            ],
        ),
    },
    reference="",
    right=("I think.\nAnswer: {letter}", "Answer: ${letter}$", "**Answer: {letter}**"),
    wrong=("Answer: {other}", "Answer: none of them"),
)

SAMPLES = {
    "gsm8k": GSM8K,
    "math_500": MATH_500,
    "aime_2024": AIME_2024,
    "aime_2025": AIME_2025,
    "gpqa_diamond": GPQA_DIAMOND,
}
