"""[Test] of the bus, step by step, before a run depends on it: what was found, and what to do about the rest.

    for check in check_bus(parse_bus_address(url), options, places): show(check)

What depends on a step that failed, and what could not be seen (the management is absent or does not let this user in),
is *skipped*: never ok, and counted as not checked in the `outcome`. Nothing is changed: rights are tried on a queue
that goes with the connection. Blocking.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gui.runner.checklist import Check, State
from gui.runner.management import Management, ManagementDeniedError, ManagementError, Policy, in_force
from gui.runner.settings import sentence
from shoveler.bus import (
    BusAddress,
    BusError,
    BusOptions,
    BusRefusedError,
    BusUnavailableError,
    BusUserError,
    BusVhostError,
)
from shoveler.bus.local_files import exchange_directory
from shoveler.bus.survey import Reached, Survey, reach
from shoveler.values.addresses import is_loopback
from shoveler.values.quantities import about_duration, about_size

SOON = 14 * 86_400.0
"""Seconds before the end of a certificate from which on it is a warning."""
LEAST_FREE = 2**30
LOSING = ("max-length", "max-length-bytes", "message-ttl")
"""What a policy can set so that messages are thrown away."""
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Places:
    """The names on the bus. `queue` is the workspace's own one, or what it will begin with while none is open."""

    records: str
    status: str
    packets: str
    queue: str = "tally."
    packets_queue: str = ""
    management: str = ""
    """Address of the broker's management; empty: the usual port."""


def check_bus(address: BusAddress, options: BusOptions, places: Places) -> Generator[Check, None, None]:
    """Each line as soon as it is known."""
    if address.kind == "local":
        yield from _check_folder(address, places)
        return
    yield from _steps(address, options, places)


def outcome(checks: Iterable[Check]) -> tuple[State, str]:
    """All lines of a test in a few words: ``works; 2 not checked``."""
    states = [check.state for check in checks]
    if "failed" in states:
        return "failed", "this bus cannot be used yet" if len(states) > 1 else "failed"
    open_ones, unseen = states.count("warning"), states.count("skipped")
    parts = []
    if open_ones:
        parts.append(f"{open_ones} thing{'' if open_ones == 1 else 's'} to look at")
    if unseen:
        parts.append(f"{unseen} not checked")
    if not parts:
        return "ok", "all is well"
    return "warning" if open_ones else "skipped", f"works; {', '.join(parts)}"


TITLES: Mapping[str, str] = {
    "reached": "Broker",
    "tls": "TLS",
    "user": "User",
    "vhost": "Virtual host",
    "exchanges": "Exchanges",
    "rights": "Rights",
    "queue": "Own queue",
    "bound": "Bound queues",
    "policies": "Policies that discard",
}
"""The lines of a broker, in their order."""


def _check(name: str, state: Any, text: str, remedy: str = "", details: tuple[str, ...] = ()) -> Check:
    return Check(name, TITLES[name], state, text if text.endswith(".") else f"{text}.", remedy, details)


def _skipped(*names: str, why: str) -> Iterator[Check]:
    for name in names:
        yield _check(name, "skipped", why)


def _steps(address: BusAddress, options: BusOptions, places: Places) -> Iterator[Check]:
    names = list(TITLES)
    try:
        reached = reach(address, options)
    except BusUnavailableError as error:
        yield _check("reached", "failed", sentence(str(error)), "Check the address, the port and the firewall.")
        yield from _skipped(*names[1:], why="The broker was not reached.")
        return
    except BusRefusedError as error:
        yield _check("reached", "ok", f"{address.host}:{address.port} is reached")
        yield _check(
            "tls",
            "failed",
            sentence(str(error)),
            "Choose the CA that signed the broker's certificate, or its TLS port.",
        )
        yield from _skipped(*names[2:], why="There is no TLS.")
        return
    yield _check(
        "reached", "ok", f"{address.host}:{address.port} ({reached.ip}) answers in {1000 * reached.seconds:.0f} ms"
    )
    yield _tls(address, reached)
    began = time.monotonic()
    try:
        survey = Survey(address, options)
    except BusUserError:
        text = f"The broker refuses the user {address.user!r} with this password"
        yield _check("user", "failed", text, "Correct user or password; rabbitmqctl list_users shows the users.")
        yield from _skipped(*names[3:], why="Nobody is logged in.")
        return
    except BusVhostError as error:
        yield _check("user", "ok", f"{address.user!r} is known, with this password")
        remedy = (
            f"rabbitmqctl add_vhost {address.vhost}; rabbitmqctl set_permissions -p {address.vhost} {address.user} …"
        )
        yield _check("vhost", "failed", sentence(str(error)), remedy)
        yield from _skipped(*names[4:], why="There is no access to the virtual host.")
        return
    except BusError as error:
        yield _check("user", "failed", sentence(str(error)), "Is this the broker's AMQP port?")
        yield from _skipped(*names[3:], why="Nobody is logged in.")
        return
    try:
        text = f"{address.user!r} is logged in, after {1000 * (time.monotonic() - began):.0f} ms"
        yield _check("user", "ok", text)
        if survey.blocked:
            text = f"The broker takes no messages now: {survey.blocked}"
            yield _check("vhost", "warning", text, "Free memory or disk on the broker.")
        else:
            yield _check("vhost", "ok", f"{address.vhost!r} is open to this user")
        yield from _inside(survey, address, options, places)
    except BusError as error:
        yield _check("rights", "failed", sentence(str(error)), "Test again.")
    finally:
        survey.close()


def _tls(address: BusAddress, reached: Reached) -> Check:
    if not reached.tls:
        if is_loopback(address.host) or is_loopback(reached.ip):
            return _check("tls", "ok", "No TLS, and none is needed on this machine")
        text = "No TLS: user, password and records travel in clear"
        return _check("tls", "warning", text, "Use amqps:// if the broker offers it.")
    who = f"{reached.tls}; certificate of {reached.subject or '(no name)'}, by {reached.issuer or '(no name)'}"
    if reached.until is None:
        return _check("tls", "ok", who)
    left = reached.until - time.time()
    if left < SOON:
        text = f"{who}; it ends in {about_duration(max(0.0, left))}"
        return _check("tls", "warning", text, "Have the broker's certificate renewed.")
    return _check("tls", "ok", f"{who}, until {time.strftime('%Y-%m-%d', time.localtime(reached.until))}")


def _inside(survey: Survey, address: BusAddress, options: BusOptions, places: Places) -> Iterator[Check]:
    there = _Exchanges(survey, places)
    yield there.check
    probe = f"{places.queue.removesuffix('.')}.test-{secrets.token_hex(4)}"
    yield _rights(survey, probe, there.present)
    yield _own_queue(survey, places)
    management = Management(address, options, places.management)
    try:
        bound = {
            exchange: [queue for queue in management.bound(exchange) if queue != probe]
            for exchange in (places.records, places.packets)
        }
        yield _bound(bound, places)
        yield _policies(management, bound, places)
    except ManagementError as error:
        denied = isinstance(error, ManagementDeniedError)
        tags = f"rabbitmqctl set_user_tags {address.user} monitoring"
        ctl = f"rabbitmqctl list_queues -p {address.vhost} name policy effective_policy_definition"
        where = "enable it (rabbitmq-plugins enable rabbitmq_management) or name its address"
        yield _check("bound", "skipped", sentence(str(error)), tags if denied else f"To have it shown, {where}.")
        yield _check("policies", "skipped", "AMQP does not show policies", f"Look at the broker: {ctl}")


class _Exchanges:
    """Which exchanges there are."""

    def __init__(self, survey: Survey, places: Places) -> None:
        self.present: list[str] = []
        roles = {"records": places.records, "status": places.status, "datagrams": places.packets}
        words, refused = [], ""
        missing = []
        for role, exchange in roles.items():
            try:
                there = survey.has_exchange(exchange)
            except BusRefusedError as error:
                refused = refused or str(error)
                words.append(f"{exchange} ({role}): not allowed")
                continue
            words.append(f"{exchange} ({role}): {'there' if there else 'not there'}")
            if there:
                self.present.append(exchange)
            else:
                missing.append(exchange)
        if refused:
            self.check = _check("exchanges", "failed", sentence(refused), "Allow this user to see it.", tuple(words))
        elif missing:
            text = f"{_names(missing)} {'is' if len(missing) == 1 else 'are'} not there"
            remedy = "Whoever uses it first makes it, if allowed; check the names with those of shoveler and collector."
            self.check = _check("exchanges", "warning", text, remedy, tuple(words))
        else:
            self.check = _check("exchanges", "ok", f"{_names(self.present)} are there", "", tuple(words))


def _rights(survey: Survey, probe: str, exchanges: list[str]) -> Check:
    may: list[str] = []

    def failed(what: str, error: object) -> Check:
        text = f"This user may not {what}: {error}"
        remedy = "rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ; Tally's queues begin with tally."
        return _check("rights", "failed", text, remedy, tuple(f"may {done}" for done in may))

    try:
        survey.declare(probe)
    except BusRefusedError as error:
        return failed("declare a queue", error)
    may.append("declare a queue")
    for exchange in exchanges:
        try:
            survey.bind(probe, exchange)
        except BusRefusedError as error:
            return failed(f"bind a queue to {exchange}", error)
        may.append(f"bind it to {exchange}")
    try:
        confirmed = survey.publish(probe)
    except BusRefusedError as error:
        return failed("publish to its queue", error)
    if not confirmed:
        text = "The broker does not confirm a message to our queue"
        return _check("rights", "failed", text, "Look for a policy that limits the queue, or an alarm of the broker.")
    may.append("publish to it")
    try:
        read = survey.read(probe)
    except BusRefusedError as error:
        return failed("read from its queue", error)
    if not read:
        text = "A confirmed message was thrown away before it was read"
        remedy = "A policy with message-ttl or max-length applies to queues of this name; remove it from them."
        return _check("rights", "failed", text, remedy)
    may.append("read from it")
    bind = "" if exchanges else " (binding was not tried: no exchange is there)"
    text = f"Declare, {'bind, ' if exchanges else ''}publish and read; the broker confirms{bind}"
    return _check("rights", "ok", text, "", tuple(f"may {done}" for done in may))


def _own_queue(survey: Survey, places: Places) -> Check:
    if places.queue.endswith("."):
        return _check("queue", "skipped", "No workspace is open; its queue is made when one is")
    try:
        waiting = survey.depth(places.queue)
    except BusRefusedError as error:
        if "in exclusive use" in str(error) or "exclusive" in str(error):
            return _check("queue", "ok", f"{places.queue} is there, and in use")
        return _check("queue", "failed", str(error))
    if waiting is None:
        return _check("queue", "warning", f"{places.queue} is not there yet", "It is made when this bus is used.")
    return _check("queue", "ok", f"{places.queue} is there; {_messages(waiting)} waiting")


def _bound(bound: Mapping[str, list[str]], places: Places) -> Check:
    details = tuple(f"{exchange}: {_names(queues) if queues else 'no queue'}" for exchange, queues in bound.items())
    if not bound[places.packets]:
        text = f"No queue is bound to {places.packets}: datagrams have nowhere to go"
        return _check("bound", "warning", text, "Start the collector once; it binds its queue.", details)
    text = "; ".join(f"{exchange}: {len(queues)}" for exchange, queues in bound.items())
    return _check("bound", "ok", f"Queues bound to {text}", "", details)


def _policies(management: Management, bound: Mapping[str, list[str]], places: Places) -> Check:
    """What throws messages away on our queue (whether it is there yet or not) and on those that are bound."""
    policies = management.policies()
    looked = [places.queue, places.packets_queue, *bound[places.records], *bound[places.packets]]
    queues = list(dict.fromkeys(name for name in looked if name))
    losing: list[str] = []
    refusing: list[str] = []
    for queue in queues:
        own = queue == places.queue
        arguments = management.arguments(queue)
        if own or queue.startswith("tally."):
            arguments = without_own_limits(arguments or {})
        elif arguments is None:
            arguments = {}
        lost, refused = limits(queue, in_force(policies, queue), arguments)
        losing += lost
        refusing += refused
    if losing:
        text = f"{len(losing)} setting{'s' if len(losing) > 1 else ''} can throw messages away: {losing[0]}"
        remedy = "rabbitmqctl clear_policy NAME, or one with overflow reject-publish and without message-ttl."
        return _check("policies", "failed", text, remedy, (*losing, *refusing))
    if refusing:
        text = f"Nothing is thrown away, but a full queue refuses more: {refusing[0]}"
        remedy = "Collector and shoveler then wait and keep what they have; make the limit large enough."
        return _check("policies", "warning", text, remedy, tuple(refusing))
    return _check("policies", "ok", f"None on {len(queues)} queue{'s' if len(queues) != 1 else ''}")


def without_own_limits(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a workspace's queue without its cap: it was set on purpose, and what it drops is counted."""
    return {name: value for name, value in arguments.items() if name != "x-max-length-bytes"}


def limits(queue: str, policies: Iterable[Policy], arguments: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What makes a queue throw messages away, and what makes it refuse them: a line for each limit and its source."""
    sources = [*((f"policy {policy.name}", "", policy.definition) for policy in policies), ("its own", "x-", arguments)]
    overflow = next(
        (str(v["overflow"]) for _, _, v in reversed(sources[:-1]) if "overflow" in v),
        "drop-head",
    )
    overflow = str(arguments.get("x-overflow", overflow))  # a queue's own argument comes before a policy
    losing, refusing = [], []
    for source, prefix, values in sources:
        for limit in LOSING:
            if prefix + limit not in values:
                continue
            value = values[prefix + limit]
            if limit == "message-ttl":
                losing.append(f"{queue}: message-ttl {value} ms ({source})")
            elif overflow.startswith("reject-publish"):
                refusing.append(f"{queue}: {limit} {value}, overflow {overflow} ({source})")
            else:
                losing.append(f"{queue}: {limit} {value}, overflow {overflow} ({source})")
    return losing, refusing


def _check_folder(address: BusAddress, places: Places) -> Iterator[Check]:
    """The local bus: a directory that shoveler, collector and this program share."""
    folder = address.directory
    assert folder is not None
    there = folder.is_dir()
    if not there and folder.exists():
        yield Check("folder", "Folder", "failed", f"{folder} is not a folder.", "Choose another one.")
        return
    above = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        text = f"{above} cannot be written: {error.strerror}."
        yield Check("folder", "Folder", "failed", text, "Choose another folder, or change its rights.")
        return
    text = f"{folder} is there and can be written." if there else f"{folder} is not there yet; it is made when used."
    yield Check("folder", "Folder", "ok" if there else "warning", text)
    free = shutil.disk_usage(above).free
    few = free < LEAST_FREE
    yield Check(
        "room",
        "Room",
        "warning" if few else "ok",
        f"{about_size(free)} are free.",
        "Free some space: a full disk stops the bus." if few else "",
    )
    words = [
        f"{exchange} ({role}): {'there' if exchange_directory(folder, exchange).is_dir() else 'not there'}"
        for role, exchange in (("records", places.records), ("status", places.status), ("datagrams", places.packets))
    ]
    missing = [line for line in words if line.endswith("not there")]
    text = f"{len(words) - len(missing)} of {len(words)} are there."
    remedy = "Whoever uses one first makes it; shoveler and collector must name the same folder." if missing else ""
    yield Check("exchanges", "Exchanges", "warning" if missing else "ok", text, remedy, tuple(words))


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
