"""Budgets of memory.

Sizes in words, matrices that are laid aside, and what a refresh says that it needs.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost import memory
from isocost.build.estimate import BASE, Need, needed
from isocost.errors import IsocostError
from isocost.memory import DrawsAside, LaidAside, Workspace, chosen_budget, free_memory, read_size
from isocost.store import Store


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GiB", 2**32),
        ("512 MiB", 2**29),
        ("1.5GiB", 3 * 2**29),
        ("100MB", 10**8),
        (" 64KiB ", 2**16),
        ("7B", 7),
    ],
)
def test_sizes_are_read(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "GiB",
        "-4GiB",
        "4 gib",
        "0GiB",
        "0.1B",
        "nan GiB",
        "1e9MiB",
        "4GiB4",
        "٤GiB",
        "9" * 5000 + "GiB",
    ],
)
def test_what_is_no_size_is_refused_in_words(text):
    with pytest.raises(IsocostError, match=r"--memory.*(not a size|is zero)") as error:
        read_size(text)
    assert len(str(error.value)) < 200


def test_the_budget_is_what_is_given_then_the_variable_then_half_of_what_is_free(monkeypatch):
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    assert chosen_budget() == 500
    monkeypatch.setenv(memory.VARIABLE, "2GiB")
    assert chosen_budget() == 2**31
    assert chosen_budget("1GiB") == 2**30
    monkeypatch.setenv(memory.VARIABLE, "much")
    with pytest.raises(IsocostError, match=r"\$ISOCOST_MEMORY"):
        chosen_budget()


def test_the_least_of_machine_group_and_process_is_free(monkeypatch):
    assert (free_memory() or 1) > 0
    for name, size in (
        ("_free_of_machine", 30),
        ("_free_of_group", 20),
        ("_free_of_process", None),
    ):
        monkeypatch.setattr(memory, name, lambda size=size: size)
    assert free_memory() == 20


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(1, 9))
@pytest.mark.slow
def test_what_is_laid_aside_is_read_as_from_an_array(data, rows, columns):
    values = np.random.default_rng(rows).normal(size=(rows, columns))
    values[0, 0] = np.nan
    order = np.array(data.draw(st.permutations(range(rows))))
    aside = LaidAside(values.shape, None)
    cut = data.draw(st.integers(0, rows))
    for part in (order[:cut], order[cut:]):
        aside.put(part, values[part])
    wanted = np.array(data.draw(st.lists(st.integers(0, rows - 1), max_size=30)), dtype=np.int64)
    assert np.array_equal(aside[wanted], values[wanted], equal_nan=True)
    piece = slice(data.draw(st.integers(0, rows)), data.draw(st.integers(0, rows + 5)))
    assert np.array_equal(aside[piece], values[piece], equal_nan=True)
    aside.close()


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 20), st.integers(1, 200))
def test_draws_that_are_laid_aside_are_read_as_from_an_array(data, rows, draws):
    values = np.random.default_rng(draws).normal(size=(rows, draws))
    aside, cut = DrawsAside((rows + 3, draws), None), data.draw(st.integers(0, rows))
    aside[0:cut] = values[:cut]
    aside[cut:rows] = values[cut:]
    assert aside.shape == values.shape and len(aside) == rows
    first = data.draw(st.integers(0, draws))
    some = slice(first, data.draw(st.integers(first, draws + 5)))
    assert np.array_equal(aside.tile(some), values[:, some])
    aside.close()


def test_a_workspace_lays_aside_what_goes_beyond_its_memory_and_leaves_no_file(tmp_path):
    space = Workspace(memory=100 * 8, folder=tmp_path)
    with space.matrix((10, 8)) as first, space.matrix((10, 8)) as second:
        assert isinstance(first, np.ndarray) and isinstance(second, LaidAside)
    assert space.open_bytes == 0 and space.n_laid_aside == 1 and not list(tmp_path.iterdir())
    with space.matrix((10, 8)) as again:
        assert isinstance(again, np.ndarray)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IsocostError, match="cannot be written to disk"):
        LaidAside((2, 2), tmp_path / "file")


def planned(root, points: int, problems: int, samples: int) -> Store:
    """A store in which nothing but a plan is."""
    store = Store(root)
    listed = [
        {
            "samples_per_problem": samples,
            "point": {"point_id": f"p{i}", "task": {"name": "sums", "n_problems": problems}},
        }
        for i in range(points)
    ]
    path = store.session_file("one")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"points": listed}))
    return store


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 2000), st.integers(1, 64))
def test_more_of_anything_needs_no_less(tmp_path_factory, points, problems, samples):
    one = needed(planned(tmp_path_factory.mktemp("one"), points, problems, samples))
    assert BASE <= one.least_bytes <= one.peak_bytes
    for more in (
        (points + 1, problems, samples),
        (points, problems + 1, samples),
        (points, problems, samples + 1),
    ):
        other = needed(planned(tmp_path_factory.mktemp("more"), *more))
        assert other.peak_bytes >= one.peak_bytes and other.least_bytes >= one.least_bytes


def test_a_budget_below_the_smallest_chunk_is_refused_with_words_and_before_anything_is_touched(
    tmp_path,
):
    from isocost.build.refresh import everything

    store = planned(tmp_path, 300, 1000, 4)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(
        IsocostError,
        match=r"needs at least .* \(1,200,000 samples\), and the budget is 64 MiB.* --memory \d+MiB",
    ):
        list(everything(store, memory=64 * 2**20))
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_the_line_says_need_and_budget():
    need = Need(5 * 2**30, 2**30, "the frontiers of task sums", "300 configurations")
    assert (
        need.line(2**33)
        == "memory: at most 5.0 GiB for the frontiers of task sums (300 configurations); the budget is 8.0 GiB"
    )
    assert "written to disk" in need.line(2**31)


@settings(deadline=None)
@given(st.integers(1, 5000))
def test_the_estimate_counts_no_fewer_budgets_than_are_replayed(samples):
    from isocost.build.estimate import AT_EACH, AT_FIRST, TaskCounts
    from isocost.tables.outcomes.outcomes import default_budgets

    replayed = len(default_budgets(np.array([samples, samples])))
    assert TaskCounts({"p"}, 2, 2 * samples, samples).outcomes >= AT_FIRST + AT_EACH * (
        replayed - 1
    )
