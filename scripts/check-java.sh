#!/bin/sh
# Fails with one message unless the Java that Spark would start (JAVA_HOME's, else the PATH's) is 17 or newer.
set -eu

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
if said=$("$java" -version 2>&1); then
    # openjdk version "17.0.15" 2025-04-15, java version "1.8.0_392"
    found=$(printf '%s\n' "$said" | sed -n 's/.* version "\([^"]*\)".*/\1/p')
    release=${found#1.}
    release=${release%%[!0-9]*}
    [ "${release:-0}" -lt 17 ] || exit 0
else
    found=none
fi

printf '%s\n' >&2 "Spark needs Java 17 or newer; '$java' is: ${found:-of unknown version}. On Debian or Ubuntu:
    sudo apt-get install openjdk-17-jre-headless"
if [ -n "${JAVA_HOME:-}" ]; then
    echo "and unset JAVA_HOME, which Spark takes before the PATH." >&2
fi
exit 1
