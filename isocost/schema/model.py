"""Columns and tables.

Lives here: the two frozen classes that every definition uses. Not here: the definitions
(``tables/``) and what is derived from them (``types``, ``frames``, ``dictionary``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from isocost.errors import IsocostError

TYPES = (
    "string",
    "int8",
    "int32",
    "int64",
    "float64",
    "float32",
    "bool",
    "timestamp",
    "list[string]",
    "list[int32]",
    "list[float32]",
    "list[float64]",
    "json",
)
LAYERS = ("raw", "core", "out")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: snake_case; a quantity carries its unit as suffix.
        type: one of ``TYPES``; ``json`` is text with one JSON value.
        meaning: one sentence for the data dictionary, with the formula if there is one.
        unit: SI unit or counted thing; empty for ids, labels and flags.
        source: where the value comes from, if the meaning does not state it.
        nullable: False if a NULL is a defect.
        allowed: the complete set of values, for closed vocabularies.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    source: str = ""
    nullable: bool = True
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a definition that the derived artefacts could not carry."""
        if not _SNAKE.fullmatch(self.name):
            raise IsocostError(f"column name {self.name!r} is not snake_case")
        if self.type not in TYPES:
            raise IsocostError(
                f"unknown type {self.type!r}",
                where=f"column {self.name}",
                remedy=f"Use one of {', '.join(TYPES)}",
            )
        if not self.meaning.strip():
            raise IsocostError("a column needs a meaning", where=f"column {self.name}")


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: ``{layer}_{noun}``, the name of asset, folder and SQL table alike.
        grain: what one row is.
        columns: in storage order.
        keys: columns that identify a row; together unique and never NULL.
        order: sort order on disk; the keys if not given.
        warnings: what to know before using the numbers.
        schema_version: raised when a column changes its meaning or type (the
            ``metric_schema_version`` of stored parts).
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    order: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    schema_version: int = 1
    _by_name: dict[str, Column] = field(
        init=False, repr=False, compare=False, hash=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        """Check that keys and order name columns of the table and that no column is duplicated."""
        if self.name.split("_", 1)[0] not in LAYERS:
            raise IsocostError(f"table {self.name!r} starts with none of {', '.join(LAYERS)}")
        for column in self.columns:
            if column.name in self._by_name:
                raise IsocostError(
                    f"column {column.name} is defined twice", where=f"table {self.name}"
                )
            self._by_name[column.name] = column
        for name in (*self.keys, *self.order):
            if name not in self._by_name:
                raise IsocostError(
                    f"key or order names an unknown column {name!r}", where=f"table {self.name}"
                )

    @property
    def layer(self) -> str:
        """``raw``, ``core`` or ``out``."""
        return self.name.split("_", 1)[0]

    @property
    def sort_order(self) -> tuple[str, ...]:
        """The columns by which stored rows are sorted."""
        return self.order or self.keys

    def column(self, name: str) -> Column:
        """The definition of one column; KeyError when the table has none of that name."""
        return self._by_name[name]

    def required(self, name: str) -> bool:
        """Whether a NULL in this column is a defect: keys always, others as declared."""
        return name in self.keys or not self._by_name[name].nullable
