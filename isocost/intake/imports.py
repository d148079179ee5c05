"""Import another tool's results as a source of data.

Lives here: importing under a key, the choice of verifier, and rejecting content of another source.
Not
here: parsing of other tools' files and sealing of their rows (``isocost.importers``), the resulting
    source (``isocost.intake.imported``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from isocost.credentials import refuse_credentials
from isocost.errors import IsocostError
from isocost.importers import ImportReport, import_path
from isocost.intake.catalog import forgotten_file, imports, source_of
from isocost.intake.imported import PREFIX, ImportedSource
from isocost.store import Store
from isocost.tasks import TaskMistake, check_import, check_options, verifier_names
from isocost.verifier_settings import given_text, name_of, options_of


def bring_in(
    store: Store,
    session_id: str,
    *,
    format: str,
    path: Path,
    provenance: Mapping[str, Any],
    unknown: Set[str] = frozenset(),
    mapping: Path | None = None,
    verifier: str | None = None,
    condition: Mapping[str, Any] | Iterable[str] = (),
    metric: str | None = None,
) -> ImportReport:
    """Import another tool's results as the source ``session_id``.

    Args:
        store: the data root.
        session_id: the source's key; starts with ``import-``.
        format: name of an importer.
        path: file or folder.
        provenance: what the source does not state: model, task, task_version, prompt, sampling.
        unknown: names of unknown provenance.
        mapping: mapping file of the generic importer.
        verifier: verifier that grades every text; ``"none"`` uses the source's own labels. None
            means unspecified: the labels judge what is new here, and what a verifier has judged
            before is asked about.
        condition: settings that the source does not state, such as the hardware; they enter every
            record's identity.
        metric: the metric whose score is the verdict, where the source has several; its usual one
            where None.

    Raises:
        IsocostError: a wrong key, bad input, the same content is another source already, or it is
            not said whether the verifier of before still judges; nothing was imported then.
    """
    source = source_of(store, session_id)
    if not isinstance(source, ImportedSource):
        raise IsocostError(
            f"{session_id!r} cannot name an imported source",
            remedy=f"Use a key that starts with {PREFIX} and that no session has",
        )
    before = _verifier_before(source)
    judge = _judge(session_id, verifier, before)
    report = import_path(
        format,
        path,
        store.lake,
        provenance=provenance,
        unknown=unknown,
        mapping=mapping,
        name=session_id,
        condition=condition,
        metric=metric,
    )
    if report.status == "already":
        _refuse_twin(source, report.import_id, path)
    if source.is_known and judge != before:
        note = (
            f"graded by {judge or 'the labels of the source'} now, by"
            f" {before or 'the labels of the source'} before"
        )
        report = replace(report, warnings=(*report.warnings, note))
    source.write_note(
        {
            "import_id": report.import_id,
            "source_slug": report.source_slug,
            "format": report.format,
            "verifier": judge,
        }
    )
    forgotten_file(store, session_id).unlink(missing_ok=True)
    return report


LABELS = "none"
"""The value that selects the source's own labels instead of a verifier."""


def _judge(session_id: str, verifier: str | None, before: str | None) -> str | None:
    """The verifier of an import; None for the source's labels."""
    if verifier is not None and verifier != LABELS:
        verifier = _checked(verifier)
    if verifier is None and before is not None:
        raise IsocostError(
            f"its texts were graded by {before} before, and no verifier is specified now; nothing "
            f"was changed",
            where=session_id,
            remedy=(
                f"Say --verifier {before} to keep it, or --verifier {LABELS} for the labels of the"
                " source"
            ),
        )
    return None if verifier == LABELS else verifier


def _checked(given: str) -> str:
    """The text of a verifier, given as a name or as a mapping in YAML.

    Raises:
        IsocostError: there is no such verifier, or it does not take these options.
    """
    try:
        verifier = given_text(given)
    except ValueError as error:
        raise IsocostError(
            str(error),
            where="--verifier",
            remedy="Write NAME, or {name: NAME, option: value}; nothing was imported",
        ) from None
    name, known = name_of(verifier), verifier_names()
    if name not in known:
        raise IsocostError(
            f"no verifier is called {name!r}",
            remedy=f"Use one of {', '.join((*known, LABELS))}; nothing was imported",
        )
    remedy = "Name its environment variable in api_key_variable; nothing was imported"
    for key, error in refuse_credentials(options_of(verifier), remedy=remedy):
        where = ".".join(map(str, ("--verifier", *key)))
        raise IsocostError(error.what, where=where, remedy=remedy)
    try:
        check_options(verifier)
        check_import(verifier)
    except TaskMistake as mistake:
        where = ".".join(map(str, ("--verifier", *mistake.key[1:])))
        raise IsocostError(
            mistake.what, where=where, remedy=f"{mistake.remedy} Nothing was imported."
        ) from None
    return verifier


def _verifier_before(source: ImportedSource) -> str | None:
    """The verifier of this source until now.

    None if its labels were used, it is new here, or its note cannot be read.
    """
    try:
        return source.verifier
    except IsocostError:
        return None


def _refuse_twin(source: ImportedSource, import_id: str, path: Path) -> None:
    """Reject content that another source has.

    One measurement under two names would be superseded under only one of them.
    """
    holders = [each for each in imports(source.store) if _import_id(each) == import_id]
    if holders and source.key not in [each.key for each in holders]:
        raise IsocostError(
            f"the same content with the same provenance already exists as source {holders[0].key};"
            " nothing was imported",
            where=f"{path} as {source.key}",
            remedy=(
                f"Use {holders[0].key}, which is in every table; to correct it or to grade it with"
                f" another verifier, import it with --name {holders[0].name}"
            ),
        )


def _import_id(source: ImportedSource) -> str | None:
    """The import that a source states.

    None if its note cannot be read: importing it again writes a new one.
    """
    try:
        return source.import_id
    except IsocostError:
        return None
