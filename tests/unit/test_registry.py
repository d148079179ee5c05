"""The one registry: discovery, clashes, unknown names, broken modules; and that every room uses
it."""

from __future__ import annotations

import importlib
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from isocost.errors import IsocostError
from isocost.registry import Clash, Registry, did_you_mean

_NUMBERS = itertools.count()
Make = Callable[..., Registry]

PEAR = """
    from {package} import REGISTRY

    @REGISTRY.instance
    class Pear:
        name = "pear"
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Writes a package of modules and hands out its registry."""
    monkeypatch.syspath_prepend(tmp_path)
    packages: list[str] = []

    def write(**modules: str) -> Registry:
        package = f"fruits_{next(_NUMBERS)}"
        packages.append(package)
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text(
            f"from isocost.registry import Registry\nREGISTRY = Registry('fruit', '{package}')\n"
        )
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text.replace("{package}", package)))
        importlib.invalidate_caches()
        return importlib.import_module(package).REGISTRY

    yield write
    for name in list(sys.modules):
        if name.split(".")[0] in packages:
            del sys.modules[name]


def test_a_variant_is_one_file(make: Make) -> None:
    fruits = make(pear=PEAR, apple=PEAR.replace("pear", "apple"), helper="X = 1")
    assert fruits.names() == ("apple", "pear") and list(fruits.all()) == ["apple", "pear"]
    assert type(fruits.get("pear")).__name__ == "Pear" and fruits.broken == {}


def test_what_all_hands_out_is_the_callers_own(make: Make) -> None:
    fruits = make(pear=PEAR)
    fruits.all().clear()
    assert fruits.names() == ("pear",)


def test_a_clash_names_both_and_is_raised_every_time(make: Make) -> None:
    fruits = make(pear=PEAR, other=PEAR.replace("Pear", "Other"))
    for _ in range(2):
        with pytest.raises(Clash, match=r"pear\.Pear: two fruits are called 'pear'.*other\.Other"):
            fruits.all()


def test_a_reloaded_module_is_no_clash(make: Make) -> None:
    fruits = make(pear=PEAR)
    before = fruits.get("pear")
    importlib.reload(sys.modules[type(before).__module__])
    assert fruits.get("pear") is not before and fruits.names() == ("pear",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "import a_package_that_nobody_has",
            "line 1: cannot be imported .ModuleNotFoundError.*a_p",
        ),
        ("\n\nraise ValueError('no\\nway')", "line 3: cannot be imported .ValueError: no way"),
        ("\ndef f(:\n", "line 2: cannot be imported .SyntaxError"),
        ("import json\n\njson.loads('{')", "line 3: cannot be imported .JSONDecodeError"),
    ],
)
def test_a_broken_module_leaves_out_only_itself(
    make: Make, caplog: pytest.LogCaptureFixture, text: str, said: str
) -> None:
    fruits = make(pear=PEAR, bad=text)
    assert fruits.names() == ("pear",)
    (reason,) = fruits.broken.values()
    assert reason.where.split()[0].endswith(".bad")
    with pytest.raises(IsocostError, match=rf"no fruit is called 'plum'.*bad {said}"):
        fruits.get("plum")
    assert [record.getMessage() for record in caplog.records] == [str(reason)]  # once, one line
    assert "\n" not in str(reason)


def test_half_of_a_module_is_not_registered(make: Make) -> None:
    broken = PEAR + "\n    raise RuntimeError('too late')"
    fruits = make(helped="from {package} import apple\nraise RuntimeError", pear=broken,
                  apple=PEAR.replace("pear", "apple"))  # fmt: skip
    assert fruits.names() == ("apple",) and len(fruits.broken) == 2


def test_a_module_that_asks_too_early_is_reported(make: Make) -> None:
    fruits = make(pear=PEAR, eager="from {package} import REGISTRY\nREGISTRY.all()")
    assert fruits.names() == ("pear",)
    assert "while it is being imported" in str(fruits.broken.popitem()[1])


def test_a_variant_without_a_name_is_refused(make: Make) -> None:
    fruits = make(pear=PEAR.replace('name = "pear"', "colour = 1"))
    assert fruits.names() == () and "the fruit has no name" in str(fruits.broken.popitem()[1])


def test_discover_finds_what_came_later(make: Make, tmp_path: Path) -> None:
    fruits = make(pear=PEAR)
    assert fruits.names() == ("pear",)
    package = type(fruits.get("pear")).__module__.split(".")[0]
    text = textwrap.dedent(PEAR.replace("pear", "apple").replace("{package}", package))
    (tmp_path / package / "apple.py").write_text(text)
    importlib.invalidate_caches()
    fruits.discover()
    assert fruits.names() == ("apple", "pear")


@pytest.mark.parametrize(
    ("word", "near"),
    [("paer", "pear"), ("PEAR", "pear"), ("app", "apple"), ("appl", "apple"), ("zzz", None)],
)
def test_the_nearest_name_is_offered(word: str, near: str | None) -> None:
    text = did_you_mean(word, ["pear", "apple_pie", "apple"], kind="fruits")
    assert text.endswith("Known fruits: apple, apple_pie, pear.")
    assert text.startswith(f"Did you mean {near}? " if near else "Known")


def test_long_lists_are_cut_and_empty_ones_said() -> None:
    assert did_you_mean("x", map(str, range(100, 150)), kind="n").endswith("139 and 10 more.")
    assert did_you_mean("x", [], kind="fruits") == "There are no fruits to choose from."


REGISTRIES = {
    "isocost.axes.registry": ["AXES"],
    "isocost.capabilities": ["ENGINES", "POWER_SOURCES"],
    "isocost.curves.base": ["FAMILIES"],
    "isocost.importers.base": ["IMPORTERS"],
    "isocost.strategies.registry": ["STRATEGIES"],
    "isocost.tasks.registry": ["SOURCES", "VERIFIERS"],
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in REGISTRIES.items() for name in names]
)
def test_every_module_of_ours_can_be_imported(module: str, name: str) -> None:
    registry = getattr(importlib.import_module(module), name)
    assert isinstance(registry, Registry) and registry.broken == {} and registry.names()
    assert list(registry.names()) == sorted(registry.names())
