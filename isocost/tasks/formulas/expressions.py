r"""Expressions: sums, products, powers and mixed numbers.

Lives here: the levels of the grammar from a sum down to a power. Not here: the operands
(``atoms``), relations, lists, names and units (``reader``).
"""

from __future__ import annotations

from isocost.tasks.formulas import trees
from isocost.tasks.formulas.atoms import GREEK, Atoms, needs_value
from isocost.tasks.formulas.cursor import FUNCTIONS
from isocost.tasks.formulas.tokens import Token
from isocost.tasks.formulas.trees import Tree, Unreadable

_SETS = {r"\cup": "join", r"\cap": "meet", r"\setminus": "less"}
_COMMANDS = frozenset(("frac", "sqrt", "pi", "infty", "binom", "emptyset")) | GREEK | FUNCTIONS


def _can_add(tree: Tree) -> bool:
    return trees.is_value(tree) or tree[0] == "matrix"


class Expressions(Atoms):
    """A recursive descent over tokens."""

    def expression(self) -> Tree:
        """Terms with plus and minus, or sets with union, intersection and difference."""
        sign = -1 if self.accept("-") else 1
        if sign == 1:
            self.accept("+")
        tree = self.term()
        if sign == -1:
            tree = trees.neg(tree)
        terms = [tree]
        while self.peek.kind == "op":
            if self.accept("+"):
                terms.append(self.term())
            elif self.accept("-"):
                terms.append(trees.neg(self.term()))
            elif self.peek.text in _SETS and len(terms) == 1:
                terms = [self._sets(terms[0])]
            else:
                break
        if len(terms) > 1 and not all(map(_can_add, terms)):
            raise Unreadable("a sum of what cannot be added")
        return terms[0] if len(terms) == 1 else trees.add(terms)

    def _sets(self, left: Tree) -> Tree:
        kind = _SETS[self.next().text]
        right = self.term()
        if kind == "less":
            return (kind, (left, right))
        operands = [
            part for side in (left, right) for part in (side[1] if side[0] == kind else (side,))
        ]
        return (kind, tuple(sorted(set(operands), key=trees.order)))

    def term(self) -> Tree:
        """A product or quotient; adjacent factors are multiplied."""
        tree = self.factor()
        divided = False
        while True:
            if self.accept("*") or self.accept(r"\cdot") or self.accept(r"\times"):
                tree, divided = self._product(tree, self.signed_factor()), False
            elif self.accept("/"):
                tree, divided = trees.divide(tree, self.signed_factor()), True
            elif self.starts_factor() and not self.unit_ahead():
                before = self.tokens[self.position - 1]
                if (
                    before.kind == self.peek.kind == "run"
                    and max(len(before.text), len(self.peek.text)) > 1
                ):
                    raise Unreadable("adjacent words")
                if divided:
                    raise Unreadable("what follows a/b may belong to b or to the whole")
                tree = self._product(tree, self.factor())
            else:
                return tree

    def _product(self, left: Tree, right: Tree) -> Tree:
        if any(
            side[0] in ("seq", "set", "join", "meet", "less", "matrix") for side in (left, right)
        ):
            raise Unreadable("a product with a structure")
        return trees.mul((left, right))

    def starts_factor(self) -> bool:
        """Whether a factor starts here; two adjacent numbers are rejected."""
        token = self.peek
        if token.kind == "num":
            raise Unreadable("two adjacent numbers")
        if token.kind == "run":
            return not (self.depth == 0 and token.text.casefold() in ("and", "or"))
        if token.kind == "cmd":
            return token.text in _COMMANDS
        return token.kind == "op" and (
            token.text in ("(", "{", r"\lfloor", r"\lceil") or (token.text == "|" and not self.bars)
        )

    def signed_factor(self) -> Tree:
        """A factor that may have its own minus: 2 * -3, x^-1."""
        if self.accept("-"):
            return trees.neg(self.factor())
        self.accept("+")
        return self.factor()

    def factor(self) -> Tree:
        """An atom with powers, factorials and, for a number, a base."""
        before = self.peek
        tree = self._mixed() if before.kind == "num" else self.atom()
        while self.peek.kind == "op":
            if self.accept("^"):
                tree = trees.power(needs_value(tree), self.exponent())
            elif self.accept("!"):
                if self.peek.text == "!":
                    raise Unreadable("a double factorial")
                tree = trees.call("factorial", (needs_value(tree),))
            elif before.kind == "num" and self.peek.text == "_":
                self.next()
                tree = ("based", before.text, self.script())
            else:
                return tree
        return tree

    def _mixed(self) -> Tree:
        r"""A number followed by a proper fraction: 2 2/3, 3\frac{1}{2}."""
        token = self.next()
        value = token.number
        one, slash, two = self._at(0), self._at(1), self._at(2)
        if one.kind == "num" and slash.text == "/" and two.kind == "num":
            top, bottom, length = one, two, 3
        elif one.kind == "cmd" and one.text == "frac" and (found := self._digits_of_fraction()):
            top, bottom, length = found
        else:
            return trees.num(value)
        if (
            not all(t.text.isdigit() for t in (token, top, bottom))
            or not 0 < top.number < bottom.number
        ):
            raise Unreadable("a mixed number with an improper fraction")
        for _ in range(length):
            self.next()
        return trees.num(value + top.number / bottom.number)

    def _digits_of_fraction(self) -> tuple[Token, Token, int] | None:
        r"""Numerator, denominator and number of tokens of a \frac of two plain numbers."""
        following = [self._at(index) for index in range(1, 7)]
        texts = [token.text for token in following]
        if (
            texts[0] == "{"
            and following[1].kind == "num"
            and texts[2:4] == ["}", "{"]
            and following[4].kind == "num"
            and texts[5] == "}"
        ):
            return following[1], following[4], 7
        if following[0].kind == "num" and len(texts[0]) == 2:
            top, bottom = (Token("num", digit, trees.Fraction(digit)) for digit in texts[0])
            return top, bottom, 2
        return None

    def exponent(self) -> Tree:
        """The exponent after ^."""
        if self.peek.text == "{":
            return self.group()
        if self.accept("-"):
            return trees.neg(self.atom())
        tree = self.atom()
        return trees.power(tree, self.exponent()) if self.accept("^") else tree
