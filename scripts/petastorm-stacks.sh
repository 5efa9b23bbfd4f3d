#!/bin/sh
# scripts/petastorm-stacks.sh DIRECTORY: makes what `make test-petastorm-upstream` compares the bridge with, once:
#   DIRECTORY/old      an environment with the newest packages on which unmodified Petastorm runs
#   DIRECTORY/beside   a folder with packages that Petastorm's own tests import, for PYTHONPATH
# Needs the network, about 8 GB, and python3.11 (PYTHON names another interpreter: torch and pyarrow 14 are made for 3.9 to 3.11).
set -eu
cd "$(dirname "$0")/.."
place=$1
old=$place/old
python=${PYTHON:-python3.11}

made_of=$(cksum <scripts/petastorm-old-stack.txt)
[ "$(cat "$place/.made" 2>/dev/null)" != "$made_of" ] || exit 0
if [ -n "${PETASTORM_OLD_PYTHON:-}" ] && [ "$PETASTORM_OLD_PYTHON" != "$old/bin/python" ]; then
    echo "The old stack is $PETASTORM_OLD_PYTHON."
else
    command -v "$python" >/dev/null || {
        echo "The old stack needs Python 3.11: install it, or name an interpreter in PYTHON." >&2
        exit 1
    }
    rm -rf "$old"
    "$python" -m venv "$old"
    "$old/bin/python" -m pip install --quiet --disable-pip-version-check -r scripts/petastorm-old-stack.txt
fi
rm -rf "$place/beside"
"${VENV:-.venv}/bin/python" -m pip --version >/dev/null 2>&1 || "${VENV:-.venv}/bin/python" -m ensurepip >/dev/null
"${VENV:-.venv}/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --target "$place/beside" gcsfs
printf '%s\n' "$made_of" >"$place/.made"
