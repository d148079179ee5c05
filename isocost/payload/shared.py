"""Calls that samples of one context share, while samples need them.

Lives here: `SharedCalls`, what is known of them in a run. Not here: which calls are shared, and
what makes them (``course``); what is banked of them (``isocost.bank.resume``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from isocost.payload.work import Sample
from isocost.sweep import sample_id_of

Rows = dict[int, Mapping[str, Any]]
"""Completed calls by call_index, in the columns of ``isocost.bank.resume.REPLIED``."""


class SharedCalls:
    """The completed shared calls of the contexts that have samples to come.

    A context's calls are forgotten with its last sample, so that memory does not grow with the
    number of contexts that were made.
    """

    def __init__(self, owners: pl.DataFrame, banked: Mapping[str, Mapping[int, Mapping[str, Any]]]):
        """Take what earlier runs completed.

        Args:
            owners: see `Work.owners`.
            banked: completed calls by the sample_id of what holds them.
        """
        self._left = {
            sample_id_of(point_id, context_id, index): users
            for point_id, context_id, index, users in owners.iter_rows()
        }
        self._rows: dict[str, Rows] = {holder: dict(rows) for holder, rows in banked.items()}

    def begin(self, sample: Sample) -> Rows | None:
        """The calls that a sample shares, one object for all of its context; None without one.

        Args:
            sample: about to begin; each is given once.
        """
        owner = sample.owner
        if owner is None:
            return None
        holder = owner.sample_id
        self._left[holder] -= 1
        rows = self._rows.setdefault(holder, {})
        if not self._left[holder]:  # those under way have the object, and it ends with them
            del self._left[holder], self._rows[holder]
        return rows
