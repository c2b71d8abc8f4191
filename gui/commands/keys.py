"""`tally key` and `tally invite`: manage who may join."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.messages import SCOPES, CredentialError
from gui.commands import CommandError, reason, signers
from gui.commands.places import add_database_option, hub_directory, open_store, open_to_change, open_to_read
from gui.hub import keys
from gui.hub.certificate import own_identity
from gui.hub.persistence import HUB_ADDRESS, HUB_PIN, Key
from shoveler.values.quantities import format_duration, parse_duration

if TYPE_CHECKING:
    from gui.store import Store

GRACE = "1h"


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    key = commands.add_parser(
        "key", help="create, list, rotate and revoke keys", description="Manages the keys that agents sign with."
    )
    actions = key.add_subparsers(dest="action", required=True, metavar="ACTION")

    create = actions.add_parser(
        "create",
        help="create a key; its secret is printed once",
        description="Creates a key and prints its secret, once. Give the key's name when you sign with it: tally-agent "
        "--kid, tally run --hub … --kid. The shared key needs no name.",
    )
    create.add_argument("--kid", metavar="NAME", help="name of the key (default: generated)")
    create.add_argument(
        "--scope",
        action="append",
        choices=[scope for scope in SCOPES if scope != "join"],
        help="what the key allows; may be repeated (default: agent:client and agent:server)",
    )
    create.add_argument("--sub", metavar="AGENT", help="restrict the key to this agent or operator name")
    create.add_argument("--shared", action="store_true", help="create the shared key, used by tokens that name no key")
    create.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="read the secret from this file instead of generating one"
    )

    listing = actions.add_parser("list", help="list all keys, without their secrets")
    listing.add_argument("--json", action="store_true", help="as JSON")

    rotate = actions.add_parser("rotate", help="replace the secret of the shared key or of the given key")
    rotate.add_argument("kid", nargs="?", metavar="NAME", help="key to rotate immediately (default: the shared key)")
    rotate.add_argument(
        "--grace", metavar="TIME", help=f"how long agents can still join with the old shared key (default: {GRACE})"
    )

    revoke = actions.add_parser("revoke", help="reject everything signed with this key, and end its sessions")
    revoke.add_argument("kid", metavar="NAME", help="name as shown by `tally key list`, or the id of an invitation")

    history = actions.add_parser(
        "log",
        help="who joined, was refused or revoked, and when the hub ran",
        description="The hub's record of this workspace, oldest first: when it started and stopped, who joined with "
        "which key, which addresses were refused and why, and who revoked which keys. Of refusals, and "
        "of everything else, it keeps the latest 5000.",
    )
    history.add_argument("--limit", type=int, metavar="N", help="only the latest N")
    history.add_argument("--json", action="store_true", help="as JSON")
    signers.add_actions(actions)
    for parser in (create, listing, rotate, revoke, history):
        add_database_option(parser)
        parser.set_defaults(run=run_key)

    invite = commands.add_parser("invite", help="create an invitation: a short-lived join string for agents")
    invite.add_argument("--role", choices=("client", "server"), required=True, help="role that agents join in")
    invite.add_argument(
        "--ttl", default="1h", metavar="TIME", help="how long the invitation is valid, at most 24h (default: 1h)"
    )
    invite.add_argument(
        "--uses", type=int, default=1, metavar="N", help="how many agents can join with it (default: 1)"
    )
    invite.add_argument(
        "--hub",
        metavar="URL",
        help="address at which agents reach the hub (default: the last one of this workspace's hub)",
    )
    invite.add_argument("--json", action="store_true", help="as JSON")
    add_database_option(invite)
    invite.set_defaults(run=run_invite)


def run_key(options: argparse.Namespace) -> int:
    """Run one of create, list, rotate, revoke, log."""
    if options.action == "log":
        return _show_log(options)
    if options.action == "list":
        with open_to_read(options) as store:
            _list(store.keys(), as_json=options.json)
        return 0
    opened = open_store if options.action == "create" else open_to_change
    with opened(options) as store:
        {"create": _create, "rotate": _rotate, "revoke": _revoke}[options.action](store, options, time.time())
    return 0


def _create(store: Store, options: argparse.Namespace, now: float) -> None:
    secret = _secret(options.secret_file)
    if options.shared:
        if options.kid or options.sub or options.scope:
            raise CommandError("--shared takes no --kid, --sub or --scope: the shared key is the same for all.")
        replaced = any(row.shared and row.state == "active" for row in store.keys())  # noqa: SIM118 - not a dict
        _show_secret(keys.rotate_shared_key(store, now, 0.0, secret))
        if replaced:
            print(
                "The previous shared key no longer opens new sessions; "
                "use `tally key rotate --grace TIME` to give agents time to change.",
                file=sys.stderr,
            )
        return
    scopes = options.scope or list(keys.AGENT_SCOPES)
    for option, name in (("--kid", options.kid), ("--sub", options.sub)):
        _check_name(option, name)
    try:
        key = keys.create_key(store, scopes, now, sub=options.sub, kid=options.kid, secret=secret)
    except CredentialError as error:
        raise CommandError(str(error)) from error
    _show_secret(key)


def _rotate(store: Store, options: argparse.Namespace, now: float) -> None:
    if not options.kid:
        grace = _duration("--grace", options.grace or GRACE)
        _show_secret(keys.rotate_shared_key(store, now, grace))
    elif options.grace is not None:
        raise CommandError("--grace is only for the shared key; a named key changes immediately.")
    else:
        _show_secret(keys.rotate_key(store, options.kid, now))


def _revoke(store: Store, options: argparse.Namespace, now: float) -> None:
    if any(issued.id == options.kid for issued in store.invitations()):
        keys.revoke_invitation(store, options.kid, now)
        print(f"The invitation {options.kid} is revoked; nobody can join with it any more.")
        return
    key = keys.revoke_key(store, options.kid, now)
    print(f"{key.kid} is revoked; a running hub ends its sessions within a second.")
    if key.shared:
        print("Agents that joined with the shared key need a new one: tally key create --shared")


def run_invite(options: argparse.Namespace) -> int:
    """Create an invitation and print the command to paste."""
    now = time.time()
    with open_store(options) as store:
        hub = _address(options.hub) if options.hub else store.setting(HUB_ADDRESS)
        if not hub:
            raise CommandError(
                "No hub has run in this workspace yet, so its address is not known; give it with --hub URL."
            )
        pin = ""
        if hub.startswith("wss://"):  # the certificate of the hub that ran, which may have been configured
            pin = store.setting(HUB_PIN) or own_identity(hub_directory()).pin
        issued, text = keys.invite(
            store,
            role=options.role,
            now=now,
            ttl=_duration("--ttl", options.ttl),
            uses=options.uses,
            hub=hub,
            pin=pin,
        )
    if options.json:
        print(json.dumps({"id": issued.id, "role": issued.role, "hub": hub, "expires": issued.expires, "join": text}))
        return 0
    plain = "" if hub.startswith("wss://") else " --insecure"
    agents = "one agent" if issued.uses == 1 else f"{issued.uses} agents"
    print(f"tally-agent join {text}{plain}")
    lasts = format_duration(issued.expires - issued.created)
    print(f"Valid for {agents}, {lasts}, to join {hub} as {issued.role}. Keep it secret.", file=sys.stderr)
    print(f"To revoke it: tally key revoke {issued.id}", file=sys.stderr)
    return 0


def _address(text: str) -> str:
    """The address of a hub as agents use it. Raises CommandError."""
    given = text if "://" in text else f"wss://{text}"
    try:
        parts = urlsplit(given)
        usable = parts.scheme in ("wss", "ws") and parts.hostname and parts.port and parts.path in ("", "/")
    except ValueError:
        usable = False
    if not usable:
        raise CommandError(f"--hub: expected wss://HOST:PORT, not {text!r}.")
    return given.rstrip("/")


def _check_name(option: str, name: str | None) -> None:
    try:
        keys.check_name(name)
    except CredentialError as error:
        raise CommandError(f"{option}: {error}") from None


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The secret cannot be read from {file}: {reason(error)}.") from error


def _duration(option: str, text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}.") from error


def _show_secret(key: Key) -> None:
    """Print only the secret on standard output, so that it can be redirected to a file; the rest on standard error."""
    print(key.secret)
    who = "shared key" if key.shared else f"key {key.kid}"
    print(f"This is the secret of the {who} ({', '.join(key.scopes)}). It is not shown again.", file=sys.stderr)


def _show_log(options: argparse.Namespace) -> int:
    if options.limit is not None and options.limit < 1:
        raise CommandError(f"--limit: expected a number from 1 on, not {options.limit}.")
    with open_to_read(options) as store:
        entries = store.audits(options.limit)
    if options.json:
        rows = [{"t": entry.t, "what": entry.what, "who": entry.who, "text": entry.text} for entry in entries]
        print(json.dumps(rows))
        return 0
    if not entries:
        print("No hub has run in this workspace yet.")
        return 0
    from gui.report.words import printable  # names and hosts are what agents say

    for entry in entries:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.t))
        print(printable(f"{at}  {entry.what:<8} {entry.who}  {entry.text}").rstrip())
    return 0


def _list(known: list[Key], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "kid": key.kid,
                "scopes": key.scopes,
                "sub": key.sub,
                "shared": key.shared,
                "state": key.state,
                "created": key.created,
                "until": key.until,
            }
            for key in known
        ]
        print(json.dumps(rows))
        return
    if not known:
        print(
            "There is no key yet. A hub creates the shared key when it first starts; or use: tally key create --shared"
        )
        return
    print(f"{'KEY':<28} {'STATE':<9} {'ALLOWS':<34} {'FOR':<20} CREATED")
    for key in known:
        name = f"{key.kid} (shared)" if key.shared else key.kid
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(key.created))
        print(f"{name:<28} {key.state:<9} {', '.join(key.scopes):<34} {key.sub or 'any agent':<20} {made}")
