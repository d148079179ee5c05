"""The parts of a lake that count: listed in manifests, or whole but unlisted.

Lives here: `load_complete`, which every reader uses. A part is durable from its rename on and
listed a moment later, so an unlisted part was sealed by a run that is about to list it, by a run
that died or hit a full disk in that moment, or its manifest is lost. In each case its rows were
sealed and would be missing silently, so it is verified by its own stamp and page checksums and
counted; nothing is written. Not here: listing it permanently and quarantining a bad one
(`recover`), reporting it (`verify`).
"""

from __future__ import annotations

from collections.abc import Iterable

from isocost.bank import layout
from isocost.bank import manifest as manifests
from isocost.bank.files import Files
from isocost.bank.manifest import Manifest
from isocost.bank.parts import PartFault, adopted, check_part, manifest_from_stamp
from isocost.seals import Damaged


def load_complete(
    files: Files,
    session_id: str | None = None,
    tables: Iterable[str] = layout.FOLDERS,
    *,
    skip_damaged: bool = False,
) -> list[Manifest]:
    """Manifests with all whole parts, by session and attempt.

    Of one session or of the whole lake.

    Args:
        files: the lake.
        session_id: the session; all if None.
        tables: the raw tables whose folders are compared with the manifests.
        skip_damaged: skip damaged manifests, verifying their parts one by one, and damaged unlisted
            parts.

    Raises:
        IsocostError: a manifest or an unlisted part is damaged; or an unlisted part has an unknown
            version.
    """
    tables = list(tables)
    found = []
    for session in manifests.session_ids(files, tables) if session_id is None else [session_id]:
        # The folders first: a part that is sealed after this look is not looked for, one that is
        # listed after it is found listed.
        lying = [(table, name) for table in tables for name in part_names(files, table, session)]
        loaded = manifests.load(files, session, skip_damaged=skip_damaged)
        listed = {(part.table, part.file) for manifest in loaded for part in manifest.parts}
        found += _completed(
            files, session, loaded, [part for part in lying if part not in listed], skip_damaged
        )
    return sorted(found, key=lambda m: (m.session_id, m.attempt, m.run_id))


def part_names(files: Files, table: str, session_id: str) -> list[str]:
    """Names of the parts in a session's folder of a table, sorted."""
    return [
        name
        for name in files.names(layout.part_folder(table, session_id))
        if layout.parse_part(name)
    ]


def _completed(
    files: Files,
    session: str,
    loaded: list[Manifest],
    unlisted: list[tuple[str, str]],
    skip_damaged: bool,
) -> list[Manifest]:
    by_run = {manifest.run_id: manifest for manifest in loaded}
    for table, name in reversed(unlisted):  # the last part of a run remembers most of it
        part = layout.parse_part(name)
        assert part is not None
        try:
            frame, data = check_part(files, session, table, name, None)
        except PartFault as fault:
            if (
                skip_damaged or fault.kind == "missing"
            ):  # missing: a run that has just begun set it aside
                continue
            where = files.full(f"{layout.part_folder(table, session)}/{name}")
            remedy = (
                "Run `isocost bank verify` for the whole story, `--repair` to set it aside and have"
                " its samples generated again"
            )
            raise Damaged(
                f"a part that no manifest lists is damaged ({fault})", where=where, remedy=remedy
            ) from None
        if part.run_id not in by_run:
            by_run[part.run_id] = manifest_from_stamp(
                data, session, part, 1 + max((m.attempt for m in by_run.values()), default=0)
            )
        by_run[part.run_id].parts.append(adopted(data, frame, table, part))
    for manifest in by_run.values():
        manifest.parts.sort(key=lambda entry: (entry.file, entry.table))
    return list(by_run.values())
