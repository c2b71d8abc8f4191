if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop tally-shoveler.socket tally-shoveler.service tally-collector.service 'tally-agent@*.service' || true
    systemctl disable --quiet tally-shoveler.socket tally-shoveler.service tally-collector.service || true
    for unit in $(systemctl list-unit-files --no-legend 'tally-agent@?*.service' | cut -d ' ' -f 1); do
        systemctl disable --quiet "$unit" || true
    done
fi
