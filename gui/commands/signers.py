"""`tally key signer`, `trust` and `distrust`: the key that this hub signs bundles with, and those of others."""

from __future__ import annotations

import argparse
import json
import sys

from gui.commands.places import hub_directory
from gui.hub.signing import distrust, known_signers, own_signer, trust


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Into the actions of `tally key`."""
    signer = actions.add_parser(
        "signer",
        help="the public key that this hub signs bundles with, and those of others that are known",
        description="Prints the public key that this hub signs bundles with, which is made when there is none. Give it "
        "to others by a way that they trust; they make it known with: tally key trust",
    )
    signer.add_argument("--json", action="store_true", help="all known keys, as JSON")
    add = actions.add_parser("trust", help="make the signing key of another hub known")
    add.add_argument("key", metavar="ed25519:…", help="its public key, as `tally key signer` shows it there")
    add.add_argument("name", metavar="NAME", help="what to call its holder")
    remove = actions.add_parser("distrust", help="forget a signing key that was made known")
    remove.add_argument("name", metavar="NAME", help="as `tally key signer` shows it")
    for parser in (signer, add, remove):
        parser.set_defaults(run=run_signer)


def run_signer(options: argparse.Namespace) -> int:
    """One of signer, trust, distrust."""
    directory = hub_directory()
    match options.action:
        case "trust":
            trust(directory, options.key, options.name)
            print(f"Bundles signed with this key are now said to be signed with the key known as {options.name}.")
        case "distrust":
            key = distrust(directory, options.name)
            print(f"{options.name} ({key}) is not known any more.")
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
