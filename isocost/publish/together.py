"""Exports, warehouse and report as one publication, built separately and then swapped in.

Lives here: the order of building and of moving into place. Not here: their contents (``exports``,
``warehouse``, ``report``).

A full disk, a limit or a fault during the build leaves the previous publication intact. Only
renaming remains after that, which needs no space.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from isocost import atomic
from isocost.errors import IsocostError
from isocost.memory import chosen_budget
from isocost.publish.exports import DESCRIPTOR, ExportReport, stage_exports
from isocost.publish.handover import Handover
from isocost.publish.report import write_report
from isocost.publish.warehouse import WarehouseReport, stage_warehouse
from isocost.store import Store


@dataclass(frozen=True, slots=True)
class Publication:
    """The files of a publication.

    Attributes:
        warehouse: the DuckDB file.
        exports: the Parquet files.
        files: every file of the publication.
    """

    warehouse: WarehouseReport
    exports: ExportReport
    files: tuple[Path, ...]


def publish(store: Store, *, memory: int | None = None) -> Publication:
    """Publish all stored tables.

    The exports read every table and pass it to the other two; Polars and DuckDB release the
    interpreter meanwhile.

    Args:
        store: the tables.
        memory: budget in bytes for all three together; ``$ISOCOST_MEMORY`` or half of what is free
            if None.

    Raises:
        IsocostError: one of the three cannot be built; the previous publication is then unchanged.
    """
    share = (chosen_budget() if memory is None else memory) // 3
    handover = Handover(store.stored_tables())
    atomic.remove_stale(store.report)
    page = atomic.temporary_beside(store.report)
    with ExitStack() as undo, ThreadPoolExecutor(max_workers=3) as pool:
        undo.callback(page.unlink, missing_ok=True)
        making = (
            pool.submit(stage_exports, store, handover, memory=share),
            pool.submit(stage_warehouse, store, handover, memory=share),
            pool.submit(write_report, store, handover, page, memory=share),
        )
        made = []
        for future in making[:2]:
            if (error := future.exception()) is None:
                staged = future.result()
                undo.callback(staged.discard)
                made.append(staged)
        errors = [error for future in making if (error := future.exception()) is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, IsocostError)), errors[0])
        exports, warehouse = made
        exported, built = exports.commit(), warehouse.commit()
        atomic.put(page, store.report)
    tables = (store.exports / f"{name}.parquet" for name in exported.rows)
    return Publication(
        built,
        exported,
        (store.warehouse, store.report, store.exports / DESCRIPTOR, *sorted(tables)),
    )
