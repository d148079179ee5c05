"""The tables that are one SQL file each.

Not here: the statements (``sql/out``).
"""

from __future__ import annotations

import polars as pl

from isocost import sql
from isocost.build.rules.base import SAMPLES, Frames, Rule
from isocost.build.slices import Rows
from isocost.store import Store


def derive_summary(rows: Rows | Store) -> Frames:
    """The tables that are one SQL file each, run task by task.

    Each configuration gets the name that no other of its task has.
    """
    from isocost.tables.configurations import configuration_names

    files, names = sql.sql_files("out"), configuration_names(rows.read("core_points"))
    wanted: dict[str, set[str]] = {}
    for path in files:
        for name in sql.tables_of(path):
            wanted.setdefault(name, set()).update(sql.columns_of(path, name))
    parts = []
    for some in rows.by_points("core_samples") if isinstance(rows, Rows) else [rows]:
        with sql.over(
            {name: some.read(name, columns=sorted(columns)) for name, columns in wanted.items()}
        ) as connection:
            parts.append({path.stem: sql.run_file(connection, path) for path in files})
    frames = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    named = pl.col("point_id").replace_strict(names, default=None, return_dtype=pl.String)
    return {name: frame.with_columns(configuration=named) for name, frame in frames.items()}


RULES = (
    Rule("summary", "task", ("out_point_summary",), (*SAMPLES, "core_points"), derive_summary),
)
