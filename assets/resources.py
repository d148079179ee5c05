"""What an asset body is handed: the store of tables.

Configuration only; the logic is in ``isocost.store``. Values come from the environment when a run starts, never at import.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from isocost.store import Store

DATA_VARIABLE = "ISOCOST_DATA"


def default_root() -> Path:
    """The data root: ``$ISOCOST_DATA``, or ``data`` in the working directory."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").resolve()


class StoreResource(dg.ConfigurableResource):
    """The tables of one data root.

    Attributes:
        root: the data root; empty means ``$ISOCOST_DATA`` or ``./data``.
    """

    root: str = ""

    def open(self) -> Store:
        """The store at the configured root."""
        return Store(Path(self.root).resolve() if self.root else default_root())
