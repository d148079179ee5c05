"""Definitions that the derived artefacts could not carry are refused where they are written."""

from __future__ import annotations

import pytest

from isocost.errors import IsocostError
from isocost.schema.model import Column, Table

A = Column("a_id", "string", "Names a row")


@pytest.mark.parametrize("name", ["CamelCase", "with space", "1st", "trailing-", ""])
def test_a_column_name_is_snake_case(name):
    with pytest.raises(IsocostError, match="snake_case"):
        Column(name, "string", "Something")


def test_a_column_has_a_known_type_and_a_meaning():
    with pytest.raises(IsocostError, match=r"column x.*unknown type 'text'"):
        Column("x", "text", "Something")
    with pytest.raises(IsocostError, match="needs a meaning"):
        Column("x", "string", "  ")


def test_a_table_is_of_a_layer_and_names_its_columns_once():
    with pytest.raises(IsocostError, match="raw, core, out"):
        Table("mart_things", "one thing", (A,), keys=("a_id",))
    with pytest.raises(IsocostError, match="column a_id is defined twice"):
        Table("out_things", "one thing", (A, A), keys=("a_id",))


@pytest.mark.parametrize("place", [{"keys": ("b_id",)}, {"keys": ("a_id",), "order": ("b_id",)}])
def test_keys_and_order_name_columns(place):
    with pytest.raises(IsocostError, match="unknown column 'b_id'"):
        Table("out_things", "one thing", (A,), **place)


def test_keys_are_required_and_the_order_is_theirs_unless_given():
    table = Table("core_things", "one thing", (A, Column("n", "int32", "A number")), keys=("a_id",))
    assert (table.layer, table.sort_order, table.required("a_id"), table.required("n")) == (
        "core",
        ("a_id",),
        True,
        False,
    )
    assert Table(
        "core_things", "one thing", table.columns, keys=("a_id",), order=("n",)
    ).sort_order == ("n",)
