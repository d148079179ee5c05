"""Recognise the format of a path whose import failed, for a better error message.

Lives here: a look at the first bytes of a few files, for a better message. Not here: any decision:
a file is never read as a format that the user did not name.
"""

from __future__ import annotations

import re
from contextlib import suppress
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from isocost.errors import IsocostError
from isocost.importers.base import Importer, registered

HEAD_BYTES = 256 << 10
# So many entries of a folder are looked at, so many files of it opened.
MAX_ENTRIES, MAX_OPENED = 2_000, 40
_TEXT = {".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".txt", ".csv", ".log", ""}
# A text that the head cuts off, be it inside an escape, ends there: trying again from every quote
# inside it would take minutes.
_TOKEN = re.compile(r'"(?:[^"\\]|\\(?:.|\Z))*+(?:"|\Z)|[{}\[\]:,]', re.DOTALL)
_YAML_KEY = re.compile(r"^([A-Za-z_][\w.-]*):", re.MULTILINE)


class Unsaid(IsocostError):
    """Provenance that is not in the source: the file was read, and its format is right."""


def hinted(error: IsocostError, reader: Importer, path: Path) -> IsocostError:
    """The error, with a hint on the format that the path looks like.

    Or on what this format reads, if it looks like none.

    Args:
        error: the import's error.
        reader: the requested format.
        path: the given path.
    """
    if isinstance(error, Unsaid) or not path.exists():
        return error
    found = looks_like(path)
    if reader.name in found:
        return error
    if found:
        hint = (
            f"It looks like {', or '.join(registered()[name].title for name in found)}: import it"
            f" as {' or '.join(found)}"
        )
    elif reader.marks or reader.names or reader.heads:
        hint = f"The importer {reader.name} reads {reader.title}"
    else:
        return error
    remedy = f"{error.remedy.rstrip('.')}. {hint}" if error.remedy else hint
    return IsocostError(error.what, where=error.where, remedy=remedy)


def looks_like(path: Path) -> list[str]:
    """Names of the formats that a file, or some file of a folder, looks like.

    None if unclear.

    Args:
        path: file or folder; only its names and the first bytes of a few files are looked at.
    """
    found: set[str] = set()
    with suppress(OSError):
        entries = list(islice(path.rglob("*"), MAX_ENTRIES)) if path.is_dir() else [path]
        files = sorted(entry for entry in entries if entry.is_file() and not entry.is_symlink())
        for reader in registered().values():
            if any(fnmatch(file.name, name) for file in files for name in reader.names):
                found.add(reader.name)
        for file in [file for file in files if file.suffix.lower() in _TEXT][:MAX_OPENED]:
            with file.open("rb") as handle:
                head = handle.read(HEAD_BYTES).decode("utf-8", "replace")
            keys, first = first_keys(head), head.lstrip("\ufeff\r\n").partition("\n")[0]
            found.update(
                reader.name
                for reader in registered().values()
                if any(mark <= keys for mark in reader.marks)
            )
            found.update(
                reader.name
                for reader in registered().values()
                if any(re.search(pattern, first) for pattern in reader.heads)
            )
    return sorted(found)


def first_keys(text: str) -> set[str]:
    """Keys of the first object of a JSON text, JSON Lines or YAML mapping, as far as the text goes.

    Other texts have none.
    """
    text = text.removeprefix("\ufeff").lstrip()
    if not text.startswith(("{", "[")):
        return set(_YAML_KEY.findall(text))
    keys: set[str] = set()
    depth = level = 0
    last = ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
            level = level or (depth if mark == "{" else 0)
        elif mark in "}]":
            depth -= 1
            if depth < level:
                break
        elif mark == ":" and depth == level:
            keys.add(last)
        last = mark[1:-1] if mark[0] == '"' else ""
    return keys
