#!/usr/bin/env bash
# `make test` on a bare system of each supported Debian release: prints a table, exits with 0 only if all passed.
#
#   packaging/matrix.sh [12] [13]
#
# For each release: a new chroot with only python3, git and make, a clone of this checkout's HEAD in it, and `make test`
# there. Needs root, mmdebstrap and about 4 GB in TALLY_MATRIX (default /var/tmp/tally-matrix), where the logs stay.
# TALLY_MATRIX_KEEP=1 keeps the chroots, too.
#
# The chroot's mounts are in their own mount namespace and its processes in a process namespace: both end with
# `make test`, however it ends. So nothing of this machine is mounted in a chroot when it is removed.
set -eu
cd "$(dirname "$0")/.."
here=$PWD
at=${TALLY_MATRIX:-/var/tmp/tally-matrix}

say() { printf 'tally matrix: %s\n' "$*" >&2; }

# ---- inside the namespaces: mount, and become the chroot ---------------------------------------------------------
if [ "${1:-}" = --inside ]; then
    root=$2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    while read -r directory; do # packages that pip finds on this machine's disk
        mkdir -p "$root$directory"
        mount --bind -o ro "$directory" "$root$directory"
    done <"$root/etc/tally-matrix/directories"
    mapfile -t environment <"$root/etc/tally-matrix/environment"
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$HOME" "${environment[@]}" \
        chroot "$root" sh -c 'cd /tally && exec "$@"' sh "${@:3}"
fi

# ---- what must be here -------------------------------------------------------------------------------------------
[ $# -gt 0 ] || set -- 12 13
for release in "$@"; do
    case $release in
        12 | 13) ;;
        *) say "Debian $release is not supported: choose 12 or 13"; exit 2 ;;
    esac
done
if [ "$(id -u)" != 0 ]; then
    say "a chroot needs root; run: sudo make matrix"
    exit 1
fi
for program in mmdebstrap unshare; do
    if ! command -v $program >/dev/null; then
        say "$program is missing; install it with: apt-get install mmdebstrap util-linux"
        exit 1
    fi
done
mkdir -p "$at"
commit=$(git rev-parse HEAD)
[ -z "$(git status --porcelain)" ] || say "uncommitted changes are not tested; testing $(git describe --always)."

# Packages come from this machine's own sources: apt's mirror and transport options, pip's configuration.
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
    | sed -n 's/^Debian //p' | head -n 1)

pip_files() {
    for file in "${PIP_CONFIG_FILE:-}" /etc/pip.conf /etc/xdg/pip/*.conf /etc/xdg/pip/*.txt "$HOME"/.pip/pip.conf \
        "$HOME"/.config/pip/pip.conf; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
}

pip_directories() { # those that the configuration names; beside an index on disk lie the files it lists
    { pip_files | xargs -r cat; env | grep '^PIP_'; } | grep -oE '(file://)?/[^[:space:],]+' | while read -r place; do
        case $place in file://*) place=$(dirname "${place#file://}") ;; esac
        [ ! -d "$place" ] || printf '%s\n' "$place"
    done | sort -u
}

pass_through() { # the chroot: this machine's way to packages, at the moment of the call
    mkdir -p "$1/etc/tally-matrix"
    cat /etc/resolv.conf >"$1/etc/resolv.conf"
    cat /etc/hosts >"$1/etc/hosts"
    pip_files | while read -r file; do install -D -m 644 "$file" "$1$file"; done
    pip_directories >"$1/etc/tally-matrix/directories"
    env | grep -E '^(PIP_[A-Z_]+|[A-Za-z]+_(proxy|PROXY))=' >"$1/etc/tally-matrix/environment" || true
    # Certificates under another name: Debian's own package may be installed in the chroot, and rewrites its file.
    for bundle in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
        [ -f "$bundle" ] || continue
        cat "$bundle" >"$1/etc/tally-matrix/certificates"
        for name in PIP_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE; do
            printf '%s=%s\n' $name /etc/tally-matrix/certificates >>"$1/etc/tally-matrix/environment"
        done
        break
    done
    # A chroot has no services: packages must not start theirs.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
}

in_chroot() { # root, command...
    unshare --mount --pid --fork --kill-child -- "$here/packaging/matrix.sh" --inside "$@"
}

version_of() { # root, package: the installed version without Debian's suffix
    chroot "$1" dpkg-query -W -f '${Version}' "$2" 2>/dev/null | sed 's/^[0-9]*://; s/[-+].*//'
}

# ---- one release after the other ---------------------------------------------------------------------------------
row='%-7s %-8s %-8s %-9s %-11s %-42s %6s  %s\n'
table=$(printf "$row" Debian Python XRootD RabbitMQ PostgreSQL tests time verdict)
failed=0
for release in "$@"; do
    case $release in
        12) suite=bookworm ;;
        13) suite=trixie ;;
    esac
    root=$(mktemp -d "$at/$release.XXXXXX")
    log=$at/$release.log
    chmod 755 "$root" # PostgreSQL's own user must get in
    trap 'rm -rf --one-file-system "$root"' EXIT
    began=$(date +%s)
    say "Debian $release: a bare system in $root; log: $log"
    apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)[^ ]* "[^"]' >"$at/apt.conf" || true
    mmdebstrap --quiet --variant=apt --include=python3,git,make --aptopt="$at/apt.conf" "$suite" "$root" \
        ${mirror:+"$mirror"} >"$log" 2>&1 || { tail -n 20 "$log" >&2; say "mmdebstrap failed."; exit 1; }
    cp "$at/apt.conf" "$root/etc/apt/apt.conf.d/90machine"
    pass_through "$root"
    git clone -q --no-hardlinks "$here" "$root/tally"
    git -C "$root/tally" checkout -q --detach "$commit"
    verdict=passed
    in_chroot "$root" make test >>"$log" 2>&1 || { verdict=FAILED; failed=1; }
    tests=$(grep -aE '^[0-9]+ (passed|failed|error)' "$log" | tail -n 1 | sed 's/ in .*//')
    table=$table$'\n'$(printf "$row" "$release" "$(version_of "$root" python3)" "$(version_of "$root" xrootd-server)" \
        "$(version_of "$root" rabbitmq-server)" "$(version_of "$root" postgresql)" "${tests:-none ran}" \
        "$((($(date +%s) - began) / 60)) min" "$verdict")
    [ $verdict = passed ] || { grep -aE '^(FAILED|ERROR|make)|error:' "$log" | tail -n 40 >&2 || true; }
    if [ -n "${TALLY_MATRIX_KEEP:-}" ]; then
        trap - EXIT
        say "kept: $root"
    else
        rm -rf --one-file-system "$root"
    fi
done
printf '%s\n' "$table"
exit $failed
