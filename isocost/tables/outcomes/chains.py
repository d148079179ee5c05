"""Which points of different models are tried as a chain, from cheap to expensive.

Lives here: the choice of chains for cascades and routers, and its limit. Not here: the answers and
costs of a chain (``isocost.strategies.policies.chains``), rows (outcomes.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from isocost.strategies import PointBank
from isocost.strategies.policies.chains import ladder_costs
from isocost.tables.outcomes.banks import BankFacts

LONGEST_CHAIN = 3
# Chains grow with the cube of the number of points; past this many a prompt keeps those that are
# likeliest to be of use.
MOST_CHAINS = 64
MOST_MODELS = 7  # the most models whose pairs and triples are at most MOST_CHAINS

Member = tuple[PointBank, BankFacts]
Chain = tuple[Member, ...]


def choose_chains(group: Sequence[Member]) -> list[Chain]:
    """Set of two and three points of different models under one prompt, cheapest first.

    All of them if there are at most ``MOST_CHAINS``. Otherwise each model variant keeps the point
    with the most samples; if there are more than ``MOST_MODELS`` variants, those on the frontier of
    mean cost and accuracy of one sample are kept, evenly spread over their costs if there are too
    many, and filled up with the most accurate if there are too few.

    Args:
        group: points of one task and prompt that have samples.
    """
    members = list(group)
    if _count(members) > MOST_CHAINS:
        members = _one_a_model(members)
    if len(members) > MOST_MODELS and _count(members) > MOST_CHAINS:
        members = _most_useful(members)
    found = [chain for size in range(2, LONGEST_CHAIN + 1) for chain in combinations(members, size)]
    return [
        _ordered(chain)
        for chain in found
        if len({_model(member) for member in chain}) == len(chain)
    ]


def _model(member: Member) -> str | None:
    return member[0].labels["model_variant"]


def _count(members: Sequence[Member]) -> int:
    """The number of pairs and triples of different models, without building them.

    There may be hundreds of points.
    """
    singles = pairs = triples = 0
    for n in Counter(_model(member) for member in members).values():
        singles, pairs, triples = singles + n, pairs + n * singles, triples + n * pairs
    return pairs + triples


def _one_a_model(members: Sequence[Member]) -> list[Member]:
    best: dict[str | None, Member] = {}
    for member in sorted(members, key=lambda pair: (-int(pair[0].sizes.sum()), pair[0].point_id)):
        best.setdefault(_model(member), member)
    return sorted(best.values(), key=lambda pair: pair[0].point_id)


def _most_useful(members: Sequence[Member]) -> list[Member]:
    cost = _mean_costs(members)
    accuracy = np.array([bank.total_worth.sum() / bank.sizes.sum() for bank, _ in members])
    order = sorted(
        range(len(members)), key=lambda i: (cost[i], -accuracy[i], members[i][0].point_id)
    )
    frontier: list[int] = []
    for i in order:
        if not frontier or accuracy[i] > accuracy[frontier[-1]]:
            frontier.append(i)
    if len(frontier) > MOST_MODELS:
        kept = {frontier[round(place)] for place in np.linspace(0, len(frontier) - 1, MOST_MODELS)}
    else:
        rest = sorted(
            set(order) - set(frontier),
            key=lambda i: (-accuracy[i], cost[i], members[i][0].point_id),
        )
        kept = {*frontier, *rest[: MOST_MODELS - len(frontier)]}
    return [members[i] for i in sorted(kept)]


def _mean_costs(members: Sequence[Member]) -> np.ndarray:
    """Mean cost of a sample, one per member, all on one axis."""
    ids = tuple(sorted({problem for bank, _ in members for problem in bank.problem_ids}))
    costs = ladder_costs([bank.aligned(ids) for bank, _ in members])
    known = ~np.isnan(costs)
    return np.where(known, costs, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _ordered(chain: Chain) -> Chain:
    ids = tuple(sorted({problem for bank, _ in chain for problem in bank.problem_ids}))
    pairs = [(bank.aligned(ids), facts) for bank, facts in chain]
    costs = ladder_costs([bank for bank, _ in pairs])
    known = ~np.isnan(costs)
    # A mean over known values, like nanmean, which warns if there are none: such a member comes
    # last.
    means = np.where(
        known.any(axis=0),
        np.where(known, costs, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1),
        np.nan,
    )
    return tuple(pairs[i] for i in np.argsort(means, kind="stable"))
