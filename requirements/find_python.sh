#!/bin/sh
# Prints the path of a Python that Isocost can be installed with, or says on standard error why there is none.
#
#   find_python.sh           looks at python3 and at every pythonX.Y that has a lock
#   find_python.sh PYTHON    looks at that one only
#
# It fits when it is CPython, has a lock beside this file (cpu-X.Y.lock) and can make a virtual environment.
here=$(dirname "$0")
versions=$(cd "$here" && for lock in cpu-3.*.lock; do lock=${lock#cpu-}; echo "${lock%.lock}"; done | sort -t. -k2n)

# Runs on any Python, however old; prints "fits PATH" or what is wrong.
# shellcheck disable=SC2016
probe='
import os, platform, sys
version = "%d.%d" % sys.version_info[:2]
lock = os.path.join(sys.argv[1], "cpu-" + version + ".lock")
def judge():
    if platform.python_implementation() != "CPython":
        return "it is " + platform.python_implementation() + ", not CPython"
    if not os.path.exists(lock):
        return "it is Python " + version
    import sysconfig
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "it is the free-threaded build of Python " + version + ", which most packages have no wheels for"
    try:
        import ensurepip, venv
    except ImportError:
        return "its modules for virtual environments are missing (Debian, Ubuntu: apt install python" + version + "-venv)"
    return ""
wrong = judge()
print(wrong or "fits " + sys.executable)
'

if [ -n "$1" ]; then
  candidates=$1
else
  candidates="python3
$(for version in $versions; do echo "python$version"; done)"
fi

seen=""
IFS='
'
for candidate in $candidates; do
  command -v "$candidate" >/dev/null 2>&1 || { [ -n "$1" ] && seen="$seen
  $candidate: there is no such program"; continue; }
  said=$("$candidate" -c "$probe" "$here" 2>/dev/null) || said="it does not run"
  case $said in
    "fits "*) echo "${said#fits }"; exit 0 ;;
    *) seen="$seen
  $candidate: $said" ;;
  esac
done

list=$(echo "$versions" | tr '\n' ' ')
{
  echo "Isocost needs CPython in one of these versions: $list"
  [ -n "$seen" ] && echo "Looked at:$seen" || echo "There is no python3 on the PATH."
  echo "Install one of them (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3 ..."
} >&2
exit 1
