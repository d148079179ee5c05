"""Small repositories for the fake hub, in the layout that data sets and models have on the Hub."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fake_hub import FakeHub

TOKEN = "hf_TheTokenOfThisTest12345"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def card(*configs: tuple[str, dict[str, str]]) -> bytes:
    """A README whose metadata lists the files of each split of each subset."""
    text = "---\nlicense: mit\nconfigs:\n"
    for name, splits in configs:
        text += f"- config_name: {name}\n  data_files:\n"
        text += "".join(f"  - split: {s}\n    path: {path}\n" for s, path in splits.items())
    return (text + "---\n# A data set\n").encode()


def sums(first: int = 0) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {i} + {i}?", "answer": f"#### {2 * i}", "level": i % 3}
        for i in range(first, first + 40)
    ]


def quiz() -> list[dict[str, Any]]:
    return [
        {
            "passage": f"Passage {i}.",
            "ask": f"Which number follows {i}?",
            "options": [str(i), str(i + 1), str(i + 2)],
            "right": 1,
            "topic": "numbers",
        }
        for i in range(10)
    ]


def fill(hub: FakeHub) -> None:
    """Two data sets (Parquet with a card, JSON Lines without) and a gated one."""
    hub.tokens[TOKEN] = set()
    splits = {"train": "main/train-*", "test": "main/test-*"}
    hub.add(
        "dataset",
        "org/sums",
        {
            "README.md": card(("main", splits), ("hard", {"test": "hard/*.parquet"})),
            "main/train-00000-of-00001.parquet": parquet(sums(100)),
            "main/test-00000-of-00002.parquet": parquet(sums()[:20]),
            "main/test-00001-of-00002.parquet": parquet(sums()[20:]),
            "hard/test-00000-of-00001.parquet": parquet(sums(500)),
        },
    )
    hub.add(
        "dataset",
        "org/quiz",
        {"test.jsonl": lines(quiz()), "validation.jsonl": lines(quiz()[:2]), "notes.txt": b"x"},
    )
    hub.add("dataset", "org/secret", {"test.jsonl": lines(quiz())}, is_gated=True)
