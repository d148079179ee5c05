"""Read one point out of a bank of 10,000,000 samples, versus a filtered scan of the bank.

The scans are by DuckDB and by Polars.

The bank is written by the bank's own encoder and sealer into its own layout: sessions of several
points, each generated in two runs, parts, manifests. Every way of reading has a process of its own,
in turns, after the bank's files were dropped from the page cache. Which files were opened is what
the kernel reports (inotify), whoever opened them; bytes are those of its read calls (/proc/self/io;
not counted where a library maps files instead). 500,000 samples by default; ``--full`` writes ten
million. Files go to a temporary folder and are removed.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import resource
import shutil
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

SESSIONS, POINTS, PROBLEMS = 50, 4, 500
PART_ROWS = 1_000
ROUNDS = 3
_WORDS = [
    "therefore",
    "we",
    "compute",
    "the",
    "sum",
    "of",
    "x",
    "and",
    "y",
    "so",
    "that",
    "it",
    "is",
    "equal",
    "to",
    "half",
]


def point_name(session: int, point: int) -> str:
    """Point id as the sweeps make it: pt- and 16 hexadecimal digits."""
    return f"pt-{(session * POINTS + point) * 0x9E3779B97F4A7C15 % 2**64:016x}"


def session_name(session: int) -> str:
    """Session id as the sweeps make it."""
    return f"bench-model-vllm-{session:010x}"


def write_session(lake: str, session: int, samples: int) -> None:
    """Write one session: point after point, problem after problem, in two runs of equal length.

    Args:
        lake: folder of the lake.
        session: number of the session.
        samples: samples of each of its problems.
    """
    import numpy as np

    from isocost.bank import layout
    from isocost.bank.files import Files
    from isocost.bank.manifest import Manifest
    from isocost.bank.parts import describe, encode

    files, random = Files(lake), np.random.default_rng(session)
    texts = [" ".join(random.choice(_WORDS, 30)) for _ in range(2_000)]
    rows = POINTS * PROBLEMS * samples
    for attempt in (1, 2):
        begin, end = (0, rows // 2) if attempt == 1 else (rows // 2, rows)
        manifest = Manifest(
            session_name(session),
            layout.new_run_id(),
            attempt,
            status=("died", "finished")[attempt - 1],
        )
        for number, first in enumerate(range(begin, end, PART_ROWS)):
            part = layout.PartName(manifest.run_id, number)
            frame = part_rows(
                session,
                manifest.run_id,
                attempt,
                np.arange(first, min(first + PART_ROWS, end)),
                samples,
                random,
                texts,
            )
            data = encode(frame, "raw_generations", manifest, part)
            files.write(
                f"{layout.part_folder('raw_generations', manifest.session_id)}/{part}", data
            )
            manifest.parts.append(describe(data, frame, "raw_generations", part, time.time()))
        files.write(manifest.path, manifest.to_json())


def part_rows(
    session: int, run_id: str, attempt: int, index: Any, samples: int, random: Any, texts: list[str]
) -> Any:
    """The rows of one part of raw_generations: all columns, 32 tokens and 30 words each.

    Args:
        session: number of the session.
        run_id: the run.
        attempt: its number.
        index: numbers of the rows in the session, an integer array.
        samples: samples of each problem.
        random: NumPy generator.
        texts: texts to draw from.
    """
    import numpy as np
    import polars as pl

    from isocost.schema.registry import table
    from isocost.schema.types import polars_schema

    size, schema = len(index), polars_schema(table("raw_generations"))
    problem, sample = index // samples % PROBLEMS, index % samples
    start = index * 0.01
    rows = pl.DataFrame(
        {
            "point_id": [point_name(session, p) for p in (index // (samples * PROBLEMS)).tolist()],
            "problem_id": [f"bench-{p:016x}" for p in problem.tolist()],
            "sample_index": sample,
            "output_text": random.choice(texts, size),
            "output_token_ids": pl.Series(random.integers(0, 50_000, (size, 32))).arr.to_list(),
            "token_logprobs": pl.Series(-random.exponential(0.3, (size, 32))).arr.to_list(),
            "logprob_sum": -random.exponential(9.0, size),
            "entropy_low_sum": random.exponential(9.0, size),
            "entropy_high_sum": random.exponential(12.0, size),
            "confidence_sum": random.exponential(90.0, size),
            "output_tokens": np.full(size, 32),
            "prompt_tokens": 90 + problem % 40,
            **{
                name: start + step
                for step, name in enumerate(
                    ("queued_s", "scheduled_s", "first_token_s", "last_token_s")
                )
            },
        }
    )
    constant = {
        "session_id": session_name(session), "run_id": run_id, "attempt": attempt, "call_index": 0,
        "role": "solve", "task": "bench",
        "model_variant": "model", "prompt_name": "direct", "prompt_hash": "0" * 16,
        "finish_reason": "stop", "is_warmup": False,
        "logprobs_k": 20, "num_preemptions": 0,
    }  # fmt: skip
    ids = pl.concat_str("point_id", "problem_id", "sample_index", separator=":")
    rows = rows.with_columns(
        ids.alias("sample_id"), pl.concat_str(ids, pl.lit(":0")).alias("call_id")
    )
    rows = rows.with_columns(pl.lit(value).alias(name) for name, value in constant.items())
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None).alias(name)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )


def write_bank(lake: Path, samples: int) -> None:
    """Write the whole bank, a session a process."""
    os.environ["POLARS_MAX_THREADS"] = (
        "1"  # of the processes to come, each of which has a processor
    )
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=multiprocessing.get_context("spawn")
    ) as pool:
        for written in [
            pool.submit(write_session, str(lake), session, samples) for session in range(SESSIONS)
        ]:
            written.result()
    del os.environ["POLARS_MAX_THREADS"]


def isocost_read(lake: str, point: str) -> tuple[int, float]:
    """The public reader."""
    from isocost.bank.reader import read_raw

    return _answer(read_raw(lake, "raw_generations", point_ids=[point]))


def isocost_unproven(lake: str, point: str) -> tuple[int, float]:
    """The same with every proof of a part switched off: what proving costs."""
    from isocost.bank import parts, reader

    is_any = SimpleNamespace(hexdigest=lambda: mock.ANY)
    unchecked = SimpleNamespace(ParquetFile=lambda data, **_: parts_parquet(data))
    parts_parquet = parts.pq.ParquetFile
    with (
        mock.patch.object(reader, "hashlib", SimpleNamespace(sha256=lambda _: is_any)),
        mock.patch.object(parts, "pq", unchecked),
    ):
        return isocost_read(lake, point)


def duckdb_glob(lake: str, point: str) -> tuple[int, float]:
    """DuckDB over every part, filtered."""
    import duckdb

    query = f"from read_parquet('{lake}/raw/generations/*/*.parquet') where point_id = '{point}'"
    with duckdb.connect() as con:
        return _answer(con.sql(query).pl())


def polars_glob(lake: str, point: str) -> tuple[int, float]:
    """Polars over every part, filtered."""
    import polars as pl

    return _answer(
        pl.scan_parquet(f"{lake}/raw/generations/*/*.parquet")
        .filter(pl.col("point_id") == point)
        .collect()
    )


def _answer(frame: Any) -> tuple[int, float]:
    """What has to be the same whoever reads: rows and a sum over them."""
    return frame.height, float(frame["logprob_sum"].sort().sum())


WAYS: dict[str, Callable[[str, str], tuple[int, float]]] = {
    "isocost read_raw": isocost_read,
    "the same, unproven": isocost_unproven,
    "duckdb glob, filtered": duckdb_glob,
    "polars glob, filtered": polars_glob,
}


@dataclass(frozen=True)
class Reading:
    """What one way of reading took.

    Attributes:
        answer: rows, and a sum over them.
        seconds: without starting Python and importing modules.
        bytes_read: by read calls.
        memory_gib: peak of the process.
        opened: files of the lake that were opened, relative to raw/.
    """

    answer: tuple[int, float]
    seconds: float
    bytes_read: int
    memory_gib: float
    opened: frozenset[str]


def _child(way: str, lake: str, point: str, pipe: Any) -> None:
    import duckdb  # noqa: F401 - starting Python is no reading
    import pyarrow.parquet  # noqa: F401

    import isocost.bank.reader  # noqa: F401

    pipe.send(None)
    pipe.recv()
    before, started = _bytes_read(), time.perf_counter()
    answer = WAYS[way](lake, point)
    seconds = time.perf_counter() - started
    pipe.send(
        (
            answer,
            seconds,
            _bytes_read() - before,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20),
        )
    )


def _bytes_read() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def measure(way: str, lake: Path, point: str) -> Reading:
    """Read the point in a fresh process, from files that are not in the page cache."""
    for path in (lake / "raw").rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(way, str(lake), point, theirs))
    process.start()
    theirs.close()
    try:
        ours.recv()
        with opened_files(lake / "raw") as opened:
            ours.send(None)
            reading = ours.recv()
    except EOFError as error:
        raise RuntimeError(f"{way} failed") from error
    finally:
        process.join()
    return Reading(*reading, frozenset(opened))


@contextmanager
def opened_files(folder: Path) -> Iterator[set[str]]:
    """The files under a folder that anybody opens while the block runs, as the kernel tells it."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    names, found, done = {}, set(), threading.Event()
    in_open, is_folder, overflow = 0x20, 0x40000000, 0x4000
    for place in [p for p in folder.rglob("*") if p.is_dir()]:
        number = libc.inotify_add_watch(watch, os.fsencode(place), in_open)
        if number < 0:
            raise OSError(ctypes.get_errno(), "the kernel watches no more folders")
        names[number] = place.relative_to(folder).as_posix()

    def take() -> bool:
        try:
            data = os.read(watch, 1 << 20)
        except BlockingIOError:
            return False
        at = 0
        while at < len(data):
            number, mask, _, length = struct.unpack_from("iIII", data, at)
            name = data[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            at += 16 + length
            if mask & overflow:
                raise RuntimeError("the kernel dropped events")
            if not mask & is_folder and name:
                found.add(f"{names[number]}/{name}")
        return True

    def listen() -> None:
        while True:
            last = done.is_set()
            if not take():
                if last:
                    return
                time.sleep(0.001)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        os.close(watch)


def compare(total: int) -> bool:
    """Print the comparison.

    True when the reader opened the point's parts and no others, and all agree.
    """
    from isocost.bank.reader import raw_parts

    samples = total // (SESSIONS * POINTS * PROBLEMS)
    with tempfile.TemporaryDirectory() as folder:
        lake, started = Path(folder) / "lake", time.perf_counter()
        write_bank(lake, samples)
        built = time.perf_counter() - started
        files = [p for p in (lake / "raw").rglob("*") if p.is_file()]
        size, parts = (
            sum(p.stat().st_size for p in files),
            sum(p.suffix == ".parquet" for p in files),
        )
        point = point_name(SESSIONS // 2, 1)
        wanted = {
            p.removeprefix("raw/") for p, _ in raw_parts(lake, "raw_generations", point_ids=[point])
        }
        readings: dict[str, list[Reading]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, found in readings.items():
                found.append(measure(way, lake, point))
        shutil.rmtree(lake)
    print(
        f"{total:,} samples of {SESSIONS * POINTS} points in {SESSIONS} sessions, {size / 1e9:.2f}"
        f" GB written in {built:.0f} s:"
    )
    print(
        f"{parts:,} parts and {len(files) - parts:,} manifests. One point is read: in turns,"
        f" medians of {ROUNDS}, page cache dropped"
    )
    print(
        f"  {'':22} {'seconds':>9} {'parts opened':>13} {'manifests':>10} {'read MB':>9}"
        f" {'of the bank':>12} {'peak GiB':>9}"
    )
    for way, found in readings.items():
        first = found[0]
        opened = sum(name.endswith(".parquet") for name in first.opened)
        seconds, read = (
            statistics.median(r.seconds for r in found),
            statistics.median(r.bytes_read for r in found),
        )
        peak = max(r.memory_gib for r in found)
        others = sum(name.startswith("manifests/") for name in first.opened)
        print(
            f"  {way:22} {seconds:9.2f} {opened:13,} {others:10,} {read / 1e6:9.1f}"
            f" {read / size:12.2%} {peak:9.2f}"
        )
    proven, not_proven = (
        statistics.median(r.seconds for r in readings[way])
        for way in ("isocost read_raw", "the same, unproven")
    )
    print(
        f"  reading proven parts / the same with the proof switched off: {proven / not_proven:.2f}"
    )
    mine = readings["isocost read_raw"]
    only = all({n for n in r.opened if n.endswith(".parquet")} == wanted for r in mine)
    same = (
        len({(r.answer[0], round(r.answer[1], 6)) for found in readings.values() for r in found})
        == 1
    )
    purity = "only these were opened" if only else "OTHER PARTS WERE OPENED, TOO"
    agree = "all three read the same" if same else "THE THREE DO NOT AGREE"
    print(f"  the point has {mine[0].answer[0]:,} rows in {len(wanted):,} parts; {purity}; {agree}")
    return only and same


def main() -> int:
    """Run the comparison; the exit code is 1 when a part of another point was opened."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bank")
    parser.add_argument(
        "--full", action="store_true", help="10,000,000 samples (minutes, some GB of disk)"
    )
    arguments = parser.parse_args()
    return 0 if compare(10_000_000 if arguments.full else 500_000) else 1


if __name__ == "__main__":
    sys.exit(main())
