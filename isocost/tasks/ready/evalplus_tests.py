"""EvalPlus' tests made to run with the standard library alone, and its instruction.

Lives here: what HumanEval+ and MBPP+ share. Not here: the tasks, and the sandbox, which has no
packages (``isocost.tasks.isolation``).

The tests import NumPy to compare floats. The few names that they use are defined here instead, with
NumPy's meaning for numbers and nested lists of them, except that lists of different lengths
differ; tests that use any other are refused.
"""

from __future__ import annotations

import ast
import re

from isocost.tasks.ready_made import unexpected

INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown"
    " code block:\n```\n{prompt}\n```\n"
)
"""Of EvalPlus (Apache-2.0), without the beginning of the reply that it prefills."""
_IMPORT = re.compile(r"^import numpy as np[ \t]*$", re.MULTILINE)
_KNOWN = {"ndarray", "float32", "float64", "allclose", "testing"}
_STAND_IN = """
class np:
    class ndarray: pass
    class float32: pass
    class float64: pass
    @staticmethod
    def allclose(out, exp, rtol=1e-05, atol=1e-08):
        if isinstance(out, (list, tuple)) or isinstance(exp, (list, tuple)):
            if not isinstance(out, (list, tuple)):
                out = [out] * len(exp)
            elif not isinstance(exp, (list, tuple)):
                exp = [exp] * len(out)
            if len(out) != len(exp):
                return False
            return all(np.allclose(a, b, rtol, atol) for a, b in zip(out, exp))
        if out == exp or abs(exp) == float("inf"):
            return out == exp
        return abs(out - exp) <= atol + rtol * abs(exp)
    class testing:
        @staticmethod
        def assert_allclose(out, exp, rtol=1e-07, atol=0):
            assert np.allclose(out, exp, rtol, atol)
"""


def without_numpy(tests: str, where: str) -> str:
    """Tests that need no package.

    Args:
        tests: Python source.
        where: file and row, for messages.

    Raises:
        TaskMistake: they are no Python, or use more of NumPy than is known.
    """
    if _IMPORT.search(tests) is None:
        return tests
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unexpected(f"the tests are not Python ({error})", where) from None
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "np"
    }
    if used - _KNOWN:
        unknown = ", ".join(f"np.{name}" for name in sorted(used - _KNOWN))
        raise unexpected(f"the tests use {unknown}, which the sandbox does not have", where)
    return _STAND_IN + _IMPORT.sub("", tests)
