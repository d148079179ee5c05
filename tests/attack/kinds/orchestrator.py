"""kill -9 of a Dagster run and of the processes of the UI, at any moment; then the same run again, and nothing left running."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import polars as pl

from tests.attack.ground import ATTACKED, SETTLED, Ground, command
from tests.attack.outcomes import LOST, SAME, TOUCHED, Broken, Impossible, Said, judged

WHAT = "`kill -9` of a Dagster run and all its processes at a drawn moment, then the run again; of one process of `make ui`, then nothing may stay"
TARGETS = ("run", "ui, starter", "ui, server", "ui, webserver", "run", "ui, daemon")
SHARE, SAMPLE, LIMIT_S = 2, 0, 500
SAMPLES = 20
UP_S, GONE_S = 120.0, 60.0
SWEEP = """
sweep: lab
models: {{name: tiny, path: none}}
engine: {{engine: replay, max_num_seqs: 4, options: {{bank: "{bank}", speed: 1.0}}}}
tasks:
  - {{name: sums, source: inline, dataset: sums, config: {{problems: [{{question: "0 + 1", reference: "1"}}]}}, n_problems: 1, verifier: numeric}}
prompts: [{{name: direct, template: "direct: {{question}}"}}]
grid: {{temperature: 0.7, max_tokens: 8}}
samples_per_problem: {samples}
bank: {{part_rows: 4}}
"""
# What each victim is called in its command line; the first that fits is killed.
VICTIMS = {
    "starter": ("pipelines.ui", "dagster dev"),
    "server": ("dagster dev",),
    "webserver": ("dagster_webserver",),
    "daemon": ("dagster._daemon",),
}


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    home = place / "dagster"
    home.mkdir()
    shutil.copy(ATTACKED / "pipelines" / "profiles" / "dagster.yaml", home)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    # What is started here is bounded by nothing but the machine, as for people.
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    environment = os.environ | {"ISOCOST_DATA": str(place / "data"), "DAGSTER_HOME": str(home)}
    try:
        if target == "run":
            return _run(dice, place, environment)
        root = ground.copy(SETTLED, place)
        found = _ui(target.partition(", ")[2], environment, str(home))
        after = command(root, "refresh")
        judged(after, undisturbed_s=ground.refresh_s)
        ground.must_be(root, SETTLED, after.tail(300))
        return found
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        for pid in _processes(str(home)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _run(dice: random.Random, place: Path, environment: dict[str, str]) -> tuple[str, str]:
    import sessions  # of the version under attack

    from isocost.bank.reader import read_raw
    from isocost.sweep import load_sweep, plan_sessions

    sweep, recorded = place / "lab.yaml", place / "recorded"
    sweep.write_text(SWEEP.format(bank=recorded, samples=SAMPLES))
    (asked,) = plan_sessions(load_sweep(sweep))
    sessions.record(
        asked.model_copy(update={"session_id": "recorded-0123456789"}), recorded, seconds=0.3
    )
    is_measuring, after_s = dice.random() < 0.7, dice.uniform(0.0, 15.0)
    first = _started(sweep, environment)
    while (
        is_measuring and first.poll() is None and not any((place / "data").rglob("part-*.parquet"))
    ):
        time.sleep(0.1)
    with suppress(subprocess.TimeoutExpired):
        first.communicate(timeout=after_s)
    with suppress(ProcessLookupError):
        os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    sealed = len(list((place / "data" / "lake").rglob("part-*.parquet")))
    second = _started(sweep, environment)
    begun = time.monotonic()
    text, _ = second.communicate(timeout=LIMIT_S - 60)
    judged(Said(second.returncode, text, time.monotonic() - begun), undisturbed_s=60)
    what = f"killed {after_s:.0f} s after {'its first part' if is_measuring else 'its start'}, with {sealed} parts"
    if second.returncode != 0:
        raise Broken(
            LOST, f"{what}; the same run again ends with {second.returncode}: {text[-600:]}"
        )
    rows = read_raw(place / "data" / "lake", "raw_generations").filter(~pl.col("is_warmup"))
    if rows.height != SAMPLES or rows["sample_index"].n_unique() != SAMPLES:
        raise Broken(LOST, f"{what}; {rows.height} rows of {SAMPLES}")
    published = pl.read_parquet(place / "data" / "exports" / "core_samples.parquet")
    if published.height != SAMPLES:
        raise Broken(LOST, f"{what}; {published.height} samples published of {SAMPLES}")
    return SAME, what


def _started(sweep: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.run", str(sweep)],
        cwd=ATTACKED, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _ui(victim: str, environment: dict[str, str], home: str) -> tuple[str, str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    served = subprocess.Popen(
        ["make", "-o", "setup", "ui", f"PORT={port}"],
        cwd=ATTACKED, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + UP_S
        while not _answers(port):
            if served.poll() is not None or time.monotonic() > until:
                raise Impossible(f"no UI within {UP_S:.0f} s")
            time.sleep(0.3)
        lines = _processes(home)
        pid = next(
            pid
            for name in VICTIMS[victim]
            for pid, line in lines.items()
            if name in line and "/bin/sh" not in line and "make" not in line
        )
        os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + GONE_S
        while (left := _processes(home)) and time.monotonic() < until:
            served.poll()
            time.sleep(0.3)
        if left:
            raise Broken(
                TOUCHED,
                f"{len(left)} processes stay when the {victim} is killed: {next(iter(left.values()))[:100]}",
            )
        return SAME, f"nothing stays when the {victim} is killed"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(served.pid, signal.SIGKILL)
        served.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=2).read()
    except OSError:
        return False
    return True


def _processes(home: str) -> dict[int, str]:
    """Command lines of living processes with this Dagster home in their environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError, IndexError):
            if (
                home.encode() in (entry / "environ").read_bytes()
                and (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            ):
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found
