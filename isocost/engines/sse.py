"""Split a stream of server-sent events into their data.

Lives here: `DataLines`, for a stream that is received and one that is passed on. Not here: what the
data means (``openai_stream``). OpenAI's API sends one line of data per event, so every line is one.
Bytes stay bytes: libraries that decode them replace what is not UTF-8, and a changed text would be
taken for the model's.
"""

from __future__ import annotations

from collections.abc import Iterator

_NAME = b"data:"


class DataLines:
    """The data of a stream's events, in the order in which they become complete."""

    def __init__(self) -> None:
        """Nothing has arrived."""
        self._rest = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What a piece of the stream completes."""
        self._rest += piece
        end = self._rest.rfind(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._rest)
            return
        whole = bytes(self._rest[:end])
        del self._rest[: end + 1]
        self._searched = len(self._rest)
        for line in whole.split(b"\n"):
            if data := _data(line):
                yield data

    def end(self) -> Iterator[bytes]:
        """What the end of the stream completes: a last line without a line break."""
        if data := _data(bytes(self._rest)):
            yield data
        self._rest.clear()


def _data(line: bytes) -> bytes:
    line = line.strip()
    return line.removeprefix(_NAME).strip() if line.startswith(_NAME) else b""
