"""The one error type that is written for people.

Lives here: the exception every room raises for bad input or an impossible request. Not here: library exceptions, which are
left to bubble up when they mean a defect of ours rather than a mistake that the reader can mend.
"""

from __future__ import annotations


class IsocostError(ValueError):
    """A mistake in the input or the environment, told with its place and its remedy.

    Attributes:
        what: what is wrong, one sentence.
        where: file, row, column or key at fault; empty where there is no such place.
        remedy: what would be right, or what to do next.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        """Builds the message ``where: what. remedy``."""
        self.what = what
        self.where = where
        self.remedy = remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text.rstrip('.')}. {remedy}" if remedy else text)

    def __reduce__(self):
        """Keeps the keyword arguments when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(cls: type[IsocostError], what: str, where: str, remedy: str) -> IsocostError:
    return cls(what, where=where, remedy=remedy)
