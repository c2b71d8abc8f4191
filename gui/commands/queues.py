"""`tally queue`: list and delete the queues that hold records for this workspace."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from dataclasses import dataclass

from gui.commands import CommandError
from gui.commands.places import add_database_option, open_to_change, open_to_read
from gui.runner.queues import KEPT, KnownQueue, forget_queue, known_queues
from shoveler.bus import BusAddress, BusError, BusMissingError, BusOptions, open_topology, parse_bus_address
from shoveler.service import redact
from shoveler.values.quantities import about_duration


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    queue = commands.add_parser(
        "queue",
        help="list and delete the queues that hold records for this workspace",
        description="A workspace has its own queue on each bus that it was used with, which keeps late records for it. "
        f"The broker removes a queue that has not been used for {about_duration(KEPT)}.",
    )
    actions = queue.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the queues of this workspace, with the number of records in each")
    listing.add_argument("--json", action="store_true", help="as JSON")
    delete = actions.add_parser("delete", help="delete a queue and its records from the bus")
    delete.add_argument("queue", metavar="NAME", help="name as shown by `tally queue list`")
    for parser in (listing, delete):
        parser.add_argument(
            "--bus",
            default="",
            metavar="URL",
            help="address of the bus with user and password, if it needs them (the workspace does not store them)",
        )
        add_database_option(parser)
        parser.set_defaults(run=run_queue)


@dataclass(frozen=True, slots=True)
class _Found:
    """A known queue and its state on the bus. `waiting` is None if the bus could not be asked; `trouble` says why."""

    known: KnownQueue
    waiting: int | None
    trouble: str = ""


def run_queue(options: argparse.Namespace) -> int:
    """Run one of list, delete."""
    with open_to_read(options) if options.action == "list" else open_to_change(options) as store:
        known = known_queues(store)
        if options.action == "list":
            _show([_ask(queue, options.bus) for queue in known], as_json=options.json)
            return 0
        gone = next((queue for queue in known if queue.queue == options.queue), None)
        if gone is None:
            raise CommandError(f"This workspace has no queue {options.queue!r}; `tally queue list` shows its queues.")
        try:
            with contextlib.closing(open_topology(_address(gone, options.bus), BusOptions())) as topology:
                topology.delete_queue(gone.queue, exchange=gone.exchange)
        except BusError as error:
            raise CommandError(f"{gone.queue} was not deleted: {error}", code=1) from error
        forget_queue(store, gone)
        print(f"{gone.queue} was deleted from {gone.bus}.")
    return 0


def _address(queue: KnownQueue, bus: str) -> BusAddress:
    return parse_bus_address(bus or queue.bus)


def _ask(queue: KnownQueue, bus: str) -> _Found:
    try:
        with contextlib.closing(open_topology(_address(queue, bus), BusOptions())) as topology:
            return _Found(queue, topology.depth(queue.queue, exchange=queue.exchange))
    except BusMissingError:
        return _Found(queue, None, "it no longer exists")
    except BusError as error:
        return _Found(queue, None, redact(str(error)))


def _show(found: list[_Found], *, as_json: bool) -> None:
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "queue": one.known.queue,
                        "exchange": one.known.exchange,
                        "bus": one.known.bus,
                        "used": one.known.used,
                        "waiting": one.waiting,
                        "trouble": one.trouble,
                    }
                    for one in found
                ]
            )
        )
        return
    if not found:
        print("This workspace has no queue: no hub has run in it with a bus.")
        return
    width = max(len("QUEUE"), *(len(one.known.queue) for one in found))
    print(f"{'QUEUE':<{width}}  {'WAITING':>9}  {'LAST USED':<16}  BUS")
    for one in found:
        waiting = "?" if one.waiting is None else f"{one.waiting:,}"
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.known.used))
        print(f"{one.known.queue:<{width}}  {waiting:>9}  {used:<16}  {one.known.bus}")
    for one in found:
        if one.trouble:
            print(f"tally queue: {one.known.queue}: {one.trouble}", file=sys.stderr)
