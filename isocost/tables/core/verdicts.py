"""A cache of verdicts on disk, so that long grading resumes after an interruption.

Lives here: the key of a verdict, and the sealed pieces that store it. Not here: grading
(isocost.tasks), the use of a verdict (``core_grades``), the location of the folder
(isocost.build.curate).

Layout under the folder of one source::

    <fingerprint>/piece-<random>.parquet   verdicts of this grading code; one piece per finished run

Only actual verdicts are stored: failed gradings are retried.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from isocost import atomic
from isocost.errors import IsocostError
from isocost.hashing import canonical_json
from isocost.schema.parquet import write_sealed
from isocost.seals import Damaged, prove_parquet
from isocost.tasks import Grade, Problem, answer_classes, grade

EVERY_S = 5.0
"""Seconds of grading after which the results are sealed.

At most this much is lost by a kill. Less is faster to repeat than to write.
"""
# As a share of the time spent so far, so that a run of hours leaves dozens of pieces and not
# thousands.
_EVERY_SHARE = 0.02
_LIBRARIES = ("math-verify", "latex2sympy2-extended", "sympy", "reasoning-gym")
_SCHEMA = {
    "key": pl.String,
    "parse_status": pl.String,
    "answer": pl.String,
    "correct": pl.Boolean,
    "score": pl.Float64,
    "reason": pl.String,
    "classes": pl.List(pl.Int32),
}
_Classes = tuple[int | None, ...]


class Verdicts:
    """Grades, with a cache. Without a folder it only grades."""

    def __init__(
        self, folder: Path | None = None, tell: Callable[[int], None] | None = None
    ) -> None:
        """Read the stored verdicts.

        Args:
            folder: cache folder of one source; created when needed.
            tell: called with the number of gradings after each.
        """
        self._home = None if folder is None else folder / judging_fingerprint()
        self._tell = tell
        self._known: dict[str, Grade | _Classes] = {}
        self._problems: dict[str, str] = {}
        self._new: list[dict[str, Any]] = []
        self._done = 0
        self._begun = self._sealed = time.monotonic()
        if self._home is not None and self._home.is_dir():
            self._read(self._home)

    def _read(self, home: Path) -> None:
        for path in sorted(home.glob("piece-*.parquet")):
            try:
                rows = _proven(path).select(*_SCHEMA).rows()
            except (pl.exceptions.PolarsError, OSError, IsocostError):
                path.unlink(missing_ok=True)  # can be recomputed, unlike a measurement
                continue
            for key, status, answer, correct, score, reason, classes in rows:
                self._known[key] = (
                    Grade(status, answer, correct, score, reason)
                    if classes is None
                    else tuple(classes)
                )

    def grade(self, problem: Problem, text: str | None, finish_reason: str | None) -> Grade:
        """As ``isocost.tasks.grade``."""
        if self._home is None:
            return self._counted(grade(problem, text, finish_reason))
        key = self._key("grade", problem, text, finish_reason)
        known = self._known.get(key)
        if isinstance(known, Grade):
            return self._counted(known)
        found = grade(problem, text, finish_reason)
        if found.correct is not None:
            kept = {
                "parse_status": found.parse_status,
                "answer": found.answer,
                "correct": found.correct,
                "score": found.score,
            }
            self._keep(key, kept | {"reason": found.reason})
        return self._counted(found)

    def classes(self, problem: Problem, answers: Sequence[str]) -> Sequence[int | None]:
        """As ``isocost.tasks.answer_classes``."""
        if self._home is None or len(answers) < 2:
            return answer_classes(problem, answers)
        key = self._key("classes", problem, *answers)
        known = self._known.get(key)
        if isinstance(known, tuple):
            return known
        found = answer_classes(problem, answers)
        self._keep(key, {"classes": list(found)})
        return found

    def _key(self, kind: str, problem: Problem, *texts: str | None) -> str:
        """Hash of everything that the result depends on, every text with its length."""
        if problem.problem_id not in self._problems:
            facts = canonical_json([problem.task, problem.cluster_id, dict(problem.metadata)])
            self._problems[problem.problem_id] = _digest(
                "problem", problem.verifier, problem.question, problem.reference, facts
            )
        return _digest(kind, self._problems[problem.problem_id], *texts)

    def _counted(self, found: Grade) -> Grade:
        self._done += 1
        if self._tell is not None:
            self._tell(self._done)
        return found

    def _keep(self, key: str, row: Mapping[str, Any]) -> None:
        if self._home is None:
            return
        self._new.append({"key": key, **row})
        now = time.monotonic()
        if now - self._sealed >= max(EVERY_S, _EVERY_SHARE * (now - self._begun)):
            self._seal(self._home, self._new)
            self._new = []
            self._sealed = time.monotonic()

    def _seal(self, home: Path, rows: list[dict[str, Any]]) -> Path:
        path = home / f"piece-{os.urandom(8).hex()}.parquet"
        frame = pl.DataFrame(
            [{name: row.get(name) for name in _SCHEMA} for row in rows],
            schema=_SCHEMA,
            orient="row",
        )
        with atomic.replacing(path) as temporary:
            write_sealed([frame.to_arrow()], temporary)
        return path

    def close(self) -> None:
        """Seal the rest as one piece with the earlier pieces of this run.

        Removes the verdicts of other grading code.
        """
        home = self._home
        if home is None or not home.is_dir():
            return  # nothing was slow enough to be worth caching
        pieces = sorted(home.glob("piece-*.parquet"))
        if self._new or len(pieces) > 1:
            before = [row for path in pieces for row in _proven(path).to_dicts()]
            self._seal(home, list({row["key"]: row for row in [*before, *self._new]}.values()))
            self._new = []
            for path in pieces:
                path.unlink(missing_ok=True)
        for other in home.parent.iterdir():
            if other != home and other.is_dir():
                with suppress(OSError):
                    shutil.rmtree(other)


def _proven(path: Path) -> pl.DataFrame:
    """A piece that carries its own checksum; one that does not is found again."""
    if not prove_parquet(path):
        raise Damaged.of(path, "carries no checksum")
    return pl.read_parquet(path, glob=False, hive_partitioning=False)


def _digest(*texts: str | None) -> str:
    digest = hashlib.sha256()
    for text in texts:
        raw = b"" if text is None else text.encode("utf-8", "surrogatepass")
        digest.update(f"{-1 if text is None else len(raw)}:".encode() + raw)
    return digest.hexdigest()[:32]


@cache
def judging_fingerprint() -> str:
    """Of everything that decides a verdict.

    The code of isocost.tasks, the judging libraries, Python.
    """
    digest = hashlib.sha256(platform.python_version().encode())
    home = Path(__file__).resolve().parents[2] / "tasks"
    for path in sorted(home.rglob("*.py")):
        digest.update(
            path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes() + b"\0"
        )
    for library in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{library}=={importlib.metadata.version(library)}\0".encode())
    return digest.hexdigest()[:16]
