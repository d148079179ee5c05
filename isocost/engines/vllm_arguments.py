"""The names of vLLM's own engine arguments, read from its source without importing it.

Lives here: `known_arguments`, `check_arguments` and `vllm_source`. Not here: their values, which
vLLM checks when it starts. Importing vLLM (and torch) takes many seconds; checking a sweep takes
one.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from isocost.errors import IsocostError

_FILE = Path("engine") / "arg_utils.py"
_CLASS = "EngineArgs"
_SHOWN = 3


@cache
def known_arguments() -> frozenset[str] | None:
    """Fields of vLLM's EngineArgs; None if vLLM is not installed or has moved them."""
    for tree in vllm_source(_FILE):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == _CLASS:
                fields = {
                    f.target.id
                    for f in node.body
                    if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)
                }
                fields = {name for name in fields if not name.startswith("_")}
                return frozenset(fields) or None
    return None


def vllm_source(file: Path) -> Iterator[ast.Module]:
    """A file of vLLM as a syntax tree; nothing if vLLM is not installed or does not have it.

    Args:
        file: relative to vLLM's package.
    """
    try:
        found = importlib.util.find_spec("vllm")
    except (ImportError, ValueError):
        return
    for folder in (found.submodule_search_locations or ()) if found else ():
        try:
            yield ast.parse((Path(folder) / file).read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError):
            continue


def check_arguments(names: Iterable[str]) -> None:
    """Reject an argument that vLLM does not have, if vLLM is installed.

    Args:
        names: keys of ``engine.options.engine_args``.

    Raises:
        IsocostError: the first unknown name, with the nearest ones.
    """
    known = known_arguments()
    if known is None:
        return
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=_SHOWN)
            remedy = (
                f"Did you mean {', '.join(near)}?"
                if near
                else "See the engine arguments in vLLM's documentation."
            )
            raise IsocostError(
                f"vLLM has no engine argument {name!r}",
                where=f"engine.options.engine_args.{name}",
                remedy=remedy,
            )
