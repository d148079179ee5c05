"""Frontier tables are the same numbers however little memory there is, and however the problems
come.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.frontier import draws as draws_module
from isocost.frontier import replicates, replication, resample_counts, strip_replicates
from isocost.memory import Workspace
from isocost.tables.frontiers.frontiers import MOST_COPIES, build_frontiers, frontier_frames
from isocost.tables.outcomes.problem_rows import ProblemRows
from isocost.tables.scaling.anytime import build_token_elasticity

pytestmark = pytest.mark.slow
AXES = ("output_tokens_per_problem", "prompt_tokens_per_problem", "latency_parallel_s_per_problem")


def drawn_bank(
    seed: int, tasks: int, outcomes: int, problems: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Outcomes with repeated rows, unknown costs and accuracies, and odd problem sets, of tasks
    that share configurations.
    """
    rng = np.random.default_rng(seed)
    heads, rows = [], []
    for task in range(tasks):
        for number in range(outcomes):
            name = f"o{rng.integers(1 << 40):010x}"
            known = [rng.random() > 0.15 for _ in AXES]
            heads.append(
                {
                    "outcome_id": name,
                    "task": f"t{task}",
                    "model_variant": f"m{number % 3}",
                    "prompt": "p",
                    "point_id": f"pt-{task}-{number % 3}",
                }
                | {
                    "strategy": "oracle" if number % 5 == 4 else "vote",
                    "strategy_kind": "oracle" if number % 5 == 4 else "policy",
                }
                | {"budget": float(number), "parameters": "{}"}
                | {axis: 1.0 for axis in AXES}
            )
            right = rng.integers(0, 3, problems) / 2
            costs = rng.integers(1, 6, (len(AXES), problems)).astype(float) * (1 + number // 4)
            for place in range(problems - (rng.random() < 0.1)):
                accuracy = None if place == 0 and rng.random() < 0.05 else float(right[place])
                rows.append(
                    {"outcome_id": name, "problem_id": f"q{task}-{place:02d}", "accuracy": accuracy}
                    | {
                        axis: float(costs[i, place]) if known[i] or place % 2 else None
                        for i, axis in enumerate(AXES)
                    }
                )
    schema = {
        "outcome_id": pl.String,
        "problem_id": pl.String,
        "accuracy": pl.Float64,
    } | dict.fromkeys(AXES, pl.Float64)
    problems_frame = pl.DataFrame(rows, schema=schema)
    clusters = (
        problems_frame.select("problem_id")
        .unique()
        .sort("problem_id")
        .with_columns(cluster_id=pl.col("problem_id").str.slice(0, 4))
    )
    return pl.DataFrame(heads), problems_frame, clusters


def in_pieces(problems: pl.DataFrame, seed: int, workspace: Workspace) -> ProblemRows:
    """The same rows in several pieces, the rows of each in any order."""
    rng = np.random.default_rng(seed)
    ids = problems["outcome_id"].unique().sort().to_list()
    piece_of = dict(zip(ids, rng.integers(0, 4, len(ids)).tolist(), strict=True))
    pieces = problems.with_columns(
        piece=pl.col("outcome_id").replace_strict(piece_of)
    ).partition_by("piece")
    readers = [
        part.drop("piece").sample(fraction=1, shuffle=True, seed=seed).select for part in pieces
    ]
    return ProblemRows(readers, tuple(problems.columns), workspace)


@settings(max_examples=7, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(2, 14),
    st.integers(2, 9),
    st.booleans(),
    st.integers(1, 70),
    st.sampled_from([0, 1 << 40]),
)
def test_no_memory_for_matrices_gives_the_same_tables_to_the_bit(
    seed, tasks, outcomes, problems, has_clusters, tile, small
):
    heads, rows, clusters = drawn_bank(seed, tasks, outcomes, problems)
    given_clusters = clusters if has_clusters else None
    whole = build_frontiers(heads, rows, draws=140, clusters=given_clusters)
    space = Workspace(memory=0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("TILE", tile), ("MOST", tile), ("SMALL", small)):
            patch.setattr(draws_module, name, value)
        pieces = in_pieces(rows, seed, space)
        chunked = build_frontiers(heads, pieces, draws=140, clusters=given_clusters)
    assert space.n_laid_aside and not space.open_bytes
    same = {name: frame.equals(chunked[name]) for name, frame in whole.items()}
    assert same == dict.fromkeys(whole, True)
    elasticity = build_token_elasticity(heads, rows, draws=20)
    aside = in_pieces(rows, seed, Workspace(memory=0))
    assert elasticity.equals(build_token_elasticity(heads, aside, draws=20))


def peak_of(outcomes: int, draws: int) -> int:
    """Bytes at the peak of drawing the frontiers of one task with next to no memory for matrices."""
    rng = np.random.default_rng(0)
    ids, problems = [f"o{i:05d}" for i in range(outcomes)], [f"q{i}" for i in range(6)]
    stated = {
        "task": "t",
        "model_variant": "m",
        "prompt": "p",
        "point_id": "pt",
        "strategy": "vote",
    }
    stated |= {"strategy_kind": "policy", "parameters": "{}", AXES[0]: 1.0}
    budgets = pl.Series(range(outcomes), dtype=pl.Float64)
    heads = pl.DataFrame({"outcome_id": ids, "budget": budgets}).with_columns(
        pl.lit(value).alias(name) for name, value in stated.items()
    )
    size = outcomes * len(problems)
    rows = pl.DataFrame(
        {
            "outcome_id": np.repeat(ids, len(problems)),
            "problem_id": problems * outcomes,
            "accuracy": rng.random(size),
            AXES[0]: rng.lognormal(size=size),
        }
    )
    pieces = ProblemRows((rows.select,), tuple(rows.columns), Workspace(memory=0))
    tracemalloc.start()
    try:
        for _ in frontier_frames(heads, pieces, draws=draws):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_peak_does_not_grow_with_draws_times_outcomes():
    peak_of(300, 1000)  # the compiled loops are loaded
    few, many = peak_of(1500, 1000), peak_of(1500, 4000)
    one_matrix = 1500 * 4000 * 8
    assert many < one_matrix and many < 1.5 * few


def test_narrow_strips_give_the_same_numbers_up_to_rounding(monkeypatch):
    heads, rows, _ = drawn_bank(3, 2, 12, 7)
    whole = build_frontiers(heads, rows, draws=80)
    monkeypatch.setattr(replication, "STRIP", 14)
    narrow = build_frontiers(heads, rows, draws=80)
    for name, frame in whole.items():
        numbers = [column for column, kind in frame.schema.items() if kind.is_float()]
        assert frame.drop(numbers).equals(narrow[name].drop(numbers))
        for column in numbers:
            assert np.allclose(
                frame[column].to_numpy(),
                narrow[name][column].to_numpy(),
                rtol=1e-9,
                atol=1e-12,
                equal_nan=True,
            )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 8), st.integers(1, 12))
def test_means_strip_by_strip_are_those_of_the_whole(seed, outcomes, problems, step):
    values = np.random.default_rng(seed).integers(0, 2, (outcomes, problems)).astype(float)
    counts, weights = resample_counts(problems, 30, seed), np.full(problems, 1 / problems)
    whole = replicates(values, counts)
    strips = strip_replicates(
        (values[at : at + step] for at in range(0, outcomes, step)), outcomes, counts, weights
    )
    assert strips.copy_of.tolist() == whole.copy_of.tolist()
    assert np.allclose(strips.means, whole.means, rtol=1e-13, atol=0)
    assert np.allclose(strips.center(None), whole.center(None), rtol=1e-13, atol=0)


def test_what_must_be_held_at_once_and_does_not_fit_is_refused_with_words():
    heads, rows, _ = drawn_bank(1, 1, 10, 6)
    with pytest.raises(
        IsocostError, match=r"outcomes and 500 draws of task t0 on .* budget is .* --memory"
    ):
        build_frontiers(heads, in_pieces(rows, 1, Workspace(memory=0, total=1000)), draws=500)


def test_of_many_equal_outcomes_only_the_first_names_them():
    heads, rows, _ = drawn_bank(5, 1, 1, 4)
    names = [f"c{number:03d}" for number in range(MOST_COPIES + 9)]
    many = pl.concat(
        [
            heads.with_columns(outcome_id=pl.lit(name), budget=pl.lit(float(i)))
            for i, name in enumerate(names)
        ]
    )
    copies = pl.concat(
        [
            rows.with_columns(
                pl.col("accuracy").fill_null(0.0),
                *(pl.col(a).fill_null(2.0) for a in AXES),
                outcome_id=pl.lit(n),
            )
            for n in names
        ]
    )
    points = (
        build_frontiers(many, copies, draws=20)["out_frontier_points"]
        .filter(pl.col("cost_axis") == AXES[0])
        .sort("outcome_id")
    )
    assert points["duplicate_of_outcome_id"].unique().to_list() == ["c000"]
    assert points["duplicate_outcome_ids"][0].to_list() == names and points[
        "duplicate_outcome_ids"
    ].list.len().sum() == len(names)


def test_rows_of_an_outcome_in_two_pieces_are_named():
    heads, rows, _ = drawn_bank(2, 1, 3, 4)
    halves = ProblemRows((rows.head(2).select, rows.slice(2).select), tuple(rows.columns))
    with pytest.raises(IsocostError, match="are in two files"):
        build_frontiers(heads, halves, draws=10)
