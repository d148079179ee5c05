"""Programs that try to be called right without solving, or to touch what is not theirs, in an import that a verifier judges."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tests.attack.ground import HERE, STATED, Ground, command
from tests.attack.outcomes import REFUSED, SAME, TOUCHED, WRONG, Broken, Impossible, judged

sys.path.append(str(HERE / "tests" / "unit" / "tasks"))
import escapes as programs

WHAT = (
    "programs that reach for the judge, for the user's files, sockets and processes, or for memory and time without end, alone or one after "
    "another in one import; a solved one beside them has to be right, and they wrong"
)
TARGETS = tuple(programs.ALL)
SHARE, SAMPLE, LIMIT_S = 30, 3, 120
SOLVED = "def f(x):\n    return x * x\n"
MAPPING = "columns: {problem: id, problem_text: question, sample_index: k, output: text, reference: ref}\n"


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    _refuse_bare()
    others = dice.sample(TARGETS, dice.choice([0, 0, 1]))
    with outside(place / "outside") as (folder, stated, untouched):
        texts = [programs.ALL[name] for name in (target, *others)]
        for name, value in stated.items():
            texts = [text.replace(name, value) for text in texts]
        dice.shuffle(texts)
        rows = [
            {
                "id": "p",
                "question": "square",
                "k": k,
                "text": f"```python\n{text}\n```",
                "ref": programs.TESTS,
            }
            for k, text in enumerate([*texts, SOLVED])
        ]
        (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (place / "m.yaml").write_text(MAPPING)
        os.environ["ISOCOST_RUN_CODE"] = "1"
        said = command(
            place / "data",
            "import",
            "generic",
            place / "rows.jsonl",
            "--mapping",
            place / "m.yaml",
            "--name",
            "x",
            *STATED,
            "--verifier",
            "code",
        )
        judged(said, undisturbed_s=12.0 * len(rows))
        untouched()
        if "SECRET" in said.text:
            raise Broken(TOUCHED, f"it gave away what it read in {folder}")
    if said.code != 0:
        raise Broken(WRONG, f"nothing was judged: {said.tail()}")
    (file,) = (place / "data" / "core" / "core_samples").glob("*.parquet")
    frame = pl.read_parquet(file).sort("sample_index")
    found = dict(frame.select("sample_index", "correct").rows())
    if None in found.values() and found[len(rows) - 1] is None:
        raise Impossible(
            f"this machine or version judges no code: {frame['grade_reason'].to_list()}"
        )
    if found[len(rows) - 1] is not True:
        raise Broken(
            WRONG, f"the solved program is {found[len(rows) - 1]} beside {(target, *others)}"
        )
    if any(found[k] for k in range(len(texts))):
        raise Broken(WRONG, f"{(target, *others)} counts as right: {found}")
    return REFUSED if None in found.values() else SAME, f"{(target, *others)}: {found}"


def _refuse_bare() -> None:
    """Programs that kill, fork and fill disks are run only where there are walls around them."""
    from isocost.tasks import isolation

    missing = getattr(isolation, "missing", None)
    if missing is None:
        raise Impossible(
            "this version has no closed rooms: its judge runs next to everything else here"
        )
    if lacking := missing():
        raise Impossible("; ".join(item.what for item in lacking))


@contextmanager
def outside(folder: Path) -> Iterator[tuple[Path, dict[str, str], object]]:
    """A folder of the user's, with a secret, a file that everybody may write, and sockets that listen."""
    folder.mkdir()
    (folder / "secret").write_text("SECRET")
    (folder / "secret").chmod(0o600)
    (folder / "world").write_text("as it was")
    (folder / "world").chmod(0o666)
    folder.chmod(0o777)
    abstract = f"isocost-attack-{os.getpid()}"
    listeners = []
    for family, address in (
        (socket.AF_UNIX, f"{folder}/s"),
        (socket.AF_UNIX, f"\0{abstract}"),
        (socket.AF_INET, ("127.0.0.1", 0)),
    ):
        one = socket.socket(family)
        one.bind(address)
        one.listen()
        one.setblocking(False)
        listeners.append(one)
    (folder / "s").chmod(0o777)

    def untouched() -> None:
        names = sorted(path.name for path in folder.iterdir())
        status = (folder / "world").stat() if "world" in names else None
        if (
            names != ["s", "secret", "world"]
            or status is None
            or status.st_mode & 0o777 != 0o666
            or status.st_mtime < 1
        ):
            raise Broken(TOUCHED, f"the user's folder holds {names}")
        if (folder / "world").read_text() != "as it was":
            raise Broken(TOUCHED, "the user's file is another one")
        for one in listeners:
            try:
                one.accept()
            except BlockingIOError:
                continue
            raise Broken(TOUCHED, "a socket of the user's was reached")

    try:
        stated = {
            "{outside}/socket": f"{folder}/s",
            "{outside}": str(folder),
            "{port}": str(listeners[2].getsockname()[1]),
            "{abstract}": abstract,
        }
        yield folder, stated, untouched
    finally:
        for one in listeners:
            one.close()
