"""How much memory a refresh takes, step by step, at shapes that grow in one direction each.

``python -m benchmarks.memory`` banks synthetic sessions the way the payload does in a temporary
folder, refreshes each bank in a process of its own with the budget given, and prints the estimate
that the refresh made, the peak of every step and of the whole, and the seconds. A shape is
SESSIONSxPROMPTSxPROBLEMSxSAMPLES: every session is one model under PROMPTS prompts on one task, so
that SESSIONS x PROMPTS configurations are compared. ``--full`` takes 300 configurations on 1,000
problems and 5,000 sessions of two problems.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.refresh import REPOSITORY, Layout, bank
from isocost.build.estimate import needed
from isocost.memory import chosen_budget
from isocost.store import Store

SMALL = ("20x1x50x4", "100x2x2x1")
FULL = ("300x1x1000x4", "5000x2x2x1")


def layout_of(shape: str) -> Layout:
    """The layout that a shape names."""
    sessions, prompts, problems, samples = (int(part) for part in shape.split("x"))
    names = tuple(f"prompt-{number}" for number in range(prompts))
    return Layout(f"memory-{shape}", 1, sessions, True, problems, samples, names)


def banked(shape: str, folder: Path) -> Store:
    """A store with the shape's sessions banked."""
    layout, store, sources = layout_of(shape), Store(folder / "store"), folder / "sources"
    sources.mkdir(parents=True)
    for number, tasks in layout.sessions():
        bank(store, sources, layout, number, tasks)
    return store


def measured(root: Path, budget: str | None, *, publishes: bool = True) -> list[dict]:
    """Refreshes a store in a process of its own: one entry a step with its peak in MiB and seconds,
    the whole last.

    Args:
        root: the store's.
        budget: as of ``isocost refresh --memory``.
        publishes: whether warehouse, exports and report are made, too.

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
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _peak_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _child(root: Path, budget: str | None, *, publishes: bool) -> int:
    """Refreshes and prints the peak of each step; the mark of the peak is set back between them."""
    from isocost.build import refresh

    begun, highest = time.monotonic(), 0
    for done in refresh.everything(Store(root), memory=chosen_budget(budget)):
        peak = _peak_kib()
        highest = max(highest, peak)
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        if done.built or done.name in ("warehouse", "exports"):
            told = {
                "step": done.name,
                "rows": sum(done.rows.values()),
                "peak_mib": peak // 1024,
                "seconds": time.monotonic() - begun,
            }
            print(json.dumps(told), flush=True)
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
    """Runs the benchmark."""
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
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--derived-only", action="store_true", help="publish nothing")
    arguments = parser.parse_args()
    if arguments.child:
        return _child(arguments.child, arguments.memory, publishes=not arguments.derived_only)
    for shape in arguments.shapes or (FULL if arguments.full else SMALL):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            store = banked(shape, Path(folder))
            print(f"{shape}: banked in {time.monotonic() - begun:.0f} s", flush=True)
            print(f"  {needed(store).line(chosen_budget(arguments.memory))}", flush=True)
            for line in measured(
                store.root, arguments.memory, publishes=not arguments.derived_only
            ):
                print(
                    f"  {line['step']:<44}{line['peak_mib']:>7} MiB  {line['seconds']:7.1f} s",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
