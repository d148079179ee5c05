"""All definitions together.

One name one meaning, units in names, and the page in docs/ is what they say.
"""

from __future__ import annotations

import duckdb
import pytest

from isocost.errors import IsocostError
from isocost.schema import registry
from isocost.schema.dictionary import describe_column, render
from isocost.schema.model import Column, Table
from isocost.schema.registry import all_tables, table
from isocost.schema.types import arrow_schema, duckdb_ddl, duckdb_type, polars_schema

NUMBERS = {"float64", "float32", "int64", "int32"}
SUFFIXES = {
    "_s": "s",
    "_j": "J",
    "_w": "W",
    "_usd": "USD",
    "_tokens": "token",
    "_flops": "FLOP",
    "_bytes": "byte",
}


def columns_of_one_name() -> dict[str, list[tuple[str, Column]]]:
    """All uses of each column name, so that a test can hold one name to one type and unit."""
    uses: dict[str, list[tuple[str, Column]]] = {}
    for owner in all_tables().values():
        for column in owner.columns:
            uses.setdefault(column.name, []).append((owner.name, column))
    return uses


def test_one_name_is_one_type_and_one_unit():
    clashes = {}
    for name, uses in columns_of_one_name().items():
        found = {(column.type, column.unit) for _, column in uses}
        if len(found) > 1:
            clashes[name] = [(owner, column.type, column.unit) for owner, column in uses]
    assert clashes == {}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_unit_in_the_name_is_the_unit_of_the_column(suffix):
    wrong = {
        f"{owner}.{name}": column.unit
        for name, uses in columns_of_one_name().items()
        for owner, column in uses
        if name.endswith(suffix)
        and "_per_" not in name
        and column.type in NUMBERS
        and not _same_unit(column.unit, SUFFIXES[suffix])
    }
    assert wrong == {}


def _same_unit(found: str, wanted: str) -> bool:
    return found.split("/", maxsplit=1)[0].strip().rstrip("s").lower() == wanted.rstrip(
        "s"
    ).lower() or (wanted == "s" and found == "s")


def test_no_percentages_and_verbs_on_flags():
    names = columns_of_one_name()
    assert [n for n in names if n.endswith(("_pct", "_percent"))] == []


@pytest.mark.parametrize("name", list(all_tables()))
def test_every_definition_becomes_a_table_in_all_three_engines(name):
    definition = table(name)
    wanted = [c.name for c in definition.columns]
    with duckdb.connect() as connection:
        connection.execute(duckdb_ddl(definition))
        described = connection.sql(f'DESCRIBE "{name}"').fetchall()
    assert [row[0] for row in described] == wanted
    assert [row[1] for row in described] == [duckdb_type(c) for c in definition.columns]
    assert polars_schema(definition).names() == arrow_schema(definition).names == wanted


def test_two_definitions_of_one_table_are_refused(monkeypatch):
    double = Table(
        "raw_generations", "again", (Column("a_id", "string", "Names a row"),), keys=("a_id",)
    )
    import isocost.schema.tables.raw as raw

    monkeypatch.setattr(raw, "TABLES", (*raw.TABLES, double))
    with pytest.raises(IsocostError, match="raw_generations is defined twice"):
        registry.all_tables.__wrapped__()


def test_a_description_names_vocabulary_and_source(probe):
    assert describe_column(probe.column("kind")) == "What it is. One of `a`, `b`."
    assert describe_column(probe.column("energy_j")) == "Energy spent. From a meter."


def test_the_dictionary_in_the_docs_is_what_the_definitions_say(repo):
    page = repo / "docs" / "data-dictionary.md"
    assert page.exists(), "run `make dictionary`"
    assert page.read_text(encoding="utf-8") == render(), (
        "a definition changed: run `make dictionary`"
    )
