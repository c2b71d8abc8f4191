#!/bin/sh
set -e
@SERVICES@
# What was compiled at installation belongs to no package.
for directory in $(dpkg-query --listfiles @PACKAGE@ | grep '^/usr/lib/tally/lib/' || true); do
    rm -rf "$directory/__pycache__" 2>/dev/null || true
done
rm -rf /usr/lib/tally/lib/__pycache__
exit 0
