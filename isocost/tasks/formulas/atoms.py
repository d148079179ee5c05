r"""Atoms of an expression: numbers, variables, functions, brackets and matrices.

Lives here: the operands of operators. Not here: sums, products and powers
(``expressions``), which recurse into this level.
"""

from __future__ import annotations

import re

from isocost.tasks.formulas import trees
from isocost.tasks.formulas.cursor import FUNCTIONS, Cursor
from isocost.tasks.formulas.trees import Tree, Unreadable
from isocost.tasks.number_words import value_of_words

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon"
    " phi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
)
GREEK = frozenset(_NAMES.split())
_CLOSERS = {"(": (")", "]"), "[": ("]", ")"), r"\langle": (r"\rangle",)}
_MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix"}


def needs_value(tree: Tree) -> Tree:
    """The tree, if it is a value."""
    if not trees.is_value(tree):
        raise Unreadable("a structure where a value is expected")
    return tree


class Atoms(Cursor):
    """The lowest level of the grammar. The levels above are filled in by ``Expressions``."""

    def expression(self) -> Tree:
        """A sum."""
        raise NotImplementedError

    def factor(self) -> Tree:
        """An atom with its powers."""
        raise NotImplementedError

    def exponent(self) -> Tree:
        """The exponent after ^."""
        raise NotImplementedError

    def starts_factor(self) -> bool:
        """Whether a factor starts here."""
        raise NotImplementedError

    def group(self) -> Tree:
        """{...}: an expression in braces."""
        self.expect("{")
        self.depth += 1
        tree = self.expression()
        self.expect("}")
        self.depth -= 1
        return tree

    def _argument(self) -> tuple[Tree, Tree | None]:
        r"""The argument of \frac, \binom and \sqrt.

        Braces, or one digit, letter or command; the second of two digits without braces is the
        second argument.
        """
        token = self.peek
        if token.text == "{":
            return self.group(), None
        if token.kind == "num" and token.text.isdigit():
            self.next()
            if len(token.text) == 2:
                return trees.num(int(token.text[0])), trees.num(int(token.text[1]))
            if len(token.text) == 1:
                return trees.num(token.number), None
        if (token.kind == "run" and len(token.text) == 1) or token.kind == "cmd":
            return self.atom(), None
        raise Unreadable(f"an argument expected at {token.text!r}")

    def _two(self) -> tuple[Tree, Tree]:
        first, second = self._argument()
        if second is not None:
            return first, second
        second, more = self._argument()
        if more is not None:
            raise Unreadable("an argument of two digits without braces")
        return first, second

    def raw_group(self) -> str:
        """The letters of an index, as written."""
        if not self.accept("{"):
            return self.next().text
        pieces = []
        while not self.accept("}"):
            if self.peek.kind == "end":
                raise Unreadable("an open brace")
            pieces.append(self.next().text)
        return "".join(pieces)

    def script(self) -> str:
        """The base of a number, after its _."""
        text = self.raw_group()
        if not re.fullmatch(r"[0-9]{1,2}", text):
            raise Unreadable("an index on a number that is not a base")
        return text

    def atom(self) -> Tree:
        """A number, name, function, bracket, set or matrix."""
        token = self.next()
        if token.kind == "num":
            return trees.num(token.number)
        if token.kind == "run":
            return self._run(token.text)
        if token.kind == "cmd":
            return self._command(token.text)
        if token.kind == "op":
            return self._bracket(token.text)
        raise Unreadable(f"{token.text!r} is not a formula")

    def _run(self, run: str) -> Tree:
        """Adjacent letters.

        A known word, or variables multiplied. Adjacent capitals are a name, not a product.
        """
        lower = run.casefold()
        if lower in FUNCTIONS or lower in ("sqrt", "pi", "infinity", "inf", "binom", "abs"):
            return self._command({"inf": "infty", "infinity": "infty"}.get(lower, lower))
        if len(run) > 4 or not run.isascii() or (len(run) > 1 and run.isupper()):
            raise Unreadable(f"the word {run!r}")
        if lower == "no" and len(self.tokens) == 2:
            raise Unreadable("the word no")
        if len(run) > 2 and (len(self.tokens) == 2 or value_of_words(run) is not None):
            raise Unreadable(f"the word {run!r}")
        factors = [self._symbol(letter) for letter in run[:-1]]
        last = self._symbol(self._indexed(run[-1]))
        if self.peek.kind == "op" and self.peek.text == "^" and factors:
            self.next()
            last = trees.power(last, self.exponent())
        return trees.mul([*factors, last])

    def _symbol(self, name: str) -> Tree:
        return ("const", name) if name in ("e", "i") else ("sym", name)

    def _indexed(self, name: str) -> str:
        while self.peek.kind == "op" and self.peek.text in ("_", "'"):
            name += "'" if self.next().text == "'" else "_" + self.raw_group()
        return name

    def _command(self, name: str) -> Tree:
        if name == "frac":
            return trees.divide(*map(needs_value, self._two()))
        if name == "binom":
            return trees.call("binom", self._two())
        if name == "sqrt":
            return self._root()
        if name in ("pi", "infty"):
            return ("const", {"infty": "inf"}.get(name, name))
        if name == "emptyset":
            return ("set", ())
        if name.startswith("space:"):
            return ("space", name.removeprefix("space:"))
        if name.startswith("begin:"):
            return self._matrix(name.removeprefix("begin:"))
        if name in FUNCTIONS or name == "abs":
            return self._function(name)
        if name in GREEK:
            return ("sym", self._indexed("\\" + name))
        raise Unreadable(f"\\{name} is not supported")

    def _root(self) -> Tree:
        degree = None
        if self.accept("["):
            degree = self.expression()
            self.expect("]")
        if self.peek.text == "(":
            self.next()
            inside = self._bracket("(")
        elif self.peek.kind == "num" and self.peek.text.isdigit():
            inside = trees.num(self.next().number)
        else:
            inside, more = self._argument()
            if more is not None:
                raise Unreadable("a root of two digits")
        inside = needs_value(inside)
        return (
            trees.call("sqrt", (inside,))
            if degree is None
            else trees.call("root", (inside, degree))
        )

    def _base(self) -> Tree:
        return self.group() if self.peek.text == "{" else self.atom()

    def _function(self, name: str) -> Tree:
        r"""A function with its base or power before the argument: \log_2 8, \sin^2 x, \ln 2x."""
        base = exponent = None
        while (sign := self.peek.text) in ("_", "^"):
            self.next()
            if sign == "_":
                base = self._base()
            else:
                exponent = self.exponent()
        if exponent is not None and exponent[0] == "num" and exponent[1] < 0:
            raise Unreadable("a function to the power -1 is an inverse or a quotient")
        if self.peek.text in ("(", "{"):
            token = self.next()
            if token.text == "{":
                self.position -= 1
            inside = self.group() if token.text == "{" else self._bracket("(")
        else:
            inside = self.factor()
            while (
                self.starts_factor()
                and not self.unit_ahead()
                and not (self.peek.kind == "cmd" and self.peek.text in FUNCTIONS)
            ):
                inside = trees.mul((inside, self.factor()))
        if self.peek.text == r"\deg":
            self.next()
            inside = trees.mul((inside, ("const", "pi"), trees.num(trees.Fraction(1, 180))))
        arguments = inside[3] if inside[0] == "seq" else (needs_value(inside),)
        name = {"lg": "log10"}.get(name, name)
        if base is not None:
            if name != "log":
                raise Unreadable("an index on a function")
            name, arguments = "logb", (*arguments, base)
        if name in ("min", "max", "gcd", "lcm"):
            arguments = tuple(sorted(arguments, key=trees.order))
        elif len(arguments) != 1 + (name == "logb"):
            raise Unreadable("a function of several arguments")
        tree = trees.call(name, arguments)
        return tree if exponent is None else trees.power(tree, exponent)

    def _bracket(self, opening: str) -> Tree:
        if opening == "{":
            return self._braces()
        if opening == "|":
            return self._bars()
        if opening in (r"\lfloor", r"\lceil"):
            tree = self.expression()
            self.expect(r"\rfloor" if opening == r"\lfloor" else r"\rceil")
            return trees.call("floor" if opening == r"\lfloor" else "ceil", (needs_value(tree),))
        if opening == r"\{":
            return ("set", tuple(sorted(set(self._items((r"\}",))[0]), key=trees.order)))
        if opening == "]":  # ]1,2[ is the French open interval
            items, closing = self._items(("[", "]"))
            return ("seq", "(", ")" if closing == "[" else "]", tuple(items))
        if opening not in _CLOSERS:
            raise Unreadable(f"{opening!r} does not start anything")
        items, closing = self._items(_CLOSERS[opening])
        if opening == "(" and closing == ")" and len(items) == 1:
            return items[0]
        if opening == r"\langle":
            opening, closing = "(", ")"
        return ("seq", opening, closing, tuple(items))

    def _braces(self) -> Tree:
        """Braces {...} as in TeX, or a set whose braces lost their backslashes: {1, 2}."""
        items, _ = self._items(("}",))
        if not items:
            raise Unreadable("empty braces")
        return items[0] if len(items) == 1 else ("set", tuple(sorted(set(items), key=trees.order)))

    def _items(self, closers: tuple[str, ...]) -> tuple[list[Tree], str]:
        self.depth += 1
        items: list[Tree] = []
        if not (self.peek.kind == "op" and self.peek.text in closers):
            items.append(self.expression())
            while self.accept(",") or self.accept(";"):
                items.append(self.expression())
        closing = self.expect(*closers)
        self.depth -= 1
        return items, closing

    def _bars(self) -> Tree:
        self.bars += 1
        tree = self.expression()
        self.expect("|")
        self.bars -= 1
        return trees.call("abs", (needs_value(tree),))

    def _matrix(self, environment: str) -> Tree:
        if environment not in _MATRICES:
            raise Unreadable(f"the environment {environment}")
        self.depth += 1
        rows, row = [], [self.expression()]
        while not (self.peek.kind == "cmd" and self.peek.text == f"end:{environment}"):
            if self.accept("&"):
                row.append(self.expression())
            elif self.accept(r"\\"):
                rows.append(tuple(row))
                row = []
                if self.peek.kind == "cmd" and self.peek.text == f"end:{environment}":
                    break
                row = [self.expression()]
            else:
                raise Unreadable("a matrix without an end")
        self.next()
        self.depth -= 1
        if row:
            rows.append(tuple(row))
        return ("matrix", tuple(rows))
