if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload || true
fi
if [ "$1" = purge ]; then
    # The user stays: files of its may be elsewhere, and its number must not be given to another.
    rm -rf /var/lib/tally-shoveler /var/lib/tally-collector /var/lib/tally-agent-client /var/lib/tally-agent-server
    rm -rf /etc/tally
    rm -f /etc/credstore/tally-shoveler.* /etc/credstore/tally-collector.* /etc/credstore/tally-agent-*
fi
