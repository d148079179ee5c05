"""The cards of models, devices and prices in effect for a data root.

Lives here: joining the packaged cards with the root's own. Not here: the contents of a card
(``isocost.costs``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from isocost.costs import load_book
from isocost.costs.book import CardBook
from isocost.errors import IsocostError
from isocost.intake.hub_models import CARDS


class _Rooted(Protocol):
    @property
    def root(self) -> Path: ...


def card_book(store: _Rooted, faults: list[IsocostError] | None = None) -> CardBook:
    """The packaged cards, overridden by those under ``cards/`` of the data root.

    Below ``cards/hub`` are those that were counted from the configurations of models on the Hub.

    Args:
        store: has the data root.
        faults: receives the faults of cards that were left out; a faulty card never stops work that
            does not need it.
    """
    folders = [path for path in (store.root / CARDS, store.root / "cards") if path.is_dir()]
    return load_book(*folders, faults=[] if faults is None else faults) if folders else load_book()
