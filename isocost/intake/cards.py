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


class _Rooted(Protocol):
    @property
    def root(self) -> Path: ...


def card_book(store: _Rooted, faults: list[IsocostError] | None = None) -> CardBook:
    """The packaged cards, overridden by those under ``cards/`` of the data root.

    Args:
        store: has the data root.
        faults: receives the faults of cards that were left out; a faulty card never stops work that
            does not need it.
    """
    own = store.root / "cards"
    return load_book(own, faults=[] if faults is None else faults) if own.is_dir() else load_book()
