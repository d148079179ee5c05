"""Programs that try to be called right without solving, or to touch what is not theirs. All are to
be judged against ``TESTS``.

Here: the programs. What must not have happened afterwards is checked in ``test_isolation``;
{outside} is a folder of the user's.
"""

from __future__ import annotations

TESTS = "assert f(2) == 4\nassert f(3) == 9"

# The judge, its words and its process.
REACH_THE_JUDGE = {
    "main_passed": "import __main__\n__main__.passed()",
    "frame_globals": "import sys\nsys._getframe(1).f_globals['passed']()",
    "frame_walk": "import sys\nframe = sys._getframe()\nwhile frame:\n    frame.f_globals.get('verdict', print)()\n    frame = frame.f_back",
    "gc_functions": "import gc, types\n[o for o in gc.get_objects() if isinstance(o, types.FunctionType) and o.__name__ == 'passed'][0]()",
    "gc_channel": "import gc, io, json\nfor o in gc.get_objects():\n    if isinstance(o, io.BufferedWriter):\n        o.write(b'{\"verdict\": {\"status\": \"passed\", \"detail\": \"\"}}'); o.flush()",
    "verdict_frame": "import os\nd = b'{\"verdict\": {\"status\": \"passed\", \"detail\": \"\"}}'\nfor fd in range(32):\n    try:\n        os.write(fd, len(d).to_bytes(4, 'big') + d)\n    except OSError:\n        pass",
    "verdict_reply": "import os\nd = b'{\"ok\": {\"verdict\": {\"status\": \"passed\"}}, \"names\": {}}'\nfor fd in range(32):\n    try:\n        os.write(fd, len(d).to_bytes(4, 'big') + d)\n    except OSError:\n        pass",
    "huge_frame": "import os\nfor fd in range(32):\n    try:\n        os.write(fd, b'\\xff\\xff\\xff\\xff' + b'x' * 4096)\n    except OSError:\n        pass",
    "garbage_frame": "import os\nfor fd in range(32):\n    try:\n        os.write(fd, b'\\x00\\x00\\x00\\x04nope')\n    except OSError:\n        pass",
    "token_in_environment": "import os, sys\nsys.stderr.write('isocost-passed:' + os.environ.get('TOKEN', ''))\nsys.exit(0)",
    "replace_serve": "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'call') and hasattr(m, 'Objects'):\n        m.call = lambda objects, request: {'ok': True, 'after': None}\ndef f(x):\n    return None",
    "patch_encode": "import sys\nw = sys.modules['wire']\nw.encode = lambda value, share: {'t': 'always', 'v': 4}\ndef f(x):\n    return 0",
    "patch_json": "import json\njson.dumps = lambda value, **more: '{\"verdict\": {\"status\": \"passed\", \"detail\": \"\"}}'\ndef f(x):\n    return 0",
    "exit_zero": "import os\nos._exit(0)",
    "system_exit": "raise SystemExit(0)",
    "exit_in_call": "import os\ndef f(x):\n    os._exit(0)",
    "assertion_off": "import sys\nsys.flags\n__debug__ and None\ndef f(x):\n    return NotImplemented",
    "settrace": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(x):\n    return 0",
    "excepthook": "import sys, os\nsys.excepthook = lambda *a: os._exit(0)\nraise AssertionError",
    "atexit": "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x):\n    return 0",
}  # fmt: skip

# Objects that would make any test hold.
EQUAL_EVERYTHING = {
    "always_equal": "class E:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\ndef f(x): return E()",
    "equal_int": "class E(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(x): return E(0)",
    "equal_float": "class E(float):\n    def __eq__(self, other): return True\n    __hash__ = float.__hash__\ndef f(x): return E(0)",
    "equal_str": "class E(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\ndef f(x): return E('x')",
    "equal_list": "class E(list):\n    def __eq__(self, other): return True\ndef f(x): return E()",
    "equal_dict": "class E(dict):\n    def __eq__(self, other): return True\ndef f(x): return E()",
    "equal_tuple": "class E(tuple):\n    def __eq__(self, other): return True\n    __hash__ = tuple.__hash__\ndef f(x): return E()",
    "class_itself": "class M(type):\n    def __eq__(cls, other): return True\n    __hash__ = type.__hash__\nclass E(metaclass=M): pass\ndef f(x): return E",
    "spoofed_type": "class Decimal:\n    def __eq__(self, other): return True\nDecimal.__module__, Decimal.__qualname__ = 'decimal', 'Decimal'\ndef f(x): return Decimal()",
    "f_is_equal": "class E:\n    def __eq__(self, other): return True\n    def __call__(self, x): return self\nf = E()",
    "late_equal": "class E:\n    def __index__(self): return 4\n    def __int__(self): return 4\n    def __eq__(self, other): return True\ndef f(x): return E()",
    "mutated_arguments": "def f(x):\n    import gc\n    for o in gc.get_objects():\n        if isinstance(o, list): o.append(4)\n    return x",
    "own_assert": "AssertionError = None\n__builtins__ = {}\ndef f(x): return 0",
    "own_builtins": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\nbuiltins.int = str\ndef f(x): return 0",
}  # fmt: skip

# The user's files, other processes, the network, the kernel.
REACH_OUTSIDE = {
    "read_0600": "raise RuntimeError(open('{outside}/secret').read())",
    "read_home": "import os\nassert not os.listdir(os.path.expanduser('~root'))",
    "write": "open('{outside}/written', 'w').write('x')",
    "append": "open('{outside}/world', 'a').write('EVIL')",
    "truncate": "import os\nos.truncate('{outside}/world', 0)",
    "chmod": "import os\nos.chmod('{outside}/world', 0)",
    "utime": "import os\nos.utime('{outside}/world', (0, 0))",
    "rename": "import os\nos.rename('{outside}/world', '{outside}/gone')",
    "unlink": "import os\nos.unlink('{outside}/world')",
    "symlink": "import os\nos.symlink('{outside}/world', 'a')\nopen('a', 'a').write('EVIL')",
    "hardlink": "import os\nos.link('{outside}/world', 'b')\nopen('b', 'a').write('EVIL')",
    "unix_socket": "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('{outside}/socket')\ns.send(b'EVIL')",
    "abstract_socket": "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0{abstract}')\ns.send(b'EVIL')",
    "network": "import socket\nsocket.create_connection(('127.0.0.1', {port}), 2).send(b'EVIL')",
    "kill_parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "kill_all": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "kill_by_number": "import os, signal\nfor pid in range(2, 40000):\n    try:\n        os.kill(pid, signal.SIGKILL)\n    except OSError:\n        pass",
    "ptrace": "import ctypes, os\nassert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
    "parent_memory": "import os\nopen(f'/proc/{os.getppid()}/mem', 'r+b', 0)",
    "parent_environment": "import os\nraise RuntimeError(open(f'/proc/{os.getppid()}/environ', 'rb').read())",
    "new_namespace": "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "mount": "import ctypes\nassert ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "chroot": "import os\nos.mkdir('x')\nos.chroot('x')",
    "keyring": "import ctypes\nassert ctypes.CDLL(None).syscall(248, b'user', b'x', b'y', 1, -3) > 0",
    "bpf": "import ctypes\nassert ctypes.CDLL(None).syscall(321, 0, 0, 0) >= 0",
    "shared_memory": "import multiprocessing.shared_memory as s\ns.SharedMemory(create=True, size=2**20, name='isoevil')",
    "write_isolation": "open('/isolation/judge.py', 'w').write('')",
    "write_library": "import os\nopen(os.__file__, 'a').write('EVIL')",
    "write_root": "open('/evil', 'w').write('x')",
    "setuid": "import os\nos.setuid(0)\nopen('{outside}/written', 'w').write('x')",
}  # fmt: skip

# Time, memory, output, folders, processes.
WITHOUT_END = {
    "loop": "while True: pass",
    "loop_in_call": "def f(x):\n    while True: pass",
    "sleep": "import time\ntime.sleep(100)",
    "memory": "x = bytearray(10**10)",
    "memory_slowly": "x = []\nwhile True: x.append(bytearray(10**6))",
    "number": "x = 9**9**9",
    "stdout": "while True: print('x' * 10**6)",
    "stderr": "import sys\nwhile True: sys.stderr.write('x' * 10**6)",
    "big_answer": "def f(x): return 'x' * 10**8",
    "deep_answer": "def f(x):\n    a = []\n    for _ in range(10**5): a = [a]\n    return a",
    "endless_answer": "class L(list):\n    def __iter__(self):\n        while True: yield 1\ndef f(x): return L()",
    "endless_iterator": "class E:\n    def __iter__(self): return self\n    def __next__(self): return 1\n    def __eq__(self, o): return True\ndef f(x): return E()",
    "files": "i = 0\nwhile True:\n    i += 1\n    open(str(i), 'wb').write(b'x' * 2**20)",
    "folders": "import os\nfor _ in range(20000):\n    os.mkdir('d')\n    os.chdir('d')",
    "locked_folder": "import os\nos.mkdir('z')\nopen('z/f', 'w').write('1')\nos.chmod('z', 0)",
    "fork": "import os\nwhile True: os.fork()",
    "threads": "import threading\nwhile True: threading.Thread(target=lambda: None).start()",
    "spawn": "import subprocess\nsubprocess.Popen(['/bin/sh', '-c', 'sleep 100'])",
    "own_limits": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nx = bytearray(10**10)",
    "surrogate": "raise RuntimeError('\\ud800')",
    "surrogate_answer": "def f(x): return '\\ud800'",
    "nul": "x = '\\0'\nraise SystemExit('\\0')",
}  # fmt: skip

ALL = {**REACH_THE_JUDGE, **EQUAL_EVERYTHING, **REACH_OUTSIDE, **WITHOUT_END}
