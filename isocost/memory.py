"""The memory budget of a computation, and the files for what does not fit.

Lives here: sizes in words, free memory of this machine, the budget of a refresh, and files for
spilled arrays. Not here: what a refresh will need (``isocost.build.estimate``), and the
computations.
"""

from __future__ import annotations

import os
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from isocost.errors import IsocostError, MachineError

VARIABLE = "ISOCOST_MEMORY"
_UNITS = {
    "B": 1,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
}
_CGROUPS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def read_size(text: str, where: str = "--memory") -> int:
    """Bytes of a size in words such as "4GiB" or "512 MB".

    Args:
        text: the size; a unit is needed.
        where: its name in an error.

    Raises:
        IsocostError: the text is not a size, or the size is zero.
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([KMGT]iB|[kKMGT]?B)\s*", text, re.ASCII)
    if not match:
        raise IsocostError(
            f"{text[:40]!r} is not a size",
            where=where,
            remedy='Give a number and a unit, such as "4GiB" or "512 MiB"',
        )
    size = int(float(match[1]) * _UNITS[match[2]])
    if size < 1:
        raise IsocostError(
            f"{text[:40]!r} is zero", where=where, remedy='Give a size such as "4GiB"'
        )
    return size


def in_words(size: float) -> str:
    """A number of bytes for people: "3.1 GiB", "512 MiB"."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"


def free_memory() -> int | None:
    """Bytes that this process can still use.

    Limited by the machine, its control group and its own limit; None if unknown.
    """
    found = [
        size
        for size in (_free_of_machine(), _free_of_group(), _free_of_process())
        if size is not None
    ]
    return min(found) if found else None


def chosen_budget(given: str | None = None) -> int:
    """The budget in bytes: the given one, else ``$ISOCOST_MEMORY``, else half of what is free.

    Raises:
        IsocostError: the given text is not a size.
    """
    if given:
        return read_size(given)
    if os.environ.get(VARIABLE):
        return read_size(os.environ[VARIABLE], f"${VARIABLE}")
    free = free_memory()
    return 4 * 2**30 if free is None else max(free // 2, 1)


def _free_of_machine() -> int | None:
    return _field("/proc/meminfo", "MemAvailable")


def _free_of_group() -> int | None:
    """What the control group leaves.

    Its files are those of a container, whose own group is the root that it sees.
    """
    for limit, used in _CGROUPS:
        with suppress(OSError, ValueError):
            most, now = (
                int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))
                for name in (limit, used)
            )
            return max(most - now, 0)
    return None


def _free_of_process() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = _field("/proc/self/status", "VmSize")
    return None if limit == resource.RLIM_INFINITY or taken is None else max(limit - taken, 0)


def _field(path: str, name: str) -> int | None:
    with suppress(OSError, ValueError):
        for line in Path(path).read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


Floats = NDArray[np.float64]


class LaidAside:
    """A matrix in a file without a name, which is gone with the process however that ends.

    Read by rows.
    """

    def __init__(self, shape: tuple[int, int], folder: Path | None) -> None:
        """Open the file.

        Args:
            shape: rows and columns, float64.
            folder: where there is room; the system's place for temporary files where None.

        Raises:
            MachineError: the folder cannot be written.
        """
        self.shape, self._folder, self._width = shape, folder, shape[1] * 8
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by whoever holds the matrix
        except OSError as error:
            raise self._failed(error) from error

    def __len__(self) -> int:
        return self.shape[0]

    def put(self, rows: NDArray[np.integer], values: Floats) -> None:
        """Write some rows."""
        try:
            for first, last in _runs(rows):
                os.pwrite(
                    self._file.fileno(),
                    np.ascontiguousarray(values[first:last]).tobytes(),
                    int(rows[first]) * self._width,
                )
        except OSError as error:
            raise self._failed(error) from error

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> Floats:
        """Some rows, as of an array."""
        wanted = np.arange(len(self))[rows]
        found = np.empty((len(wanted), self.shape[1]))
        for first, last in _runs(wanted):
            read = os.pread(
                self._file.fileno(), (last - first) * self._width, int(wanted[first]) * self._width
            )
            found[first:last] = np.frombuffer(read, dtype=np.float64).reshape(last - first, -1)
        return found

    def close(self) -> None:
        """Free the room on the disk."""
        self._file.close()

    def _failed(self, error: OSError) -> MachineError:
        return MachineError(
            f"data that does not fit into memory cannot be written to disk: "
            f"{error.strerror or error}",
            where=str(self._folder or tempfile.gettempdir()),
            remedy="Free space there, or give more memory with --memory",
        )


class DrawsAside:
    """Means of rows in many draws, in an unnamed file like `LaidAside`.

    Written by rows and read by draws.
    """

    _WIDTH = 64

    def __init__(self, shape: tuple[int, int], folder: Path | None) -> None:
        """Open the file.

        Args:
            shape: the most rows that there may be, and draws; float64.
            folder: as in `LaidAside`.

        Raises:
            IsocostError: the folder cannot be written.
        """
        tiles = -(-shape[1] // self._WIDTH)
        self._most, self._draws, self._rows = shape[0], shape[1], 0
        self._file = LaidAside((tiles * shape[0], self._WIDTH), folder)

    def __len__(self) -> int:
        return self._rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows that were written so far, and draws."""
        return self._rows, self._draws

    def __setitem__(self, rows: slice, values: Floats) -> None:
        """Write some rows in all draws."""
        first, last, _ = rows.indices(self._most)
        for number, start in enumerate(range(0, self._draws, self._WIDTH)):
            some = values[:, start : start + self._WIDTH]
            padded = np.pad(some, ((0, 0), (0, self._WIDTH - some.shape[1])))
            self._file.put(np.arange(first, last) + number * self._most, padded)
        self._rows = max(self._rows, last)

    def tile(self, draws: slice) -> Floats:
        """All rows that were written, in some draws that follow each other."""
        first, last, _ = draws.indices(self._draws)
        found = np.empty((self._rows, max(last - first, 0)))
        for start in range(first - first % self._WIDTH, last, self._WIDTH):
            at = start // self._WIDTH * self._most
            low, high = max(first, start), min(last, start + self._WIDTH)
            found[:, low - first : high - first] = self._file[at : at + self._rows][
                :, low - start : high - start
            ]
        return found

    def close(self) -> None:
        """Free the room on the disk."""
        self._file.close()


def _runs(rows: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """Places of the runs of neighbouring rows."""
    if not len(rows):
        return
    ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    first = 0
    for last in ends:
        yield first, last
        first = last


Aside = TypeVar("Aside", LaidAside, DrawsAside)


@dataclass
class Workspace:
    """The memory that the matrices of one computation may use together; the rest is spilled.

    Attributes:
        memory: bytes for everything open at once; no bound if None.
        total: bytes for these and everything derived from them; no bound if None.
        folder: where to spill matrices.
    """

    memory: int | None = None
    folder: Path | None = None
    total: int | None = None
    open_bytes: int = 0
    n_laid_aside: int = 0

    def refuse_beyond(self, size: int, what: str) -> None:
        """Raise an error if more must be held at once than there is.

        Raises:
            IsocostError: states the required memory.
        """
        if self.total is not None and size > self.total:
            raise IsocostError(
                f"{what} need {in_words(size)} of memory at once, and the budget is"
                f" {in_words(self.total)}",
                remedy=f"Give --memory {-(-size * 5 // 4 // 2**20)}MiB or more (or ${VARIABLE})",
            )

    @contextmanager
    def matrix(self, shape: tuple[int, int]) -> Iterator[Floats | LaidAside]:
        """Room for a matrix, in memory while the bound allows it."""
        with self._room(shape, LaidAside) as room:
            yield room

    @contextmanager
    def means(self, shape: tuple[int, int]) -> Iterator[Floats | DrawsAside]:
        """Room for the means of outcomes in draws, in memory while the bound allows it."""
        with self._room(shape, DrawsAside) as room:
            yield room

    @contextmanager
    def _room(self, shape: tuple[int, int], kind: type[Aside]) -> Iterator[Floats | Aside]:
        size = shape[0] * shape[1] * 8
        if self.memory is None or self.open_bytes + size <= self.memory:
            self.open_bytes += size
            try:
                yield np.empty(shape)
            finally:
                self.open_bytes -= size
            return
        self.n_laid_aside += 1
        aside = kind(shape, self.folder)
        try:
            yield aside
        finally:
            aside.close()
