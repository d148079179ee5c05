r"""Parse an answer's formula into a tree, completely or not at all.

Lives here: answers as lists, relations, names (x = 5) and quantities with units. Not here:
expressions (``expressions``), tokens, and the comparison (``sameness``).

It does not guess. Two adjacent numbers ("2 3"), an improper mixed number ("4 10/3") and "1/2x" are
rejected, because they are ambiguous; sums over an index, integrals and limits are not supported.
"""

from __future__ import annotations

import re
from functools import lru_cache

from isocost.tasks.formulas import trees, units
from isocost.tasks.formulas.atoms import GREEK
from isocost.tasks.formulas.cursor import SCALES
from isocost.tasks.formulas.expressions import Expressions
from isocost.tasks.formulas.text import THIN, surface
from isocost.tasks.formulas.tokens import Token, tokens_of
from isocost.tasks.formulas.trees import Tree, Unreadable

MAX_FORMULA = 1000
"""Characters; references are far shorter."""

_ORDER = {"<", ">", r"\le", r"\ge"}
_RELATIONS = {*_ORDER, "=", r"\ne", r"\in", r"\approx"}
_MONEY = {"dollar": "$", "euro": "€", "pounds": "£", "yen": "¥", "rupee": "₹", "cent": "¢"}
# A date, not a difference or a quotient: years have four digits, days and months two.
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}")
_BUILDER = re.compile(
    rf"\\\{{[ {THIN}]*([a-z])[ {THIN}]*(?:\\in[ {THIN}]*\\mathbb\{{?R\}}?["
    rf" {THIN}]*)?(?:\\mid|\||:)(?![A-Za-z])"
    rf"[ {THIN}]*(.+?)[ {THIN}]*\\\}}"
)
_JOINS = ("and", "or", ", and", ", or", "und", "oder", "et", "ou", "y", "o")


@lru_cache(maxsize=50_000)
def read(text: str) -> Tree | None:
    """The tree of a formula; None if the parser cannot account for the whole text."""
    if len(text) > MAX_FORMULA:
        return None
    try:
        return _read(surface(text))
    except (Unreadable, RecursionError, OverflowError, ValueError, ZeroDivisionError):
        return None


def _read(face: str) -> Tree:
    if r"\pm" in face or r"\mp" in face:
        both = [
            Answer(
                tokens_of(
                    re.sub(r"\\pm(?![A-Za-z])", first, re.sub(r"\\mp(?![A-Za-z])", second, face))
                )
            ).answer()
            for first, second in ("+-", "-+")
        ]
        return _merged([item for tree in both for item in _spread(tree)])
    date = _DATE.fullmatch(face)
    if date:
        return (
            "colon",
            tuple(trees.num(int(part)) for part in re.findall(r"[0-9]+", face)),
            "date",
        )
    built = _BUILDER.fullmatch(face)
    if built:
        inside = _read(built[2])
        if _is_range(inside) and inside[1] == built[1]:
            return inside
        raise Unreadable("a set with a property that is not an interval")
    two = units.compound(
        re.sub(rf"\\text\{{([^{{}}]*)\}}|[{THIN}]", lambda m: f" {m[1] or ''} ", face)
    )
    if two is not None:
        return ("unit", trees.num(two[0]), two[1])
    return Answer(tokens_of(face)).answer()


def _spread(tree: Tree) -> list[Tree]:
    if tree[0] == "named" and tree[2][0] == "list":
        return [("named", tree[1], item) for item in tree[2][1]]
    return list(tree[1]) if tree[0] == "list" else [tree]


def _merged(items: list[Tree]) -> Tree:
    """A list without duplicates; one name for all if they share it (x = 2, x = 3; n = 2, 3, 4)."""
    names = [item[1] for item in items if item[0] == "named"]
    bare = [item for item in items[1:] if item[0] != "named"]
    if (
        items[0][0] == "named"
        and len(set(names)) == 1
        and all(trees.is_value(item) for item in bare)
    ):
        values = [item[2] if item[0] == "named" else item for item in items]
        return ("named", names[0], _list(values))
    return _list(items)


def _list(items: list[Tree]) -> Tree:
    different = tuple(sorted(set(items), key=trees.order))
    return different[0] if len(different) == 1 else ("list", different)


def _begins_name(token: Token) -> bool:
    return token.kind in ("run", "text") or (token.kind == "cmd" and token.text in GREEK)


class Answer(Expressions):
    """The levels above expressions: lists, relations, names and units."""

    def answer(self) -> Tree:
        """The whole text."""
        items, words = [self.item()], set()
        while (separator := self._separator()) is not None:
            words.add(separator)
            items.append(self.item())
        if self.peek.kind != "end":
            raise Unreadable(f"at {self.peek.text!r}")
        if len(items) == 1:
            return items[0]
        if (
            words == {"or"}
            and all(_is_range(item) for item in items)
            and len({item[1] for item in items}) == 1
        ):
            return (
                "named",
                items[0][1],
                ("join", tuple(sorted((item[2] for item in items), key=trees.order))),
            )
        return _merged(items)

    def _separator(self) -> str | None:
        """Advance past a comma, a semicolon, "and" or "or"; return which."""
        word = None
        while True:
            token = self.peek
            if token.kind == "op" and token.text in (",", ";") and word is None:
                word = token.text
            elif (
                token.kind in ("text", "run")
                and token.text.strip().casefold() in _JOINS
                and (token.kind == "text" or len(token.text) > 1)
            ):
                word = token.text.strip(" ,").casefold()
            else:
                return word
            self.next()

    def item(self) -> Tree:
        """One answer of a list: a named value, a relation, or a value with its unit."""
        self.accept(r"\approx")
        name = self._name()
        if name is not None:
            return ("named", name, self._chain([self._value()]))
        if self.peek.text == "colon":
            raise Unreadable("a colon")
        first = self._value()
        if self.peek.kind == "op" and self.peek.text == ":":
            return self._colon(first)
        return self._relation(first)

    def _name(self) -> str | None:
        r"""The left side of x = 5, f(x) = x + 1, \angle ABC = 90.

        None (without advancing) if there is none.
        """
        start = self.position
        pieces: list[str] = []
        if self.peek.kind == "cmd" and self.peek.text in ("angle", "triangle"):
            self.next()
        if _begins_name(self.peek):
            pieces.append(self.next().text.strip())
            if self.accept("_"):
                pieces.append("_" + self.raw_group())
            while self.accept("'"):
                pieces.append("'")
            if self.peek.text == "(":
                depth = 0
                while self.peek.kind != "end":
                    token = self.next()
                    pieces.append(token.text)
                    depth += (token.text == "(") - (token.text == ")")
                    if depth == 0:
                        break
            if self.peek.kind == "op" and self.peek.text in ("=", r"\approx"):
                self.next()
                return "".join(pieces)
        self.position = start
        return None

    def _chain(self, sides: list[Tree]) -> Tree:
        """The value of a chain of equalities.

        All sides must be equal numbers, otherwise it is rejected. An approximation after it adds
        nothing.
        """
        while True:
            if self.accept("="):
                sides.append(self._value())
            elif self.accept(r"\approx"):
                self._value()
            else:
                break
        if len(set(sides)) > 1:
            raise Unreadable("sides of an equation that are not provably equal")
        return sides[0]

    def _relation(self, first: Tree) -> Tree:
        if self.peek.kind != "op" or self.peek.text not in _RELATIONS:
            return first
        if self.accept(r"\in"):
            if first[0] != "sym":
                return ("in", first, self._value())
            return ("named", first[1], self._value())
        parts: list[Tree] = [first]
        operators: list[str] = []
        while self.peek.kind == "op" and self.peek.text in _RELATIONS:
            operator = self.next().text
            side = self._value()
            if operator == r"\approx":
                continue
            operators.append(operator)
            parts.append(side)
        if not operators:
            return first
        if (
            operators == ["="]
            and parts[0][0] == parts[1][0] == "seq"
            and all(item[0] == "sym" for item in parts[0][3])
        ):
            return ("named", ",".join(item[1] for item in parts[0][3]), parts[1])  # (x, y) = (1, 2)
        if set(operators) == {"="} and all(part[0] == "num" for part in parts):
            if len(set(parts)) > 1:
                raise Unreadable("a false equation")
            return parts[0]
        if set(operators) <= _ORDER:
            found = _range(parts, operators)
            if found is not None:
                return found
        return ("rel", tuple(parts), tuple(operators))

    def _value(self) -> Tree:
        """An expression with what applies to it as a whole: currency, percent, degrees, unit."""
        negative = (
            self.peek.text == "-"
            and self._at(1).kind == "cmd"
            and self._at(1).text in _MONEY
            and bool(self.next())
        )
        money = (
            _MONEY.get(self.next().text)
            if self.peek.kind == "cmd" and self.peek.text in _MONEY
            else None
        )
        tree = self.expression()
        if negative:
            tree = trees.neg(tree)
        if self.accept("%"):
            return ("percent", tree)
        unit = money or ""
        if self.accept(r"\deg"):
            unit += "deg"
            if self.peek.kind == "run" and self.peek.text in ("C", "F"):
                unit += self.next().text
        elif self.peek.kind == "cmd" and self.peek.text in _MONEY:
            unit += _MONEY[self.next().text]
        elif self.unit_ahead():
            tree, words = self._scaled(tree, self.unit_words())
            unit += units.unit_of(words) if not (money and units.unit_of(words) == money) else ""
        if unit == "%":
            return ("percent", tree)
        return ("unit", tree, unit) if unit else tree

    def _scaled(self, tree: Tree, words: str) -> tuple[Tree, str]:
        first, _, rest = words.strip().partition(" ")
        if first.casefold() in SCALES:
            return trees.mul((tree, trees.num(10 ** SCALES[first.casefold()]))), rest
        return tree, words

    def _colon(self, first: Tree) -> Tree:
        parts = [first]
        while self.accept(":"):
            parts.append(self.factor())
        suffix = ""
        if self.peek.kind in ("text", "run"):
            suffix = re.sub(
                r"[^a-z]", "", "".join(token.text for token in self._rest_of_item()).casefold()
            )
            if suffix not in ("am", "pm", "noon", "midnight", "h", "hours", "oclock"):
                raise Unreadable("a word after a clock time or ratio")
        return ("colon", tuple(parts), suffix)

    def _rest_of_item(self) -> list[Token]:
        found = []
        while self.peek.kind in ("text", "run") or self.peek.text == ".":
            found.append(self.next())
        return found


def _is_range(tree: Tree) -> bool:
    return tree[0] == "named" and tree[2][0] in ("seq", "join")


def _range(parts: list[Tree], operators: list[str]) -> Tree | None:
    """The interval of 1 < x <= 2 or x > 3.

    None unless a single variable is compared with constants.
    """
    if any(part[0] in ("unit", "percent") for part in parts):
        return None
    falling = [operator in (">", r"\ge") for operator in operators]
    if all(falling):
        parts, operators = (
            parts[::-1],
            [{">": "<", r"\ge": r"\le"}[operator] for operator in operators[::-1]],
        )
    elif any(falling):
        return None
    places = [index for index, part in enumerate(parts) if part[0] == "sym"]
    if len(places) != 1 or any(trees.contains(part, "sym") for part in parts if part[0] != "sym"):
        return None
    if len(parts) == 3 and places == [1]:
        low, high, name = parts[0], parts[2], parts[1][1]
        return (
            "named",
            name,
            (
                "seq",
                "(" if operators[0] == "<" else "[",
                ")" if operators[1] == "<" else "]",
                (low, high),
            ),
        )
    if len(parts) == 2:
        infinity: Tree = ("const", "inf")
        strict = operators[0] == "<"
        if places == [0]:
            return (
                "named",
                parts[0][1],
                ("seq", "(", ")" if strict else "]", (trees.neg(infinity), parts[1])),
            )
        return ("named", parts[1][1], ("seq", "(" if strict else "[", ")", (parts[0], infinity)))
    return None
