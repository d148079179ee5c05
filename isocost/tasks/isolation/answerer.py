"""The answer's sandbox: run the model-written program and serve requests of the tests.

Lives here: limits of this process, the program's namespace, calls into it. Not here: the tests, the
verdict (``judge``), the sandbox (``walls``). Whatever the program does to this process, it can only
affect the results of its own functions.

Runs inside the sandbox: standard library only, no import of this project.
"""

import os
import resource
import sys

sys.path.insert(0, "/isolation")  # where the walls show this folder

import builtins
import types

import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

CPU, MEMORY, FILE = (int(word) for word in sys.argv[1:4])


class Objects:
    """Numbers for objects that cannot be transferred, and proxies for the other side's."""

    def __init__(self, channel: "tuple[IO[bytes], IO[bytes]]"):
        self.channel = channel
        self.kept: dict[int, Any] = {}

    def share(self, value: object) -> tuple[int, bool, str]:
        """Keep an object and number it."""
        if isinstance(value, Callback):
            raise TypeError("a function of the tests cannot be handed back")
        number = id(value)
        self.kept[number] = value
        return number, callable(value), type(value).__name__

    def resolve(self, ref: wire.Ref) -> "Any":
        """An object of the tests: one of their functions, or one of ours that comes back."""
        if ref.number < 0:
            return Callback(self, ref.number)
        return self.kept[ref.number]

    def encode(self, value: object) -> "Any":
        """A value for the judge."""
        return wire.encode(value, self.share)

    def decode(self, data: "Any") -> "Any":
        """A value from the judge."""
        return wire.decode(data, self.resolve)


class Callback:
    """A function of the tests that was passed to the program."""

    def __init__(self, objects: Objects, number: int):
        self._objects, self._number = objects, number

    def __call__(self, *args: object) -> "Any":
        """Ask the tests' sandbox to call it."""
        objects = self._objects
        wire.write(
            objects.channel[1], {"callback": self._number, "args": objects.encode(list(args))}
        )
        reply = serve(objects, until_reply=True)
        if "raised" in reply:
            raise getattr(builtins, reply["raised"][0], Exception)(reply["raised"][1])
        return objects.decode(reply["ok"])


def as_data(error: BaseException) -> "dict[str, Any]":
    """An exception as data.

    Its nearest builtin type, its text, and the name of its own type.
    """
    kind = next(
        (one for one in type(error).__mro__ if getattr(builtins, one.__name__, None) is one),
        Exception,
    )
    try:
        text = str(error)[:300]
    except BaseException:
        text = ""
    return {"raised": [kind.__name__, text, type(error).__name__[:80]]}


def home(value: object) -> str:
    """The top-level module that a function or class claims to belong to."""
    module = getattr(value, "__module__", None)
    return module.partition(".")[0] if isinstance(module, str) else ""


def names(namespace: "dict[Any, Any]", objects: Objects) -> "dict[str, Any]":
    """What the program defines, for the tests.

    Functions and classes by number, plain data by value, imports by name.
    """
    found: dict[str, Any] = {}
    for name, value in list(namespace.items()):
        if not isinstance(name, str) or name.startswith("__"):
            continue
        if isinstance(value, types.ModuleType):
            found[name] = {"t": "module", "v": [value.__name__, None]}
        elif home(value) in sys.stdlib_module_names and getattr(value, "__name__", None):
            found[name] = {"t": "module", "v": [value.__module__, value.__name__]}
        else:
            try:
                found[name] = objects.encode(value)
            except BaseException:
                continue
    return found


def call(objects: Objects, request: "dict[str, Any]") -> "dict[str, Any]":
    """Serve one request of the tests."""
    target = objects.kept[request["ref"]]
    args, kwargs = objects.decode(request["args"]), objects.decode(request["kwargs"])
    what = request["do"]
    if what == "call":
        result = target(*args, **kwargs)
    elif what == "getattr":
        result = getattr(target, *args)
    elif what == "setattr":
        result = setattr(target, *args)
    else:
        result = getattr(type(target), what)(target, *args)
    # Changes that a function made to its arguments are visible to the caller, as within one
    # process.
    after = (
        objects.encode(args)
        if any(isinstance(item, (list, dict, set, bytearray)) for item in args)
        else None
    )
    return {"ok": objects.encode(result), "after": after}


def load(objects: Objects, source: str) -> "dict[str, Any]":
    """Run the program itself."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(source, "answer.py", "exec"), module.__dict__)
    return {"ok": None, "names": names(module.__dict__, objects)}


def serve(objects: Objects, until_reply: bool = False) -> "Any":
    """Serve requests until there are no more, or until a question of the program is answered."""
    while True:
        request = wire.read(objects.channel[0])
        if until_reply and "do" not in request:
            return request
        try:
            reply = (
                load(objects, request["source"])
                if request["do"] == "load"
                else call(objects, request)
            )
            data = reply
        except BaseException as error:
            data = as_data(error)
        wire.write(objects.channel[1], data)


def keep_files():
    """Use Landlock if the kernel has it: only the working folder is writable."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    handled = ctypes.c_uint64((1 << 1) | sum(1 << bit for bit in range(4, 13)))
    rules = libc.syscall(444, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if rules < 0:
        return

    class Beneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]

    where = os.open(".", os.O_PATH)
    libc.syscall(445, rules, 1, ctypes.byref(Beneath(handled, where)), 0)
    libc.syscall(446, rules, 0)
    os.close(where)
    os.close(rules)


def main():
    """Restrict this process as far as it can itself, then serve."""
    channel = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    os.close(silent)
    keep_files()
    for kind, value in (
        (resource.RLIMIT_CPU, CPU),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (value, value))
    sys.argv = ["answer"]
    try:
        serve(Objects(channel))
    except EOFError:
        os._exit(0)


if __name__ == "__main__":
    main()
