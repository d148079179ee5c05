"""Lost rows are an error, never a smaller table: compare the records with the lake.

Lives here: the comparison of the rows that were banked when a source's core tables were made with
what is banked now. Not here: building core tables (``isocost.build.curate``), finding and
quarantining rows (``isocost.intake.source``).

A lake that is not mounted, a folder that was emptied or a part that was deleted all look like a
bank with fewer rows. Rows may disappear in three ways: their part is in quarantine, their import
was replaced by another one under the same name, or the source was forgotten on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isocost.build.ledger import Record
from isocost.errors import IsocostError
from isocost.intake import Source, forgotten_sources, source_of
from isocost.store import Store


class Less(IsocostError):
    """A source has fewer rows than are known.

    Attributes:
        source: the session or imported source.
        known: rows that its core tables were built from.
        found: how many of them exist now.
    """

    exit_code = 1

    def __init__(self, source: str, known: int, found: int, *, where: str) -> None:
        """State the source, the number of rows and the remedy."""
        what = (
            f"{source} has {found} of its {known} known rows, and the others are missing without "
            f"explanation"
        )
        super().__init__(what, where=where, remedy=_REMEDY)
        self.source, self.known, self.found = source, known, found

    def __reduce__(self):
        """Keep its own arguments when it crosses a process boundary."""
        return (_less, (self.source, self.known, self.found, self.where))


_REMEDY = (
    "Mount the lake or restore the files. To accept a permanent loss, use `isocost bank verify "
    "--repair` for single parts, or `isocost forget SOURCE` for a whole source"
)


def _less(source: str, known: int, found: int, where: str) -> Less:
    return Less(source, known, found, where=where)


class Refused(IsocostError):
    """Nothing is published, because it would be less than before."""

    exit_code = 1


def refusal(losses: Sequence[Less]) -> Refused:
    """Why nothing is published: every source with its rows."""
    listed = "\n".join(
        f"  {loss.source}: {loss.found} of {loss.known} rows" for loss in losses[:20]
    )
    more = f"\n  and {len(losses) - 20} more sources" if len(losses) > 20 else ""
    who = (
        "1 source has fewer rows than are known"
        if len(losses) == 1
        else f"{len(losses)} sources have fewer rows than are known"
    )
    what = f"{who}, so nothing was published; the previous publication is unchanged"
    return Refused(what, where=losses[0].where, remedy=f"{_REMEDY}\n{listed}{more}")


def refuse_less(source: Source, record: Record | None) -> None:
    """Compare a source's record with the lake.

    Args:
        source: a known source.
        record: of its core tables; nothing is compared without.

    Raises:
        Less: rows are missing without explanation.
        IsocostError: a manifest is damaged.
    """
    known: Mapping[str, Mapping[str, int]] = (
        record.facts.get("banked", {}) if record is not None else {}
    )
    if not known:
        return
    if gone := source.gone(known):
        total = rows_of(known)
        raise Less(source.key, total, total - gone, where=str(source.store.lake))


def refuse_fewer_sources(store: Store, before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Compare the sources of the last publication with the next.

    In case the records of the core tables were lost, too.

    Args:
        store: the data root.
        before: rows of core tables by source.
        now: the same.

    Raises:
        Refused: a source is missing that is neither forgotten nor in quarantine.
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
    return rows_of(record.facts.get("banked", {})) or sum(record.rows.values())
