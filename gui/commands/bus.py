"""`tally bus`: what is found at the bus, as [Test] of the page Settings shows it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from gui.commands import CommandError
from gui.commands.places import data_directory
from gui.report.words import printable
from gui.runner.buscheck import Places, check_bus, outcome
from gui.runner.lab import LabMissingError, read_lab
from gui.runner.machine import bus_password, settings_or_defaults, workspace_options
from gui.runner.secrets import SecretsError
from shoveler.bus import BusError, parse_bus_address

SIGNS = {"ok": "ok", "warning": "CHECK", "failed": "FAILED", "skipped": "not checked"}
INDENT = 12 * " "


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bus = commands.add_parser(
        "bus",
        help="test the bus: what is reached, allowed and bound",
        description="Tests the bus step by step: reached, TLS, user, virtual host, exchanges, rights, bound queues and "
        "policies that discard. Changes nothing. What could not be seen is not checked. Exit code 1: something failed.",
    )
    bus.add_argument("--bus", default="", metavar="URL|DIR", help="default: TALLY_BUS, or that of the settings")
    bus.add_argument("--ca-file", type=Path, metavar="FILE", help="CA certificates to trust for amqps://")
    bus.add_argument("--json", action="store_true", help="as JSON")
    bus.set_defaults(run=run_bus)


def run_bus(options: argparse.Namespace) -> int:
    """Test it, and print a line for each thing."""
    data = data_directory()
    settings = settings_or_defaults(data)
    chosen = workspace_options(data, "unused.db", settings)
    try:
        url = options.bus or chosen.bus or (read_lab(chosen.lab).bus if chosen.lab else "")
        if not url:
            raise CommandError("No bus is named: give --bus, set TALLY_BUS, or name one in Settings > Bus.")
        address = parse_bus_address(url)
        if address.kind == "amqp" and not address.password and chosen.secrets is not None:
            address = replace(address, password=bus_password(chosen.secrets, address))
    except (BusError, LabMissingError, SecretsError) as error:
        raise CommandError(str(error)) from error
    bus_options = replace(chosen.bus_options, ca_file=options.ca_file) if options.ca_file else chosen.bus_options
    places = Places(
        records=address.exchange or chosen.records_exchange,
        status=chosen.status_exchange,
        packets=chosen.packets_exchange,
        packets_queue=chosen.packets_queue,
        management=settings["bus.management"],
    )
    checks = []
    for check in check_bus(address, bus_options, places):
        checks.append(check)
        if not options.json:
            print(printable(f"{SIGNS[check.state]:<12}{check.title}: {check.text}"))
            for line in check.details:
                print(printable(f"{INDENT}{line}"))
            if check.remedy and check.state != "ok":
                print(printable(f"{INDENT}{check.remedy}"))
    if options.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        print(f"The bus: {outcome(checks)[1]}.")
    return 1 if any(check.state == "failed" for check in checks) else 0
