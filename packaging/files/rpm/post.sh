# Programs start in half the time when they need not be compiled first.
if [ -x /usr/lib/tally/python ]; then
    /usr/lib/tally/python -m compileall -q -j 0 /usr/lib/tally/lib >/dev/null 2>&1 || :
fi
@SERVICES@
