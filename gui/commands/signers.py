"""`tally key signer`, `trust` and `distrust`: the keys with which this hub and others sign bundles."""

from __future__ import annotations

import argparse
import json
import sys

from gui.commands.places import hub_directory
from gui.hub.signing import distrust, known_signers, own_signer, trust


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them to the actions of `tally key`."""
    signer = actions.add_parser(
        "signer",
        help="show the public key that this hub signs bundles with, and the known keys of others",
        description="Prints the public key that this hub signs bundles with, and creates it if there is none. Send it "
        "to others over a channel that they trust; they add it with: tally key trust",
    )
    signer.add_argument("--json", action="store_true", help="all known keys, as JSON")
    add = actions.add_parser("trust", help="add the signing key of another hub to the known ones")
    add.add_argument(
        "key", metavar="ed25519:…", help="public key of the other hub, as `tally key signer` shows it there"
    )
    add.add_argument("name", metavar="NAME", help="name for the owner of the key")
    remove = actions.add_parser("distrust", help="remove a known signing key")
    remove.add_argument("name", metavar="NAME", help="name as shown by `tally key signer`")
    for parser in (signer, add, remove):
        parser.set_defaults(run=run_signer)


def run_signer(options: argparse.Namespace) -> int:
    """Run one of signer, trust, distrust."""
    directory = hub_directory()
    match options.action:
        case "trust":
            trust(directory, options.key, options.name)
            print(f"Bundles signed with this key are now shown as signed with the key known as {options.name}.")
        case "distrust":
            key = distrust(directory, options.name)
            print(f"{options.name} ({key}) was removed from the known keys.")
        case _:
            own = own_signer(directory).public
            known = known_signers(directory)
            if options.json:
                print(json.dumps([{"key": key, "name": name, "own": key == own} for key, name in known.items()]))
                return 0
            print(own)
            others = {key: name for key, name in known.items() if key != own}
            print(f"KEY{' ' * 50}KNOWN AS" if others else "No key of another hub is known.", file=sys.stderr)
            for key, name in others.items():
                print(f"{key}  {name}", file=sys.stderr)
    return 0
