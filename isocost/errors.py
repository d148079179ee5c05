"""The one error type for messages to users.

Lives here: the exception that every package raises for bad input or an impossible request, its
variant for partial success, and the boundary around one source or derived table of several, which
turns any failure into that exception. Not here: other library exceptions, which propagate if they
indicate a bug in Isocost rather than a mistake that the user can correct.
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
    """A mistake in the input or the environment, with its location and remedy.

    Attributes:
        what: what is wrong, one sentence.
        where: the file, row, column or key at fault; empty if there is none.
        remedy: what to do next.
    """

    exit_code = 2
    """Exit code of a command that ends with it.

    2 for a mistake in the input, 1 for a fault of the machine or of stored data, 3 if everything
    except what it names was done.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        """Build the message ``where: what. remedy``."""
        self.what = what
        self.where = where
        self.remedy = remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text.rstrip('.')}. {remedy}" if remedy else text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword arguments when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


class PartialError(IsocostError):
    """Everything else is done and published, but something was left out.

    The remedy says what, and why.
    """

    exit_code = 3


class MachineError(IsocostError):
    """A limit of the machine, not a mistake in the request.

    No space, a quota, a folder that is not writable.
    """

    exit_code = 1


def _rebuild(cls: type[IsocostError], what: str, where: str, remedy: str) -> IsocostError:
    return cls(what, where=where, remedy=remedy)


@contextmanager
def one_source(name: str, *, then: str = "import the source again after the fix") -> Iterator[None]:
    """Boundary around the work on one of several sources.

    Any failure inside is reported as a failure of that source.

    A library may fail in undocumented ways, and not always with an ``Exception`` (a Polars panic is
    not one); the other sources must not be affected. Failures that affect all sources (no space, no
    memory, an interrupt) propagate.

    Args:
        name: the source, session, file or piece of a derived table at work.
        then: what to do besides reporting it, as the end of a sentence.

    Raises:
        IsocostError: for anything else that was raised, with its position in the code.
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
            f"unexpected error ({type(error).__name__}: {detail})",
            where=name,
            remedy=(
                f"It was left out. Report this error with {at.name} (line {at.lineno}), and {then}"
            ),
        ) from error
