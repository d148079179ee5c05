"""One registry class for every kind of plug-in module.

Strategies, importers, engines, power sources and so on.

Lives here: `Registry`, which registers by a decorator, finds the modules of a package, and answers
by name; and `did_you_mean`, the remedy for an unknown name. Not here: what is registered, nor the
required interface (each package defines that for its own kind).
"""

from __future__ import annotations

import difflib
import importlib
import logging
import pkgutil
import threading
import traceback
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Generic, TypeVar, cast

from isocost.errors import IsocostError

T = TypeVar("T")
S = TypeVar("S")
_SHOWN = 40
_LOG = logging.getLogger(__name__)


class Registry(Generic[T]):
    """All variants of one kind, by name.

    A new variant is a new module in the package; no other file names it. The package is given by
    its name and imported when the registry is first asked, so that the modules in it can import the
    registry. If a module cannot be imported, only its own variants are missing: a line is logged,
    `broken` has the reason, and it is appended to the remedy for an unknown name.

    Example:
        >>> from isocost.curves.base import FAMILIES
        >>> FAMILIES.get("log_linear").asymptote_kind
        'none'
    """

    def __init__(
        self, kind: str, package: str, *, name: str = "name", plural: str | None = None
    ) -> None:
        """Create an empty registry.

        Args:
            kind: the name of one variant in messages, such as "power source".
            package: dotted name of the package whose modules register the variants.
            name: attribute with a variant's name.
            plural: plural of the kind; the kind with an "s" when left out.
        """
        self.kind = kind
        self.plural = plural or f"{kind}s"
        self._package = package
        self._name = name
        self._items: dict[str, T] = {}
        self._broken: dict[str, IsocostError] = {}
        self._is_complete = False
        self._importing: str | None = None
        self._lock = threading.RLock()

    def add(self, item: S) -> S:
        """Register a variant unchanged; usable as a class decorator.

        It returns its argument with its own type (`S`), so that a type checker keeps the type of a
        decorated class.

        Raises:
            Clash: another variant has the name.
            IsocostError: it has no name.
        """
        where = _home(item)
        name = getattr(item, self._name, None)
        if not isinstance(name, str) or not name:
            raise IsocostError(
                f"the {self.kind} has no name",
                where=where,
                remedy=f"Set its attribute `{self._name}` to a text.",
            )
        other = self._items.get(name)
        if other is not None and _home(other) != where:
            raise Clash(
                f"two {self.plural} are called {name!r}",
                where=where,
                remedy=f"The other one is {_home(other)}. Rename one of them.",
            )
        self._items[name] = cast(T, item)
        return item

    def instance(self, cls: type[S]) -> type[S]:
        """Class decorator: registers an instance of the class, made without arguments."""
        self.add(cls())
        return cls

    def all(self) -> dict[str, T]:
        """Every variant by name, sorted.

        Raises:
            Clash: two have the same name, so the name is ambiguous.
        """
        self._find()
        return dict(sorted(self._items.items()))

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return tuple(self.all())

    def get(self, name: str, *, where: str = "") -> T:
        """The variant with a name.

        Args:
            name: its name.
            where: file and key at which the name was given, for the message.

        Raises:
            IsocostError: there is none; the message has the nearest name and the known ones.
        """
        known = self.all()
        if name not in known:
            raise IsocostError(
                f"no {self.kind} is called {name!r}", where=where, remedy=self.remedy(name)
            )
        return known[name]

    def remedy(self, name: str, *, known: Iterable[str] | None = None) -> str:
        """What to do about a name that is not known.

        Args:
            name: the name.
            known: what could have been meant; the registered names when None.
        """
        lost = "".join(f" Left out: {error}" for error in self.broken.values())
        return did_you_mean(name, self.names() if known is None else known, kind=self.plural) + lost

    @property
    def broken(self) -> dict[str, IsocostError]:
        """Modules that could not be imported, each with the reason."""
        self._find()
        return dict(self._broken)

    def discover(self) -> None:
        """Look for new modules; known variants are kept."""
        with self._lock:
            for module in _modules(self._package):
                if module not in self._broken:
                    self._import(module)
            self._is_complete = True

    def _find(self) -> None:
        if self._is_complete:
            return
        with self._lock:
            if self._importing is not None:  # the same thread, from within a module of the package
                raise IsocostError(
                    f"requests all {self.plural} while it is being imported",
                    where=self._importing,
                    remedy="Ask inside a function, when all of them are known.",
                )
            if not self._is_complete:
                self.discover()

    def _import(self, module: str) -> None:
        self._importing = module
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a foreign module does wrong
            # Variants that it registered before it failed are removed too: half of a module would
            # be worse than none.
            for name, item in list(self._items.items()):
                if _class(item).__module__ == module:
                    del self._items[name]
            if isinstance(error, Clash):
                raise
            self._broken[module] = _left_out(module, error, self.plural)
            _LOG.warning("%s", self._broken[module])
        finally:
            self._importing = None


class Clash(IsocostError):
    """Two variants of one kind have one name."""


def modules_of(package: str) -> Iterator[ModuleType]:
    """Import every module of a package, by name; errors propagate."""
    for module in _modules(package):
        yield importlib.import_module(module)


def did_you_mean(word: str, known: Iterable[str], *, kind: str = "values") -> str:
    """Remedy for an unknown word: the nearest known word, and the list of known words."""
    names = sorted({str(name) for name in known})
    if not names:
        return f"There are no {kind} to choose from."
    near = _nearest(word, names)
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (f"Did you mean {near}? " if near else "") + f"Known {kind}: {shown}{more}."


def _nearest(word: str, names: list[str]) -> str | None:
    """The one that a beginning was typed of, else the one with the fewest letters changed."""
    low = {name.lower(): name for name in reversed(names)}
    if word and (begun := [name for name in low if name.startswith(word.lower())]):
        return low[min(begun)]
    near = difflib.get_close_matches(word.lower(), list(low), n=1, cutoff=0.6)
    return low[near[0]] if near else None


def _modules(package: str) -> list[str]:
    home = importlib.import_module(package)
    return sorted(f"{package}.{found.name}" for found in pkgutil.iter_modules(home.__path__))


def _class(item: object) -> type:
    """The class that a variant is, or is an instance of."""
    return item if isinstance(item, type) else type(item)


def _home(item: object) -> str:
    return f"{_class(item).__module__}.{_class(item).__qualname__}"


def _left_out(module: str, error: Exception, plural: str) -> IsocostError:
    frames = traceback.extract_tb(error.__traceback__)
    # Its own top level comes first; below it may be modules that it imports.
    numbers = [frame.lineno for frame in frames if frame.name == "<module>"]
    number = numbers[0] if numbers else getattr(error, "lineno", None)
    line = f" line {number}" if number else ""
    said = " ".join(str(error).split())[:300]
    return IsocostError(
        f"cannot be imported ({type(error).__name__}: {said})",
        where=f"{module}{line}",
        remedy=f"Correct the module or take it away; the {plural} in it are left out",
    )
