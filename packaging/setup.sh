#!/usr/bin/env bash
# Prepares a checkout: a virtual environment with hash-locked packages, and the Debian packages that a task needs.
#
#   packaging/setup.sh run|test|all
# Tests of people's sign-in have an identity provider from npm (tests/idp), held to the hashes of its lock file.
#
# Needs python3 (3.11 or newer). Missing Debian packages are installed as root or with password-less sudo; otherwise the
# script prints the command that installs them and ends with 1. Running it again takes a second.
set -eu
cd "$(dirname "$0")/.."
level=${1:-run}

say() { printf 'tally setup: %s\n' "$*" >&2; }

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null 2>&1 \
            && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    say "no Python 3.11 or newer was found; install one (Debian 12 or newer: apt-get install python3), or set PYTHON."
    exit 1
fi

# ---- Debian packages -------------------------------------------------------------------------------------------
# Each line: a package, and the test that it is present.
missing=()
need() { # package, test command...
    package=$1; shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
have_library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }

if [ ! -x .venv/bin/python ]; then
    need python3-venv "$python" -c 'import ensurepip, venv'
fi
need xrootd-server command -v xrootd
need xrootd-client command -v xrdfs
need rabbitmq-server test -d /usr/lib/rabbitmq
if [ "$level" != run ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    # What Qt's xcb platform plug-in loads at run time.
    need libegl1 have_library libEGL.so.1
    need libgl1 have_library libGL.so.1
    need libxkbcommon-x11-0 have_library libxkbcommon-x11.so.0
    need libxcb-cursor0 have_library libxcb-cursor.so.0
    need libxcb-icccm4 have_library libxcb-icccm.so.4
    need libxcb-keysyms1 have_library libxcb-keysyms.so.1
    need libxcb-shape0 have_library libxcb-shape.so.0
    need libxcb-image0 have_library libxcb-image.so.0
    need libxcb-render-util0 have_library libxcb-render-util.so.0
    need libxcb-xinerama0 have_library libxcb-xinerama.so.0
    need libdbus-1-3 have_library libdbus-1.so.3
    need libfontconfig1 have_library libfontconfig.so.1
    need libglib2.0-0 have_library libglib-2.0.so.0
    need fonts-inter sh -c 'ls -d /usr/share/fonts/*/[Ii]nter*'
fi
if [ "$level" != run ]; then
    need xvfb command -v Xvfb
    need openbox command -v openbox
    need xrootd-scitokens-plugins sh -c 'ls /usr/lib*/libXrdAccSciTokens-5.so /usr/lib/*/libXrdAccSciTokens-5.so'
    need procps command -v ps
    need mount command -v mount
    need openssl command -v openssl
    need binutils command -v objdump
    need chromium command -v chromium
    need nodejs command -v node
    need npm command -v npm
    need poppler-utils command -v pdftotext
    need man-db command -v man
    need prometheus command -v promtool
    need systemd command -v systemd-analyze
    need activemq test -f /usr/share/activemq/bin/activemq.jar
    need postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
    need fonts-dejavu-core test -f /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
fi
if [ "$level" = all ]; then
    # What packages are made of, checked and tried with.
    need dpkg command -v dpkg-deb
    need rpm command -v rpmbuild
    need lintian command -v lintian
    need rpmlint command -v rpmlint
    need mmdebstrap command -v mmdebstrap
    need buildah command -v buildah
    need systemd-container command -v systemd-nspawn
    need desktop-file-utils command -v desktop-file-validate
    need appstream command -v appstreamcli
    need shared-mime-info command -v update-mime-database
    need zsh command -v zsh
    need fish command -v fish
fi
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        say "these Debian packages, or what your distribution calls them, are missing: ${missing[*]}"
        exit 1
    elif [ "$(id -u)" = 0 ]; then
        as_root=()
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root=(sudo)
    else
        say "some Debian packages are missing; install them with:"
        say "    sudo apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
    say "installing from Debian: ${missing[*]}"
    log=$(mktemp)
    if ! { ${as_root[@]+"${as_root[@]}"} apt-get update -qq \
        && ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        say "apt-get could not install them (see its messages above); install them manually and run make again."
        exit 1
    fi
    rm -f "$log"
fi

# ---- Python packages -------------------------------------------------------------------------------------------
case $level in
    run) lock=requirements/run.txt ;;
    test) lock=requirements/dev.txt ;;
    all) lock=requirements/all.txt ;;
    *) say "unknown level '$level': run, test or all"; exit 2 ;;
esac
[ -x .venv/bin/python ] || "$python" -m venv .venv
stamp=.venv/.installed-$level
wanted=$(cat "$lock" pyproject.toml | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "installing Python packages into .venv (once; $lock)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    printf '%s\n' "$wanted" >"$stamp"
fi

# ---- The identity provider of the tests ------------------------------------------------------------------------
if [ "$level" != run ]; then
    idp=.venv/idp
    wanted=$(cat tests/idp/package.json tests/idp/package-lock.json | sha256sum)
    if [ "$(cat "$idp/.installed" 2>/dev/null)" != "$wanted" ]; then
        say "installing the identity provider of the tests into $idp (once; tests/idp/package-lock.json)"
        mkdir -p "$idp"
        cp tests/idp/package.json tests/idp/package-lock.json "$idp/"
        # `ci` installs what the lock file says, checks each hash, and nothing runs while it is installed.
        (cd "$idp" && npm ci --ignore-scripts --no-audit --no-fund --loglevel error) >&2
        printf '%s\n' "$wanted" >"$idp/.installed"
    fi
fi
