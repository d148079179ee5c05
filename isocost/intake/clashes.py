"""What two imported sources say differently of the same run.

Lives here: comparing the core tables of imports with each other. Not here: refusing an import
(``isocost.intake.imports``).
"""

from __future__ import annotations

import polars as pl

from isocost.intake.catalog import source_of
from isocost.intake.imported import ImportedSource
from isocost.schema.parquet import read_table
from isocost.store import Store


def clashes(store: Store, session_id: str) -> list[str]:
    """Report samples of an import that another source has with different results.

    A sample is kept once (``Store.read``): of two versions of one run only the first source counts.
    Other runs of the same configuration add samples and do not clash. Also reported is a run that
    also exists as another configuration: the stated model, task, prompt or sampling differs, and
    both count. One sentence for each; none for a session of an engine.
    """
    return [
        *_clashes(store, session_id, "core_samples", _SAMPLE_RESULTS),
        *_clashes(store, session_id, "core_counts", _COUNT_RESULTS),
    ]


_SAMPLE_RESULTS = ("sample_id", "correct", "answer", "completion_hash", "output_tokens")
_COUNT_RESULTS = ("count_id", "n_samples", "n_correct")


def _clashes(store: Store, session_id: str, table_name: str, what: tuple[str, ...]) -> list[str]:
    """The sentences of one table, whose key and results are named."""
    own, key = store.path(table_name, session_id), what[0]
    noun = "samples" if table_name == "core_samples" else "counts"
    if not isinstance(source_of(store, session_id), ImportedSource) or not own.exists():
        return []
    mine, notes = read_table(own, table_name, columns=what), []
    if mine.is_empty():
        return []
    for path in store.files(table_name):
        other = path.stem.removeprefix("session=")
        if path == own or not isinstance(source_of(store, other), ImportedSource):
            continue
        everything = read_table(path, table_name, columns=what)
        n = _same_run_elsewhere(mine, everything, key)
        if n:
            notes.append(
                f"{n} {noun} of the same run are in {other} as another configuration, and both "
                f"count: their stated model, task, prompt or sampling differs. Import one of them "
                f"again under its name with the other's values"
            )
        theirs = everything.join(mine, on=key, how="semi")
        n = theirs.height - theirs.join(mine, on=what, how="semi", nulls_equal=True).height
        if n:
            first = min(path, own).stem.removeprefix("session=")
            notes.append(
                f"{n} {noun} of the same run have other results in {other}; only those of {first}"
                " count. A corrected file takes the place of the earlier one when it is imported"
                " under its name (--name)"
            )
    return notes


def _same_run_elsewhere(mine: pl.DataFrame, theirs: pl.DataFrame, key: str) -> int:
    """Rows with the same number of the same run and problem under another point.

    Ids are ``POINT:PROBLEM:RUN#number``.
    """
    rest = pl.col(key).str.replace(r"^[^:]*:", "").alias("rest")
    others = theirs.join(mine, on=key, how="anti").select(rest)
    return others.join(
        mine.join(theirs, on=key, how="anti").select(rest), on="rest", how="semi"
    ).height
