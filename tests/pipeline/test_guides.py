"""Every block of the README and the guides runs on a root that was measured: SQL finds rows, Python
executes, commands succeed.

A failure names the page and the line of its block. Not run: blocks without a language that hold no
command of ours (output, layouts), and commands that build the whole project (`make`) or start a
server.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
import yaml
from fake_openai import serving
from importer_samples import SAMPLES

from isocost.build import refresh
from isocost.costs import load_book
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import read_session

pytestmark = pytest.mark.pipeline

REPO = Path(__file__).resolve().parents[2]
PAGES = [REPO / "README.md", *sorted((REPO / "docs" / "guides").glob("*.md"))]
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_OURS = (".venv/bin/isocost", ".venv/bin/python -m isocost")
_SERVERS = ("isocost.engines.serve", "isocost meter")
SWEEP = """
sweep: guides
models: {name: adder, path: adder, card: smollm2-135m-instruct}
engine: {engine: openai, max_num_seqs: 8, options: {base_url: "URL"}}
tasks:
TASKS
prompts:
  - {name: direct, template: "{question}"}
  - {name: step-by-step, template: "Think step by step: {question}"}
grid: {temperature: 0.7, max_tokens: 16, method: [sample, generate_then_verify]}
samples_per_problem: 8
bank: {logprobs_k: 3}
"""


class Block(NamedTuple):
    """A fenced block: its page, the line it begins in, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(REPO).as_posix()
        found += [
            Block(name, text[: m.start()].count("\n") + 1, m[1], m[2])
            for m in _FENCE.finditer(text)
        ]
    return [block for block in found if block.language in languages]


def commands() -> list[tuple[Block, str]]:
    """Lines of unnamed and shell blocks that run a command of ours, without the comment at their
    end.
    """
    lines = [
        (block, line.split("  #")[0].strip())
        for block in blocks("", "sh", "bash")
        for line in block.text.splitlines()
    ]
    return [
        (block, line)
        for block, line in lines
        if line.startswith(_OURS) and not any(server in line for server in _SERVERS)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as `make demo` leaves one.

    A measured data root, a model, a sweep file, results of another tool.
    """
    place = tmp_path_factory.mktemp("guides")
    store = Store(place / "data")
    with serving(version="1.0") as server:
        (place / "my-sweep.yaml").write_text(
            SWEEP.replace("URL", server.url).replace("TASKS", _tasks()), encoding="utf-8"
        )
        (session_id,) = refresh.plan_sweep(store, place / "my-sweep.yaml")
        with Reporter() as reporter:
            generate(
                read_session(store.session_file(session_id)),
                str(store.lake),
                reporter=reporter,
                stop=Stop(),
            )
    list(refresh.everything(store))
    SAMPLES["lm_eval"](place / "results")
    model = place / ".cache" / "models" / "smollm2-135m-instruct"
    model.mkdir(parents=True)
    (model / "config.json").write_text(
        '{"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, '
        '"num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": true, "max_position_embeddings": 8192}'
    )
    shutil.copytree(REPO / "pipelines" / "sweeps", place / "pipelines" / "sweeps")
    yield place


def _tasks() -> str:
    lines = []
    for name, first in (("basic-arithmetic", 1), ("letter-counting", 20)):
        problems = [
            {"question": f"{a} + {a + 3}", "reference": str(2 * a + 3)}
            for a in range(first, first + 15)
        ]
        entry = {
            "name": name,
            "source": "inline",
            "dataset": name,
            "n_problems": 15,
            "verifier": "numeric",
            "config": {"problems": problems},
        }
        lines.append(entry)
    return yaml.safe_dump(lines, width=10_000)


def run(words: list[str], folder: Path, where: object) -> str:
    """What a process printed; a failure shows the block and what the process said."""
    environment = {**os.environ, "PYTHONPATH": str(REPO), "ISOCOST_CACHE": str(folder / ".cache")}
    environment.pop("ISOCOST_DATA", None)
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_the_sql_finds_rows(folder: Path, block: Block) -> None:
    with duckdb.connect(str(Store(folder / "data").warehouse), read_only=True) as connection:
        for statement in filter(str.strip, block.text.split(";")):
            assert connection.execute(statement).fetchall(), f"{block}: finds nothing"


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_the_python_executes(folder: Path, block: Block) -> None:
    run([sys.executable, "-c", block.text], folder, block)


@pytest.mark.parametrize("block", dict.fromkeys(block for block, _ in commands()), ids=str)
def test_the_commands_succeed(folder: Path, block: Block, tmp_path: Path) -> None:
    """The commands of a block, one after the other: a later one may need an earlier one."""
    copy = shutil.copytree(folder, tmp_path / "copy")  # commands write
    store = Store(copy / "data")
    ids = (
        store.read("out_strategy_outcomes").filter(task="basic-arithmetic")["outcome_id"].to_list()
    )
    known = {
        "FIRST_OUTCOME_ID": ids[0],
        "SECOND_OUTCOME_ID": ids[1],
        "<session_id>": store.session_ids()[0],
    }
    program = {
        ".venv/bin/isocost": [sys.executable, "-m", "isocost"],
        ".venv/bin/python": [sys.executable],
    }
    for line in (line for other, line in commands() if other == block):
        for word, meant in known.items():
            line = line.replace(word, meant)
        words = shlex.split(line)
        run([*program[words[0]], *words[1:]], copy, block)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_the_yaml_is_what_it_says(
    tmp_path: Path, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole sweep is planned, cards are read; a part of a file is YAML."""
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path / "cache"))
    reported = yaml.safe_load(block.text)
    assert isinstance(reported, dict), block
    path = tmp_path / "block.yaml"
    path.write_text(block.text, encoding="utf-8")
    if "sweep" in reported:
        assert refresh.plan_sweep(Store(tmp_path / "data"), path), block
    for kind in ("prices", "models", "devices"):
        if "cards_version" in reported and kind in reported:
            (tmp_path / "cards").mkdir()
            path.rename(tmp_path / "cards" / f"{kind}.yaml")
            load_book(tmp_path / "cards")


def test_no_block_calls_a_command_that_is_on_no_path() -> None:
    bare = [
        f"{b}: {line}"
        for b in blocks("", "sh", "bash")
        for line in b.text.splitlines()
        if re.match(r"(isocost|python3?) ", line)
    ]
    assert bare == [], "write .venv/bin/isocost and .venv/bin/python"
