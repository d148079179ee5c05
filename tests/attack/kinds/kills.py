"""kill -9 at every file operation and at any moment of a refresh, an import and a session; then the same command again."""

from __future__ import annotations

import json
import random
import signal
from functools import cache
from pathlib import Path

from tests.attack.faults import Killer
from tests.attack.ground import GROWN, PENDING, SETTLED, Ground, command
from tests.attack.outcomes import LOST, SAME, TRACE, WRONG, Broken, Said, judged

WHAT = "`kill -9` of `refresh`, `import` and a session's payload when it begins its nth file operation, or at a drawn moment; then again"
TARGETS = (
    "refresh, operation",
    "import, operation",
    "payload, operation",
    "refresh, moment",
    "payload, moment",
    "import, moment",
)
SHARE, SAMPLE, LIMIT_S = 24, 4, 120
_OPERATIONS = {"refresh": 760, "import": 80, "payload": 32}
"""About how many there are: a kill that is drawn later than the last one never comes."""


@cache
def _killer() -> Killer:
    return Killer()


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    what, when = target.split(", ")
    if what == "payload":
        return _payload(ground, when, dice, place)
    root = ground.copy(PENDING if what == "refresh" else SETTLED, place)
    before = ground.lake(root)
    arguments = [
        "--data",
        str(root),
        *(("refresh",) if what == "refresh" else map(str, ground.later())),
    ]
    seconds = ground.refresh_s if what == "refresh" else 1.5
    code, said = _kill(when, what, seconds, "cli", arguments, root, dice)
    ground.nothing_lost(root, before)
    if what == "import":
        judged(again := command(root, *ground.later()), undisturbed_s=2)
        if again.code != 0:
            raise Broken(LOST, f"after a kill the import cannot be repeated: {again.tail()}")
    after = command(root, "refresh")
    judged(after, undisturbed_s=ground.refresh_s)
    if after.code != 0:
        raise Broken(
            LOST, f"killed with {code}, and the next refresh ends with {after.code}: {after.tail()}"
        )
    ground.must_be(root, GROWN, f"killed with {code}: {said[-200:]}; {after.tail(300)}")
    ground.no_litter(root)
    return SAME, f"ended with {code}"


def _kill(
    when: str,
    what: str,
    seconds: float,
    main: str,
    arguments: list[str],
    root: Path,
    dice: random.Random,
) -> tuple[int, str]:
    if when == "operation":
        code, said = _killer().run(
            main, arguments, root, operation=dice.randint(1, _OPERATIONS[what])
        )
    else:
        code, said = _killer().run(main, arguments, root, after_s=dice.uniform(0.0, seconds))
    if code not in (0, -signal.SIGKILL):
        raise Broken(TRACE, f"ended with {code}: {said[-800:]}")
    return code, said


def _payload(ground: Ground, when: str, dice: random.Random, place: Path) -> tuple[str, str]:
    """A session that replays a recorded bank is killed up to three times, and then runs to its end."""
    import sessions  # of the version under attack; ``Ground.build`` says where it lies

    asked = sessions.session(
        samples=20,
        options={"bank": str(ground.home / "recorded"), "speed": dice.choice([0, 5])},
        part_rows=4,
    )
    lake, file = place / "data" / "lake", place / "session.json"
    file.write_text(asked.model_dump_json())
    lake.mkdir(parents=True)
    arguments = ["--session", str(file), "--lake", str(lake)]
    sealed: set[str] = set()
    ends = []
    for _ in range(dice.randint(1, 3)):
        code, _ = _kill(when, "payload", 1.0, "generate", arguments, lake, dice)
        ends.append(code)
        parts = {path.name for path in lake.rglob("part-*.parquet")}
        if not sealed <= parts:
            raise Broken(LOST, f"parts are gone: {sorted(sealed - parts)}")
        sealed = {part["file"].rsplit("/", 1)[-1] for part in _sealed(lake)}
    code, said = _killer().run("generate", arguments, lake)
    judged(Said(code, said, 0.0))
    from isocost.bank.reader import read_raw

    rows = read_raw(lake, "raw_generations")
    keys = ["point_id", "problem_id", "sample_index"]
    if code != 0 or rows.height != 160 or rows.select(keys).n_unique() != 160:
        raise Broken(
            LOST,
            f"{rows.height} rows, {rows.select(keys).n_unique()} samples of 160, exit code {code}: {said[-400:]}",
        )
    if odd := [n for n, p in rows.select("sample_index", "logprob_sum").rows() if p != -0.5 - n]:
        raise Broken(WRONG, f"samples {odd[:5]} have other numbers than were recorded")
    return SAME, f"ended with {ends}"


def _sealed(lake: Path) -> list[dict]:
    """Parts that manifests name."""
    found = []
    for path in lake.glob("raw/manifests/*/*.json"):
        try:
            found += json.loads(path.read_text())["parts"]
        except ValueError as error:
            raise Broken(LOST, f"a manifest is half written: {path.name}: {error}") from None
    return found
