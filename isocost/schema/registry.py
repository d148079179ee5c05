"""Finds every table that is defined under ``isocost.schema.tables``.

A new table is a new entry in the ``TABLES`` of one module there; nothing else needs to know.
"""

from __future__ import annotations

from functools import cache

from isocost.errors import IsocostError
from isocost.registry import did_you_mean, modules_of
from isocost.schema.model import Table


@cache
def all_tables() -> dict[str, Table]:
    """Every table by name, in the order raw, core, out and by name within a layer.

    Raises:
        IsocostError: two modules define a table of one name, or one column name has two types.
    """
    found: dict[str, Table] = {}
    # A module that cannot be imported is not left out: no build is right without its tables.
    for module in modules_of("isocost.schema.tables"):
        for table in module.TABLES:
            if table.name in found:
                raise IsocostError(f"table {table.name} is defined twice", where=module.__name__)
            found[table.name] = table
    rank = {"raw": 0, "core": 1, "out": 2}
    return dict(sorted(found.items(), key=lambda item: (rank[item[1].layer], item[0])))


def table(name: str) -> Table:
    """One table by name.

    Raises:
        IsocostError: no such table; the message has the nearest name.
    """
    tables = all_tables()
    if name not in tables:
        raise IsocostError(
            f"no table is called {name!r}",
            remedy=did_you_mean(name, tables, kind="tables"),
        )
    return tables[name]
