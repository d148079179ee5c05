"""Two small clients for the sweep ``external``: a vote as a function, a refinement as a command.

Lives here: what a client of the meter looks like. Neither knows that it is measured. Not here: the
meter (``isocost.meter``).
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx


def said(problem: dict[str, Any], base_url: str, model: str, **more: Any) -> list[str]:
    """What the model says to a problem's messages, with the sampling of its point.

    Args:
        problem: what a client is given.
        base_url: where the model is asked.
        model: its name there.
        more: further keys of the request.
    """
    body = {
        "model": model,
        "messages": problem["messages"],
        "temperature": problem["temperature"],
        "max_tokens": problem["max_tokens"],
    }
    answer = httpx.post(f"{base_url}/chat/completions", json=body | more, timeout=300)
    answer.raise_for_status()
    return [choice["message"]["content"] or "" for choice in answer.json()["choices"]]


def vote(problem: dict[str, Any], base_url: str, model: str, votes: int = 5) -> str:
    """The first text whose last number is the most frequent one of several answers."""
    texts = said(problem, base_url, model, n=votes)
    numbers = [(re.findall(r"-?\d+", text) or [""])[-1] for text in texts]
    counts = Counter(filter(None, numbers))
    return texts[numbers.index(counts.most_common(1)[0][0])] if counts else texts[0]


def refine(problem: dict[str, Any], base_url: str, model: str) -> str:
    """An answer after one look back."""
    asked: Sequence[dict[str, str]] = problem["messages"]
    [first] = said(problem, base_url, model)
    turns = [
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Is that right? Reply with only the number."},
    ]
    [second] = said(problem, base_url, model, messages=[*asked, *turns])
    return second


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(refine(given["problem"], given["base_url"], given["model"]))
