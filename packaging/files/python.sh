#!/bin/sh
# The distribution's Python, 3.11 to 3.14, with Tally's libraries: what all programs run in.
# TALLY_PYTHON names another interpreter.
set -eu
python=${TALLY_PYTHON:-}
if [ -z "$python" ]; then
    # Only what the distribution installs: a Python on PATH may be anybody's.
    for candidate in /usr/bin/python3 /usr/bin/python3.14 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11; do
        case $(readlink -f "$candidate") in
            /usr/bin/python3.1[1-4]) if [ -x "$candidate" ]; then python=$candidate; break; fi ;;
        esac
    done
fi
if [ -z "$python" ]; then
    echo "tally: needs Python 3.11 to 3.14, and /usr/bin has none; install python3.11 or newer, or set TALLY_PYTHON" >&2
    exit 1
fi
# In the environment, so that the processes which a program starts of itself are the same.
export PYTHONPATH=/usr/lib/tally/lib PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1
unset PYTHONHOME PYTHONSTARTUP PYTHONINSPECT
exec "$python" "$@"
