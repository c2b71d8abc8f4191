    if ! getent passwd tally >/dev/null; then
        adduser --system --group --quiet --no-create-home --home /var/lib/tally --gecos "Tally, XRootD monitoring" tally
    fi
    # Settings may contain the broker's password.
    for file in /etc/tally /etc/tally/tally-shoveler.toml /etc/tally/tally-collector.toml \
        /etc/default/tally-shoveler /etc/default/tally-collector; do
        if [ -e "$file" ] && ! dpkg-statoverride --list "$file" >/dev/null; then
            chgrp tally "$file"
        fi
    done
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
        # Datagrams that arrive during this wait in the sockets, which systemd keeps.
        [ -z "$2" ] || systemctl try-restart tally-shoveler.service tally-collector.service 'tally-agent@*.service' || true
    fi
