#!/bin/sh
# scripts/install.sh [EXTRAS]: makes the environment $VENV and installs this checkout in it, editable, at the versions of constraints.txt.
#   EXTRAS     extras of pyproject.toml, with commas between: "spark,torch,demo"; none is the core alone
#   VENV       the environment's directory (.venv)
#   PYTHON     the interpreter it is made from (python3)
#   INSTALLER  uv or pip (uv if it is on the PATH)
#   TORCH      default or cpu: torch as PyPI has it, or without CUDA's libraries
# What is already there, as the stamp in the environment tells, is not installed again.
# Petastorm (extras petastorm and dev) is installed without what it asks for: setuptools < 70, which newer torch does not work with, is
# for distutils, and the bridge has that; the rest of it is the extra petastorm-needs.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
stamp=$VENV/.installed

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}
list_packages() { ls "$VENV"/lib/python*/site-packages; }
stamped() { sed -n "s/^$1 //p" "$stamp" 2>/dev/null || true; }

# An interrupted run left its stamp at "unfinished": a package may be there by half, which no installer would notice.
if [ "$(cat "$stamp" 2>/dev/null)" = unfinished ]; then
    rm -rf "$VENV"/* # the stamp, a hidden file, goes last
    rm -rf "$VENV"
fi
if [ -d "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ]; then
    fail "'$VENV' is there and is no virtual environment: remove it, or name another directory in VENV."
fi

# What is not asked for stays as it is in the environment; its extras stay too.
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ ! -x "$VENV/bin/python" ] || PYTHON=$VENV/bin/python
fi
if [ -z "${INSTALLER:-}" ]; then
    INSTALLER=$(stamped installer)
    [ -n "$INSTALLER" ] || INSTALLER=$(command -v uv >/dev/null && echo uv || echo pip)
fi
[ -n "${TORCH:-}" ] || TORCH=$(stamped torch)
TORCH=${TORCH:-default}
asked=$(printf '%s' "${1:-}" | tr -d ' ')
extras=$(printf '%s,%s' "$asked" "$(stamped extras)" | tr ',' '\n' | sed '/^$/d' | sort -u | paste -s -d , -)

python=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
    fail "Python 3.10 or newer is needed; found none: '$PYTHON' does not run. Install it, or name an interpreter in PYTHON."
case $python in
    2.* | 3.?) fail "Python 3.10 or newer is needed; '$PYTHON' is Python $python. Name a newer one in PYTHON, as in PYTHON=python3.12." ;;
esac

beside=
case ",$extras," in
    *,petastorm,* | *,dev,*) beside=$(sed -n 's/.*"\(petastorm==[0-9.]*\)".*/\1/p' pyproject.toml) ;;
esac
wanted=$(printf '%s' "$extras" | tr ',' '\n' | sed 's/^petastorm$/petastorm-needs/' | sort -u | paste -s -d , -)

settings="python $python
installer $INSTALLER
torch $TORCH
checkout $(pwd -P)"
state="$settings
sources $(cat pyproject.toml constraints.txt | cksum)
extras $extras
without dependencies $beside"
if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
    exit 0
fi

case $TORCH in default | cpu) ;; *) fail "TORCH is default or cpu, not '$TORCH'." ;; esac
case $INSTALLER in
    uv) command -v uv >/dev/null || fail "The installer is uv (INSTALLER, or what '$VENV' was made with), but there is no uv on the PATH: install it." ;;
    pip) "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$PYTHON' cannot make environments: its venv module is not whole. On Debian or Ubuntu:
    sudo apt-get install python3-venv" ;;
    *) fail "INSTALLER is uv or pip, not '$INSTALLER'." ;;
esac
for extra in $(printf '%s' "$asked" | tr ',' ' '); do
    grep -q "^$extra = \[" pyproject.toml || fail "pyproject.toml has no extra named '$extra'."
done
if [ -n "$(stamped checkout)" ] && [ "$(head -n 4 "$stamp")" != "$settings" ]; then
    fail "'$VENV' was made with other settings. It has:
$(head -n 4 "$stamp" | sed 's/^/    /')
and this asks for:
$(printf '%s\n' "$settings" | sed 's/^/    /')
Remove it (rm -rf $VENV), or name another directory in VENV."
fi

size="about 1 GB"
case ",$extras,$(uname),$TORCH" in
    *,torch,*Linux,default | *,all,*Linux,default | *,dev,*Linux,default)
        size="about 7 GB, 5 of them torch with CUDA's libraries (TORCH=cpu leaves those out)" ;;
    *,torch,* | *,all,* | *,dev,*) size="about 2 GB" ;;
esac
printf 'Installing bigdata_ml%s into %s with %s and Python %s; on disk in all: %s.\n' "${extras:+[$extras]}" "$VENV" "$INSTALLER" "$python" "$size"

before=$(cat "$stamp" 2>/dev/null || true)
mkdir -p "$VENV"
echo unfinished >"$stamp"
if [ "$INSTALLER" = uv ]; then
    [ -x "$VENV/bin/python" ] || uv venv --allow-existing --python "$(command -v "$PYTHON")" "$VENV"
    set -- uv pip install --python "$VENV/bin/python"
    [ "$TORCH" = default ] || set -- "$@" --torch-backend cpu
else
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$PYTHON" -m venv --upgrade-deps "$VENV"
    set -- "$VENV/bin/python" -m pip install --disable-pip-version-check
    [ "$TORCH" = default ] || set -- "$@" --extra-index-url https://download.pytorch.org/whl/cpu
fi

packages=$(list_packages)
if ! "$@" --constraint constraints.txt --editable ".${wanted:+[$wanted]}"; then
    # An installer that failed before it touched a package, without the network say, leaves the environment as good as it was.
    if [ "$(list_packages)" = "$packages" ]; then
        printf '%s\n' "$before" >"$stamp"
    fi
    exit 1
fi
[ -z "$beside" ] || "$@" --no-deps "$beside"
# pip passes over an index that it cannot reach.
if [ "$TORCH" = cpu ] && list_packages | grep -qx nvidia; then
    fail "TORCH=cpu, but torch came with CUDA's libraries: could download.pytorch.org not be reached? Run this again."
fi
printf '%s\n' "$state" >"$stamp.new"
mv "$stamp.new" "$stamp"
