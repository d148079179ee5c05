r"""Expressions: sums, products, powers, functions, brackets and matrices.

Lives here: the levels of the grammar from a sum down to an atom. Not here: relations, lists, names and units (``reader``).
"""

from __future__ import annotations

import re

from isocost.tasks.formulas import trees, units
from isocost.tasks.formulas.tokens import Token
from isocost.tasks.formulas.trees import Tree, Unreadable

_FUNCTIONS = set(["sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp", "lg", "min", "max", "gcd", "lcm"])
_SETS = {r"\cup": "join", r"\cap": "meet", r"\setminus": "less"}
_CLOSERS = {"(": (")", "]"), "[": ("]", ")"), r"\langle": (r"\rangle",)}
_MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix"}


class Expressions:
    """A recursive descent over tokens; every method passes what it reads."""

    GREEK = frozenset(
        ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega", "ell"]
    )

    def __init__(self, tokens: list[Token]) -> None:
        """Starts at the first token."""
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0

    @property
    def peek(self) -> Token:
        """The token that comes next."""
        return self.tokens[self.position]

    def _at(self, ahead: int) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        """Passes a token."""
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def accept(self, text: str) -> bool:
        """Passes this sign if it comes next."""
        if self.peek.kind == "op" and self.peek.text == text:
            self.next()
            return True
        return False

    def expect(self, *texts: str) -> str:
        """Passes one of these signs."""
        if self.peek.kind == "op" and self.peek.text in texts:
            return self.next().text
        raise Unreadable(f"{self.peek.text!r} where {' or '.join(texts)} is due")

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
        operands = [part for side in (left, right) for part in (side[1] if side[0] == kind else (side,))]
        return (kind, tuple(sorted(set(operands), key=trees.order)))

    def term(self) -> Tree:
        """A product or quotient; what stands side by side is multiplied."""
        tree = self.factor()
        divided = False
        while True:
            if self.accept("*") or self.accept(r"\cdot") or self.accept(r"\times"):
                tree, divided = self._product(tree, self.signed_factor()), False
            elif self.accept("/"):
                tree, divided = trees.divide(tree, self.signed_factor()), True
            elif self._starts_factor() and not self.unit_ahead():
                if divided:
                    raise Unreadable("what stands behind a/b may belong to b or to the whole")
                tree = self._product(tree, self.factor())
            else:
                return tree

    def _product(self, left: Tree, right: Tree) -> Tree:
        if any(side[0] in ("seq", "set", "join", "meet", "less", "matrix") for side in (left, right)):
            raise Unreadable("a product with a structure")
        return trees.mul((left, right))

    def _starts_factor(self) -> bool:
        token = self.peek
        if token.kind == "num":
            raise Unreadable("two numbers side by side")
        if token.kind == "run":
            return not (self.depth == 0 and token.text.casefold() in ("and", "or"))
        if token.kind == "cmd":
            return (
                token.text in ("frac", "sqrt", "pi", "infty", "binom", "emptyset") or token.text in self.GREEK or token.text in _FUNCTIONS
            )
        return token.kind == "op" and (token.text in ("(", "{", r"\lfloor", r"\lceil") or (token.text == "|" and not self.bars))

    def signed_factor(self) -> Tree:
        """A factor that may carry its own minus: 2 * -3, x^-1."""
        if self.accept("-"):
            return trees.neg(self.factor())
        self.accept("+")
        return self.factor()

    def factor(self) -> Tree:
        """An atom with powers, factorials and, on a number, a base."""
        before = self.peek
        tree = self._mixed() if before.kind == "num" else self.atom()
        while self.peek.kind == "op":
            if self.accept("^"):
                tree = trees.power(_needs_value(tree), self._exponent())
            elif self.accept("!"):
                tree = trees.call("factorial", (_needs_value(tree),))
            elif before.kind == "num" and self.peek.text == "_":
                self.next()
                tree = ("based", before.text, self._script())
            else:
                return tree
        return tree

    def _mixed(self) -> Tree:
        """A number, and a proper fraction behind it: 2 2/3, 3\\frac{1}{2}."""
        token = self.next()
        value = token.value
        one, slash, two = self._at(0), self._at(1), self._at(2)
        if one.kind == "num" and slash.text == "/" and two.kind == "num":
            top, bottom, length = one, two, 3
        elif one.kind == "cmd" and one.text == "frac" and (found := self._digits_of_fraction()):
            top, bottom, length = found
        else:
            return trees.num(value)
        if not all(t.text.isdigit() for t in (token, top, bottom)) or not 0 < top.value < bottom.value:
            raise Unreadable("a mixed number with an improper fraction")
        for _ in range(length):
            self.next()
        return trees.num(value + top.value / bottom.value)

    def _digits_of_fraction(self) -> tuple[Token, Token, int] | None:
        """Numerator, denominator and length in tokens of a \\frac of two plain numbers that comes next."""
        following = [self._at(index) for index in range(1, 7)]
        texts = [token.text for token in following]
        if texts[0] == "{" and following[1].kind == "num" and texts[2:4] == ["}", "{"] and following[4].kind == "num" and texts[5] == "}":
            return following[1], following[4], 7
        if following[0].kind == "num" and len(texts[0]) == 2:
            top, bottom = (Token("num", digit, trees.Fraction(digit)) for digit in texts[0])
            return top, bottom, 2
        return None

    def _exponent(self) -> Tree:
        if self.peek.text == "{":
            return self.group()
        if self.accept("-"):
            return trees.neg(self.atom())
        tree = self.atom()
        return trees.power(tree, self._exponent()) if self.accept("^") else tree

    def group(self) -> Tree:
        """{...}: an expression in braces."""
        self.expect("{")
        self.depth += 1
        tree = self.expression()
        self.expect("}")
        self.depth -= 1
        return tree

    def _argument(self) -> tuple[Tree, Tree | None]:
        """What \\frac, \\binom and \\sqrt take: braces, or one digit, letter or command; a second one where two digits stand together."""
        token = self.peek
        if token.text == "{":
            return self.group(), None
        if token.kind == "num" and token.text.isdigit():
            self.next()
            if len(token.text) == 2:
                return trees.num(int(token.text[0])), trees.num(int(token.text[1]))
            if len(token.text) == 1:
                return trees.num(token.value), None
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

    def _script(self) -> str:
        text = self.raw_group()
        if not re.fullmatch(r"[0-9]{1,2}", text):
            raise Unreadable("an index on a number that is no base")
        return text

    def atom(self) -> Tree:
        """A number, name, function, bracket, set or matrix."""
        token = self.next()
        if token.kind == "num":
            return trees.num(token.value)
        if token.kind == "run":
            return self._run(token.text)
        if token.kind == "cmd":
            return self._command(token.text)
        if token.kind == "op":
            return self._bracket(token.text)
        raise Unreadable(f"{token.text!r} is no formula")

    def _run(self, run: str) -> Tree:
        """Letters side by side: a known word, or variables multiplied. Capitals together are a name, not a product."""
        lower = run.casefold()
        if lower in _FUNCTIONS or lower in ("sqrt", "pi", "infinity", "inf", "binom", "abs"):
            return self._command({"inf": "infty", "infinity": "infty"}.get(lower, lower))
        if len(run) > 4 or not run.isascii() or (len(run) > 1 and run.isupper()):
            raise Unreadable(f"the word {run!r}")
        if len(run) > 2 and len(self.tokens) == 2:
            raise Unreadable(f"the word {run!r}")
        factors = [self._symbol(letter) for letter in run[:-1]]
        last = self._symbol(self._indexed(run[-1]))
        if self.peek.kind == "op" and self.peek.text == "^" and factors:
            self.next()
            last = trees.power(last, self._exponent())
        return trees.mul([*factors, last])

    def _symbol(self, name: str) -> Tree:
        return ("const", name) if name in ("e", "i") else ("sym", name)

    def _indexed(self, name: str) -> str:
        while self.peek.kind == "op" and self.peek.text in ("_", "'"):
            name += "'" if self.next().text == "'" else "_" + self.raw_group()
        return name

    def _command(self, name: str) -> Tree:
        if name == "frac":
            return trees.divide(*map(_needs_value, self._two()))
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
        if name in _FUNCTIONS or name == "abs":
            return self._function(name)
        if name in self.GREEK:
            return ("sym", self._indexed("\\" + name))
        raise Unreadable(f"\\{name} is not read")

    def _root(self) -> Tree:
        degree = None
        if self.accept("["):
            degree = self.expression()
            self.expect("]")
        if self.peek.text == "(":
            self.next()
            inside = self._bracket("(")
        elif self.peek.kind == "num" and self.peek.text.isdigit():
            inside = trees.num(self.next().value)
        else:
            inside, more = self._argument()
            if more is not None:
                raise Unreadable("a root of two digits")
        inside = _needs_value(inside)
        return trees.call("sqrt", (inside,)) if degree is None else trees.call("root", (inside, degree))

    def _function(self, name: str) -> Tree:
        """A function with its base or power before the argument: \\log_2 8, \\sin^2 x, \\ln 2x."""
        base = exponent = None
        while self.peek.text in ("_", "^"):
            if self.next().text == "_":
                base = self.group() if self.peek.text == "{" else self.atom()
            else:
                exponent = self._exponent()
        if exponent is not None and exponent[0] == "num" and exponent[1] < 0:
            raise Unreadable("a function to the power -1 is an inverse or a quotient")
        if self.peek.text in ("(", "{"):
            token = self.next()
            if token.text == "{":
                self.position -= 1
            inside = self.group() if token.text == "{" else self._bracket("(")
        else:
            inside = self.factor()
            while self._starts_factor() and not self.unit_ahead() and not (self.peek.kind == "cmd" and self.peek.text in _FUNCTIONS):
                inside = trees.mul((inside, self.factor()))
        if self.peek.text == r"\deg":
            self.next()
            inside = trees.mul((inside, ("const", "pi"), trees.num(trees.Fraction(1, 180))))
        arguments = inside[3] if inside[0] == "seq" else (_needs_value(inside),)
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
            self.position -= 1
            return self.group()
        if opening == "|":
            return self._bars()
        if opening in (r"\lfloor", r"\lceil"):
            tree = self.expression()
            self.expect(r"\rfloor" if opening == r"\lfloor" else r"\rceil")
            return trees.call("floor" if opening == r"\lfloor" else "ceil", (_needs_value(tree),))
        if opening == r"\{":
            return ("set", tuple(sorted(set(self._items((r"\}",))[0]), key=trees.order)))
        if opening == "]":  # ]1,2[ is the French open interval
            items, closing = self._items(("[", "]"))
            return ("seq", "(", ")" if closing == "[" else "]", tuple(items))
        if opening not in _CLOSERS:
            raise Unreadable(f"{opening!r} begins nothing")
        items, closing = self._items(_CLOSERS[opening])
        if opening == "(" and closing == ")" and len(items) == 1:
            return items[0]
        if opening == r"\langle":
            opening, closing = "(", ")"
        return ("seq", opening, closing, tuple(items))

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
        return trees.call("abs", (_needs_value(tree),))

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

    def unit_ahead(self) -> bool:
        """Whether a unit comes next, up to the end of this answer."""
        token = self.peek
        if self.depth or self.position == 0 or token.kind not in ("text", "run"):
            return False
        word = token.text.strip()
        if token.kind == "text":
            return word.casefold() not in ("and", "or", "") and bool(re.search(r"[^\W\d_]", word)) and word.casefold() not in _MONTHS
        before = self.tokens[self.position - 1]
        if word.casefold() in _MONTHS or (before.kind == "op" and before.text not in (")", "}", "%")):
            return False
        if word in units.KNOWN or word.casefold() in _SCALES:
            return word.casefold() not in ("in",) or self._at(1).kind == "end"
        return token.gap and len(word) >= 3 and before.kind == "num" and word.casefold() not in _FUNCTIONS

    def unit_words(self) -> str:
        """Passes a unit and gives its words."""
        pieces: list[str] = []
        while True:
            token = self.peek
            if token.kind in ("text", "run") and not (pieces and token.text.strip(" ,").casefold() in ("and", "or", "but")):
                pieces.append(token.text)
            elif pieces and token.kind == "op" and token.text in ("/", "^", r"\cdot", "{", "}", "-"):
                pieces.append("" if token.text in ("{", "}", r"\cdot") else token.text)
            elif pieces and token.kind == "num" and pieces[-1] in ("^", "", "-"):
                pieces.append(token.text)
            else:
                break
            self.next()
        words = " ".join(piece for piece in pieces if piece)
        if re.search(r"\d{3}", words):
            raise Unreadable("a number in a unit")
        return words


_SCALES = ("hundred", "thousand", "million", "billion", "trillion")
_MONTHS = set(
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "th", "st", "nd", "rd"]
)


def _can_add(tree: Tree) -> bool:
    return trees.is_value(tree) or tree[0] == "matrix"


def _needs_value(tree: Tree) -> Tree:
    if not trees.is_value(tree):
        raise Unreadable("a structure where a value is due")
    return tree
