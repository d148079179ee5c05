"""Trees of reasoning steps that play the model."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field

SEPARATOR = "\n\n"


@dataclass
class Node:
    """A step: its word, its score, whether the solution ends with it, and the steps after it."""

    word: str
    score: float
    ends: bool = False
    children: list[Node] = field(default_factory=list)


def random_tree(seed: int, *, depth: int, branches: int, early: float = 0.2) -> list[Node]:
    """The first steps of a tree in which every node has as many children."""
    rng = random.Random(seed)
    numbers = iter(range(10**6))

    def grow(left: int) -> list[Node]:
        nodes = []
        for _ in range(branches):
            ends = left == 1 or rng.random() < early
            node = Node(f"w{next(numbers)}", rng.uniform(0.05, 0.95), ends)
            node.children = [] if ends else grow(left - 1)
            nodes.append(node)
        return nodes

    return grow(depth)


def token(word: str) -> int:
    return int(word[1:]) + 10


class TreeModel:
    """Answers a step with the next child of its path in turn, whose log-probability is its score."""

    def __init__(self, roots: list[Node], **changes) -> None:
        self.roots, self.changes = roots, changes
        self.asked: Counter[tuple[int, ...]] = Counter()

    def __call__(self, call):
        nodes = self.roots
        for number in call.prefix:
            nodes = next(n for n in nodes if token(n.word) == number).children
        node = nodes[self.asked[call.prefix] % len(nodes)]
        self.asked[call.prefix] += 1
        return {
            "text": node.word,
            "token_ids": (token(node.word),),
            "output_tokens": 1,
            "logprob_sum": math.log(node.score),
            "finish_reason": "stop",
            "stop_text": None if node.ends else SEPARATOR,
            **self.changes,
        }


def solutions(roots: list[Node], before: tuple[Node, ...] = ()):
    """Every solution of a tree, as its nodes."""
    for node in roots:
        path = (*before, node)
        if node.ends:
            yield path
        else:
            yield from solutions(node.children, path)


def text_of(path) -> str:
    return SEPARATOR.join(node.word for node in path)
