"""`tally agent`: list, drain, disconnect and revoke agents, of this workspace's hub or of a remote one."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gui.commands import CommandError, tell
from gui.commands.loop import run_until_done
from gui.commands.places import open_to_change, open_to_read
from gui.commands.remote import add_place_options, opened_hub, refuse_senseless
from gui.hub import AgentView, Command, holds, keys
from gui.hub.persistence import SHARED, Hold
from gui.report import numbers
from gui.report.words import printable, to_json
from gui.store import Store
from shoveler.values.quantities import parse_duration

What = Literal["drain", "resume", "disconnect", "allow", "revoke"]
DONE: dict[What, str] = {
    "drain": "is given no new rounds; it finishes what it has",
    "resume": "is given rounds again",
    "disconnect": "is disconnected",
    "allow": "may join again",
    "revoke": "is revoked: its key is good for nothing any more",
}
NOT_SO = {"resume": "was not drained", "allow": "was not kept out"}


@dataclass(frozen=True, slots=True)
class Known:
    """An agent as this command knows it. `id`: its public id at a remote hub, or its identity here."""

    id: str
    name: str
    kid: str
    role: str
    state: str
    host: str
    seen: float | None
    identity: str = ""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    agent = commands.add_parser(
        "agent", help="list, drain, disconnect and revoke agents", description="Manages the agents of a hub."
    )
    actions = agent.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the agents", description="Lists the agents.")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=run_list)
    parsers = [listing]
    for what, text in (
        ("drain", "give agents no new rounds, also after a restart, until resume"),
        ("resume", "take drain back"),
        ("disconnect", "end the sessions of agents; with --for or --until-allowed they are kept out"),
        ("allow", "let agents join again that were disconnected"),
        ("revoke", "disable the keys of agents for good, and end their sessions"),
    ):
        parser = actions.add_parser(what, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.add_argument("names", nargs="+", metavar="AGENT", help="name of an agent, or KEY/NAME")
        if what == "disconnect":
            lasts = parser.add_mutually_exclusive_group()
            lasts.add_argument("--for", dest="lasts", metavar="TIME", help="how long they are kept out, such as 10m")
            lasts.add_argument(
                "--until-allowed", action="store_true", help="they are kept out until `tally agent allow`"
            )
        parser.set_defaults(run=run_order, what=what)
        parsers.append(parser)
    for parser in parsers:
        add_place_options(parser, "the agents")


def run_list(options: argparse.Namespace) -> int:
    """Print the agents."""
    refuse_senseless(options)
    found: list[Known] = []
    if options.hub:

        async def ask() -> int:
            async with opened_hub(options) as hub:
                await hub.told("agents")
                found.extend(_known_there(hub.agents))
            return 0

        run_until_done(ask())
    else:
        with open_to_read(options) as store:
            found.extend(_known_here(store))
    if options.json:
        names = ("name", "kid", "role", "state", "host")
        rows = [{name: getattr(one, name) for name in names} | {"last_seen": one.seen} for one in found]
        tell(to_json(rows).decode().rstrip("\n"))
        return 0
    if not found:
        tell("No agent has joined yet; let one in with: tally invite --role client")
    for one in found:
        seen = numbers.moment(one.seen) if one.seen else numbers.UNKNOWN
        tell(printable(f"{one.state:<16} {one.role:<7} {one.name:<24} {one.host:<24} {seen}  key {one.kid}"))
    return 0


def run_order(options: argparse.Namespace) -> int:
    """Carry out one of drain, resume, disconnect, allow, revoke."""
    refuse_senseless(options)
    lasts = _lasts(options)
    if options.hub:
        return run_until_done(_order_there(options, lasts))
    if options.what == "disconnect" and lasts == 0:
        raise CommandError(
            "Without --hub, say for how long: --for TIME or --until-allowed; a moment is not kept in the database."
        )
    with open_to_change(options) as store:
        chosen = _chosen(_known_here(store), options.names)
        for one in chosen:
            _tell(one, options.what, done=_order_here(store, one, options.what, lasts, time.time()))
    return 0


def _lasts(options: argparse.Namespace) -> float | None:
    if options.what != "disconnect" or (not options.lasts and not options.until_allowed):
        return 0.0
    if options.until_allowed:
        return None
    try:
        seconds = parse_duration(options.lasts)
    except ValueError as error:
        raise CommandError(f"--for: {error}.") from error
    if not 0 < seconds <= 1e9:
        raise CommandError(f"--for: expected a time above 0, not {options.lasts!r}.")
    return seconds


def _order_here(store: Store, one: Known, what: What, lasts: float | None, now: float) -> bool:
    match what:
        case "drain":
            if one.role == "server":
                raise CommandError(f"{one.name} is a server agent: it has no rounds that could be drained.")
            holds.hold(store, Hold(one.identity, "drain", "client", now))
        case "disconnect":
            until = None if lasts is None else now + lasts
            role: Literal["client", "server"] = "server" if one.role == "server" else "client"
            holds.hold(store, Hold(one.identity, "disconnect", role, now, until))
        case "resume":
            return holds.lift(store, one.identity, "drain", now)
        case "allow":
            return holds.lift(store, one.identity, "disconnect", now)
        case "revoke":
            if one.kid == SHARED:
                raise CommandError(
                    f"{one.name} joined with the shared key; rotate that to shut it out, with all others that use it: "
                    "tally key rotate"
                )
            keys.revoke_key(store, one.kid, now)
    return True


async def _order_there(options: argparse.Namespace, lasts: float | None) -> int:
    async with opened_hub(options) as hub:
        await hub.told("agents")
        for one in _chosen(_known_there(hub.agents), options.names):
            done = await hub.ask(Command(id=0, do=options.what, agent=one.id, lasts=lasts))
            _tell(one, options.what, done=done is not False)
    return 0


def _tell(one: Known, what: What, *, done: bool) -> None:
    tell(printable(f"{one.name} {DONE[what] if done else NOT_SO.get(what, 'is as before')}."))


def _known_here(store: Store) -> list[Known]:
    held = holds.by_agent(store.holds())
    now = time.time()
    found = []
    for entry in store.agents():
        kid, _, name = entry.identity.rpartition("/")
        if kid.startswith("bundle:"):
            continue
        out, drained = held.get((entry.identity, "disconnect")), held.get((entry.identity, "drain"))
        kept_out = out is not None and out.good(now)
        state = "disconnected" if kept_out else "draining" if drained is not None else "known"
        host = str(entry.facts.get("host", ""))
        found.append(Known(entry.identity, name, kid, entry.role, state, host, entry.last_seen, entry.identity))
    return found


def _known_there(agents: Sequence[AgentView]) -> list[Known]:
    return [Known(view.id, view.name, view.kid, view.role, view.state, view.host, view.last_seen) for view in agents]


def _chosen(known: Sequence[Known], names: Sequence[str]) -> list[Known]:
    """The agents of these names. Raises CommandError before anything is done."""
    chosen = []
    for name in dict.fromkeys(names):
        found = [one for one in known if name in (one.name, f"{one.kid}/{one.name}")]
        if not found:
            have = ", ".join(sorted({one.name for one in known})[:8]) or "none"
            raise CommandError(printable(f"There is no agent {name!r}; known agents: {have}."))
        if len(found) > 1:
            which = " or ".join(f"{one.kid}/{one.name}" for one in found)
            raise CommandError(printable(f"Several agents are called {name!r}; say which: {which}."))
        chosen += found
    return chosen
