"""Provenance, which makes numbers comparable: given, stated by the source, or unknown.

Lives here: checking given provenance, filling it into records, and handling contradictions.
Not here: reading of sources (the format modules) and the order of an import (``run``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from isocost.errors import IsocostError
from isocost.hashing import canonical_json
from isocost.importers.base import PROVENANCE, ImportInput
from isocost.importers.recognise import Unsaid
from isocost.importers.row import Row


def fill_provenance(
    values: dict[str, Any],
    row: Row,
    given: Mapping[str, str],
    unknown: Set[str],
    source: ImportInput,
) -> None:
    """Fill in given provenance, and ask by name for what is missing.

    Missing means neither in the source, nor given, nor accepted as unknown.

    Notes in the source which columns it leaves open and where; some files may state what others do
    not.

    Args:
        values: the record's values, changed in place.
        row: the record, for messages.
        given: given provenance, by column.
        unknown: columns accepted as unknown.
        source: what is read.

    Raises:
        IsocostError: provenance is missing, or the only file contradicts the user.
    """
    missing = []
    for name, column in PROVENANCE.items():
        found, own = values.get(column), given.get(column)
        if found is None:
            source.unsaid.add(column)
            if own is not None:
                values[column] = own
                source.open_files.setdefault(column, set()).add(values["source_file"])
            elif column not in unknown:
                missing.append(name)
        elif (
            own is not None
            and found != own
            and values["source_file"] not in source.contradicted.setdefault(column, {})
        ):
            error = row.fail(
                column,
                f"the source states {found[:80]!r}, you gave {own[:80]!r}",
                f"Leave {name} out: the source knows it",
            )
            if len(source.files) == 1:
                raise error
            source.contradicted[column][values["source_file"]] = error
    if missing:
        raise ask_for(missing, row.where)


def settle(source: ImportInput, given: Mapping[str, str]) -> None:
    """Handle contradictions once all records are read.

    Given values apply to the files that do not state them.

    A file that states a value keeps it, and the difference is reported. If no other file needs the
    given value, or the file states it in some records only, it is a mistake.

    Raises:
        IsocostError: the first real contradiction.
    """
    for name, column in PROVENANCE.items():
        stated = source.contradicted.get(column)
        if not stated:
            continue
        open_files = source.open_files.get(column, set())
        for file, error in stated.items():
            if not open_files or file in open_files:
                raise error
        first = next(iter(stated))
        source.warnings.append(
            f"{len(stated)} of {len(source.files)} files state another {name} than"
            f" {given[column][:80]!r}, first {first}: theirs counts there, yours in the"
            f" {len(open_files)} that state none"
        )


def ask_for(missing: list[str], where: str) -> Unsaid:
    """The error that asks for provenance by name."""
    flags = " ".join(f"--unknown {name}" for name in missing)
    options = " ".join(f"--{name.replace('_', '-')} ..." for name in missing)
    return Unsaid(
        f"the source does not say {', '.join(missing)}, without which its numbers compare with"
        " nothing",
        where=where,
        remedy=(f"Give {options} (elsewhere: as provenance), or accept it as unknown with {flags}"),
    )


def checked_provenance(
    given: Mapping[str, Any], unknown: Set[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """Given provenance and provenance accepted as unknown, by column.

    Raises:
        IsocostError: unknown name, empty value, or a value that is both.
    """
    for name in [*given, *unknown]:
        if name not in PROVENANCE:
            raise IsocostError(
                f"{name!r} is not a kind of provenance", remedy=f"Use {', '.join(PROVENANCE)}"
            )
    both = sorted(set(given) & set(unknown))
    if both:
        raise IsocostError(
            f"{', '.join(both)} is both given and unknown", remedy="Say one of the two"
        )
    values = {}
    for name, value in given.items():
        if value is None or value == "":
            raise IsocostError(
                f"provenance {name} is empty", remedy=f"Leave it out and say --unknown {name}"
            )
        values[PROVENANCE[name]] = sampling_text(value) if name == "sampling" else str(value)
    return values, frozenset(PROVENANCE[name] for name in unknown)


def sampling_text(value: Any) -> str:
    """Sampling parameters as canonical JSON; other text is kept as a description.

    Raises:
        IsocostError: it starts like a JSON object but is not one: kept as text, its parameters
            would be lost silently.
    """
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError as error:
            if value.lstrip().startswith("{"):
                raise IsocostError(
                    f"provenance sampling is not valid JSON ({error})",
                    where=value[:80],
                    remedy=(
                        "Write it like '{\"temperature\": 0.7}', or in words that do not begin"
                        " with {"
                    ),
                ) from None
            parsed = None
        value = parsed if isinstance(parsed, dict) else {"description": value}
    return canonical_json(value)
