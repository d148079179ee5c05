"""The tests' sandbox: run the tests against an answer in another sandbox, and decide.

Lives here: proxies for the answer's functions and objects, the tests' namespace, the verdict. Not
here: the answer (``answerer``), the sandbox (``walls``). The answer can return anything; it is
never asked whether it is correct: an object of its own is not equal to any plain data, is never
larger or smaller than plain data, and computing with it and plain data gives an object again.

Runs inside the sandbox: standard library only, no import of this project.
"""

import os
import resource
import sys

sys.path.insert(0, "/isolation")  # where the walls show this folder

import builtins
import importlib
import types

import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO, Any

CPU, MEMORY, FILE = (int(word) for word in sys.argv[1:4])


class AnswerGone(BaseException):
    """The answer's process ended.

    Not a subclass of Exception, so that a test cannot mistake it for the exception it expects.
    """


class CannotCross(BaseException):
    """The tests pass something that cannot be transferred: not the answer's fault."""


class Room:
    """The connection to the other sandbox."""

    def __init__(self, channel: "tuple[IO[bytes], IO[bytes]]"):
        self.channel = channel
        self.shared: dict[int, Any] = {}

    def ask(self, message: "dict[str, Any]") -> "dict[str, Any]":
        """Send one question, and serve what the answer asks meanwhile."""
        wire.write(self.channel[1], message)
        while True:
            try:
                reply = wire.read(self.channel[0])
            except EOFError:
                raise AnswerGone from None
            if "callback" not in reply:
                break
            wire.write(self.channel[1], self.called_back(reply))
        if "raised" in reply:
            kind, text, own = reply["raised"]
            named = getattr(builtins, kind, None)
            error = named if isinstance(named, type) and issubclass(named, Exception) else Exception
            raise error(text if own == kind else f"{own}: {text}")
        return reply

    def called_back(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """The answer calls a function that the tests passed to it."""
        try:
            result = self.shared[request["callback"]](*self.decode(request["args"]))
            return {"ok": self.encode(result)}
        except Exception as error:
            name = type(error).__name__
            return {
                "raised": [name if hasattr(builtins, name) else "Exception", str(error)[:300], name]
            }

    def do(
        self,
        what: str,
        number: int,
        args: "Iterable[object]" = (),
        kwargs: "dict[str, object] | None" = None,
    ) -> "Any":
        """Ask the other sandbox to do something with one of its objects."""
        args = list(args)
        reply = self.ask(
            {
                "do": what,
                "ref": number,
                "args": self.encode(args),
                "kwargs": self.encode(kwargs or {}),
            }
        )
        if reply.get("after") is not None:
            for mine, now in zip(args, self.decode(reply["after"]), strict=False):
                put_back(mine, now)
        return self.decode(reply["ok"])

    def share(self, value: object) -> tuple[int, bool, str]:
        """Number a function of the tests, below zero.

        Nothing else of theirs can be passed.
        """
        if isinstance(value, Remote):
            return object.__getattribute__(value, "_number"), True, "own"
        if not isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.LambdaType)):
            raise CannotCross(
                f"an object of type {type(value).__name__} cannot be passed to the answer"
            )
        number = -1 - len(self.shared)
        self.shared[number] = value
        return number, True, "function"

    def resolve(self, ref: wire.Ref) -> "Remote":
        """A proxy for an object of the answer."""
        return Remote(self, ref.number, ref.callable, ref.kind)

    def encode(self, value: object) -> "Any":
        """A value for the answer."""
        return wire.encode(value, self.share)

    def decode(self, data: "Any") -> "Any":
        """A value from the answer."""
        return wire.decode(data, self.resolve)


def put_back(mine: "Any", now: "Any"):
    """Make an argument what the function made of it."""
    if isinstance(mine, (list, bytearray)):
        mine[:] = now
    elif isinstance(mine, (dict, set)):
        mine.clear()
        mine.update(now)


class Remote:
    """An object of the answer, or one of its functions or classes."""

    def __init__(self, room: Room, number: int, can_be_called: bool, kind: str):
        for name, value in (
            ("_room", room),
            ("_number", number),
            ("_callable", can_be_called),
            ("_kind", kind),
        ):
            object.__setattr__(self, name, value)

    def _do(self, what: str, *args: object) -> "Any":
        return object.__getattribute__(self, "_room").do(
            what, object.__getattribute__(self, "_number"), args
        )

    def __call__(self, *args: object, **kwargs: object) -> "Any":
        """Call it on the other side."""
        return object.__getattribute__(self, "_room").do(
            "call", object.__getattribute__(self, "_number"), args, kwargs
        )

    def __getattr__(self, name: str) -> "Any":
        return self._do("getattr", name)

    def __setattr__(self, name: str, value: object):
        self._do("setattr", name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote):
            return False
        return (
            object.__getattribute__(self, "_number") == object.__getattribute__(other, "_number")
            or self._do("__eq__", other) is True
        )

    def __hash__(self):
        return hash(object.__getattribute__(self, "_number"))

    def __iter__(self) -> "Any":
        iterator = self._do("__iter__")
        if not isinstance(iterator, Remote):
            return iter(iterator)
        return (
            iterator
            if object.__getattribute__(iterator, "_number")
            != object.__getattribute__(self, "_number")
            else self
        )

    def __contains__(self, item: object) -> bool:
        return any(item == own for own in self)

    def __bool__(self):
        for name in ("__bool__", "__len__"):
            try:
                return bool(_special(self, name))
            except TypeError:
                continue
        return True


def _special(remote: Remote, name: str, *args: object) -> "Any":
    """A special method on the other side.

    A method that its type lacks is a TypeError, worded as by the interpreter.
    """
    try:
        # Private, so that it hides no attribute of the answer's objects.
        return remote._do(name, *args)  # pyright: ignore[reportPrivateUsage]
    except AttributeError as error:
        raise TypeError(str(error)) from None


def _plain(name: str):
    def ask(self: Remote, *args: object) -> "Any":
        return _special(self, name, *args)

    return ask


def _arithmetic(name: str):
    def ask(self: Remote, *args: object) -> "Any":
        result = _special(self, name, *args)
        if not isinstance(result, Remote) and not all(isinstance(other, Remote) for other in args):
            raise TypeError("an object of the answer turned plain data into plain data")
        return result

    return ask


def _order(name: str):
    def ask(self: Remote, other: object) -> "Any":
        if not isinstance(other, Remote):
            raise TypeError("an object of the answer has no order with plain data")
        return _special(self, name, other)

    return ask


for _name in (
    "len",
    "next",
    "getitem",
    "setitem",
    "delitem",
    "str",
    "repr",
    "int",
    "float",
    "index",
    "round",
    "enter",
    "exit",
    "reversed",
):
    setattr(Remote, f"__{_name}__", _plain(f"__{_name}__"))
for _name in (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
):
    for _side in ("", "r"):
        setattr(Remote, f"__{_side}{_name}__", _arithmetic(f"__{_side}{_name}__"))
for _name in ("neg", "pos", "abs", "invert"):
    setattr(Remote, f"__{_name}__", _plain(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Remote, f"__{_name}__", _order(f"__{_name}__"))


def namespace(room: Room, names: "dict[str, Any]") -> "dict[str, Any]":
    """The namespace of the tests.

    The answer's names, except any that would redefine Python builtins.
    """
    found: dict[str, Any] = {"__name__": "__main__"}
    for name, data in names.items():
        if hasattr(builtins, name) or name.startswith("__"):
            continue
        if isinstance(data, dict) and data.get("t") == "module":
            value = imported(*data["v"])
            if value is not None:
                found[name] = value
        else:
            found[name] = room.decode(data)
    return found


def imported(module: str, attribute: "str | None") -> "Any":
    """Import here what the answer imported.

    From the standard library, not from the answer.
    """
    if str(module).partition(".")[0] not in sys.stdlib_module_names:
        return None
    try:
        found = importlib.import_module(module)
        return found if attribute is None else getattr(found, attribute)
    except (ImportError, AttributeError):
        return None


def verdict(room: Room, program: str, tests: str) -> dict[str, str]:
    """Run both.

    Returns:
        "passed" only if the tests ran to their last line; otherwise "failed" or "memory" with a
        short detail.
    """
    try:
        names = room.ask({"do": "load", "source": program})["names"]
        exec(compile(tests, "tests.py", "exec"), namespace(room, names))
    except AnswerGone:
        return {"status": "gone", "detail": "the program ended itself or was ended"}
    except CannotCross as error:
        return {"status": "unsupported", "detail": str(error)[:300]}
    except MemoryError:
        return {"status": "memory", "detail": "MemoryError"}
    except BaseException as error:
        return {"status": "failed", "detail": f"{type(error).__name__}: {error}"[:300]}
    return {"status": "passed", "detail": ""}


def judged(channel: "tuple[IO[bytes], IO[bytes]]"):
    """One verdict, in a forked process that ends with it."""
    for kind, value in (
        (resource.RLIMIT_CPU, CPU),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    job = wire.read(channel[0])
    wire.write(channel[1], {"verdict": verdict(Room(channel), job["program"], job["tests"])})


def main():
    """Serve verdict after verdict.

    Starting an interpreter costs more than most tests, so each verdict is a fork of this fresh
    process.
    """
    channel = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    sys.argv = ["tests"]
    while channel[0].read(1):
        child = os.fork()
        if child == 0:
            try:
                judged((os.fdopen(os.dup(channel[0].fileno()), "rb"), channel[1]))
            finally:
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            wire.write(
                channel[1], {"verdict": {"status": "timeout", "detail": "the tests came to no end"}}
            )


if __name__ == "__main__":
    main()
