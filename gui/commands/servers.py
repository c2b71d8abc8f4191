"""`tally server`: the servers that a person has listed in a workspace."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gui.campaign.serverlist import read_servers, write_servers
from gui.commands import CommandError, reason
from gui.commands.places import add_database_option, open_store, open_to_change, open_to_read
from gui.report.words import printable
from gui.runner.directory import list_servers, listed_servers, servers_of_records


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    server = commands.add_parser(
        "server",
        help="list, add and remove the addresses of servers",
        description="A workspace keeps a list of servers that plans can choose from, beside those of a lab and those "
        "with a server agent.",
    )
    actions = server.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list them, as `add` and `import` read them")
    listing.add_argument("--json", action="store_true", help="as JSON")
    add = actions.add_parser("add", help="add one server")
    add.add_argument("server", nargs="+", metavar="[NAME] ADDRESS [LABEL]", help="root://HOST:PORT, HOST:PORT or HOST")
    file = actions.add_parser("import", help="add the servers of a file, one on a line: [NAME] ADDRESS [LABEL …]")
    file.add_argument("file", metavar="FILE", help="the file; - for standard input")
    records = actions.add_parser("from-records", help="add the servers that the loaded records name")
    remove = actions.add_parser("remove", help="take a server off the list; its results stay")
    remove.add_argument("server", metavar="NAME|ADDRESS", help="as shown by `tally server list`")
    for parser in (listing, add, file, records, remove):
        add_database_option(parser)
        parser.set_defaults(run=run_server)


def run_server(options: argparse.Namespace) -> int:
    """Run one of list, add, import, from-records, remove. Exit code 1: some lines were wrong."""
    if options.action == "list":
        with open_to_read(options) as store:
            servers = listed_servers(store)
        if options.json:
            print(json.dumps([{"name": s.name, "url": s.url, "labels": s.labels} for s in servers]))
        elif servers:
            print("\n".join(printable(line) for line in write_servers(servers).splitlines()))
        else:
            print("No server is listed; add one with: tally server add ADDRESS")
        return 0
    if options.action == "remove":
        return _remove(options)
    text = _text(options)
    with open_store(options) as store:
        known = listed_servers(store)
        if options.action == "from-records":
            text = write_servers(servers_of_records(store))
        found = read_servers(text, known)
        list_servers(store, found.servers)
    for wrong in found.wrong:
        print(f"tally server: {printable(str(wrong))}", file=sys.stderr)
    count = len(found.servers)
    whole = len(known) + count
    listed = "1 is" if whole == 1 else f"{whole:,} are"
    print(f"{'1 server was' if count == 1 else f'{count:,} servers were'} added; {listed} listed.")
    return 1 if found.wrong else 0


def _text(options: argparse.Namespace) -> str:
    if options.action == "add":
        return " ".join(options.server)
    if options.action != "import":
        return ""
    try:
        return sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The list {options.file} cannot be read: {reason(error)}.") from error


def _remove(options: argparse.Namespace) -> int:
    with open_to_change(options) as store:
        gone = [s for s in listed_servers(store) if options.server in (s.name, s.url)]
        if not gone:
            raise CommandError(f"No server {options.server!r} is listed; `tally server list` shows them.")
        store.unlist_servers([server.url for server in gone])
    print(f"{printable(gone[0].name)} ({gone[0].url}) is off the list; its results stay.")
    return 0
