"""Less than was known before is a fault and never a smaller table: what the records know against
what lies there now.

Lives here: the comparison of the rows that were banked when a source's core tables were made with
what is banked now. Not here: making of core tables (``isocost.build.curate``), finding rows and
setting them aside (``isocost.intake.source``).

A lake that is not mounted, a folder that was emptied or a part that was deleted all look like a
bank with fewer rows. Rows may go in three ways: their part is in quarantine, their import was
replaced by another one under the same name, or the source was forgotten on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isocost.build.ledger import Record
from isocost.errors import IsocostError
from isocost.intake import Source, forgotten_sources, source_of
from isocost.store import Store


class Less(IsocostError):
    """A source holds fewer rows than are known of it.

    Attributes:
        source: the session or imported source.
        known: rows that its core tables were made from.
        found: how many of them lie there now.
    """

    exit_code = 1

    def __init__(self, source: str, known: int, found: int, *, where: str) -> None:
        """Says which source, how many rows and what to do."""
        what = (
            f"{source} holds {found} of the {known} rows that are known of it, and nothing says"
            " where the others went"
        )
        super().__init__(what, where=where, remedy=_REMEDY)
        self.source, self.known, self.found = source, known, found

    def __reduce__(self):
        """Keeps its own arguments when it crosses a process boundary."""
        return (_less, (self.source, self.known, self.found, self.where))


_REMEDY = (
    "Mount the lake or bring the files back. What is gone for good has to be said: `isocost bank"
    " verify --repair` records the loss of single parts, `isocost forget SOURCE` that of a whole"
    " source"
)


def _less(source: str, known: int, found: int, where: str) -> Less:
    return Less(source, known, found, where=where)


class Refused(IsocostError):
    """Nothing is published, because it would be less than before."""

    exit_code = 1


def refusal(losses: Sequence[Less]) -> Refused:
    """Why nothing is published: every source with its rows."""
    told = "\n".join(f"  {loss.source}: {loss.found} of {loss.known} rows" for loss in losses[:20])
    more = f"\n  and {len(losses) - 20} more sources" if len(losses) > 20 else ""
    who = (
        "1 source holds fewer rows than are known of it"
        if len(losses) == 1
        else f"{len(losses)} sources hold fewer rows than are known"
    )
    what = f"{who}, so that nothing was published; what stood there is as it was"
    return Refused(what, where=losses[0].where, remedy=f"{_REMEDY}\n{told}{more}")


def refuse_less(source: Source, record: Record | None) -> None:
    """Compares what a source's record knows with what lies in the lake.

    Args:
        source: one that is known.
        record: of its core tables; nothing is compared without.

    Raises:
        Less: rows are gone that nothing accounts for.
        IsocostError: a manifest is damaged.
    """
    known: Mapping[str, Mapping[str, int]] = (
        record.told.get("banked", {}) if record is not None else {}
    )
    if not known:
        return
    if gone := source.gone(known):
        total = rows_of(known)
        raise Less(source.key, total, total - gone, where=str(source.store.lake))


def refuse_fewer_sources(store: Store, before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Compares the sources of the last publication with those of the next, should the records of
    the core tables be lost, too.

    Args:
        store: where everything lies.
        before: rows of core tables by source.
        now: the same.

    Raises:
        Refused: a source is gone that is neither forgotten nor in quarantine.
    """
    gone = before.keys() - now.keys() - forgotten_sources(store)
    losses = [
        Less(source, before[source], 0, where=str(store.lake))
        for source in sorted(gone)
        if not source_of(store, source).was_set_aside()
    ]
    if losses:
        raise refusal(losses)


def rows_of(known: Mapping[str, Mapping[str, int]]) -> int:
    """All rows of all parts."""
    return sum(sum(parts.values()) for parts in known.values())


def known_rows(record: Record) -> int:
    """Rows that a record knows to have been banked, or else those of its core tables."""
    return rows_of(record.told.get("banked", {})) or sum(record.rows.values())
