"""`tally login` and `tally logout`: sign in to a remote hub as a person, and out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from gui.commands import CommandError, tell
from gui.commands.loop import StoppedError, run_until_done
from gui.commands.places import data_directory
from gui.hub.signin.messages import EnterCode
from gui.report.words import printable
from gui.runner.hublink import HubLink, RemoteError
from gui.runner.hubs import KeptSignIn, hub_account, kept_sign_in, sign_in, sign_out
from gui.runner.secrets import Secrets
from shoveler.values.quantities import format_duration


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    login = commands.add_parser(
        "login",
        help="sign in to a remote hub as yourself",
        description="Signs you in to a hub by the provider that it trusts (GitHub, or an OIDC issuer): open the "
        "address that is shown, in any browser, and type the code. The hub then knows this account of this machine for "
        "12 hours, and for longer while you use it: `tally run PLAN --hub URL` needs no key.",
    )
    login.add_argument("url", metavar="wss://HUB", help="the hub's address")
    login.add_argument("--pin", default="", metavar="sha256:…", help="the hub's certificate pin (shown at its start)")
    login.add_argument("--ca-file", type=Path, metavar="FILE", help="CA certificates to trust for the hub")
    login.add_argument("--insecure", action="store_true", help="plain ws:// without TLS; loopback only")
    login.add_argument("--json", action="store_true", help="print who is signed in as JSON")
    login.set_defaults(run=run_login)

    logout = commands.add_parser(
        "logout",
        help="end your sign-in to a remote hub",
        description="Ends the sign-in of this account at the hub, and all sessions with it, at once.",
    )
    logout.add_argument("url", metavar="wss://HUB", help="the hub's address, as given to tally login")
    logout.set_defaults(run=run_logout)


def run_login(options: argparse.Namespace) -> int:
    """Sign in by device flow. Exit code 1 if nobody was signed in."""
    insecure = options.insecure or os.environ.get("TALLY_INSECURE") == "1"
    try:
        return run_until_done(_login(options, insecure=insecure))
    except StoppedError:
        raise CommandError("Stopped; you are not signed in.", 1) from None
    except RemoteError as error:
        raise CommandError(str(error), 1) from error


async def _login(options: argparse.Namespace, *, insecure: bool) -> int:
    link = HubLink(options.url, pin=options.pin, ca_file=options.ca_file, insecure=insecure)
    kept = await sign_in(link, Secrets(data_directory()), _show)
    if options.json:
        facts = {"hub": kept.hub, "login": kept.login, "provider": kept.provider, "name": kept.name}
        print(json.dumps({**facts, "scopes": list(kept.scopes), "ends": kept.ends}))
        return 0
    what = "operator" if "operator" in kept.scopes else "observer"
    lasts = format_duration(max(0.0, kept.ends - time.time()))
    who = f"{printable(kept.login)} by {printable(kept.provider)}"
    tell(f"Signed in to {kept.hub} as {who}: {what}, for {lasts} at most.")
    return 0


def _show(code: EnterCode) -> None:
    provider, address = printable(code.provider), printable(code.address)
    tell(f"To sign in by {provider}, open {address} in a browser and type the code", sys.stderr)
    tell(f"\n    {printable(code.code)}\n", sys.stderr)
    if code.whole:
        tell(f"or open {printable(code.whole)}", sys.stderr)
    tell("Type no code that somebody sent you. Waiting …", sys.stderr)


def run_logout(options: argparse.Namespace) -> int:
    """End the sign-in. What is kept here is forgotten in any case; exit code 1 if the hub could not be told."""
    secrets = Secrets(data_directory())
    kept = kept_sign_in(secrets, options.url)
    if kept is None:
        raise CommandError(f"This account is not signed in to {options.url}.")
    ca_file = Path(kept.ca_file) if kept.ca_file else None
    insecure = kept.hub.startswith("ws://")
    link = HubLink(kept.hub, pin=kept.pin, ca_file=ca_file, insecure=insecure)
    try:
        run_until_done(_logout(link, kept))
    except RemoteError as error:
        raise CommandError(
            f"{error} What was kept here is forgotten; at the hub it can be ended with: tally key revoke {kept.kid}",
            1,
        ) from error
    finally:
        secrets.forget(hub_account(options.url))
    tell(f"Signed out of {kept.hub}.")
    return 0


async def _logout(link: HubLink, kept: KeptSignIn) -> int:
    await sign_out(link, kept)
    return 0
