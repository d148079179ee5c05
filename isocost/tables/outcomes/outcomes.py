"""out_strategy_outcomes and out_strategy_problems: every strategy replayed from core_samples.

Lives here: which strategies and budgets are replayed on which points and chains of points, the
means over problems with their intervals, and the rows. Not here: estimators
(``isocost.strategies``), reading of samples (outcome_banks.py), the bootstrap's draws
(``isocost.frontier``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.axes.registry import all_axes, find
from isocost.errors import IsocostError
from isocost.frontier import resample_counts, score_interval
from isocost.hashing import canonical_json, sha256_hex
from isocost.schema.frames import conform, empty
from isocost.strategies import (
    ChainStrategy,
    PointBank,
    Replay,
    Strategy,
    find_strategies,
    pass_at_k,
    selection_efficiency,
)
from isocost.strategies.options import ReplayOptions
from isocost.strategies.registry import asked_strategies
from isocost.tables.outcomes.answers import played_answers
from isocost.tables.outcomes.banks import METHODS, BankFacts, needed, task_banks
from isocost.tables.outcomes.chains import choose_chains
from isocost.tables.outcomes.counts import count_banks
from isocost.tables.outcomes.problems import Played, cells, problem_rows

OUTCOMES, PROBLEMS = "out_strategy_outcomes", "out_strategy_problems"
CONFIDENCE = 0.95
MISS = 0.05
PUBLISHED = (5, 10, 100)  # budgets of published figures that are not powers of two
UNDEFINED = "the outcome is defined for no problem"
NOT_MEASURED = "no sample has it, or samples are cut or stopped before the measured end"


@dataclass(frozen=True)
class Bootstrap:
    """How the intervals of accuracy are computed.

    A mean of shares gets the score interval at the effective number of trials, over problems or
    whole clusters: it keeps its level near 0 and 1, where percentiles of a bootstrap do not
    (docs/results/coverage_frontier.csv). Quantities that are not shares, such as an efficiency
    above 1, or a mean of scores with partial credit, gets percentiles of the mean over resampled
    problems.

    Attributes:
        draws: bootstrap draws; 0 for no intervals.
        seed: of the draws, which are shared by all outcomes of a task.
        confidence: level of the intervals.
    """

    draws: int = 2000
    seed: int = 0
    confidence: float = CONFIDENCE


def build_outcomes(
    core_samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    answers: pl.DataFrame | None = None,
    strategies: Sequence[str] | None = None,
    budgets: Sequence[int] | None = None,
    bootstrap: Bootstrap | None = None,
    only: str | None = None,
    asked: Callable[[str], ReplayOptions] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Replay strategies on every point, and cascades and routers on chains of points.

    Chains are within one task and prompt.

    A problem with fewer samples than a budget is undefined there, and counted; a problem without
    any answer loses every vote; a sample without an answer or a score never wins. See the tables'
    definitions for every reason.

    Args:
        core_samples: samples; columns beyond the required ones may be missing and are then unknown.
        counts: core_counts: points with only counts; none if None.
        answers: core_answers: answers of methods at smaller budgets; none if None.
        strategies: names or families; all default ones when None.
        budgets: sample budgets; those of `default_budgets` when None.
        bootstrap: how intervals are made; 2,000 draws of problems with seed 0 when None.
        only: ``points`` or ``chains``: what is replayed on single points, or on chains of them;
            both when None.
        asked: budgets, windows, tie rules and orders that are asked for a task; nothing when None.
            Strategies or budgets that are given here count before them.

    Returns:
        Conforming frames (out_strategy_outcomes, out_strategy_problems).

    Raises:
        IsocostError: a required column is missing, a strategy is unknown, or one was asked for by
            name that no point can replay.
    """
    parts = list(
        iter_outcomes(
            core_samples,
            counts=counts,
            answers=answers,
            strategies=strategies,
            budgets=budgets,
            bootstrap=bootstrap,
            only=only,
            asked=asked,
        )
    )
    if not parts:
        return empty(OUTCOMES), empty(PROBLEMS)
    outcomes, problems = (pl.concat([part[i] for part in parts]) for i in (0, 1))
    return conform(outcomes, OUTCOMES), conform(problems, PROBLEMS)


def iter_outcomes(
    core_samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    answers: pl.DataFrame | None = None,
    strategies: Sequence[str] | None = None,
    budgets: Sequence[int] | None = None,
    bootstrap: Bootstrap | None = None,
    only: str | None = None,
    asked: Callable[[str], ReplayOptions] | None = None,
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Like `build_outcomes`, task by task, so that large banks can be written in between."""
    chosen = find_strategies(strategies)
    samples = needed(
        core_samples, lists={name for strategy in chosen for name in strategy.reads_lists}
    )
    options = bootstrap or Bootstrap()
    replayed: set[str] = set()
    counted = empty("core_counts") if counts is None else counts
    for task in pl.concat([samples["task"].cast(pl.String), counted["task"]]).unique().sort():
        mine = pl.col("task") == task
        banks = [*task_banks(samples.filter(mine)), *count_banks(counted.filter(mine))]
        replayed_as = ReplayOptions() if asked is None else asked(str(task))
        variants = (
            chosen if asked is None or strategies is not None else asked_strategies(replayed_as)
        )
        played = (
            []
            if only == "chains"
            else list(
                _play_points(
                    banks, variants, (replayed_as.budgets or None) if budgets is None else budgets
                )
            )
        )
        if answers is not None and strategies is None and only != "chains":
            played += played_answers(answers.filter(mine))
        played += [] if only == "points" else _play_chains(banks, chosen)
        replayed |= {p.strategy.name for p in played}
        if played:
            yield _frames(str(task), banks, played, options)
    if strategies is not None and samples.height + counted.height:
        _refuse_unplayed(strategies, chosen, replayed)


def _refuse_unplayed(
    names: Sequence[str], chosen: Sequence[Strategy | ChainStrategy], replayed: set[str]
) -> None:
    for name in names:
        variants = [s for s in chosen if name in (s.name, s.family)]
        if not any(s.name in replayed for s in variants):
            inputs = sorted({column for s in variants for column in s.needs})
            remedy = (
                f"It needs {', '.join(inputs)}."
                if inputs
                else "A chain needs points of two model variants on one task and prompt."
            )
            raise IsocostError(
                "no point can replay the strategy", where=f"strategy {name}", remedy=remedy
            )


def default_budgets(sizes: np.ndarray) -> np.ndarray:
    """Powers of two, 5, 10 and 100, up to the most samples that half of the problems have.

    And that number.

    Their number grows with the logarithm of the samples.
    """
    held = np.sort(sizes[sizes > 0])
    if held.size == 0:
        return np.ones(1, dtype=np.int64)
    most = int(held[len(held) // 2])
    powers = [2**i for i in range(most.bit_length()) if 2**i < most]
    return np.unique(np.array([*powers, *(k for k in PUBLISHED if k < most), most], dtype=np.int64))


def _play_points(
    banks: Sequence[tuple[PointBank, BankFacts]],
    chosen: Sequence[Strategy | ChainStrategy],
    budgets: Sequence[int] | None,
) -> Iterator[Played]:
    """Every strategy on every point that has what it needs."""
    for bank, facts in banks:
        asked = (
            default_budgets(bank.sizes)
            if budgets is None
            else np.unique(np.asarray(budgets, dtype=np.int64))
        )
        if asked.size == 0 or asked.min() < 1:
            raise IsocostError(
                f"budgets must be whole numbers of at least 1, got {budgets!r}", where="budgets"
            )
        for strategy in chosen:
            if isinstance(strategy, Strategy) and bank.sizes.any() and strategy.applies(bank):
                ks = strategy.budgets(bank, asked)
                if ks.size:
                    yield Played(strategy, (bank,), (facts,), strategy.replay(bank, ks))


def _play_chains(
    banks: Sequence[tuple[PointBank, BankFacts]], chosen: Sequence[Strategy | ChainStrategy]
) -> Iterator[Played]:
    """Every chain strategy on every chain of different models under one prompt."""
    several = [s for s in chosen if isinstance(s, ChainStrategy)]
    prompts = sorted({bank.labels["prompt"] or "" for bank, _ in banks}) if several else []
    for prompt in prompts:
        group = [
            (bank, facts)
            for bank, facts in banks
            if (bank.labels["prompt"] or "") == prompt and bank.sizes.any()
        ]
        for chain in choose_chains(group):
            own = tuple(bank for bank, _ in chain)
            for strategy in several:
                if strategy.applies(own):
                    yield Played(
                        strategy,
                        own,
                        tuple(facts for _, facts in chain),
                        strategy.replay_chain(own),
                    )


def _frames(
    task: str,
    banks: Sequence[tuple[PointBank, BankFacts]],
    played: Sequence[Played],
    options: Bootstrap,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of one task; all its outcomes share the draws of problems."""
    ids = tuple(sorted({problem for bank, _ in banks for problem in bank.problem_ids}))
    place = {problem: i for i, problem in enumerate(ids)}
    clusters = {
        problem: cluster for _, facts in banks for problem, cluster in facts.clusters.items()
    }
    labels = [clusters.get(p, f"\x00{p}") for p in ids] if clusters else None
    units = len(ids) if labels is None else len(set(labels))
    counts = (
        resample_counts(len(ids), options.draws, options.seed, clusters=labels)
        if options.draws and units > 1
        else None
    )
    suffix = "" if labels is None else "-clustered"
    ceilings = _Ceilings()
    outcome_rows: list[dict[str, Any]] = []
    rows_of, weights = None, None
    for one in played:
        if counts is not None and rows_of != one.banks[0].problem_ids:
            rows_of = one.banks[0].problem_ids
            weights = counts[:, [place[p] for p in rows_of]].astype(np.float64)
        mine = (
            None
            if labels is None
            else np.asarray([labels[place[p]] for p in one.banks[0].problem_ids])
        )
        scored = (
            weights is not None
            and _are_shares(one.replay.accuracy)
            and not any(bank.partial.any() for bank in one.banks)
        )
        low, high = (
            _score(one.replay.accuracy, mine, options.confidence)
            if scored
            else _interval(one.replay.accuracy, weights, options.confidence)
        )
        method, draws = (
            ("score" + suffix, None) if scored else ("percentile" + suffix, options.draws)
        )
        rows = _outcome_rows(task, one, ceilings)
        for i, row in enumerate(rows):
            known = not np.isnan(low[i])
            row |= {
                "accuracy_low": _value(low[i]),
                "accuracy_high": _value(high[i]),
                "interval_method": method if known else None,
            }
            row |= {
                "interval_draws": draws if known else None,
                "interval_confidence": options.confidence if known else None,
            }
        outcome_rows += rows
    schema = empty(OUTCOMES).schema
    outcomes = pl.DataFrame(
        outcome_rows, schema={name: schema[name] for name in outcome_rows[0]}
    ).select(schema.names())
    return outcomes, problem_rows(played, outcome_rows, ids)


class _Ceilings:
    """pass@1 and pass@k of every problem, computed once per point and set of budgets."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}

    def of(self, bank: PointBank, ks: np.ndarray) -> np.ndarray:
        """(problems, 1 + budgets): pass@1, then pass@k."""
        key = (bank.point_id, tuple(int(k) for k in ks))
        if key not in self._known:
            found = pass_at_k(bank.sizes, bank.n_correct, [1, *key[1]])
            self._known[key] = np.where(
                bank.partial[:, None], np.nan, found
            )  # partial credit has no coverage
        return self._known[key]


def _are_shares(values: np.ndarray) -> bool:
    defined = values[~np.isnan(values)]
    return bool(((defined >= 0) & (defined <= 1)).all())


def _score(
    values: np.ndarray, clusters: np.ndarray | None, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Score interval of the mean over defined problems for each budget.

    NaN where fewer than two problems or clusters are defined.
    """
    low, high = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    defined = ~np.isnan(values)
    # Budgets that are defined for the same problems are done together: usually all of them.
    for pattern in np.unique(defined, axis=1).T:
        same = (defined == pattern[:, None]).all(axis=0)
        labels = None if clusters is None else clusters[pattern]
        if pattern.sum() < 2 or (labels is not None and len(set(labels)) < 2):
            continue
        low[same], high[same] = score_interval(
            values[pattern][:, same].T, confidence, clusters=labels
        )
    return low, high


def _interval(
    values: np.ndarray, weights: np.ndarray | None, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over defined problems for each budget.

    NaN where fewer than two problems are defined.
    """
    missing = np.full(values.shape[1], np.nan)
    if weights is None:
        return missing, missing.copy()
    defined = ~np.isnan(values)
    total = weights @ np.nan_to_num(values)
    size = (
        weights @ defined.astype(np.float64)
        if not defined.all()
        else np.broadcast_to(weights.sum(axis=1)[:, None], total.shape)
    )
    means = np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0)
    enough = defined.sum(axis=0) >= 2
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = missing, missing.copy()
    if enough.any():
        # A draw without any defined problem has no mean; it is left out.
        quantile = np.nanquantile if np.isnan(means[:, enough]).any() else np.quantile
        low[enough], high[enough] = quantile(means[:, enough], tails, axis=0)
    return low, high


def _value(number: float) -> float | None:
    """A number, or NULL for NaN."""
    return None if np.isnan(number) else float(number)


def _means(values: np.ndarray | None, defined: np.ndarray) -> list[float | None]:
    """Mean over the defined problems of each budget.

    NULL if any of them is unknown or there are none.
    """
    if values is None:
        return [None] * defined.shape[1]
    size = defined.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(defined, values, 0.0).sum(axis=0) / size
    return [_value(mean) for mean in means]


def _outcome_rows(task: str, one: Played, ceilings: _Ceilings) -> list[dict[str, Any]]:
    """The rows of one replay, one per budget, without their intervals."""
    replay, strategy, bank = one.replay, one.strategy, one.banks[0]
    defined = ~np.isnan(replay.accuracy)
    point_ids = [b.point_id for b in one.banks]
    parameters = canonical_json(dict(strategy.parameters))
    methods = {axis: _common([facts.methods[axis] for facts in one.facts]) for axis in METHODS}
    shared = {
        "task": task,
        "model_variant": " + ".join(str(b.labels["model_variant"]) for b in one.banks),
        "prompt": bank.labels["prompt"],
        "point_id": "+".join(point_ids),
        "point_ids": point_ids,
        "strategy": strategy.name,
        "strategy_family": strategy.family,
        "strategy_kind": strategy.kind,
        "parameters": parameters,
        "budget_unit": strategy.budget_unit,
        "tie_rule": strategy.tie_rule,
        "n_samples_unscored": replay.unscored,
        **_summed(one.facts),
    }
    known = {
        axis: _means(None if methods.get(axis, "one") is None else replay.costs.get(axis), defined)
        for axis in all_axes()
    }
    accuracy, marginal, score = (
        _means(values, defined) for values in (replay.accuracy, replay.marginal, replay.score)
    )
    efficiency = _efficiencies(one, defined, ceilings)
    rows = []
    for i, budget in enumerate(float(b) for b in replay.budgets):
        here = defined[:, i]
        sampled = 0 if replay.is_exact is None else int((~replay.is_exact[here, i]).sum())
        rows.append(
            shared
            | {find(axis).per_problem: means[i] for axis, means in known.items()}
            | {
                "outcome_id": outcome_id(point_ids, strategy.name, parameters, budget),
                "budget": budget,
                "n_problems": int(defined[:, i].sum()),
                "n_problems_undefined": int((~defined[:, i]).sum()),
                "undefined_reasons": _reasons(replay, i, ~defined[:, i]),
                "accuracy": accuracy[i],
                "marginal_accuracy": marginal[i],
                "selection_efficiency": efficiency[i],
                "expected_score": score[i],
                **{
                    axis.outcome_method.name: methods[axis.name]
                    if known[axis.name][i] is not None
                    else None
                    for axis in all_axes().values()
                    if axis.outcome_method is not None
                },
                **_cost_reasons(
                    one,
                    {axis: means[i] for axis, means in known.items()},
                    bool(here.any()),
                ),
                "estimator": "sampled" if sampled else "exact",
                "sampling_draws": replay.draws if sampled else None,
                "error_bound": _mean_bound(sampled, int(here.sum()), replay.draws)
                if sampled
                else 0.0,
            }
        )
    return rows


def _common(methods: Sequence[str | float | None]) -> str | float | None:
    """The common method of all points, or None: different methods are never added up."""
    return methods[0] if len(set(methods)) == 1 else None


def _cost_reasons(
    one: Played, means: dict[str, float | None], is_defined: bool
) -> dict[str, object]:
    """Why each unknown cost of a row is unknown.

    The reason of its samples, otherwise of the strategy, otherwise of the replay.
    """
    found, facts = {}, one.facts
    for axis in (axis for axis, mean in means.items() if mean is None):
        told = [f.reasons[axis] for f in facts if axis in f.reasons]
        unlike = axis in METHODS and len({f.methods[axis] for f in facts}) > 1
        own = "values from different methods are not added up" if unlike else NOT_MEASURED
        found[axis] = (
            UNDEFINED
            if not is_defined
            else told[0]
            if told
            else one.replay.unknown_costs.get(axis, own)
        )
    return {
        **{
            axis.own_reason.name: found.get(axis.name)
            for axis in all_axes().values()
            if axis.own_reason is not None
        },
        "costs_unknown_reasons": [f"{axis}: {found[axis]}" for axis in sorted(found)],
    }


def outcome_id(point_ids: Sequence[str], strategy: str, parameters: str, budget: float) -> str:
    """The same for the same points, strategy, parameters and budget, on every machine."""
    return f"oc-{sha256_hex([list(point_ids), strategy, parameters, budget], 16)}"


def _summed(facts: Sequence[BankFacts]) -> dict[str, int | None]:
    """Counts of a point, or the sums over a chain's points; unknown where one is."""
    names = facts[0].counts
    return {
        n: None if any(f.counts[n] is None for f in facts) else sum(f.counts[n] or 0 for f in facts)
        for n in names
    }


def _efficiencies(one: Played, defined: np.ndarray, ceilings: _Ceilings) -> list[float | None]:
    """Selection efficiency over the same problems, for strategies that pick among k samples."""
    if not one.strategy.is_selector or one.strategy.kind != "policy":
        return [None] * defined.shape[1]
    ceiling = ceilings.of(one.banks[0], one.replay.budgets)
    found: list[float | None] = []
    for i in range(defined.shape[1]):
        rows = defined[:, i]
        if not rows.any():
            found.append(None)
            continue
        reached = (
            one.replay.accuracy[rows, i].mean(),
            ceiling[rows, 0].mean(),
            ceiling[rows, i + 1].mean(),
        )
        found.append(_value(float(selection_efficiency(*reached))))
    return found


def _mean_bound(sampled: int, defined: int, draws: int) -> float:
    """Hoeffding bound of the mean over problems, whose random draws are independent.

    Exact problems add no error.

    Args:
        sampled: problems whose draws were averaged.
        defined: problems of the mean.
        draws: draws averaged per problem.
    """
    return float(np.sqrt(np.log(2 / MISS) * sampled / (2 * draws)) / defined)


def _reasons(replay: Replay, i: int, undefined: np.ndarray) -> list[str]:
    """reason:problems, each problem under its first reason."""
    found, left = [], undefined.copy()
    for reason, where in replay.undefined.items():
        hit = left & cells(where, replay.accuracy.shape)[:, i]
        if hit.any():
            found.append(f"{reason}:{int(hit.sum())}")
            left &= ~hit
    if left.any():
        raise IsocostError(
            f"{int(left.sum())} undefined values without a reason",
            where="strategy replay",
            remedy="This is a defect; report it.",
        )
    return sorted(found)
