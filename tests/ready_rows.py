"""A few rows of each ready-made task's data set, in its real schema and layout, written for tests.

The problems are made up. Each entry has the repository's files, one reply that is right for the
first problem and one that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


def _mmlu_pro(index: int, answer: int) -> dict[str, object]:
    return {
        "question_id": index,
        "question": f"Which is number {index}?",
        "options": [" none", "first ", "second", "third", "fourth"],
        "answer": "ABCDE"[answer],
        "answer_index": answer,
        "cot_content": f"A: Let's think step by step. It is {index}. The answer is ({'ABCDE'[answer]}).",
        "category": "computer science",
        "src": "made up",
    }


MMLU_PRO = Sample(
    files={
        "README.md": card(("default", {"test": "data/test-*", "validation": "data/validation-*"})),
        "data/test-00000-of-00001.parquet": parquet([_mmlu_pro(9, 4), _mmlu_pro(8, 1)]),
        "data/validation-00000-of-00001.parquet": parquet([_mmlu_pro(i, i % 5) for i in range(7)]),
    },
    reference="E",
    right=("Nine is last. The answer is (E).", "the answer is E"),
    wrong=("The answer is (D).", "The answer is (F)."),
)


def _arc(labels: str, key: str) -> dict[str, object]:
    return {
        "id": "Mercury_1",
        "question": "Which is hot?",
        "choices": {"text": [f"thing {label}" for label in labels], "label": list(labels)},
        "answerKey": key,
    }


ARC_CHALLENGE = Sample(
    files={
        "README.md": card(
            *((name, {"test": f"{name}/test-*"}) for name in ("ARC-Challenge", "ARC-Easy"))
        ),
        "ARC-Challenge/test-00000-of-00001.parquet": parquet(
            [_arc("1234", "3"), _arc("ABC", "A"), _arc("ABCDE", "E")]
        ),
        "ARC-Easy/test-00000-of-00001.parquet": parquet([_arc("ABCD", "B")]),
    },
    reference="C",
    right=("The best answer is C", "The best answer is C."),
    wrong=("The best answer is 3.", "The best answer is A."),
)
ARC_EASY = replace(
    ARC_CHALLENGE, reference="B", right=("The best answer is B.",), wrong=("The best answer is D",)
)
_COMPARES = """import numpy as np

def is_floats(x) -> bool:
    # check if it is float; List[float]; Tuple[float]
    if isinstance(x, float):
        return True
    if isinstance(x, (list, tuple)) and x:
        return all(isinstance(i, float) for i in x)
    if isinstance(x, np.ndarray):
        return x.dtype == np.float64 or x.dtype == np.float32
    return False


def assertion(out, exp, atol):
    exact_match = out == exp

    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert exact_match
"""
_POLY = """import math

def _poly(xs: list, x: float):
    return sum([coeff * math.pow(x, i) for i, coeff in enumerate(xs)])


def check(candidate):
    inputs = [[[1, 2]], [[-6, 11, -6, 1]]]
    results = [-0.5, 1.0]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assert _poly(*candidate(*inp), inp) <= 0.0001
"""
HUMANEVAL_PLUS = Sample(
    files={
        "README.md": card(("default", {"test": "data/test-*"})),
        "data/test-00000-of-00001.parquet": parquet(
            [
                {
                    "task_id": "HumanEval/0",
                    "prompt": 'def halves(xs):\n    """ Half of each number.\n    """\n',
                    "canonical_solution": "    return [x / 2 for x in xs]\n",
                    "entry_point": "halves",
                    "test": f"""{_COMPARES}

def check(candidate):
    inputs = [[[1, 2]], [[]], [[0.2]]]
    results = [[0.5, 1.0], [], [0.1]]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 0)
""",
                },
                {
                    "task_id": "HumanEval/32",
                    "prompt": 'def find_zero(xs: list):\n    """ A zero of a polynomial. """\n',
                    "canonical_solution": "",
                    "entry_point": "find_zero",
                    "test": _POLY,
                },
            ]
        ),
    },
    reference="",
    right=(
        "Here:\n```python\ndef halves(xs):\n    return [x / 2 for x in xs]\n```",
        "```python\ndef halves(xs):\n    return [x / 2 + 1e-9 for x in xs]\n```\nIt works.",
    ),
    wrong=(
        "```python\ndef halves(xs):\n    return [x // 2 for x in xs]\n```",
        "```python\ndef halves(xs):\n    return [x / 2 for x in xs][:1]\n```",
        "```python\ndef halves(xs):\n    return [x / 2 + 1e-3 for x in xs]\n```",
        "```python\n    return [x / 2 for x in xs]\n```",
    ),
)
MBPP_PLUS = Sample(
    files={
        "README.md": card(("default", {"test": "data/test-*"})),
        "data/test-00000-of-00001.parquet": parquet(
            [
                {
                    "task_id": 2,
                    "code": "def shared(a, b):\n    return tuple(set(a) & set(b))",
                    "prompt": "Write a function to find the shared elements of two lists.",
                    "source_file": "Benchmark Questions Verification V2.ipynb",
                    "test_imports": [],
                    "test_list": ["assert set(shared((3, 4), (5, 4))) == set((4,))"],
                    "test": f"""import numpy as np
from math import inf

{_COMPARES}

inputs = [[(3, 4), (5, 4)], [(1,), (2,)]]
results = [(4,), ()]
for i, (inp, exp) in enumerate(zip(inputs, results)):
    assertion(tuple(shared(*inp)), exp, 0)
""",
                }
            ]
        ),
    },
    reference="",
    right=("```python\ndef shared(a, b):\n    return [x for x in a if x in b]\n```",),
    wrong=("```python\ndef shared(a, b):\n    return (4,)\n```", "I cannot write code."),
)

BBH = Sample(
    files={
        "README.md": card(
            *(
                (name, {"test": f"{name}/test-*"})
                for name in ("boolean_expressions", "dyck_languages", "word_sorting")
            )
        ),
        "boolean_expressions/test-00000-of-00001.parquet": parquet(
            [{"input": "not ( True ) or False is", "target": "False"}]
        ),
        "dyck_languages/test-00000-of-00001.parquet": parquet(
            [{"input": "Complete the rest of the sequence. Input: [ ( )", "target": "]"}]
        ),
        "word_sorting/test-00000-of-00001.parquet": parquet(
            [{"input": "Sort the following words alphabetically: List: b a", "target": "a b"}]
        ),
    },
    reference="False",
    right=(
        "not ( True ) = False. So the answer is False.",
        "Z = False. So the answer is False.\n\nQ: True is\nA: So the answer is True.",
    ),
    wrong=("So the answer is True.", "not ( True ) or False", "I do not know."),
)

IFEVAL = Sample(
    files={
        "README.md": card(("default", {"train": "ifeval_input_data.jsonl"})),
        "ifeval_input_data.jsonl": lines(
            [
                {
                    "key": 999,
                    "prompt": "Answer in one sentence.",
                    "instruction_id_list": ["length_constraints:number_sentences"],
                    "kwargs": [{"num_sentences": 2, "relation": "less than"}],
                },
                {
                    "key": 1000,
                    "prompt": "Describe rain without commas, with a title in << >>.",
                    "instruction_id_list": ["punctuation:no_comma", "detectable_format:title"],
                    "kwargs": [{"num_words": None}, {}],
                },
            ]
        ),
    },
    reference='[{"instruction": "punctuation:no_comma"}, {"instruction": "detectable_format:title"}]',
    right=("<<Rain>>\nIt is water that falls.", "<<Rain>> Question: what is it?\nAnswer: water"),
    wrong=("<<Rain>>\nIt falls, mostly.", "It is water that falls."),
)

SAMPLES = {
    "ifeval": IFEVAL,
    "bbh": BBH,
    "arc_challenge": ARC_CHALLENGE,
    "arc_easy": ARC_EASY,
    "humaneval_plus": HUMANEVAL_PLUS,
    "mbpp_plus": MBPP_PLUS,
    "mmlu_pro": MMLU_PRO,
    "gsm8k": GSM8K,
    "math_500": MATH_500,
    "aime_2024": AIME_2024,
    "aime_2025": AIME_2025,
    "gpqa_diamond": GPQA_DIAMOND,
}

PROMPTS = {
    "ifeval": "c296cea049183622",
    "bbh": "41ce3638abff6def",
    "arc_challenge": "250e4d2e85847b05",
    "arc_easy": "219e0cd7a3a468d4",
    "humaneval_plus": "36e0c0c6be551957",
    "mbpp_plus": "3dcfa2424d94d13f",
    "mmlu_pro": "77e28f0cd3c4aa55",
    "gsm8k": "153bb631b0149190",
    "math_500": "94d2c346358f2383",
    "aime_2024": "2b518138843eb3c0",
    "aime_2025": "c773af68c98b9412",
    "gpqa_diamond": "6c6d20dd34c7bb4f",
}
"""Hash of the first prompt and reference at seed 0.

If one changes, `convention` of its task has to be raised with it.
"""
