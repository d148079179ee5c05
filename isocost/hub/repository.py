"""One repository at one commit: its files and its card.

Lives here: resolving a revision, listing and fetching files, all through the cache of
``huggingface_hub``. Not here: which files make a split (``splits``), what is in them (``rows``).
"""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeGuard

from isocost.hub.faults import hub_faults
from isocost.hub.place import Kind, Place, current_place
from isocost.plain_files import compose, construct

_COMMIT = re.compile(r"[0-9a-f]{40}")
_CARD = "README.md"


def _is_commit(revision: str | None) -> TypeGuard[str]:
    """Whether a revision is a commit already."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a commit.

    Attributes:
        kind: dataset or model.
        name: its id, OWNER/NAME.
        commit: the commit.
        place: the hub and its cache.
    """

    kind: Kind
    name: str
    commit: str
    place: Place

    @property
    def folder(self) -> Path:
        """The folder of this commit in the cache; it need not exist."""
        from huggingface_hub.file_download import repo_folder_name

        owner = repo_folder_name(repo_id=self.name, repo_type=self.kind)
        return self.place.cache / owner / "snapshots" / self.commit

    def sizes(self) -> dict[str, int]:
        """Size of every file in bytes, by its path in the repository, sorted.

        Offline, if the listing was not kept: what is in the cache.

        Raises:
            HubFault: the hub cannot be asked, or has no such commit.
        """
        kept = self._kept_sizes()
        if kept is None and not (self.place.is_offline and self.folder.is_dir()):
            self._snapshot([_CARD])  # also keeps the listing
            kept = self._kept_sizes()
        if kept is not None:
            return kept
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in paths}

    def _kept_sizes(self) -> dict[str, int] | None:
        """The listing in the cache; a commit's never changes."""
        from huggingface_hub import get_cached_repo_tree
        from huggingface_hub.errors import CachedRepoTreeNotFoundError

        try:
            tree = get_cached_repo_tree(
                self.name, repo_type=self.kind, revision=self.commit, cache_dir=self.place.cache
            )
        except CachedRepoTreeNotFoundError:
            return None
        return {file.path: file.size for file in sorted(tree, key=lambda file: file.path)}

    def fetch(self, file: str) -> Path:
        """The local path of a file, downloaded if the cache lacks it.

        Raises:
            HubFault: it cannot be downloaded.
        """
        from huggingface_hub import hf_hub_download

        with self._faults():
            return Path(
                hf_hub_download(
                    self.name,
                    file,
                    repo_type=self.kind,
                    revision=self.commit,
                    cache_dir=self.place.cache,
                    endpoint=self.place.endpoint,
                    token=self.place.token or False,
                    local_files_only=self.place.is_offline,
                )
            )

    def fetch_all(self, files: Iterable[str]) -> Path:
        """The folder of this commit with the given files; finished ones are not fetched again.

        Raises:
            HubFault: one cannot be downloaded.
        """
        return self._snapshot([glob.escape(file) for file in files])

    def card(self) -> dict[str, Any]:
        """The metadata at the top of its README; empty if there is none."""
        if _CARD not in self.sizes():
            return {}
        text = self.fetch(_CARD).read_text(encoding="utf-8", errors="replace")
        found = re.match(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
        if found is None:
            return {}
        compose(found[1], f"{self.name} {_CARD}")
        content = construct(found[1], f"{self.name} {_CARD}")
        return content if isinstance(content, dict) else {}

    def _snapshot(self, patterns: list[str]) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import tqdm

        class Silent(tqdm):
            def __init__(self, *given: Any, **named: Any) -> None:
                super().__init__(*given, **{**named, "disable": True})

        with self._faults(), _without_warnings():
            if not self.place.is_offline and not self.folder.is_dir():
                _reach(self.place, self.kind, self.name, self.commit)
            return Path(
                snapshot_download(
                    self.name,
                    repo_type=self.kind,
                    revision=self.commit,
                    cache_dir=self.place.cache,
                    endpoint=self.place.endpoint,
                    token=self.place.token or False,
                    local_files_only=self.place.is_offline,
                    allow_patterns=patterns,
                    tqdm_class=Silent,
                )
            )

    def _faults(self) -> Any:
        return hub_faults(self.place, self.kind, self.name, self.commit)


def _reach(place: Place, kind: Kind, name: str, revision: str | None) -> None:
    """Ask the hub for a repository, with a limit of time.

    The library's own requests have none before a download: a network that drops what it is sent
    would be waited for without end.
    """
    from huggingface_hub import HfApi, constants

    api = HfApi(endpoint=place.endpoint, token=place.token or False)
    api.repo_info(name, repo_type=kind, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)


_OF_A_MODEL = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.py")
_WEIGHTS = ("*.safetensors", "*.bin")


def model_files(sizes: Mapping[str, int], *, with_weights: bool = True) -> dict[str, int]:
    """The files of a model repository that an engine loads, with their sizes.

    Those of its top folder; weights of the first kind that is there.

    Args:
        sizes: every file of the repository.
        with_weights: whether to include the weights.
    """
    top = {name: size for name, size in sizes.items() if "/" not in name}
    found = {name for name in top if any(fnmatch(name, pattern) for pattern in _OF_A_MODEL)}
    weights = (({n for n in top if fnmatch(n, pattern)}) for pattern in _WEIGHTS)
    if with_weights:
        found |= next((names for names in weights if names), set())
    return {name: top[name] for name in sorted(found)}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep the library quiet about a repository without a card."""
    logger = logging.getLogger("huggingface_hub._snapshot_download")

    def passes(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("No files matched")

    logger.addFilter(passes)
    try:
        yield
    finally:
        logger.removeFilter(passes)


def repository_at(kind: Kind, name: str, commit: str) -> Repository:
    """A repository at a commit that is known, at the hub that the environment names."""
    return Repository(kind, name, commit, current_place())


def resolve(kind: Kind, name: str, revision: str | None) -> Repository:
    """A repository at the commit that a revision means now.

    Offline, it is the commit that it meant when the cache was last filled. An unreachable hub is an
    error otherwise: an older commit is never taken silently.

    Args:
        kind: dataset or model.
        name: its id, OWNER/NAME.
        revision: branch, tag or commit; the default branch if None.

    Raises:
        HubFault: there is no such repository or revision, it is gated, or the hub cannot be
            reached.
    """
    from huggingface_hub import HfApi

    place = current_place()
    with hub_faults(place, kind, name, revision):
        if _is_commit(revision):
            return Repository(kind, name, revision, place)
        if not place.is_offline:  # asked first: `resolve_revision` alone would fall back silently
            _reach(place, kind, name, revision)
        api = HfApi(endpoint=place.endpoint, token=place.token or False)
        found = api.resolve_revision(
            name,
            repo_type=kind,
            revision=revision,
            cache_dir=place.cache,
            local_files_only=place.is_offline,
        )
        return Repository(kind, name, found.resolved, place)
