#!/bin/sh
# Make the virtual environment $1 with the pinned requirements. Does nothing when it holds them already: the copy of the
# requirements inside it says so.
set -eu

venv=$1
python=${PYTHON:-python3}
done_mark=$venv/requirements-installed.txt

if cmp -s requirements/dev.txt "$done_mark"; then
    exit 0
fi

if ! command -v "$python" >/dev/null 2>&1; then
    echo "setup: there is no $python here; install Python 3.11 or newer, or name one: make setup PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "setup: $python is $("$python" --version 2>&1); Python 3.11 or newer is needed: make setup PYTHON=python3.12" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ]; then
    echo "setup: a virtual environment in $venv"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "setup: $python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "setup: the pinned requirements"
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip --upgrade >/dev/null
"$venv/bin/python" -m pip --quiet --disable-pip-version-check install --require-hashes --requirement requirements/uv.txt
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement requirements/dev.txt
cp requirements/dev.txt "$done_mark"
