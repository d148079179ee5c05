"""The command ``isocost export every_eval_ever FOLDER``.

Lives here: its arguments, what it reads from a store, printing. Not here: the format
(``isocost.publish.export_every_eval_ever``), the Parquet files that every refresh publishes
(``isocost.publish.exports``).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from isocost.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the formats of ``isocost export`` on a parser; they end in ``run_command``."""
    formats = parser.add_subparsers(dest="export_format", required=True, metavar="format")
    eee = formats.add_parser(
        "every_eval_ever",
        help="every graded sample, two files per configuration, in the format every_eval_ever",
    )
    eee.add_argument("folder", type=Path, help="where the files go: a new or empty folder")
    eee.add_argument(
        "--organization", required=True, help="who provides the numbers, as the format asks"
    )
    eee.add_argument(
        "--relationship",
        default="other",
        help=(
            "relationship of this organization to the models' makers: first_party, third_party,"
            " collaborative or other (default)"
        ),
    )


def run_command(arguments: argparse.Namespace) -> int:
    """Exports the core tables of a store.

    Raises:
        IsocostError: the folder holds files, nothing is judged, or it cannot be written.
    """
    from isocost.errors import IsocostError
    from isocost.publish.export_every_eval_ever import export_every_eval_ever
    from isocost.store import Store

    store, folder = Store(arguments.data.resolve()), arguments.folder
    if folder.is_dir() and any(folder.iterdir()):
        raise IsocostError(
            "holds files already, and an import of the folder would read them, too",
            where=str(folder),
            remedy="Name a new folder; nothing was written",
        )
    done = export_every_eval_ever(
        store.read("core_samples"),
        store.read("core_points"),
        store.read("core_problems"),
        folder,
        organization=arguments.organization,
        relationship=arguments.relationship,
        retrieved_unix_s=time.time(),
        texts=output_texts(store),
    )
    left_out = sum(point.left_out for point in done)
    print(f"{sum(point.rows for point in done)} samples of {len(done)} configurations in {folder}")
    if left_out:
        print(f"  note: {left_out} samples are left out because they are invalid or ungraded")
    return 0


def output_texts(store: Store) -> pl.DataFrame:
    """sample_id and output_text of every sample with banked text.

    From the call that counts, or from the imported record.
    """
    import polars as pl

    from isocost.intake import ImportedSource, sources
    from isocost.tables.core.answers import TEXT_COLUMNS, sample_texts
    from isocost.tables.core.imports import imported_texts

    texts = sample_texts(
        store.read("core_calls", columns=TEXT_COLUMNS["core_calls"]),
        store.read("core_answers", columns=TEXT_COLUMNS["core_answers"]),
    )
    found = [texts.select("sample_id", "output_text")]
    found += [
        imported_texts(source.raw("raw_imports"), verifier=source.verifier)
        for source in sources(store)
        if isinstance(source, ImportedSource)
    ]
    return pl.concat(found).unique("sample_id", keep="first", maintain_order=True)
