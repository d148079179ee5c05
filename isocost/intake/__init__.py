"""Incoming data: sweep files become sessions, other tools' results become imports.

And which sources exist.

Lives here, a module each: planning (``plan``), importing (``imports``), the interface of a source
(``source``, ``sessions``, ``imported``), the existing sources (``catalog``), contradictions between
two of them (``clashes``), the checks before a measurement (``preflight``), the settings of a data
root (``settings``) and its cards (``cards``). Not here: what is derived from sources
(``isocost.build``), parsing of sweep files (``isocost.sweep``) and of other tools' files
(``isocost.importers``).
"""

from isocost.intake.cards import card_book
from isocost.intake.catalog import (
    forgotten_sources,
    known_sources,
    lost_sources,
    raw_rows,
    remember_forgotten,
    source_of,
    sources,
)
from isocost.intake.clashes import clashes
from isocost.intake.imported import ImportedSource, source_key
from isocost.intake.imports import bring_in
from isocost.intake.plan import plan_sweep
from isocost.intake.sessions import EngineSession
from isocost.intake.source import Share, Source

__all__ = [
    "EngineSession",
    "ImportedSource",
    "Share",
    "Source",
    "bring_in",
    "card_book",
    "clashes",
    "forgotten_sources",
    "known_sources",
    "lost_sources",
    "plan_sweep",
    "raw_rows",
    "remember_forgotten",
    "source_key",
    "source_of",
    "sources",
]
