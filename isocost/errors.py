"""The one error type that is written for people.

Lives here: the exception every room raises for bad input or an impossible request, its form where
all else was done, and the boundary around one source or derived table of several, where whatever
goes wrong becomes that exception. Not here: other library exceptions, which are left to bubble up
when they mean a defect of ours rather than a mistake that the reader can correct.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EIO,
}


class IsocostError(ValueError):
    """A mistake in the input or the environment, told with its place and its remedy.

    Attributes:
        what: what is wrong, one sentence.
        where: file, row, column or key at fault; empty where there is no such place.
        remedy: what would be right, or what to do next.
    """

    exit_code = 2
    """What a command that ends with it returns: 2 for a mistake in what was given, 1 for a fault of
    the machine or of what is stored, 3 where all but what it names was done."""

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        """Builds the message ``where: what. remedy``."""
        self.what = what
        self.where = where
        self.remedy = remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text.rstrip('.')}. {remedy}" if remedy else text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keeps the keyword arguments when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


class PartialError(IsocostError):
    """Everything that could be done is done and published, and something was left out.

    Which, and why, is in the remedy.
    """

    exit_code = 3


class MachineError(IsocostError):
    """The machine refuses.

    No space, a limit, a folder that cannot be written. Nothing is wrong with what was asked.
    """

    exit_code = 1


def _rebuild(cls: type[IsocostError], what: str, where: str, remedy: str) -> IsocostError:
    return cls(what, where=where, remedy=remedy)


@contextmanager
def one_source(
    name: str, *, then: str = "bring the source in again once it is corrected"
) -> Iterator[None]:
    """The boundary around the work on one of several sources: what goes wrong inside is told as
    that source's fault.

    A library may fail in ways that it does not document, and not always with an ``Exception`` (a
    panic of Polars is none): the other sources must not pay for that. What would hit them all (no
    space, no memory, an interrupt) passes through.

    Args:
        name: the source, session, file or piece of a derived table at work.
        then: what to do besides reporting it, as the end of a sentence.

    Raises:
        IsocostError: whatever else was raised, with the place in this code where it came from.
    """
    try:
        yield
    except (IsocostError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            raise
        at = traceback.extract_tb(error.__traceback__)[-1]
        detail = " ".join(str(error).split())[:200]
        raise IsocostError(
            f"something in it was not foreseen ({type(error).__name__}: {detail})",
            where=name,
            remedy=(f"It was left out. Report this with {at.name} (line {at.lineno}), and {then}"),
        ) from error
