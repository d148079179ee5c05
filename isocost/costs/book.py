"""The card book: packaged cards, overlaid with those of the user's folders.

Lives here: reading and checking ``models.yaml``, ``devices.yaml``, ``prices.yaml`` and
``baselines.yaml``, and lookup by name. Not here: what the cards mean (`model_cards`,
`other_cards`). A missing card is an error that prints the card to fill in.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from isocost.costs import skeletons
from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard, HumanBaseline, PriceCard
from isocost.errors import IsocostError, one_source
from isocost.plain_files import load_plain

CARDS_VERSION = 1
_MOST = 1e24
"""No number of a card comes near it, or near its reciprocal.

The largest are bytes and FLOP/s of whole machines. Beyond it products of a few numbers overflow.
"""
PACKAGED = Path(__file__).parent / "cards"
_KINDS: dict[str, tuple[type[BaseModel], str]] = {
    "models": (ModelCard, "name"),
    "devices": (DeviceCard, "name"),
    "prices": (PriceCard, "name"),
    "baselines": (HumanBaseline, "task"),
}
_Card = TypeVar("_Card", bound=BaseModel)


@dataclass(frozen=True)
class CardBook:
    """All cards by name; made by `load_book`.

    Attributes:
        models: model cards by name.
        devices: device cards by name.
        prices: price cards by name.
        baselines: human baselines by task.
    """

    models: dict[str, ModelCard] = field(default_factory=dict)
    devices: dict[str, DeviceCard] = field(default_factory=dict)
    prices: dict[str, PriceCard] = field(default_factory=dict)
    baselines: dict[str, HumanBaseline] = field(default_factory=dict)

    def model(self, name: str) -> ModelCard:
        """The model card of that name; IsocostError with a template to fill in if there is none."""
        return _look_up(self.models, name, "model card", skeletons.model_skeleton)

    def device(self, name: str) -> DeviceCard:
        """The device card of that name or driver alias.

        IsocostError with a template to fill in if there is none.
        """
        by_alias = {alias: card for card in self.devices.values() for alias in card.aliases}
        return _look_up(by_alias | self.devices, name, "device card", skeletons.device_skeleton)

    def price(self, name: str) -> PriceCard:
        """The price card of that name; IsocostError with a template to fill in if there is none."""
        return _look_up(self.prices, name, "price card", skeletons.price_skeleton)

    def price_of(self, device: DeviceCard) -> PriceCard | None:
        """The one price card that sells hours of a device.

        None if there is none or several (only the user can decide which one applies).
        """
        found = [
            card
            for card in self.prices.values()
            if card.device == device.name and card.usd_per_device_hour is not None
        ]
        return found[0] if len(found) == 1 else None

    def prices_naming(self, names: Collection[str], host: str | None = None) -> list[PriceCard]:
        """The price cards that sell tokens of a model of one of these names.

        Args:
            names: of the model.
            host: the server that generated them; None if it is not known. Cards of another
                provider are left out, and so are cards of any if there are cards of this one.
        """
        found = [card for card in self.prices.values() if card.model in names]
        own = [c for c in found if c.provider is not None and _is_below(host, c.provider)]
        return own or [card for card in found if card.provider is None]

    def baseline(self, task: str) -> HumanBaseline:
        """The human baseline of a task.

        IsocostError with a template to fill in if there is none.
        """
        return _look_up(self.baselines, task, "human baseline", skeletons.baseline_skeleton)


def load_book(*folders: str | Path, faults: list[IsocostError] | None = None) -> CardBook:
    """The packaged cards, overlaid with those of each folder.

    A later card replaces an earlier one with the same name.

    Args:
        folders: folders with any of the four files; a folder without one of them adds no cards of
            that kind.
        faults: if given, faults of cards are added to it, and only the faulty cards are left out. A
            packaged card does not replace a faulty one with the same name, because its numbers are
            different.

    Raises:
        IsocostError: a folder or file that cannot be read, or another ``cards_version``: the cards
            are ambiguous. Without ``faults``, also an unknown or missing field; the error names
            file, entry and field.

    Examples:
        >>> book = load_book()
        >>> book.model("qwen3-8b").layers
        36
    """
    found: dict[str, dict[str, Any]] = {kind: dict(cards) for kind, cards in _packaged().items()}
    for folder in folders:
        if not Path(folder).is_dir():
            raise IsocostError(
                "no such folder of cards",
                where=str(folder),
                remedy="Give a folder that contains models.yaml or similar",
            )
        for kind, cards in _read_folder(Path(folder), faults).items():
            for name, card in cards.items():
                if card is None:
                    found[kind].pop(name, None)
                else:
                    found[kind][name] = card
    return CardBook(**found)


@cache
def _packaged() -> dict[str, dict[str, Any]]:
    return _read_folder(PACKAGED, None)


def _read_folder(folder: Path, faults: list[IsocostError] | None) -> dict[str, dict[str, Any]]:
    found = {}
    for kind in _KINDS:
        path = folder / f"{kind}.yaml"
        if not os.path.lexists(path):
            continue
        with one_source(str(path)):
            found[kind] = _read_file(path, kind, faults)
    return found


def _read_file(path: Path, kind: str, faults: list[IsocostError] | None) -> dict[str, Any]:
    """Cards by name; None under the name of one that is broken."""
    content = load_plain(path, what="file of cards (YAML)")
    if (
        not isinstance(content, dict)
        or content.get("cards_version") != CARDS_VERSION
        or not isinstance(content.get(kind), list)
    ):
        raise IsocostError(
            f"a card file contains cards_version: {CARDS_VERSION} and a list under {kind}:",
            where=str(path),
            remedy="Compare with the packaged cards",
        )
    cards: dict[str, Any] = {}
    for index, entry in enumerate(content[kind]):
        key = _KINDS[kind][1]
        label = entry.get(key, index) if isinstance(entry, dict) else index
        try:
            with one_source(f"{path}, {kind} entry {label}"):
                card = _card(path, kind, label, entry, cards)
        except IsocostError as error:
            if faults is None:
                raise
            faults.append(error)
            if isinstance(label, str):
                cards[label] = None
            continue
        cards[getattr(card, key)] = card
    return cards


def _card(path: Path, kind: str, label: Any, entry: Any, cards: Mapping[str, Any]) -> BaseModel:
    card_type, key = _KINDS[kind]
    where = f"{path}, {kind} entry {label}"
    try:
        card = card_type.model_validate(entry)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in error.errors()
        )
        raise IsocostError(problems, where=where, remedy="Correct the fields named") from None
    for name, value in _numbers(card):
        if value != 0 and not 1 / _MOST < abs(value) < _MOST:  # also not a number
            raise IsocostError(
                f"{name}: {str(value)[:40]} cannot be",
                where=where,
                remedy="Correct the fields named",
            )
    if getattr(card, key) in cards:
        raise IsocostError("the card is duplicated", where=where, remedy="Keep one of them")
    return card


def _numbers(card: BaseModel) -> Iterator[tuple[str, float]]:
    """Every number of a card, those in its tables too."""
    for name, value in card:
        for inner, one in value.items() if isinstance(value, dict) else (("", value),):
            if isinstance(one, int | float) and not isinstance(one, bool):
                yield (f"{name}.{inner}" if inner else name), one


def _look_up(
    cards: dict[str, _Card], name: str, what: str, skeleton: Callable[[str], str]
) -> _Card:
    if name in cards:
        return cards[name]
    near = difflib.get_close_matches(name, cards, n=3)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    raise IsocostError(
        f"there is no {what} {name!r}{hint}",
        remedy=(
            f"Fill in this card and save it as cards/{skeleton(name).partition(':')[0]}.yaml in the"
            " data root (or in a folder given to load_book):\ncards_version:"
            f" {CARDS_VERSION}\n{skeleton(name)}"
        ),
    )


def _is_below(host: str | None, provider: str) -> bool:
    """Whether a host is a provider's."""
    name, provider = (host or "").casefold().rstrip("."), provider.casefold()
    return name == provider or name.endswith("." + provider)
