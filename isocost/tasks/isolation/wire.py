"""The protocol between the two sandboxes: frames of bytes with plain, non-executable data.

Lives here: framing, and plain values to JSON and back. Not here: who sends what (``answerer``,
``judge``) and who relays it (``__init__``). Runs inside the sandboxes: standard library only, no
import of this project.

Objects that are not plain data stay where they are and are referred to by number (``Ref``). A
subclass of a plain type is transferred as the plain type: an overridden ``==`` is lost.
"""

import json

TYPE_CHECKING = False
"""True for a type checker. Importing `typing` would delay the start of every sandbox."""
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

MOST_BYTES = 16 << 20
"""Maximum frame length. A longer frame ends the program that sent it."""


class Ref:
    """An object in the other sandbox.

    Attributes:
        number: its number there.
        callable: whether it can be called.
        kind: name of its type.
    """

    def __init__(self, number: int, callable: bool, kind: str):
        self.number = number
        self.callable = callable
        self.kind = kind


def write(stream: "IO[bytes]", message: object):
    """Send one frame."""
    data = json.dumps(message).encode()
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()


def read(stream: "IO[bytes]") -> "Any":
    """The next frame; EOFError if the other side is gone."""
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    data = stream.read(int.from_bytes(head, "big"))
    return json.loads(data)


def encode(  # noqa: C901 - one branch for each type, and their order is the defence
    value: "Any", share: "Callable[[Any], tuple[int, bool, str]]"
) -> "Any":
    """A value as JSON data.

    ``share(value)`` numbers objects that are not plain data and returns (number, callable, kind).
    """
    kind = type(value)
    if value is None or kind is bool or kind is float or kind is str:
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**53 else {"t": "int", "v": hex(value)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return {"t": "list", "v": [encode(item, share) for item in list.__iter__(value)]}
    if isinstance(value, tuple):
        return {"t": "tuple", "v": [encode(item, share) for item in tuple.__iter__(value)]}
    if isinstance(value, dict):
        pairs = [
            [encode(key, share), encode(dict.__getitem__(value, key), share)]
            for key in dict.__iter__(value)
        ]
        return {"t": "dict", "v": pairs}
    if isinstance(value, set):
        return {"t": "set", "v": [encode(item, share) for item in set.__iter__(value)]}
    if isinstance(value, frozenset):
        return {"t": "frozenset", "v": [encode(item, share) for item in frozenset.__iter__(value)]}
    if isinstance(value, (bytes, bytearray)):
        return {
            "t": "bytearray" if isinstance(value, bytearray) else "bytes",
            "v": bytes.hex(bytes(value)),
        }
    if kind is complex:
        return {"t": "complex", "v": [value.real, value.imag]}
    if kind is range:
        return {
            "t": "range",
            "v": [encode(part, share) for part in (value.start, value.stop, value.step)],
        }
    # By name, because most programs need none of these modules, and each import takes time.
    home = f"{kind.__module__}.{kind.__qualname__}"
    if home == "decimal.Decimal":
        return {"t": "decimal", "v": str(value)}
    if home == "fractions.Fraction":
        return {
            "t": "fraction",
            "v": [encode(value.numerator, share), encode(value.denominator, share)],
        }
    if home == "collections.deque":
        return {"t": "deque", "v": [encode(item, share) for item in value]}
    number, can_be_called, name = share(value)
    return {"t": "ref", "v": [number, bool(can_be_called), str(name)[:80]]}


def decode(data: "Any", resolve: "Callable[[Ref], Any]") -> "Any":
    """JSON data as a value; ``resolve(Ref)`` gives the proxy for an object of the other sandbox."""
    if not isinstance(data, dict):
        return data
    kind, inner = data["t"], data["v"]
    if kind in ("list", "tuple", "set", "frozenset"):
        return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](
            [decode(item, resolve) for item in inner]
        )
    if kind == "deque":
        import collections

        return collections.deque([decode(item, resolve) for item in inner])
    if kind == "dict":
        return {decode(key, resolve): decode(value, resolve) for key, value in inner}
    if kind == "int":
        return int(inner, 16)
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "bytearray":
        return bytearray.fromhex(inner)
    if kind == "complex":
        return complex(*inner)
    if kind == "range":
        return range(*(decode(part, resolve) for part in inner))
    if kind == "decimal":
        import decimal

        return decimal.Decimal(inner)
    if kind == "fraction":
        import fractions

        return fractions.Fraction(*(decode(part, resolve) for part in inner))
    return resolve(Ref(*inner))
