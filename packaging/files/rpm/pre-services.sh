getent group tally >/dev/null || groupadd -r tally
getent passwd tally >/dev/null || \
    useradd -r -g tally -d /var/lib/tally -M -s /sbin/nologin -c "Tally, XRootD monitoring" tally
exit 0
