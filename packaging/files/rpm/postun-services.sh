if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload || :
    # After an upgrade; datagrams that arrive during this wait in the sockets, which systemd keeps.
    [ "$1" = 0 ] || systemctl try-restart tally-shoveler.service tally-collector.service 'tally-agent@*.service' || :
fi
