"""The disk fills, or the power goes, at every single step of writing.

What was sealed stays, and the next run does the rest.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from bank_rows import SESSION, call

from isocost.bank.files import Files
from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.resume import missing_samples, planned_samples
from isocost.bank.verify import verify_bank
from isocost.bank.writer import RunWriter, open_run
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow
SAMPLES, PART = 6, 3


class PowerCut(BaseException):
    """The process is gone at this step: nothing may run after it, no clean-up either."""


class Disk:
    """Counts the steps of writing and refuses from a given one on.

    Attributes:
        refuse_at: the step, from 1, that goes wrong; never when None.
        how: ``full`` (and full it stays), ``once`` (a passing refusal), ``cut`` (nothing works from
            there on).
    """

    def __init__(self, refuse_at: int | None, how: str) -> None:
        self.refuse_at, self.how, self.steps = refuse_at, how, 0

    def step(self, what: str) -> None:
        """One step; raises where it is to go wrong."""
        self.steps += 1
        if self.refuse_at is None or self.steps < self.refuse_at:
            return
        if self.how == "cut":
            raise PowerCut
        if self.steps == self.refuse_at or (self.how == "full" and what != "rename"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Handle:
    """A file that takes half of what it is given when the disk refuses."""

    def __init__(self, handle: Any, disk: Disk) -> None:
        self._handle, self._disk = handle, disk

    def write(self, data: Any) -> int:
        try:
            self._disk.step("write")
        except OSError:
            self._handle.write(data[: len(data) // 2])
            raise
        except PowerCut:
            self._handle.write(data[: len(data) // 2])
            raise
        return self._handle.write(data)

    def fileno(self) -> int:
        return self._handle.fileno()

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


@contextmanager
def watched(disk: Disk) -> Iterator[None]:
    """Every step that changes something on the disk asks ``disk`` first."""
    with pytest.MonkeyPatch.context() as patch:
        opened, fsync, replace, unlink, mkdir = (
            Path.open,
            os.fsync,
            Path.replace,
            Path.unlink,
            Path.mkdir,
        )

        def open_(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if "x" not in mode:
                return opened(self, mode, *rest, **options)
            disk.step("create")
            return Handle(opened(self, mode, *rest, **options), disk)

        def unlink_(self: Path, *rest: Any, **options: Any) -> None:
            if disk.how == "cut" and disk.refuse_at is not None and disk.steps >= disk.refuse_at:
                raise PowerCut
            unlink(self, *rest, **options)

        patch.setattr(Path, "open", open_)
        patch.setattr(Path, "unlink", unlink_)
        patch.setattr(os, "fsync", lambda handle: (disk.step("fsync"), fsync(handle))[1])
        patch.setattr(
            Path, "replace", lambda self, target: (disk.step("rename"), replace(self, target))[1]
        )
        patch.setattr(
            Path,
            "mkdir",
            lambda self, *rest, **options: (disk.step("mkdir"), mkdir(self, *rest, **options))[1],
        )
        yield


def generate(lake: Path, sealed: set[str]) -> None:
    """What the payload does.

    Recover, subtract, append, seal, finish; ``sealed`` takes the samples whose seal returned.
    """
    with open_run(Files(lake), SESSION, part_rows=PART) as (writer, found):
        todo = missing_samples(planned_samples([("pt-a", ["p0"], SAMPLES)]), found.done)[
            "sample_index"
        ].to_list()
        if not todo:
            return
        writer.start()
        try:
            _seal_all(writer, todo, sealed)
        except IsocostError as error:
            with suppress(IsocostError):
                writer.seal()
            writer.fail(error)
            raise


def _seal_all(writer: RunWriter, todo: list[int], sealed: set[str]) -> None:
    waiting: list[str] = []
    for i in todo:
        row = call(i, attempt=writer.manifest.attempt)
        writer.append("raw_generations", [row])
        waiting.append(row["sample_id"])
        if writer.pending() == PART:
            writer.seal()
            sealed.update(waiting)
            waiting.clear()
    writer.finish("finished")


@pytest.mark.parametrize("how", ["full", "once", "cut"])
def test_a_fault_at_any_step_of_writing_loses_nothing_sealed_and_doubles_nothing(tmp_path, how):
    refused, steps = 0, None
    stride = (
        3 if how == "once" else 1
    )  # what passes by once is met at the same places as what stays
    for step in range(1, 200, stride):
        lake, sealed, disk = tmp_path / str(step), set(), Disk(step, how)
        (lake / "raw/locks").mkdir(parents=True)
        try:
            with watched(disk):
                generate(lake, sealed)
        except PowerCut:
            pass
        except IsocostError as error:
            assert (
                "The disk is full: free space and run again; everything sealed before is intact"
                in str(error)
            ), step
            leftovers = list(lake.rglob("*.tmp"))
            assert not leftovers, (step, leftovers)
        if disk.steps < step:
            steps = disk.steps
            break
        refused += 1
        rows = read_raw(lake, "raw_generations")
        assert sealed <= set(rows["sample_id"]), f"step {step}: sealed rows are not read"
        if step % 4 == 0:
            assert not [
                f for f in verify_bank(lake).faults if f.is_loss or f.kind == "duplicate"
            ], step
        generate(lake, sealed)
        again = read_raw(lake, "raw_generations")
        assert sorted(again["sample_index"]) == list(range(SAMPLES)), f"step {step}"
        assert rows.join(again, on=["call_id", "attempt"], how="semi").height == rows.height, (
            "what was read once is there still"
        )
        assert verify_bank(lake).faults == (), step
        assert {m.status for m in read_manifests(lake)[:-1]} <= {"failed", "died"}
    assert steps is not None and steps > 30 and refused == -(-steps // stride), (
        "every step of a whole run was tried"
    )


@pytest.mark.parametrize("how", ["full", "cut"])
def test_a_fault_at_any_step_of_recovery_leaves_it_to_be_done_again(tmp_path, how):
    """Recovery itself writes.

    A torn part to set aside, an unlisted one to list, a lost manifest to make anew, on a disk with
    no room.
    """
    hurt = tmp_path / "hurt"
    for run_id, rows in (("one", (0, 1)), ("two", (2, 3, 4, 5))):
        with open_run(Files(hurt), SESSION, run_id=run_id, part_rows=9) as (writer, _):
            writer.append(
                "raw_generations", [call(i, attempt=writer.manifest.attempt) for i in rows]
            )
            writer.finish("finished")
    torn = hurt / f"raw/generations/session={SESSION}/part-one-00000.parquet"
    torn.write_bytes(torn.read_bytes()[:-3])
    (hurt / f"raw/manifests/session={SESSION}/two.json").unlink()
    for step in range(1, 200):
        lake, disk = tmp_path / str(step), Disk(step, how)
        shutil.copytree(hurt, lake)
        with watched(disk), suppress(IsocostError, PowerCut):
            generate(lake, set())
        generate(lake, set())
        rows = read_raw(lake, "raw_generations")
        assert sorted(rows["sample_index"]) == list(range(SAMPLES)), f"step {step}"
        assert {2, 3, 4, 5} <= set(rows.filter(rows["attempt"] == 2)["sample_index"]), (
            "what was whole is not generated anew"
        )
        assert verify_bank(lake).faults == (), step
        if disk.steps < step:
            break
    assert step > 20
