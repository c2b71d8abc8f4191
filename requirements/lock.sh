#!/usr/bin/env bash
# Makes the hash-locked requirement files anew from pyproject.toml (needs uv: `pip install uv`).
# No index, path or host name is written into them; each smaller file is held to the versions of the largest.
set -eu
cd "$(dirname "$0")/.."
compile() { # name, extras...
    name=$1; shift
    args=()
    for extra in "$@"; do args+=(--extra "$extra"); done
    [ "$name" = all ] || args+=(--constraints requirements/all.txt)
    uv pip compile pyproject.toml "${args[@]}" --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-config --quiet --output-file "requirements/$name.txt"
}
compile all gui xrootd http postgres dev soak package   # everything: make package, make soak
compile dev gui xrootd http postgres dev                # make test, make bench
compile run gui xrootd http build                       # make run, and what the desktop bundle holds
compile daemons build                              # the three daemons alone: their packages
compile image hub postgres                         # what the container image holds: daemons and hub
