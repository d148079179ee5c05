"""Programs with their tests: honest ones, which pass, and others, which do not."""

from __future__ import annotations

DOUBLE = "def f(x):\n    return 2 * x\n"

HONEST = [
    (DOUBLE, "assert f(2) == 4"),
    ("def f(a): a.sort(); a.append(9)", "x = [3, 1]\nf(x)\nassert x == [1, 3, 9]"),
    ("def f(d, s): d['k'] = 1; s.add(2)", "d, s = {}, set()\nf(d, s)\nassert d == {'k': 1} and s == {2}"),
    ("def f(): return (1, [2.5, {'a': {3}}], None, True, b'x', 'é', 2j, range(3), frozenset({1}))",
     "assert f() == (1, [2.5, {'a': {3}}], None, True, b'x', 'é', 2j, range(3), frozenset({1}))\nassert type(f()) is tuple"),
    ("def f(): return 7**300, -(10**400), float('inf'), 1e-320", "assert f() == (7**300, -(10**400), float('inf'), 1e-320)"),
    ("from collections import Counter, deque, OrderedDict, defaultdict\ndef f(): return Counter('aab'), deque([1, 2]), OrderedDict(a=1), defaultdict(int, a=1)",
     "from collections import deque\nassert f() == ({'a': 2, 'b': 1}, deque([1, 2]), {'a': 1}, {'a': 1})"),
    ("from decimal import Decimal\nfrom fractions import Fraction\ndef f(): return Decimal('1.10'), Fraction(1, 3)",
     "from decimal import Decimal\nfrom fractions import Fraction\nassert f() == (Decimal('1.1'), Fraction(1, 3))"),
    ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2]\nassert sum(f(4)) == 6"),
    ("def f(g, x): return g(g(x))", "assert f(lambda v: v * 3, 2) == 18"),
    ("def f(x): return lambda y: x + y", "assert f(2)(3) == 5"),
    ("def f(x):\n    if x < 0: raise ValueError('negative')\n    return x", "try:\n    f(-1)\nexcept ValueError as e:\n    assert str(e) == 'negative'\nelse:\n    assert False"),
    ("class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x); return self\n    def __len__(self): return len(self.items)",
     "s = Stack()\ns.push(1).push(2)\nassert len(s) == 2 and s.items == [1, 2]"),
    ("class P:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return P(self.x + o.x)\n    def __eq__(self, o): return self.x == o.x\n    def __mul__(self, k): return P(self.x * k)\n    def __lt__(self, o): return self.x < o.x",
     "assert P(1) + P(2) == P(3) and (P(2) * 3).x == 6 and P(1) < P(2)"),
    ("import math\ndef f(r): return math.pi * r * r", "assert math.isclose(f(1), math.pi)\nassert abs(f(2) - 12.566370614359172) < 1e-9"),
    ("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)", "def check(candidate):\n    assert candidate(10) is True\n    assert candidate(7) is False\n\ncheck(even)"),
    ("LIMIT = 5\ndef f(x): return min(x, LIMIT)", "assert f(9) == LIMIT == 5"),
    ("import asyncio\nasync def g(x): return x + 1\ndef f(x): return asyncio.run(g(x))", "assert f(1) == 2"),
    ("def f(x, *, scale=1, **more): return x * scale + sum(more.values())", "assert f(2, scale=3, a=1) == 7"),
    ("open('small', 'w').write('1')\ndef f(): return open('small').read()", "assert f() == '1'"),
    ("import os\ndef f(): return [name for name in ('TOKEN', 'HOME', 'PATH') if name in os.environ]", "assert f() == []"),
    ("if __name__ == '__main__':\n    done = True", "assert done"),
    ("def f(a): return a.copy()", "x = [1]\ny = f(x)\ny.append(2)\nassert x == [1]"),
]  # fmt: skip

NOT_RIGHT = [
    (DOUBLE, "assert f(2) == 5", "failed"),
    (DOUBLE, "assert g(2) == 4", "failed"),
    ("def f(:", "assert True", "failed"),
    ("raise KeyError('x')", "assert True", "failed"),
    (DOUBLE, "assert (", "failed"),
    (DOUBLE, "while True: pass", "timeout"),
    (DOUBLE, "class Own: pass\nf(Own())", "unsupported"),
    ("def f(x):\n    return 0\nabs = lambda x: 0", "assert abs(f(2) - 4) < 1e-6", "failed"),
    ("class E:\n    def __sub__(self, o): return 0.0\ndef f(x): return E()", "assert abs(f(2) - 4.5) < 1e-6", "failed"),
    ("class E:\n    def __contains__(self, o): return True\n    def __iter__(self): return iter(())\ndef f(x): return E()", "assert 3 in f(2)", "failed"),
    ("class E:\n    def __lt__(self, o): return True\n    def __gt__(self, o): return True\ndef f(x): return E()", "assert f(2) > 3", "failed"),
]  # fmt: skip
