"""What the README tells people to type works on a real build.

Its SQL is a file of sql/examples, its Python prints rows.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from pipeline_place import Place

pytestmark = pytest.mark.pipeline

REPO = Path(__file__).resolve().parents[2]
WAREHOUSE = '"data/warehouse.duckdb"'


def blocks(language: str) -> list[str]:
    text = (REPO / "README.md").read_text(encoding="utf-8")
    return [
        found.strip()
        for found in re.findall(
            rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE
        )
    ]


def examples() -> dict[str, str]:
    """The SELECT of every example, without the comment at its head."""
    texts = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (REPO / "sql" / "examples").glob("*.sql")
    }
    return {text.split("\n\n", 1)[1].strip(): name for name, text in texts.items()}


def test_every_example_is_in_the_readme_and_nothing_else() -> None:
    known = examples()
    assert sorted(known.get(block, block) for block in blocks("sql")) == sorted(known.values())


@pytest.mark.parametrize(
    "block", blocks("sql"), ids=lambda block: examples().get(block, "no file of sql/examples")
)
def test_the_sql_runs_on_the_published_warehouse(block: str, built: tuple[Place, str]) -> None:
    place, _ = built
    with duckdb.connect(str(place.store.warehouse), read_only=True) as connection:
        cursor = connection.execute(block)
        assert cursor.description[0][0] == "task"
        rows = cursor.fetchall()
    if "votes_that_pay" in block:
        assert rows  # four samples of five problems always have a majority; a target may lie out of reach of a random model
        assert {row[0] for row in rows} == {"sums"}


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.splitlines()[-1][:40])
def test_the_python_runs_as_it_stands(
    block: str, built: tuple[Place, str], capsys: pytest.CaptureFixture[str]
) -> None:
    place, _ = built
    assert WAREHOUSE in block and "read_only=True" in block
    before = place.store.warehouse.read_bytes()
    names: dict[str, object] = {}
    exec(
        compile(block.replace(WAREHOUSE, repr(str(place.store.warehouse))), "README.md", "exec"),
        names,
    )
    names["warehouse"].close()
    assert "sums" in capsys.readouterr().out
    assert place.store.warehouse.read_bytes() == before
