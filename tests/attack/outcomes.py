"""What can become of a try, and how a command's answer is judged.

Here: the words, and the errors that a try ends with where the code fails it. Not here: the comparison of numbers (``ground``).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

SAME = "same numbers"
REFUSED = "refused in words"
AGAIN = "rebuilt or set aside, and said"
UNFORESEEN = "left out in words, as not foreseen"
IMPOSSIBLE = "not possible on this machine"
HELD = (SAME, REFUSED, AGAIN, UNFORESEEN)
"""Results with which the code holds."""

TRACE, WRONG, LOST, HANG = "stack trace", "silent wrong number", "lost", "hang"
MUTE, LITTER, TOUCHED = (
    "message names nothing",
    "half-written files stay",
    "touched what is not its own",
)
FAILED = (TRACE, WRONG, LOST, HANG, MUTE, LITTER, TOUCHED)


@dataclass(frozen=True)
class Outcome:
    """What became of one try.

    Attributes:
        name: ``kind/target/seed``.
        result: one of ``HELD`` or ``FAILED``, or ``IMPOSSIBLE``.
        detail: what was said, or what is wrong.
        seconds: that it took.
    """

    name: str
    result: str
    detail: str = ""
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        return self.name.split("/")[0]


class Broken(Exception):
    """The code failed a try.

    Attributes:
        result: one of ``FAILED``.
    """

    def __init__(self, result: str, detail: str) -> None:
        super().__init__(detail)
        self.result, self.detail = result, detail


class Impossible(Exception):
    """This machine or this version cannot be attacked in that way."""


@dataclass(frozen=True)
class Said:
    """How a command ended.

    Attributes:
        code: its exit code.
        text: what it printed, both ways.
        seconds: that it took.
    """

    code: int
    text: str
    seconds: float

    def tail(self, most: int = 600) -> str:
        return self.text.strip()[-most:]


HANG_S = 10.0
"""A command that takes so much longer than undisturbed hangs; on a busy machine, as many times that as there is work for a core."""
_TRACE = re.compile(
    r"Traceback \(most recent call last\)|thread '.*' panicked at|Fatal Python error"
)


def busy() -> float:
    """How many processes want each core now; 1 where there is enough for all."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def judged(said: Said, *, names: tuple[str, ...] = (), undisturbed_s: float = 0.0) -> str:
    """The result that a command's end stands for.

    Args:
        said: how it ended.
        names: a command that refuses has to say one of these; nothing is asked for where there are none.
        undisturbed_s: how long it takes when nothing is wrong.

    Raises:
        Broken: it printed a trace, hung, or refused without saying what.
    """
    if _TRACE.search(said.text):
        raise Broken(TRACE, said.tail(1500))
    if said.seconds > (HANG_S + 2 * undisturbed_s) * busy():
        raise Broken(HANG, f"{said.seconds:.0f} s; {said.tail()}")
    if "unexpected error" in said.text:
        return UNFORESEEN
    if said.code == 0:
        return AGAIN if "REBUILT" in said.text or "set aside" in said.text else SAME
    if said.code not in (1, 2, 3):
        raise Broken(TRACE, f"exit code {said.code}; {said.tail()}")
    if names and not any(name in said.text for name in names):
        raise Broken(MUTE, f"none of {', '.join(names)} in: {said.tail()}")
    return AGAIN if said.code == 3 or "set aside" in said.text else REFUSED
