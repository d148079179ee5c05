"""The data root that is attacked: built once, copied for every try, and compared with what it was.

Here: building it, running commands of the code under attack in this process, comparing what is published. Not here: attacks.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from functools import cached_property
from pathlib import Path

import duckdb
import polars as pl

import isocost
from tests.attack.outcomes import LITTER, LOST, WRONG, Broken, Said

HERE = Path(__file__).resolve().parents[2]
"""The checkout that attacks."""
ATTACKED = Path(isocost.__file__).resolve().parents[1]
"""The checkout that is attacked."""
STATED = ("--model", "m", "--task", "t", "--task-version", "1", "--prompt", "p", "--sampling", "{}")
MAPPING = "columns: {problem: id, output: text, correct: ok, output_tokens: n, prompt_tokens: p, latency: s}\nlatency_meaning: whole\n"
SWEEP = """
sweep: full
models: {name: a, path: none, dtype: float32}
engine: {engine: replay, max_model_len: 512, kv_cache_bytes: 64 MiB, max_num_seqs: 4, max_num_batched_tokens: 512, options: {bank: nowhere}}
tasks: [{name: sums, source: inline, dataset: sums, config: {problems: [{question: "1 + 2", reference: "3"}]}, n_problems: 1, verifier: numeric}]
prompts: [{name: direct, template: "{question}"}]
grid: {temperature: 0.7, max_tokens: 16}
samples_per_problem: 2
"""
SETTLED, PENDING, GROWN = "settled", "pending", "grown"
"""A root that is refreshed; the same with one import more that is not refreshed yet; the same when it is."""


def command(root: Path, *arguments: object) -> Said:
    """Runs one `isocost` command in this process; whatever it raises is reported as a trace."""
    from isocost.cli import main

    return run(main, ["--data", str(root), *map(str, arguments)])


def run(main, arguments: list[str]) -> Said:
    """Runs one of the code's command lines in this process."""
    out, begun = io.StringIO(), time.monotonic()
    with redirect_stdout(out), redirect_stderr(out):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 2
        except KeyboardInterrupt:
            raise
        except BaseException:  # a panic of a foreign library is no Exception
            code = -1
            out.write(traceback.format_exc())
    return Said(int(code or 0), out.getvalue(), time.monotonic() - begun)


class Ground:
    """The undisturbed roots under one folder, and copies of them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # Helpers of the version under attack: they know how it banks.
        sys.path.append(str(ATTACKED / "tests" / "unit" / "payload"))

    def build(self) -> None:
        """Builds all roots."""
        import sessions

        from benchmarks.refresh import Layout
        from benchmarks.refresh import bank as bank_session
        from isocost.store import Store

        (self.home / "problems").mkdir(parents=True)
        layout = Layout("tasks", 1, 2, False, 4, 3)
        root = self.home / SETTLED
        bank_session(Store(root), self.home / "problems", layout, *layout.sessions()[0])
        (self.home / "m.yaml").write_text(MAPPING)
        self.table("answers.jsonl", 6, 0)
        self.table("later.jsonl", 5, 100)
        (self.home / "counts.jsonl").write_text(
            '{"id": "a", "c": 1, "n": 4}\n{"id": "b", "c": 4, "n": 4}\n'
        )
        self._done(
            root,
            "import",
            "generic",
            self.home / "answers.jsonl",
            "--mapping",
            self.home / "m.yaml",
            "--name",
            "answers",
            *STATED,
        )
        self._done(
            root, "import", "counts", self.home / "counts.jsonl", "--name", "counts", *STATED
        )
        took = self._done(root, "refresh").seconds
        shutil.copytree(root, self.home / PENDING)
        self._done(self.home / PENDING, *self.later())
        shutil.copytree(self.home / PENDING, self.home / GROWN)
        again = self._done(self.home / GROWN, "refresh")
        (self.home / "times.json").write_text(json.dumps({"refresh": max(took, again.seconds)}))
        recorded = self.home / "recorded"
        sessions.record(
            sessions.session(session_id="recorded-0123456789", samples=20), recorded, seconds=0.01
        )

    def later(self) -> tuple[object, ...]:
        """Arguments of the import that comes later."""
        stated = (*STATED[:3], "u", *STATED[4:])
        return (
            "import",
            "generic",
            self.home / "later.jsonl",
            "--mapping",
            self.home / "m.yaml",
            "--name",
            "later",
            *stated,
        )

    def table(self, name: str, problems: int, first: int) -> Path:
        """A file of answers, two samples a problem."""
        rows = [
            {
                "id": f"p{i}",
                "text": f"text {i} {k}",
                "ok": (i + k) % 3 != 0,
                "n": 10 + i + k,
                "p": 5 + i,
                "s": 1.5 + i / 8,
            }
            for i in range(first, first + problems)
            for k in range(2)
        ]
        path = self.home / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def _done(self, root: Path, *arguments: object) -> Said:
        said = command(root, *arguments)
        if said.code != 0:
            raise RuntimeError(
                f"the undisturbed root cannot be built: {arguments[0]} ended with {said.code}: {said.text}"
            )
        return said

    def copy(self, which: str, place: Path) -> Path:
        """A copy of a root for one try."""
        return Path(shutil.copytree(self.home / which, place / "data"))

    @cached_property
    def refresh_s(self) -> float:
        """How long a refresh takes here when nothing is wrong."""
        return float(json.loads((self.home / "times.json").read_text())["refresh"])

    def unlike(self, root: Path, which: str = SETTLED) -> list[str]:
        """Published tables whose values are not those of an undisturbed root."""
        found = []
        wanted = {path.name: path for path in (self.home / which / "exports").glob("*.parquet")}
        for name in sorted(
            {path.name for path in (root / "exports").glob("*.parquet")} ^ set(wanted)
        ):
            found.append(f"exports/{name} (there in one only)")
        for name, path in sorted(wanted.items()):
            mine = root / "exports" / name
            if mine.exists() and mine.read_bytes() != path.read_bytes() and not _same(mine, path):
                found.append(f"exports/{name}")
        mine, wanted_file = root / "warehouse.duckdb", self.home / which / "warehouse.duckdb"
        if not mine.is_file():
            found.append("warehouse.duckdb (missing)")
        elif mine.read_bytes() != wanted_file.read_bytes():
            found += [f"warehouse.duckdb:{name}" for name in _unlike_tables(mine, wanted_file)]
        return found

    def must_be(self, root: Path, which: str, said: str = "") -> None:
        """Fails where what is published is not what an undisturbed root publishes."""
        if unlike := self.unlike(root, which):
            raise Broken(WRONG, f"other values in {', '.join(unlike[:6])}; {said}")

    def must_be_part(self, root: Path, which: str, said: str = "") -> None:
        """Fails where published samples are not among those of an undisturbed root: fewer may be there, other ones may not."""
        mine, whole = (
            folder / "exports" / "core_samples.parquet" for folder in (root, self.home / which)
        )
        try:
            frame, other = pl.read_parquet(mine), pl.read_parquet(whole)
        except BaseException as error:
            raise Broken(WRONG, f"{mine} cannot be read: {error}; {said}") from None
        keys = ["sample_id", "correct", "answer", "output_tokens", "prompt_tokens", "latency_s"]
        odd = frame.join(other, on=keys, how="anti", nulls_equal=True)
        if odd.height:
            raise Broken(
                WRONG,
                f"{odd.height} samples that nobody banked, first {odd['sample_id'][0]}; {said}",
            )

    def lake(self, root: Path) -> dict[str, bytes]:
        """Everything raw under a root: parts, manifests, session files."""
        kept = {}
        for path in sorted((root / "lake").rglob("*")):
            if (
                path.is_file()
                and not path.name.endswith(".lock")
                and "quarantine" not in path.parts
            ):
                kept[path.relative_to(root).as_posix()] = path.read_bytes()
        return kept

    def nothing_lost(self, root: Path, before: dict[str, bytes], *, but: str = "") -> None:
        """Fails where a raw part is not there as it was, nor in quarantine.

        Args:
            root: after the attack.
            before: what ``lake`` gave before it.
            but: the file that was attacked.
        """
        aside = {path.name for path in (root / "lake").rglob("quarantine/**/*") if path.is_file()}
        for name, data in before.items():
            path = root / name
            if name == but or "/part-" not in name:
                continue
            if path.is_file() and path.read_bytes() == data:
                continue
            if not any(path.name in one for one in aside):
                raise Broken(LOST, f"{name} is gone or changed")

    def no_litter(self, root: Path) -> None:
        """Fails where half-written files stay beside the tables after a refresh that ended well.

        Those of a publication are removed by a later one, once they are too old to belong to one beside it.
        """
        for layer in ("core", "out"):
            for path in sorted((root / layer).rglob("*")):
                if ".tmp" in path.name:
                    raise Broken(LITTER, str(path.relative_to(root)))


def _same(first: Path, second: Path) -> bool:
    try:
        return pl.read_parquet(first).equals(pl.read_parquet(second))
    except BaseException:  # damaged; a panic is no Exception
        return False


def _unlike_tables(first: Path, second: Path) -> list[str]:
    try:
        with (
            duckdb.connect(str(first), read_only=True) as one,
            duckdb.connect(str(second), read_only=True) as other,
        ):
            tables = [
                {
                    row[0]
                    for row in each.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                }
                for each in (one, other)
            ]
            unlike = sorted(tables[0] ^ tables[1])
            for name in sorted(tables[0] & tables[1]):
                rows = [
                    each.execute(f'SELECT * FROM "{name}" ORDER BY ALL').fetchall()
                    for each in (one, other)
                ]
                if repr(rows[0]) != repr(rows[1]):
                    unlike.append(name)
            return unlike
    except duckdb.Error as error:
        return [f"cannot be read ({str(error)[:200]})"]
