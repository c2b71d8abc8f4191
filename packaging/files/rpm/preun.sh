@SERVICES@
# What was compiled at installation belongs to no package.
rpm -ql @PACKAGE@ | grep '^/usr/lib/tally/lib' | while read -r directory; do
    rm -rf "$directory/__pycache__" 2>/dev/null || :
done
exit 0
