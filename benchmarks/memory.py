"""How much memory a refresh takes, step by step, at shapes that grow in one direction each.

``python -m benchmarks.memory`` banks synthetic sessions the way the payload does in a temporary
folder, refreshes each bank in a process of its own with the budget given, and prints the estimate
that the refresh made, the peak of every step and of the whole, and the seconds. A shape is
SESSIONSxPROMPTSxPROBLEMSxSAMPLES: every session is one model under PROMPTS prompts on one task, so
that SESSIONS x PROMPTS configurations are compared. ``--full`` takes 300 configurations on 1,000
problems, 2,000 sessions and 5,000 sessions, which takes hours on two cores; ``--write`` keeps a row
a shape in docs/results/memory.csv, in the place of an earlier one of the same shape and budget.

The peak of a step is the process's own highest resident set; that of the whole counts the processes
that it starts, too. The exit status is 1 where a peak is beyond the budget.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from benchmarks.refresh import REPOSITORY, Layout, bank
from isocost.build.estimate import needed
from isocost.build.rules import STEPS
from isocost.memory import chosen_budget
from isocost.store import Store

SMALL = ("20x1x50x4", "100x2x2x1")
FULL = ("300x1x1000x4", "2000x1x15x1", "5000x1x15x1")
OUTPUT = REPOSITORY / "docs" / "results" / "memory.csv"
SHOWN = ("core", "cards", *STEPS, "warehouse", "exports")


def layout_of(shape: str) -> Layout:
    """The layout that a shape names."""
    sessions, prompts, problems, samples = (int(part) for part in shape.split("x"))
    names = tuple(f"prompt-{number}" for number in range(prompts))
    return Layout(f"memory-{shape}", 1, sessions, True, problems, samples, names)


def banked(shape: str, folder: Path) -> Store:
    """A store with the shape's sessions banked, not made durable, which would take too long."""
    layout, store, sources = layout_of(shape), Store(folder / "store"), folder / "sources"
    sources.mkdir(parents=True)
    with mock.patch("os.fsync"):
        for number, tasks in layout.sessions():
            bank(store, sources, layout, number, tasks)
    return store


def measured(
    root: Path,
    budget: str | None,
    *,
    publishes: bool = True,
    show: Callable[[dict], None] = lambda _: None,
) -> list[dict]:
    """Refresh a store in a separate process; peak in MiB and seconds per step.

    The whole run is the last entry.

    Args:
        root: the store's.
        budget: as of ``isocost refresh --memory``.
        publishes: whether warehouse, exports and report are made, too.
        show: called with every entry when it is available.

    Raises:
        SystemExit: the refresh failed; with what it said.
    """
    command = [
        sys.executable,
        "-m",
        "benchmarks.memory",
        "--child",
        str(root),
        *(["--memory", budget] if budget else []),
    ]
    command += [] if publishes else ["--derived-only"]
    options = {"cwd": REPOSITORY, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    said, found = [], []
    with (
        subprocess.Popen(command, text=True, **options) as process,
        _watched(process.pid) as seen,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("{"):
                found.append(json.loads(line))
                show(found[-1])
    if process.returncode:
        raise SystemExit("".join(said))
    *steps, whole = found
    return [*steps, {**whole, "peak_mib": max(whole["peak_mib"], seen[0] >> 20)}]


@contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """The most bytes that a process and its descendants used, sampled ten times per second."""
    seen, is_over = [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            seen[0] = max(seen[0], _resident(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def _resident(pid: int) -> int:
    """Bytes that a process and its descendants hold; 0 of one that has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(child) for task in tasks for child in task.read_text().split()]
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident(child) for child in children)


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _child(root: Path, budget: str | None, *, publishes: bool) -> int:
    """Refresh and print the peak of each step; the mark of the peak is set back between them."""
    from isocost.build import refresh

    begun, highest = time.monotonic(), 0
    for done in refresh.everything(Store(root), memory=chosen_budget(budget)):
        peak = _peak_kib()
        highest = max(highest, peak)
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        if done.name in SHOWN:
            measured = {
                "step": done.name,
                "rows": sum(done.rows.values()),
                "peak_mib": peak // 1024,
                "seconds": time.monotonic() - begun,
            }
            print(json.dumps(measured), flush=True)
        if done.name == "summary" and not publishes:
            break
    print(
        json.dumps(
            {
                "step": "whole",
                "peak_mib": max(highest, _peak_kib()) // 1024,
                "seconds": time.monotonic() - begun,
            }
        )
    )
    return 0


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "shapes",
        nargs="*",
        metavar="SHAPE",
        help=f"SESSIONSxPROMPTSxPROBLEMSxSAMPLES (default: {' '.join(SMALL)})",
    )
    parser.add_argument("--full", action="store_true", help=f"the shapes {' '.join(FULL)}")
    parser.add_argument(
        "--memory", default="4GiB", help="budget of the refresh (default: %(default)s)"
    )
    parser.add_argument(
        "--write", action="store_true", help=f"keep the rows in {OUTPUT.relative_to(REPOSITORY)}"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--derived-only", action="store_true", help="publish nothing")
    arguments = parser.parse_args()
    if arguments.child:
        return _child(arguments.child, arguments.memory, publishes=not arguments.derived_only)
    is_within = True
    for shape in arguments.shapes or (FULL if arguments.full else SMALL):
        row = _measured_shape(shape, arguments.memory, publishes=not arguments.derived_only)
        is_within &= row["is_within_budget"] == "true"
        if arguments.write:
            _keep(row)
    return 0 if is_within else 1


def _measured_shape(shape: str, budget: str, *, publishes: bool) -> dict[str, str]:
    """Banks and refreshes one shape, prints what it takes, and gives its row of the results."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        store = banked(shape, Path(folder))
        print(f"{shape}: banked in {time.monotonic() - begun:.0f} s", flush=True)
        need, most = needed(store), chosen_budget(budget)
        print(f"  {need.line(most)}", flush=True)
        *steps, whole = measured(store.root, budget, publishes=publishes, show=_print_step)
    is_within = whole["peak_mib"] <= most >> 20
    fate = "within" if is_within else "BEYOND"
    print(f"  peak {whole['peak_mib']} MiB, {fate} the budget of {most >> 20} MiB", flush=True)
    sessions, prompts, problems, samples = (int(part) for part in shape.split("x"))
    highest = max(steps, key=lambda line: line["peak_mib"])
    row = {
        "shape": shape,
        "sessions": sessions,
        "configurations": sessions * prompts,
        "problems": problems,
        "samples_per_problem": samples,
        "budget_mib": most >> 20,
        "told_before_mib": need.peak_bytes >> 20,
        "peak_mib": whole["peak_mib"],
        "is_within_budget": str(is_within).lower(),
        "highest_step": highest["step"],
        "rows": sum(line["rows"] for line in steps if line["step"] == "exports"),
        "seconds": round(whole["seconds"]),
        "command": f"python -m benchmarks.memory {shape} --memory {budget} --write",
    }
    return {name: str(value) for name, value in row.items()}


def _print_step(line: dict) -> None:
    numbers = f"{line['peak_mib']:>7} MiB  {line['seconds']:7.1f} s"
    print(f"  {line['step']:<44}{numbers}", flush=True)


def _keep(row: dict[str, str]) -> None:
    """Write a row into the results, in the place of the one of the same shape and budget."""
    rows = []
    if OUTPUT.exists():
        with OUTPUT.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
    key = ("shape", "budget_mib")
    kept = [old for old in rows if any(old[name] != row[name] for name in key)]
    with OUTPUT.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, row])


if __name__ == "__main__":
    raise SystemExit(main())
