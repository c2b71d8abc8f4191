#!/bin/sh
# Every program of Tally is a link to this file.
case ${0##*/} in
    tally) module=gui.cli ;;
    tally-agent) module=agent.cli ;;
    tally-shoveler) module=shoveler.cli ;;
    tally-collector) module=collector.cli ;;
    *)
        echo "tally: ${0##*/} is no program of Tally" >&2
        exit 2
        ;;
esac
exec /usr/lib/tally/python -m "$module" "$@"
