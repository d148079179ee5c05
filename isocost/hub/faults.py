"""Every failure of a hub as a message: what is wrong and what to do, never with a token in it.

Lives here: `HubFault`, and the translation of the exceptions of ``huggingface_hub``. Not here: the
position in a sweep file, which only the caller knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from isocost.credentials import redacted
from isocost.errors import IsocostError
from isocost.hub.place import Kind, Place

About = Literal["repository", "revision", "subset", "split", "files"]
"""Which part of a request is at fault."""


class HubFault(IsocostError):
    """What a hub or its cache lacks, or why it cannot be reached.

    `about` is the part of the request at fault.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        remedy: str = "",
        about: About = "repository",
    ) -> None:
        """Build the message; see IsocostError."""
        super().__init__(what, where=where, remedy=remedy)
        self.about: About = about


@contextmanager
def hub_faults(place: Place, kind: Kind, name: str, revision: str | None) -> Iterator[None]:
    """Turn whatever ``huggingface_hub`` raises in the block into a `HubFault`.

    Args:
        place: the hub.
        kind: the kind of repository.
        name: its id.
        revision: the revision that was asked for.

    Raises:
        HubFault: always instead of a library's exception.
    """
    import httpx2
    from huggingface_hub import constants, errors

    # The library reads the variable once, when it is imported, whoever imports it first.
    constants.HF_HUB_OFFLINE = place.is_offline
    known = (
        errors.HfHubHTTPError,
        errors.HFValidationError,
        errors.EntryNotFoundError,
        errors.RevisionResolutionError,
        errors.OfflineModeIsEnabled,
        errors.FileMetadataError,
        errors.XetDownloadError,
        httpx2.HTTPError,
        httpx2.InvalidURL,
        OSError,
    )
    try:
        yield
    except IsocostError:
        raise
    except known as error:
        raise _fault(_cause(error), place, kind, name, revision) from None


def _cause(error: BaseException) -> BaseException:
    """The first failure: the library wraps it in one that says only that the cache lacks a file."""
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionResolutionError

    while isinstance(error, LocalEntryNotFoundError | RevisionResolutionError) and error.__cause__:
        error = error.__cause__
    return error


def _fault(
    error: BaseException,
    place: Place,
    kind: Kind,
    name: str,
    revision: str | None,
) -> HubFault:
    from huggingface_hub import errors

    words = {"dataset": "data set", "model": "model"}[kind]
    page = f"{place.shown}/{'datasets/' if kind == 'dataset' else ''}{name}"
    if isinstance(error, errors.HFValidationError):
        return HubFault(
            f"{name!r} is not the id of a {words}",
            remedy="An id is OWNER/NAME, as in the address of its page.",
        )
    if place.is_offline:
        named = f" --revision {revision}" if revision else ""
        typed = " --repo-type dataset" if kind == "dataset" else ""
        return HubFault(
            f"{words} {name} (revision {revision or 'main'}) is not, or not completely, in the "
            f"cache {place.cache}, and HF_HUB_OFFLINE forbids downloads",
            remedy=(
                f"Unset HF_HUB_OFFLINE, or run `hf download{typed} {name}{named}` where there is a "
                "network and copy the cache."
            ),
        )
    if isinstance(error, errors.GatedRepoError):
        return _gated(place, words, name, page)
    if isinstance(error, errors.RevisionNotFoundError):
        return HubFault(
            f"{words} {name} has no revision {revision or 'main'}",
            remedy=f"Give a branch, a tag or a commit: {page}/tree/main lists them.",
            about="revision",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        lacking = (
            "A private or gated one needs a token: set HF_TOKEN."
            if place.token is None
            else "If it is private, the account of the token (HF_TOKEN) needs access."
        )
        return HubFault(
            f"there is no {words} {name} at {place.shown}, or it is not visible",
            remedy=f"Check the spelling: {page} must exist. {lacking}",
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return HubFault(
            f"{place.shown} rejects the token",
            remedy="Set HF_TOKEN to a valid token, or unset it for what is public.",
        )
    if status == 403:
        return HubFault(
            f"{place.shown} denies access to {words} {name}",
            remedy=f"The account of the token (HF_TOKEN) needs the right to read {page}.",
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, FileNotFoundError):
        return HubFault(
            f"a file of {words} {name} is gone from {place.shown}",
            remedy="Give another revision.",
            about="revision",
        )
    said = redacted(" ".join(str(error).split()), [place.token] if place.token else [])[:300]
    return HubFault(
        f"{words} {name} cannot be fetched from {place.shown} ({type(error).__name__}: {said})",
        remedy=(
            "Check the network, HF_ENDPOINT and free space, and retry: finished files are kept. "
            "With HF_HUB_OFFLINE=1, only the cache is used."
        ),
    )


def _gated(place: Place, words: str, name: str, page: str) -> HubFault:
    if place.token is None:
        return HubFault(
            f"{words} {name} is gated, and no token is set",
            remedy=(
                f"Accept its conditions at {page}, and set HF_TOKEN to a token of that account."
            ),
        )
    return HubFault(
        f"{words} {name} is gated, and the account of the token (HF_TOKEN) has no access",
        remedy=f"Request access at {page}, or set HF_TOKEN to a token of an account that has it.",
    )
