"""Finds every table that is defined under ``isocost.schema.tables``.

A new table is a new entry in the ``TABLES`` of one module there; nothing else needs to know.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

import isocost.schema.tables as definitions
from isocost.errors import IsocostError
from isocost.schema.model import Column, Table


@cache
def all_tables() -> dict[str, Table]:
    """Every table by name, in the order raw, core, out and by name within a layer.

    Raises:
        IsocostError: two modules define a table of one name, or one column name has two types.
    """
    found: dict[str, Table] = {}
    for module_info in sorted(pkgutil.iter_modules(definitions.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"{definitions.__name__}.{module_info.name}")
        for table in module.TABLES:
            if table.name in found:
                raise IsocostError(f"table {table.name} is defined twice", where=module.__name__)
            found[table.name] = table
    rank = {"raw": 0, "core": 1, "out": 2}
    return dict(sorted(found.items(), key=lambda item: (rank[item[1].layer], item[0])))


def table(name: str) -> Table:
    """One table by name.

    Raises:
        IsocostError: no such table; the message has the nearest names.
    """
    tables = all_tables()
    if name not in tables:
        near = difflib.get_close_matches(name, tables, n=3)
        raise IsocostError(
            f"no table is called {name!r}",
            remedy=f"Did you mean {', '.join(near)}?" if near else "See docs/data-dictionary.md",
        )
    return tables[name]


def columns_of_one_name() -> dict[str, list[tuple[str, Column]]]:
    """All uses of each column name, so that a test can hold one name to one type and unit."""
    uses: dict[str, list[tuple[str, Column]]] = {}
    for owner in all_tables().values():
        for column in owner.columns:
            uses.setdefault(column.name, []).append((owner.name, column))
    return uses
