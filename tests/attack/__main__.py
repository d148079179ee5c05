"""``python -m tests.attack``: attacks for some minutes and writes the table; or repeats one try."""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.attack import kinds, table
from tests.attack.ground import ATTACKED, Ground
from tests.attack.outcomes import FAILED, Outcome
from tests.attack.workers import attack, drawn, one


def main(argv: Sequence[str] | None = None) -> int:
    """Attacks; 0 when the code held everywhere, 1 when it failed a try."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.attack", description="Attacks Isocost and says what it made of it."
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().randrange(10**6),
        help="of the drawn tries (default: random)",
    )
    parser.add_argument(
        "--least",
        type=int,
        default=0,
        help="goes on beyond the minutes until there were so many tries",
    )
    parser.add_argument("--most", type=int, default=10**9, help="ends after so many tries")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument(
        "--kinds", default=",".join(kinds.NAMES), help="only these, with commas between them"
    )
    parser.add_argument("--out", type=Path, help="where the table goes (Markdown)")
    parser.add_argument(
        "--results", type=Path, help="where the counts go (JSON), for --before of a later run"
    )
    parser.add_argument(
        "--before",
        type=Path,
        help="counts of an earlier version, which the table shows beside those of now",
    )
    parser.add_argument("--only", metavar="TRY", help="repeats one try: KIND/TARGET/SEED")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="attack-", dir=fast_folder()) as folder:
        ground = Ground(Path(folder) / "ground")
        ground.build()
        if arguments.only:
            outcome = one(arguments.only, ground)
            print(f"{outcome.result}: {outcome.detail}  ({outcome.seconds:.1f} s)")
            return int(outcome.result in FAILED)
        print(
            f"seed {arguments.seed}, {arguments.workers} processes, code in {ATTACKED.name}",
            flush=True,
        )
        return _campaign(arguments, ground)


def _campaign(arguments: argparse.Namespace, ground: Ground) -> int:
    begun, outcomes = time.monotonic(), list[Outcome]()

    def is_over(count: int) -> bool:
        return count >= arguments.most or (
            time.monotonic() - begun > 60 * arguments.minutes and count >= arguments.least
        )

    tries = drawn(arguments.seed, arguments.kinds.split(","))
    try:
        for outcome in attack(ground.home, tries, workers=arguments.workers, until=is_over):
            outcomes.append(outcome)
            if outcome.result in FAILED:
                print(line_of(outcome), flush=True)
            if len(outcomes) % 100 == 0:
                failed = sum(one.result in FAILED for one in outcomes)
                print(f"{len(outcomes)} tries, {failed} failed", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the table tells of what was tried", file=sys.stderr)
    counts = table.counted(outcomes, seed=arguments.seed, minutes=(time.monotonic() - begun) / 60)
    text = table.written(counts, None if arguments.before is None else table.read(arguments.before))
    print(text)
    if arguments.results is not None:
        table.keep(arguments.results, counts)
    if arguments.out is not None:
        arguments.out.write_text(text, encoding="utf-8")
    return int(any(outcome.result in FAILED for outcome in outcomes))


def line_of(outcome: Outcome) -> str:
    """A failed try, and the command that repeats it."""
    again = shlex.join([Path(sys.executable).name, "-m", "tests.attack", "--only", outcome.name])
    return f"FAILED {outcome.name}: {outcome.result} after {outcome.seconds:.1f} s\n  {outcome.detail.strip()}\n  again: {again}"


def fast_folder() -> str | None:
    """Memory where there is room for it: an attack writes a thousand small roots that nobody needs after a power cut."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        status = os.statvfs(memory)
        if status.f_bavail * status.f_frsize > 4 << 30:
            return str(memory)
    return None


if __name__ == "__main__":
    raise SystemExit(main())
