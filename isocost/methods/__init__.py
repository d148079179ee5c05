"""Methods: the ways in which one sample spends calls of a model.

Lives here: the interface (``base``) and one module per method. A method is found by its name, which
a sweep states under ``grid.method``; adding one is adding a module (docs/extending/methods.md).
Not here: engines, the bank and the clock, of which a method knows nothing; the loop that keeps many
samples of many methods in flight (``isocost.payload``); strategies that are computed from banked
samples (``isocost.strategies``).
"""

from isocost.methods.base import (
    METHODS,
    Answer,
    Asked,
    Call,
    LimitReached,
    Method,
    Reply,
    Steps,
    check_engine,
    judged,
    method_of,
)

__all__ = [
    "METHODS",
    "Answer",
    "Asked",
    "Call",
    "LimitReached",
    "Method",
    "Reply",
    "Steps",
    "check_engine",
    "judged",
    "method_of",
]
