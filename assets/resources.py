"""The input of asset bodies: the store of tables.

Configuration only; the logic is in ``isocost.store``. Values come from the environment when a run
starts, never at import.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from isocost.errors import IsocostError
from isocost.store import Store

DATA_VARIABLE = "ISOCOST_DATA"
MAKES_ROOT = "isocost/makes_data_root"
"""Tag of the jobs that bring something in, and may create the data root for it."""


def default_root() -> Path:
    """The data root: ``$ISOCOST_DATA``, or ``data`` in the working directory."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").resolve()


class StoreResource(dg.ConfigurableResource["StoreResource"]):
    """The tables of one data root.

    Attributes:
        root: the data root; empty means ``$ISOCOST_DATA`` or ``./data``.
    """

    root: str = ""

    def open(self) -> Store:
        """The store at the configured root; the first writer creates it."""
        return Store(Path(self.root).resolve() if self.root else default_root())

    def existing(self) -> Store:
        """The store at the configured root, which plans, imports and runs have created.

        Raises:
            dagster.Failure: there is no data root here; nothing was created.
        """
        try:
            return self.open().existing()
        except IsocostError as error:
            raise dg.Failure(str(error), allow_retries=False) from None
