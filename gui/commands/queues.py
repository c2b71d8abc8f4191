"""`tally queue`: list and delete the queues that hold records for this workspace; `tally workspace remove`."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from gui.commands import CommandError
from gui.commands.places import add_database_option, data_directory, database, open_to_change, open_to_read
from gui.report.words import printable
from gui.runner.dropped import read_dropped
from gui.runner.machine import bus_password, workspace_options
from gui.runner.management import Management, ManagementError, Queue
from gui.runner.ownership import holder
from gui.runner.queues import KEPT, QUEUE_BYTES, KnownQueue, delete_queue, forget_queue, known_queues
from gui.runner.secrets import Secrets
from gui.runner.settings import FILE, read_settings
from gui.store import Store
from shoveler.bus import BusAddress, BusError, BusMissingError, BusOptions, open_topology, parse_bus_address
from shoveler.service import redact
from shoveler.service.log import HIDDEN
from shoveler.values.quantities import about_duration, about_size, format_size

PREFIX = "tally."
"""How the names of all queues of workspaces begin."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    queue = commands.add_parser(
        "queue",
        help="list and delete the queues that hold records for this workspace",
        description="A workspace has its own queue on each bus that it was used with, which keeps late records for it. "
        f"The bus removes a queue that has not been used for {about_duration(KEPT)}, and drops its oldest records when "
        f"it holds more than {format_size(QUEUE_BYTES)}, unless the settings say otherwise.",
    )
    actions = queue.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the queues of this workspace, with the number of records in each")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.add_argument(
        "--all", action="store_true", help="list those of all workspaces on a broker, which its management tells"
    )
    delete = actions.add_parser("delete", help="delete a queue and its records from the bus")
    delete.add_argument("queue", metavar="NAME", help="name as shown by `tally queue list`")
    delete.add_argument(
        "--other",
        action="store_true",
        help="also one that another workspace has made (see `list --all`); not while a program reads from it",
    )
    for parser in (listing, delete):
        _add_bus_option(parser)
        add_database_option(parser)
        parser.set_defaults(run=run_queue)
    workspace = commands.add_parser("workspace", help="remove this workspace, with its queues")
    actions = workspace.add_subparsers(dest="action", required=True, metavar="ACTION")
    remove = actions.add_parser(
        "remove",
        help="remove the database of a workspace, and its queues on every bus",
        description="Removes all runs, results, keys and the record of who was here. Export what is worth keeping "
        "first: tally runs export.",
    )
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.add_argument(
        "--leave-queues", action="store_true", help="go on if a bus cannot be reached; its queue then expires by itself"
    )
    _add_bus_option(remove)
    add_database_option(remove)
    remove.set_defaults(run=remove_workspace)


def _add_bus_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bus",
        default="",
        metavar="URL",
        help="address of the bus with user and password, if it needs them (the workspace does not store them)",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A known queue and its state on the bus. `waiting` is None if the bus could not be asked; `trouble` says why."""

    known: KnownQueue
    waiting: int | None
    trouble: str = ""


def run_queue(options: argparse.Namespace) -> int:
    """Run one of list, delete."""
    if options.action == "list" and options.all:
        _show_all(_all_queues(options.bus or _bus(options)), as_json=options.json)
        return 0
    with open_to_read(options) if options.action == "list" else open_to_change(options) as store:
        known = known_queues(store)
        if options.action == "list":
            found = [_ask(queue, options.bus) for queue in known]
            _show(found, read_dropped(store).records, as_json=options.json)
            return 0
        gone = next((queue for queue in known if queue.queue == options.queue), None)
        if gone is None and options.other:
            _delete_other(options.queue, options.bus or _bus(options))
            return 0
        if gone is None:
            raise CommandError(
                f"This workspace has no queue {options.queue!r}; `tally queue list` shows its queues, and --other "
                "deletes one of another workspace."
            )
        _delete(store, gone, options.bus)
        print(f"{gone.queue} was deleted from {gone.bus}.")
    return 0


def remove_workspace(options: argparse.Namespace) -> int:
    """Remove the queues, then the database."""
    with open_to_change(options) as store:
        if other := holder(store, time.time()):
            raise CommandError(f"{other} has this workspace; stop it first.")
        runs = len(store.runs())
        shown = store.database.shown
        if not options.yes and not _sure(f"Remove {shown} with {runs:,} runs, and its queues? [y/N] "):
            print("Nothing was removed.")
            return 1
        for queue in known_queues(store):
            try:
                _delete(store, queue, options.bus)
            except CommandError as error:
                if not options.leave_queues:
                    raise CommandError(f"{error} Nothing else was removed; --leave-queues goes on.", code=1) from None
                print(f"tally workspace: {error}", file=sys.stderr)
            else:
                print(f"{queue.queue} was deleted from {queue.bus}.")
        store.database.destroy()
    print(f"{shown} was removed.")
    return 0


def _sure(question: str) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("There is nobody to ask; give --yes to remove the workspace.")
    return input(question).strip().lower() in ("y", "yes")


def _delete(store: Store, gone: KnownQueue, bus: str) -> None:
    try:
        with contextlib.closing(open_topology(_address(bus or gone.bus), BusOptions())) as topology:
            delete_queue(topology, gone)
    except BusError as error:
        raise CommandError(f"{gone.queue} was not deleted from {gone.bus}: {redact(str(error))}", code=1) from error
    forget_queue(store, gone)


def _delete_other(queue: str, bus: str) -> None:
    if not queue.startswith(PREFIX):
        raise CommandError(f"Only queues of workspaces are deleted here: their names begin with {PREFIX}")
    address = _address(bus)
    try:
        with contextlib.closing(open_topology(address, BusOptions())) as topology:
            exchange = address.exchange or "xrd-records"
            topology.depth(queue, exchange=exchange)
            topology.delete_queue(queue, exchange=exchange, unused=True)
    except BusMissingError as error:
        raise CommandError(f"There is no queue {queue!r}: {redact(str(error))}") from error
    except BusError as error:
        raise CommandError(f"{queue} was not deleted: {redact(str(error))}", code=1) from error
    print(f"{queue} was deleted from {redact(bus)}.")


def _bus(options: argparse.Namespace) -> str:
    """The bus of the settings. Raises CommandError."""
    found = workspace_options(data_directory(), database(options)).bus
    if not found:
        raise CommandError("No bus is named: give --bus URL, or name one in Settings > Bus.")
    return found


def _address(bus: str) -> BusAddress:
    """With the password that is kept for it, if it names none."""
    address = parse_bus_address(bus)
    if address.kind == "amqp" and address.password in ("", HIDDEN):
        return replace(address, password=bus_password(Secrets(data_directory()), address))
    return address


def _ask(queue: KnownQueue, bus: str) -> _Found:
    try:
        with contextlib.closing(open_topology(_address(bus or queue.bus), BusOptions())) as topology:
            return _Found(queue, topology.depth(queue.queue, exchange=queue.exchange))
    except BusMissingError:
        return _Found(queue, None, "it no longer exists")
    except BusError as error:
        return _Found(queue, None, redact(str(error)))


def _all_queues(bus: str) -> list[Queue]:
    """Of all workspaces on a broker. Raises CommandError."""
    address = _address(bus)
    if address.kind != "amqp":
        raise CommandError("--all asks the management of a broker; a bus in a directory has its queues there.")
    settings = read_settings(data_directory() / FILE)[0]
    try:
        return Management(address, BusOptions(), settings["bus.management"]).queues(PREFIX)
    except ManagementError as error:
        raise CommandError(f"The queues of the broker are not known: {error}", code=1) from error


def _show_all(queues: Sequence[Queue], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(queue) for queue in queues]))
        return
    if not queues:
        print("This broker has no queue of a workspace.")
        return
    width = max(len("QUEUE"), *(len(queue.name) for queue in queues))
    print(f"{'QUEUE':<{width}}  {'WAITING':>11}  {'SIZE':>9}  {'READ':<5}  {'EXPIRES':<8}  LIMIT")
    for queue in queues:
        expires, limit = queue.arguments.get("x-expires"), queue.arguments.get("x-max-length-bytes")
        print(
            printable(
                f"{queue.name:<{width}}  {'?' if queue.messages is None else format(queue.messages, ','):>11}  "
                f"{_size(queue.bytes):>9}  {'yes' if queue.consumers else 'no':<5}  "
                f"{about_duration(expires / 1000) if isinstance(expires, int) else 'never':<8}  "
                f"{_size(limit, 'none')}"
            )
        )


def _size(value: object, unknown: str = "?") -> str:
    return about_size(value) if isinstance(value, int) else unknown


def _show(found: Sequence[_Found], dropped: int, *, as_json: bool) -> None:
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
    if dropped:
        print(f"{dropped:,} records were dropped from these queues before they could be loaded.")
    for one in found:
        if one.trouble:
            print(f"tally queue: {one.known.queue}: {one.trouble}", file=sys.stderr)
