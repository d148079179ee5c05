"""The disk is full, broken, read-only or small, at any file operation of a command; then there is room, and the same command again."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.attack.faults import at_operation
from tests.attack.ground import GROWN, PENDING, SETTLED, SWEEP, Ground, command, run
from tests.attack.outcomes import LOST, REFUSED, SAME, Broken, Impossible, judged

WHAT = (
    "no space, a quota, an I/O error, a read-only disk or too many open files at the nth file operation; a small disk; a limit on the size of "
    "files: of `refresh`, `import`, a session's payload and `plan`; then again with room"
)
TARGETS = (
    "refresh, operation", "import, operation", "payload, operation", "refresh, small disk", "refresh, file size", "plan, operation",
    "import, small disk", "import, file size",
)  # fmt: skip
SHARE, SAMPLE, LIMIT_S = 20, 4, 120
FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.EACCES)
_OPERATIONS = {"refresh": 740, "import": 75, "payload": 29, "plan": 12}


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    what, how = target.split(", ")
    disk = place / "disk"
    disk.mkdir()
    with _small(disk) if how == "small disk" else nullcontext():
        root = ground.copy(PENDING if what == "refresh" else SETTLED, disk)
        before = ground.lake(root)
        act, wanted = _action(ground, what, root, place)
        detail, said = _under(how, what, root, disk, act, dice)
        result = judged(said, undisturbed_s=ground.refresh_s)
        if said.code == 0 and "operation" not in how:
            result = SAME
        ground.nothing_lost(root, before)
        if what == "refresh" and said.code != 0 and ground.unlike(root, SETTLED):
            ground.must_be(
                root,
                GROWN,
                f"neither what was published before nor what is now: {detail}; {said.tail(300)}",
            )
        again = act()
        judged(again, undisturbed_s=ground.refresh_s)
        if again.code != 0:
            raise Broken(
                LOST,
                f"{detail}: with room again it ends with {again.code}: {again.tail()}; before: {said.tail(300)}",
            )
        if what != "refresh":
            after = command(root, "refresh")
            judged(after, undisturbed_s=ground.refresh_s)
        if wanted:
            ground.must_be(root, wanted, f"{detail}; {said.tail(300)}")
        ground.no_litter(root)
    return (REFUSED if said.code else result), f"{detail}: {said.tail(300)}"


def _action(ground: Ground, what: str, root: Path, place: Path) -> tuple[Callable, str]:
    """What is done, and which root it ends in."""
    if what == "refresh":
        return lambda: command(root, "refresh"), GROWN
    if what == "import":
        return lambda: command(root, *ground.later()), GROWN
    if what == "plan":
        sweep = place / "full.yaml"
        sweep.write_text(SWEEP)
        return lambda: command(root, "plan", sweep), ""
    import sessions  # of the version under attack

    from isocost import generate

    asked = sessions.session(
        samples=20, options={"bank": str(ground.home / "recorded"), "speed": 0}, part_rows=16
    )
    file = place / "session.json"
    file.write_text(asked.model_dump_json())
    return lambda: run(generate.main, ["--session", str(file), "--lake", str(root / "lake")]), ""


def _under(how: str, what: str, root: Path, disk: Path, act: Callable, dice: random.Random):
    if how == "operation":
        fault, n, for_good = (
            dice.choice(FAULTS),
            dice.randint(1, _OPERATIONS[what]),
            dice.random() < 0.7,
        )

        def fail(path: str) -> None:
            raise OSError(fault, os.strerror(fault), path)

        with at_operation(n, root, fail, for_good=for_good):
            said = act()
        return f"{errno.errorcode[fault]} at operation {n}{' and after' if for_good else ''}", said
    if how == "file size":
        size = int(
            dice.choice([1 << 10, 16 << 10, 64 << 10, 512 << 10, 2 << 20, 3 << 20])
            * dice.uniform(0.5, 1.5)
        )
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            said = act()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        return f"files of at most {size} bytes", said
    room = int(10 ** dice.uniform(3, 7.2))
    ballast = disk / "ballast"
    _fill(ballast, room)
    said = act()
    ballast.unlink()
    return f"{room} bytes free", said


@contextmanager
def _small(disk: Path) -> Iterator[None]:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Impossible("no right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(path: Path, room: int) -> None:
    """Takes all but some of the room on a disk."""
    with path.open("wb") as handle, suppress(OSError):
        while True:
            os.write(handle.fileno(), bytes(65_536))
    os.truncate(path, max(0, path.stat().st_size - room))
