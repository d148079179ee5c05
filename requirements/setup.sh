#!/bin/sh
# Makes sure that the virtual environment is there and fits the lock.
#
#   setup.sh VENV [PYTHON]    PYTHON: the one to use, as named by the user; empty to look for one
here=$(dirname "$0")
venv=$1
named=$2

if [ -z "$named" ] && [ -x "$venv/bin/python" ] && "$venv/bin/python" "$here/install.py" --venv "$venv" --check 2>/dev/null; then
  exit 0
fi
python=$(sh "$here/find_python.sh" "$named") || exit 1
exec "$python" "$here/install.py" --venv "$venv" --named "$named"
