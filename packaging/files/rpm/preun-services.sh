if [ "$1" = 0 ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now tally-shoveler.socket tally-shoveler.service tally-collector.service || :
    for unit in $(systemctl list-unit-files --no-legend 'tally-agent@?*.service' | cut -d ' ' -f 1); do
        systemctl --no-reload disable --now "$unit" || :
    done
fi
