"""Replayed strategies: of every point, and of chains of points.

Not here: how the tables are computed (``isocost.tables.outcomes``).
"""

from __future__ import annotations

from functools import partial

from isocost.build.rules.base import SAMPLES, STRATEGIES, Frames, Rule
from isocost.build.slices import Rows
from isocost.intake.settings import replay_options
from isocost.store import Store


def derive_strategies(rows: Rows | Store) -> Frames:
    """Replay every registered strategy over all valid samples of single points.

    With the requested settings of their tasks.
    """
    from isocost.tables.outcomes.outcomes import build_outcomes

    asked = partial(replay_options, rows.root)
    outcomes, problems = build_outcomes(
        rows.read("core_samples"),
        counts=rows.read("core_counts"),
        answers=rows.read("core_answers"),
        only="points",
        asked=asked,
    )
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


def derive_chains(rows: Rows | Store) -> Frames:
    """Replay cascades and routers on chains of points of one task."""
    from isocost.strategies import ChainStrategy, find_strategies
    from isocost.tables.outcomes.banks import columns_read
    from isocost.tables.outcomes.outcomes import build_outcomes

    # Lists are most of the bank, and hardly any strategy reads one.
    lists = {
        name
        for chain in find_strategies()
        if isinstance(chain, ChainStrategy)
        for name in chain.reads_lists
    }
    samples = rows.read("core_samples", columns=columns_read(lists))
    outcomes, problems = build_outcomes(samples, counts=rows.read("core_counts"), only="chains")
    return {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems}


RULES = (
    Rule(
        "strategies",
        "point",
        STRATEGIES,
        (*SAMPLES, "core_answers"),
        derive_strategies,
        uses_replay_settings=True,
    ),
    Rule("strategies", "task", STRATEGIES, SAMPLES, derive_chains),
)
