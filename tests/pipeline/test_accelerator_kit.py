"""The accelerator kit rehearsed on a processor, offline, in an empty folder.

Packed, carried in two calls, unpacked into a new environment that has Isocost from nowhere else, run,
brought back, refreshed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]
BROKEN = """
sweep: left-behind
models: [{{name: lost, path: "{model}", dtype: float32}}]
engine: {{max_model_len: 256, kv_cache_bytes: 64 MiB, max_num_seqs: 2, enforce_eager: true}}
tasks:
  - name: one
    source: inline
    dataset: one
    config: {{problems: [{{question: "1 + 1?", reference: "2"}}]}}
    n_problems: 1
    seed: 0
    verifier: numeric
prompts: [{{name: direct, template: "{{question}}"}}]
grid: {{temperature: 0, max_tokens: 4}}
samples_per_problem: 1
"""


class Rehearsal:
    """Commands in one folder, without a network, timed."""

    def __init__(self, repo: Path, folder: Path) -> None:
        self.repo, self.folder = repo, folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "ISOCOST_DATA")},
            "ISOCOST_CACHE": str(folder / "cache"),
            "PIP_NO_INDEX": "1",
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }
        self.seconds: dict[str, float] = {}

    def new_python(self) -> Path:
        """An environment with the packages of this one, but not Isocost.

        A path file in it is not read for further path files, such as that of an editable install.
        """
        place = self.folder / "env"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        python = place / "bin" / "python"
        (site,) = place.glob("lib/python3*/site-packages")
        (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
        lone = subprocess.run([python, "-c", "import isocost"], cwd=place, capture_output=True)
        assert lone.returncode != 0, "Isocost can be imported without the kit"
        return python

    def run(self, name: str, *words: object, cwd: Path, **variables: str) -> str:
        start = time.monotonic()
        done = subprocess.run(
            [str(word) for word in words],
            cwd=cwd,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=400,
        )
        self.seconds[name] = time.monotonic() - start
        self.code = done.returncode
        return done.stdout + done.stderr


def size(folder: Path) -> float:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def test_packed_carried_run_brought_back_and_refreshed(repo: Path, tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed: extra `cpu` or `gpu`")
    there = Rehearsal(repo, tmp_path)
    sweeps, model = tmp_path / "sweeps", tmp_path / "model"
    pieces, kit, home = tmp_path / "kit" / "pieces", tmp_path / "there" / "kit", tmp_path / "there"
    sweeps.mkdir()
    home.mkdir()
    shutil.copy(repo / "benchmarks/accelerator/sweeps/cpu/quickstart.yaml", sweeps)

    from isocost.engines.prepare import prepare

    shutil.copytree(prepare("tiny-random-llama", cache=tmp_path / "cache" / "models"), model)
    (sweeps / "broken.yaml").write_text(BROKEN.format(model=model))

    module = "benchmarks.accelerator"
    options = ["--cpu", "--piece-mb", 4, "--sweeps", sweeps, "--out", tmp_path / "kit"]
    said = there.run("pack", sys.executable, "-m", f"{module}.pack", *options, cwd=repo)
    assert there.code == 0 and "call 1 of 2 carries" in said, said
    shutil.rmtree(model)  # one session now lacks its model

    python = there.new_python()
    for number, name in enumerate(("kit-001", "kit-002"), start=1):
        box = tmp_path / f"call{number}"
        box.mkdir()
        for file in ("unpack.py", "kit.json", name):
            shutil.copy(pieces / file, box)
        said = there.run("unpack", python, "unpack.py", ".", "--into", kit, cwd=box)
        assert there.code == (3 if number == 1 else 0), said

    words = [python, "-m", f"{module}.campaign", "--kit", kit, "--out", home / "RESULTS"]
    path = f"{kit / 'source'}{os.pathsep}{kit / 'site'}"
    said = there.run("campaign", *words, cwd=home, PYTHONPATH=path)
    assert there.code == 3 and "2 of 4 parts are done" in said, said
    again = there.run("again", *words, "--only", "cpu-quick", cwd=home, PYTHONPATH=path)
    assert there.code == 0 and "done in an earlier call" in again, again
    brought = list((home / "RESULTS").iterdir())
    assert len(brought) <= 8 and max(f.stat().st_size for f in brought) < 16 * 10**6

    data, tables = tmp_path / "data", tmp_path / "tables"
    words = [sys.executable, "-m", f"{module}.bring_back", home / "RESULTS", "--data", data]
    said = there.run("bring back", *words, "--results", tables, cwd=repo)
    assert there.code == 0, said
    print(
        f"\nseconds: {', '.join(f'{k} {v:.1f}' for k, v in there.seconds.items())};"
        f" MB: kit {size(pieces):.1f}, results {size(home / 'RESULTS'):.2f}"
    )
    check_tables(tables)
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as warehouse:
        assert warehouse.sql("SELECT count(*) FROM core_samples").fetchall() == [(6,)]
    assert (data / "report" / "index.html").is_file()


def check_tables(tables: Path) -> None:
    parts = {row["name"]: row for row in pl.read_csv(tables / "parts.csv").to_dicts()}
    assert len(parts) == 4
    (lost,) = (row for name, row in parts.items() if name.startswith("left-behind"))
    assert lost["status"] == "failed" and "does not exist" in lost["reason"]
    assert parts["gpu-tests"]["status"] == "failed"
    assert "no NVIDIA GPU" in parts["gpu-tests"]["reason"]
    throughput = pl.read_csv(tables / "throughput.csv")
    assert throughput["sweep"].to_list() == ["cpu-quickstart"]
    assert throughput["output_tokens_per_s"][0] > 0
    assert pl.read_csv(tables / "utilisation.csv")["output_tokens_per_sample"][0] == 12
    facts = dict(pl.read_csv(tables / "provenance.csv").iter_rows())
    assert "benchmarks.accelerator.campaign --kit" in facts["command"]
    assert facts["device"].startswith("no GPU") and facts["date"].endswith("UTC")
    assert {"isocost", "torch", "python"} <= facts.keys()
    page = (tables / "README.md").read_text()
    assert "No device has been measured yet" in page and "## throughput" in page
