"""A derived table of one task that cannot be built stops no other, is in no table, and is named."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from isocost.build import derive, refresh, rules
from isocost.build.slices import Rows
from isocost.cli import main
from isocost.errors import IsocostError, MachineError
from isocost.seals import Damaged
from isocost.store import Store

KNOWN = {"model": "m", "task_version": "1", "prompt": "p", "sampling": "default"}
BOTH = ("adding", "counting")


class Panic(BaseException):
    """As Polars and other libraries with a foreign core raise it."""


def bank(root: Path, tasks: tuple[str, ...] = BOTH) -> Store:
    store = Store(root)
    for task in tasks:
        source = root.parent / f"{task}.jsonl"
        source.write_text(
            "".join(json.dumps({"id": f"p{i}", "c": i % 5, "n": 4}) + "\n" for i in range(8)),
            encoding="utf-8",
        )
        refresh.bring_in(
            store,
            f"import-{task}",
            format="counts",
            path=source,
            provenance={**KNOWN, "task": task},
        )
        refresh.curate_session(store, f"import-{task}")
    return store


@pytest.fixture(scope="module")
def banked(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return bank(tmp_path_factory.mktemp("banked") / "data")


@pytest.fixture
def store(banked: Store, tmp_path: Path) -> Store:
    return Store(Path(shutil.copytree(banked.root, tmp_path / "data")))


def broken(
    monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, task: str = "adding"
) -> None:
    """One rule fails for one task; nothing of the code changes, so that all that fits is reused."""

    def build(rule: rules.Rule, rows: Rows) -> rules.Frames:
        if rows.task == task:
            raise error
        return rule.build(rows)

    mine = [
        replace(rule, build=lambda rows, rule=rule: build(rule, rows))
        if rule.name == name
        else rule
        for rule in derive.RULES
    ]
    monkeypatch.setattr(derive, "RULES", tuple(mine))


def tasks(store: Store, table: str) -> set[str]:
    return set(store.read(table)["task"])


@pytest.mark.parametrize(
    "error",
    [ValueError("odd"), Panic("odd"), pl.exceptions.ComputeError("odd"), RecursionError("odd")],
)
@pytest.mark.slow
def test_one_task_that_fails_is_left_out_and_reported(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    whole = refresh.derive(store, "coverage")
    assert tasks(store, "out_accuracy_intervals") == set(BOTH) and whole.failed == ()
    kept = store.read("out_accuracy_intervals").filter(pl.col("task") == "counting")
    with monkeypatch.context() as patch:
        broken(patch, "coverage-task", error)
        done = refresh.derive(store, "coverage", force=True)
    assert [each.piece for each in done.failed] == ["coverage of task adding"]
    assert type(error).__name__ in str(done.failed[0]) and "isocost refresh" in str(done.failed[0])
    # What stood there was made from other inputs than what stands beside it.
    assert store.read("out_accuracy_intervals").equals(kept) and done.built == 1
    again = refresh.derive(store, "coverage")
    assert again.failed == () and (again.built, again.reused) == (1, 1)
    assert tasks(store, "out_accuracy_intervals") == set(BOTH)


@pytest.mark.slow
def test_what_was_left_out_is_tried_every_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, "coverage-task", Panic("odd"))
    assert len(refresh.derive(store, "coverage").failed) == 1
    done = refresh.derive(store, "coverage")
    assert len(done.failed) == 1 and done.reused == 1


@pytest.mark.parametrize(
    "error",
    [MemoryError(), KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), MachineError("no room")],
)
@pytest.mark.slow
def test_what_would_hit_every_piece_stops_the_step(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    refresh.derive(store, "coverage")
    broken(monkeypatch, "coverage-task", error)
    with pytest.raises(type(error)):
        refresh.derive(store, "coverage", force=True)
    assert tasks(store, "out_accuracy_intervals") == set(BOTH)


def test_a_damaged_part_of_the_bank_is_a_fault_of_the_piece_and_a_derived_file_of_the_step(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken(
            patch, "coverage-task", Damaged.of(store.lake / "raw" / "rule.parquet", "is damaged")
        )
        assert len(refresh.derive(store, "coverage").failed) == 1
    broken(
        monkeypatch,
        "coverage-task",
        Damaged.of(store.path("core_samples", "import-adding"), "is damaged"),
    )
    with pytest.raises(Damaged):
        refresh.derive(store, "coverage")


def test_a_frame_that_breaks_its_table_is_a_fault_of_its_piece(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:

    def odd(rows: Rows) -> rules.Frames:
        frames = rules.coverage.derive_coverage(rows)
        lost = (
            frames["out_accuracy_intervals"].with_columns(task=pl.lit(None, pl.String))
            if rows.task == "adding"
            else None
        )
        return frames if lost is None else {**frames, "out_accuracy_intervals": lost}

    mine = [
        replace(rule, build=odd) if rule.name == "coverage-task" else rule for rule in rules.RULES
    ]
    monkeypatch.setattr(derive, "RULES", tuple(mine))
    done = refresh.derive(store, "coverage")
    assert [each.piece for each in done.failed] == ["coverage of task adding"]
    assert all(tasks(store, table) <= {"counting"} for table in refresh.STEPS["coverage"])


def only(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    """A refresh of some steps: publishing them takes the tables that there are."""
    monkeypatch.setattr(derive, "RULES", tuple(rule for rule in derive.RULES if rule.step in steps))
    for module in (derive, refresh):
        monkeypatch.setattr(module, "STEPS", {step: rules.STEPS[step] for step in steps})


@pytest.mark.slow
def test_the_command_publishes_the_rest_and_ends_with_status_3(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        broken(patch, "coverage-task", Panic("odd"))
        only(patch, "coverage")
        assert main(["--data", str(store.root), "refresh"]) == 3
        out, err = capsys.readouterr()
        assert "coverage of task adding LEFT OUT" in out and "Panic: odd" in err
        assert "1 piece of derived tables could not be built and is in none" in err
        assert set(pl.read_parquet(store.exports / "out_accuracy_intervals.parquet")["task"]) == {
            "counting"
        }
        assert set(pl.read_parquet(store.exports / "core_counts.parquet")["task"]) == set(BOTH)
    # No source lost a row, so that nothing is refused, and what was left out comes back.
    only(monkeypatch, "coverage")
    assert main(["--data", str(store.root), "refresh"]) == 0
    assert set(pl.read_parquet(store.exports / "out_accuracy_intervals.parquet")["task"]) == set(
        BOTH
    )


def test_where_nothing_can_be_derived_what_is_published_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.warehouse.write_bytes(b"of before")
    for task in BOTH:
        broken(monkeypatch, "coverage-task", Panic("odd"), task)
    only(monkeypatch, "coverage")
    with pytest.raises(
        IsocostError, match=r"(?s)the previous publication is unchanged.*Panic: odd"
    ):
        list(refresh.everything(store))
    assert store.warehouse.read_bytes() == b"of before"
