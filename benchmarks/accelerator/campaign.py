"""Run the parts of a kit on the machine, each on its own, within a budget of time.

A part is a process of its own. One that fails or exceeds its share says why, and the others go on.
What a part has finished is remembered: the same call again does what is left, and samples that are
banked are not generated again. Lives here: the budget and the state. Not here: the parts (`parts`),
packing results (`results`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.accelerator.parts import PARTS, Part, read_parts
from benchmarks.accelerator.results import pack_results
from benchmarks.accelerator.unpack import environment
from isocost import atomic
from isocost.errors import IsocostError

STATE, COMMAND, DATA, WORK = "campaign.json", "command.txt", "data", "work"
BUDGET_S = 480.0
_PACKING_S = 15.0
_GRACE_S = 10.0  # what a part has to seal its samples after it was asked to stop
_TAIL = 300
DONE, FAILED, STOPPED, WAITING = "done", "failed", "stopped", "not started"


@dataclass(frozen=True, slots=True)
class Record:
    """How a part went.

    Attributes:
        name: the part.
        status: done, failed, stopped (its share was used up) or not started.
        seconds: seconds that it took, over all calls.
        reason: why it is not done; empty if it is.
    """

    name: str
    status: str
    seconds: float
    reason: str = ""


def campaign(
    kit: Path,
    out: Path,
    *,
    budget_s: float = BUDGET_S,
    only: Sequence[str] = (),
    command: str = "",
    say: Callable[[str], None] = print,
) -> list[Record]:
    """Run what is left of a campaign, then pack the results.

    Args:
        kit: the unpacked kit; its data root and state stay in there.
        out: where the packed results go; emptied of earlier ones.
        budget_s: seconds for all parts together.
        only: parts whose names begin with one of these; all if empty.
        command: what was typed, for the tables.
        say: receives a line per part.

    Raises:
        IsocostError: the kit is incomplete, or ``only`` names no part.
    """
    deadline = time.monotonic() + budget_s
    parts = [p for p in read_parts(kit / PARTS) if not only or p.name.startswith(tuple(only))]
    if not parts:
        raise IsocostError(
            f"no part begins with {' or '.join(only)}", where="--only", remedy=f"See {kit / PARTS}."
        )
    work = kit / WORK
    (work / "logs").mkdir(parents=True, exist_ok=True)
    atomic.write_text(work / COMMAND, command)
    records = read_state(kit)
    for part in parts:
        before = records.get(part.name)
        if before is not None and before.status == DONE:
            say(f"{part.name}: done in an earlier call")
            continue
        records[part.name] = record = _one(part, kit, before, deadline - _PACKING_S)
        _keep_state(kit, records)
        say(f"{part.name}: {record.status} ({record.seconds:.0f} s) {record.reason}".rstrip())
    kept = [records[p.name] for p in parts]
    _keep_state(kit, records)
    for line in pack_results(kit, out):
        say(line)
    return kept


def _one(part: Part, kit: Path, before: Record | None, deadline: float) -> Record:
    spent = before.seconds if before else 0.0
    left = deadline - time.monotonic()
    if left < part.least_s:
        reason = before.reason if before else ""
        reason = reason or f"{max(left, 0):.0f} s were left, it needs {part.least_s:.0f}"
        return Record(part.name, before.status if before else WAITING, spent, reason)
    start = time.monotonic()
    status, reason = run(part, kit, min(part.share_s, left))
    return Record(part.name, status, spent + time.monotonic() - start, reason)


def run(part: Part, kit: Path, seconds: float) -> tuple[str, str]:
    """Run a part in a process group of its own; its status, and why it is not done."""
    work, data = kit / WORK, kit / DATA
    log = work / "logs" / f"{part.name}.log"
    named = {"kit": kit, "out": work, "data": data}
    words = [word.format(**named) for word in part.command]
    error_file = work / "error.txt"
    error_file.unlink(missing_ok=True)
    with log.open("ab") as handle:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=handle,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=kit / "cache",
            env=_variables(kit),
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            _stop(process)
            return STOPPED, f"its share of {seconds:.0f} s was used up"
        finally:
            _end_group(process.pid)
    if code != 0:
        return FAILED, _reason(error_file, log, code)
    lost = [name for name in part.writes if not (work / name).is_file()]
    return (
        (FAILED, f"{lost[0]} was not written: {_last_words(log)}"[:_TAIL]) if lost else (DONE, "")
    )


def _variables(kit: Path) -> dict[str, str]:
    own = {
        "ISOCOST_GPU_RESULTS": str(kit / WORK / "gpu-tests"),
        "ISOCOST_GPU_MODEL": str(kit / "cache" / "models" / "smollm2-135m-instruct"),
    }
    return {**environment(kit), **own}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a part to seal what it has, and end it if it does not."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE_S)


def _end_group(group: int) -> None:
    """End what a part has left behind: on the GPU it would disturb the next one."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _reason(error_file: Path, log: Path, code: int) -> str:
    if error_file.is_file() and (said := error_file.read_text(encoding="utf-8").strip()):
        return said[:_TAIL]
    return f"exit code {code}: {_last_words(log)}"[:_TAIL]


def _last_words(log: Path) -> str:
    """The last line of a log that gives a reason, or else the last line."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    reasons = [line for line in lines if line.startswith(("SKIPPED", "FAILED", "ERROR", "error:"))]
    return (reasons or lines or ["it printed nothing"])[-1]


def read_state(kit: Path) -> dict[str, Record]:
    """How each part went so far; empty before the first call.

    Raises:
        IsocostError: the state is damaged.
    """
    path = kit / WORK / STATE
    try:
        return {r["name"]: Record(**r) for r in json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IsocostError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="Remove it: samples that are banked are not generated again.",
        ) from None


def _keep_state(kit: Path, records: dict[str, Record]) -> None:
    atomic.write_text(
        kit / WORK / STATE, json.dumps([asdict(r) for r in records.values()], indent=1)
    )


def main(argv: list[str] | None = None) -> int:
    """Run what is left of the campaign and pack its results into a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator.campaign", description=main.__doc__
    )
    parser.add_argument("--kit", type=Path, required=True, help="the unpacked kit")
    parser.add_argument("--out", type=Path, required=True, help="folder for the packed results")
    parser.add_argument("--budget-s", type=float, default=BUDGET_S, help="default: %(default)s")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PART", help="parts that begin with these names"
    )
    words = sys.argv[1:] if argv is None else argv
    arguments = parser.parse_args(words)
    try:
        records = campaign(
            arguments.kit.resolve(),
            arguments.out.resolve(),
            budget_s=arguments.budget_s,
            only=arguments.only,
            command=shlex.join(["python", "-m", "benchmarks.accelerator.campaign", *words]),
            say=lambda line: print(line, flush=True),
        )
    except IsocostError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    left = [r for r in records if r.status != DONE]
    print(f"{len(records) - len(left)} of {len(records)} parts are done.", flush=True)
    return 3 if left else 0


if __name__ == "__main__":
    raise SystemExit(main())
