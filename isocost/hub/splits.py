"""Which files of a data set make a subset's split.

Lives here: a file pattern, the list in the data set's card, and otherwise the names of files and
folders, by the rules that the Hub documents for data sets without a loading script. Not here:
reading the files (``rows``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fsspec.utils import glob_translate

from isocost.hub.faults import HubFault
from isocost.hub.rows import ENDINGS, ending_of
from isocost.registry import did_you_mean

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_CONVERTED = "A data set with a loading script has Parquet files at revision refs/convert/parquet."


def data_files(
    name: str,
    files: Iterable[str],
    card: Mapping[str, Any],
    *,
    subset: str | None,
    split: str | None,
) -> list[str]:
    """The files of a split, in their order.

    Args:
        name: the data set, for messages.
        files: all of its files.
        card: the metadata of its card.
        subset: one of its configurations; needed if it has several.
        split: the split; needed if there are several.

    Raises:
        HubFault: there is no such subset or split, it has to be named, or its files are of several
            kinds.
    """
    known = [file for file in sorted(files) if ending_of(file) is not None]
    if not known:
        raise HubFault(
            f"data set {name} has no files of a kind that can be read ({', '.join(ENDINGS)})",
            remedy=f"Give another revision or data set. {_CONVERTED}",
            about="revision",
        )
    listed = card.get("configs")
    if isinstance(listed, list) and listed:
        splits = _of_card(name, known, listed, subset)
    else:
        splits = _of_names(name, known, subset)
    return _one_kind(name, _chosen(name, splits, split))


def matching(name: str, files: Iterable[str], pattern: str) -> list[str]:
    """The files that match a pattern such as ``data/test-*.parquet``, in their order.

    Raises:
        HubFault: none does, or one is of a kind that cannot be read.
    """
    files = sorted(files)
    found = _matches(files, pattern)
    if not found:
        raise HubFault(
            f"no file of data set {name} matches {pattern!r}",
            remedy=did_you_mean(pattern, [f for f in files if ending_of(f)], kind="data files"),
            about="files",
        )
    unread = [file for file in found if ending_of(file) is None]
    if unread:
        raise HubFault(
            f"{unread[0]} of data set {name} is not of a kind that can be read",
            remedy=f"Kinds: {', '.join(ENDINGS)}, each also with .gz except Parquet.",
            about="files",
        )
    return _one_kind(name, found)


def _matches(files: Iterable[str], pattern: str) -> list[str]:
    try:
        accepted = re.compile(glob_translate(pattern.removeprefix("./")))
    except (re.error, ValueError):
        return []
    return [file for file in files if accepted.match(file)]


def _of_card(
    name: str, files: list[str], listed: list[Any], subset: str | None
) -> dict[str, list[str]]:
    """Files of each split of a subset, as the card lists them."""
    entries = {
        str(entry.get("config_name", "default")): entry
        for entry in listed
        if isinstance(entry, dict)
    }
    if subset is None:
        marked = [key for key, entry in entries.items() if entry.get("default")]
        subset = next(iter(marked or (list(entries) if len(entries) == 1 else [])), None)
        if subset is None and "default" in entries:
            subset = "default"
    if subset not in entries:
        what = f"has no subset {subset}" if subset else "has several subsets, and none is named"
        raise HubFault(
            f"data set {name} {what}",
            remedy=did_you_mean(subset or "", entries, kind="subsets"),
            about="subset",
        )
    entry = entries[subset]
    folder = str(entry.get("data_dir") or "").strip("/")
    inside = [file for file in files if not folder or file.startswith(f"{folder}/")]
    given = entry.get("data_files")
    if given is None:
        return _by_words(inside)
    found: dict[str, list[str]] = {}
    for split, patterns in _patterns(given):
        prefix = f"{folder}/" if folder else ""
        found.setdefault(split, []).extend(
            file for pattern in patterns for file in _matches(files, prefix + pattern)
        )
    return found


def _patterns(given: Any) -> list[tuple[str, list[str]]]:
    """Splits with their patterns, from each of the forms that a card may use."""
    if isinstance(given, Mapping):
        return [(str(split), _listed(patterns)) for split, patterns in given.items()]
    entries = given if isinstance(given, list) else [given]
    if all(isinstance(entry, Mapping) for entry in entries):
        return [(str(entry.get("split", "train")), _listed(entry.get("path"))) for entry in entries]
    return [("train", _listed(entries))]


def _listed(patterns: Any) -> list[str]:
    values = patterns if isinstance(patterns, list) else [patterns]
    return [value for value in values if isinstance(value, str)]


def _of_names(name: str, files: list[str], subset: str | None) -> dict[str, list[str]]:
    """Files of each split by their names; a subset is a folder."""
    if subset is None or subset == "default":
        return _by_words(files)
    inside = [file for file in files if subset in file.split("/")[:-1]]
    if not inside:
        folders = {part for file in files for part in file.split("/")[:-1]}
        raise HubFault(
            f"data set {name} has no subset {subset}: no folder has this name",
            remedy=f"{did_you_mean(subset, folders, kind='folders')} Or give a pattern under"
            " files.",
            about="subset",
        )
    return _by_words(inside)


def _by_words(files: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for file in files:
        parts = re.split(r"[^a-z0-9]+", file.lower())
        for split, words in _WORDS.items():
            if any(word in parts for word in words):
                found[split].append(file)
                break
    return dict(found) or {"train": files}


def _chosen(name: str, splits: Mapping[str, list[str]], split: str | None) -> list[str]:
    if split is None and len(splits) == 1:
        split = next(iter(splits))
    if split is None or split not in splits:
        what = f"has no split {split}" if split else "has several splits, and none is named"
        raise HubFault(
            f"data set {name} {what}",
            remedy=did_you_mean(split or "", splits, kind="splits"),
            about="split",
        )
    if not splits[split]:
        raise HubFault(
            f"data set {name} has no file for split {split}, although its card lists it",
            remedy="Give a pattern under files, or another revision.",
            about="split",
        )
    return splits[split]


def _one_kind(name: str, files: list[str]) -> list[str]:
    kinds = sorted({ending_of(file) or "" for file in files})
    if len(kinds) > 1:
        raise HubFault(
            f"data set {name} has this split in files of several kinds ({', '.join(kinds)})",
            remedy='Choose one kind with a pattern under files, such as "**/*.parquet".',
            about="files",
        )
    return files
