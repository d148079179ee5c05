"""Oracles for the estimators: every subset or every order, one at a time, in plain Python."""

from __future__ import annotations

import itertools
from collections import Counter
from fractions import Fraction
from math import comb, factorial


def mean_over_subsets(n: int, k: int, value) -> float:
    """Mean of value(indices) over all k-subsets of range(n)."""
    results = [value(subset) for subset in itertools.combinations(range(n), k)]
    return sum(results) / len(results)


def credit(votes: dict, worth, ties: str = "uniform") -> float:
    """What the winner of the votes is worth; an empty ballot is worth nothing."""
    if not votes:
        return 0.0
    top = max(votes.values())
    tied = [worth[g] for g, v in votes.items() if abs(v - top) <= 1e-9 * max(abs(top), 1e-300)]
    return {"uniform": sum(tied) / len(tied), "pessimistic": min(tied), "optimistic": max(tied)}[
        ties
    ]


def majority(classes, worth, ties: str = "uniform", ignore: int | None = -1):
    """value(indices) for a majority vote; ``ignore`` is the class of samples that abstain."""

    def value(subset):
        return credit(Counter(classes[i] for i in subset if classes[i] != ignore), worth, ties)

    return value


def orders(classes):
    """All distinct orders of a multiset of classes, each once (they are equally likely)."""

    def grow(left):
        if not left:
            yield ()
        for g in sorted(left):
            rest = left - Counter([g])
            for tail in grow(rest):
                yield (g, *tail)

    return list(grow(Counter(classes)))


def orders_of(counts) -> int:
    """How many distinct orders a bank with these counts has."""
    total = factorial(sum(counts))
    for c in counts:
        total //= factorial(c)
    return total


def sequence_of(counts) -> list[int]:
    """Class numbers of a bank with these counts."""
    return [g for g, c in enumerate(counts) for _ in range(c)]


def exact_majority(counts, k: int) -> Fraction:
    """Chance that class 0 wins a vote of k with uniform ties, in rationals.

    The product of polynomials, term by term.
    """
    total = Fraction(0)
    for v in range(1, min(counts[0], k) + 1):
        terms = {(0, 0): 1}
        for rival in counts[1:]:
            longer: dict[tuple[int, int], int] = {}
            for (z, tied), c in terms.items():
                for x in range(min(v, rival, k - v - z) + 1):
                    key = (z + x, tied + (x == v))
                    longer[key] = longer.get(key, 0) + c * comb(rival, x)
            terms = longer
        total += sum(
            Fraction(c * comb(counts[0], v), tied + 1)
            for (z, tied), c in terms.items()
            if z == k - v
        )
    return total / comb(sum(counts), k)
