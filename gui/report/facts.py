"""What a run was made with, as plain facts: settings of its plan, the hub, clients, shovelers, collectors, servers that
restarted meanwhile. Two runs differ in some of them; `differing` says which, and what that can mean for the result.

Only what the run itself stored is here: nothing is looked up on the machines of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

import msgspec

from gui.campaign.plan import Fault, Labelled, Plan
from gui.campaign.planfile import declared, toml_of
from gui.reconcile import foreign_faults
from gui.report import numbers
from gui.store import RunEntry, Store
from shoveler.service import CollectorStatus, ShovelerStatus, StatusError, decode_status

MEASURED = ("clock_offset", "rtt", "udp_drops")
"""Facts of a client or a server that differ from one moment to the next."""
NOT_RECORDED = "not recorded then"
"""Shown where a run has kept nothing of its environment: an older version, or an imported bundle."""
_TITLES = {
    "host": "host",
    "hub": "address",
    "lab": "local lab",
    "broker": "broker",
    "servers": "asked",
    "files": "files",
    "fstat_seconds": "fstat interval, s",
    "flush_seconds": "flush, s",
}
_PLACES = {
    "host": "Hub",
    "hub": "Hub",
    "lab": "Lab",
    "broker": "Lab",
    "servers": "Servers",
    "files": "Servers",
    "fstat_seconds": "Servers",
    "flush_seconds": "Servers",
}
_MEMBERS = {"clients": "Client ", "server_agents": "Server "}
"""Parts of the environment that list clients or servers, and what each is called."""
_ONES = (*_MEMBERS.values(), "Shoveler ", "Collector ")
"""How the places of facts of a single member begin."""
_NAMED = 3
"""Clients or servers that are named together."""
_LEFT_OUT = ("clients", "server_agents", "kernel", "preflight", "foreign_faults")
STILL_ON = "faults still on"
"""What is not the run's own: a fault that was on when it began."""
Weight = Literal["", "cause"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact of a run: where, what, and its value. `amount`: the value as a number, for what grows and shrinks."""

    where: str
    what: str
    value: str
    amount: float | None = None

    @property
    def setting(self) -> bool:
        """Whether the plan says so."""
        return self.where == "Plan"


@dataclass(frozen=True, slots=True)
class FactPair:
    """A fact in both runs. `bearing`: what the difference can mean for the result; `weight`: "cause" where it is likely
    the reason of losses."""

    where: str
    what: str
    a: str
    b: str
    bearing: str = ""
    weight: Weight = ""

    @property
    def differs(self) -> bool:
        """Whether it is not the same in both. What one run has not recorded is no difference."""
        return self.a != self.b and (bool(self.bearing) or NOT_RECORDED not in (self.a, self.b))

    @property
    def setting(self) -> bool:
        """Whether the plan says so."""
        return self.where == "Plan"


def facts_of(store: Store, run: RunEntry) -> tuple[Fact, ...]:
    """All facts that a run has stored. Blocking."""
    return (*_of_plan(run.plan_text), *_of_environment(run), *_of_daemons(store, run))


# ---------------------------------------------------------------- the plan


def _of_plan(text: str) -> Iterable[Fact]:
    try:
        content = toml_of(text)
    except ValueError:
        return
    plan = declared(content)
    if plan is None:  # of another version: as it stands there
        yield from (Fact("Plan", what, value) for what, value in _flat(content))
    else:
        yield from _of_parsed(plan)


def _of_parsed(plan: Plan) -> Iterable[Fact]:
    yield Fact("Plan", "plan name", plan.name)
    yield Fact("Plan", "settle", f"{plan.settle:g} s", plan.settle)
    for number, test in enumerate(plan.tests, 1):
        before = f"test {number}, " if len(plan.tests) > 1 else ""
        for name, value in _parts(test):
            amount = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
            yield Fact("Plan", f"{before}{name}", _text(value), amount)


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """The settings of a test, those of its parts without the name of the part."""
    for field in fields(value):
        part = getattr(value, field.name)
        if field.name == "faults":
            yield "faults", "; ".join(f"{fault.text} at {fault.at:g} s" for fault in part) or "none"
        elif is_dataclass(part) and not isinstance(part, Labelled | Fault):
            yield from _parts(part)
        elif isinstance(part, msgspec.Struct):
            yield from ((name, getattr(part, name)) for name in part.__struct_fields__)
        else:
            yield field.name, part


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, 1):
                yield from _flat(item, f"{before}{name} {number}, ")
        else:
            yield f"{before}{name}", _text(value)


def _text(value: Any) -> str:
    if value is None or value == "":
        return numbers.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str | int | Labelled):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value) or "none"
    return msgspec.json.encode(value).decode()


# ---------------------------------------------------------------- what it met


def _of_environment(run: RunEntry) -> Iterable[Fact]:
    for name, value in run.environment.items():
        if name not in _LEFT_OUT:
            yield Fact(_PLACES.get(name, "Environment"), _TITLES.get(name, name), _text(value), _amount(value))
    if run.environment.get("lab"):
        foreign = ", ".join(fault.named for fault in foreign_faults(run.environment))
        yield Fact("Lab", STILL_ON, foreign or "none")
    for name, value in run.versions.items():
        where, what = {"agents": ("Clients", "versions"), "xrootd": ("Clients", "XRootD")}.get(name, ("Hub", name))
        yield Fact(where, what, _text(value))
    kernel = run.environment.get("kernel")
    for name, value in kernel.items() if isinstance(kernel, Mapping) else ():
        yield Fact("Hub", "kernel" if name == "release" else str(name), _text(value), _amount(value))
    for part, where in _MEMBERS.items():
        members = run.environment.get(part)
        listed = [one for one in members if isinstance(one, Mapping)] if isinstance(members, list) else []
        if part == "clients" and listed:
            names = sorted(str(client.get("name") or "") for client in listed)
            yield Fact("Clients", "up", ", ".join(names), len(names))
        for member in listed:
            for name, value in member.items():
                if name not in (*MEASURED, "name"):
                    whose = str(member.get("name") or numbers.UNKNOWN)
                    yield Fact(f"{where}{whose}", str(name), _text(value), _amount(value))


def _amount(value: Any) -> float | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _of_daemons(store: Store, run: RunEntry) -> Iterable[Fact]:
    """Versions and hosts of shovelers and collectors, what kernels dropped meanwhile, and servers that restarted."""
    restarted: dict[str, None] = {}
    drops: dict[str, int] = {}
    known: dict[tuple[str, str], str] = {}
    for pair in store.statuses(run.id):
        try:
            key = f"{pair.program}.{pair.member}"
            first, last = decode_status(key, pair.first), decode_status(key, pair.last)
        except StatusError:
            continue
        where = f"{pair.program.capitalize()} {pair.member}"
        known[where, "version"], known[where, "host"] = last.version, last.host
        if isinstance(first, ShovelerStatus) and isinstance(last, ShovelerStatus):
            drops[where] = drops.get(where, 0) + last.kernel_drops - first.kernel_drops
        elif isinstance(last, CollectorStatus):
            begun = run.started or 0.0
            for process in last.processes:
                if process.ended > begun and (run.ended is None or process.ended < run.ended):
                    restarted[process.instance or process.host or process.sender] = None
    for (where, what), value in sorted(known.items()):
        yield Fact(where, what, _text(value))
    for program in ("Shoveler", "Collector") if known else ():
        count = len({where for where, _ in known if where.startswith(program)})
        yield Fact(f"{program}s", "reporting", str(count), count)
    for where, count in sorted(drops.items()):
        yield Fact(where, DROPS, numbers.count(count), count)
    if known:
        yield Fact("Servers", RESTARTED, ", ".join(sorted(restarted)) or "none", len(restarted))


DROPS = "kernel drops in the run"
RESTARTED = "restarted in the run"


# ---------------------------------------------------------------- two runs


def pair_facts(
    a: Sequence[Fact], b: Sequence[Fact], losses: Mapping[str, int], *, recorded: tuple[bool, bool] = (True, True)
) -> tuple[FactPair, ...]:
    """The facts of both runs, in their order. `losses`: how many records run b lost more than run a, by stage.
    `recorded`: whether each of the two has stored its environment at all."""
    if all(recorded):
        a, b = _matched(a, b)
    left, right = ({(fact.where, fact.what): fact for fact in some} for some in (a, b))
    pairs = [
        _pair(where, what, left.get((where, what)), right.get((where, what)), losses, recorded)
        for where, what in sorted(dict.fromkeys([*left, *right]), key=lambda key: _order(key[0]))
    ]
    if any(recorded) and not all(recorded):
        one, other = (
            f"{sum(not fact.setting for fact in some):,} facts" if there else NOT_RECORDED
            for some, there in zip((a, b), recorded, strict=True)
        )
        pairs.append(FactPair("Environment", "of the run", one, other, "cannot be compared"))
    return _together(pairs)


def _matched(a: Sequence[Fact], b: Sequence[Fact]) -> tuple[list[Fact], list[Fact]]:
    """The facts of both with the same names for the same members. Those that only one run had (names of a lab are new
    each time) are paired in their order where both have as many of them; else they are left out: how many there were is
    a fact of its own."""
    names: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for one in _ONES:
        members = [list(dict.fromkeys(f.where for f in some if f.where.startswith(one))) for some in (a, b)]
        rest = [sorted(set(mine) - set(other)) for mine, other in (members, members[::-1])]
        alike = len(rest[0]) == len(rest[1])
        for mine, new in zip(rest, names, strict=True):
            many = len(mine) > 1
            new.update(
                {where: (f"{one}{n}" if many else one.strip()) if alike else "" for n, where in enumerate(mine, 1)}
            )
    pair = [
        [replace(fact, where=new.get(fact.where, fact.where)) for fact in some if new.get(fact.where, fact.where)]
        for some, new in zip((a, b), names, strict=True)
    ]
    return pair[0], pair[1]


def _together(pairs: Iterable[FactPair]) -> tuple[FactPair, ...]:
    """The pairs, those that are alike at several clients, or at several servers, in one."""
    alike: dict[tuple[str, ...], list[FactPair]] = {}
    for pair in pairs:
        one = next((word for word in _ONES if pair.where.startswith(word)), "")
        alike.setdefault((one or pair.where, pair.what, pair.a, pair.b), []).append(pair)
    found = []
    for (where, *_), some in alike.items():
        if len(some) == 1:
            found.append(some[0])
            continue
        names = [pair.where.removeprefix(where) for pair in some]
        rest = len(names) - _NAMED
        on = ", ".join(names[:_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")
        found.append(replace(some[0], where=f"{where.strip()}s", what=f"{some[0].what} on {on}"))
    return tuple(found)


def _order(where: str) -> int:
    begins = ("Plan", "Shoveler", "Collector", "Server", "Clients", "Client ", "Lab", "Hub")
    return next((place for place, word in enumerate(begins) if where.startswith(word)), len(begins))


def _pair(
    where: str,
    what: str,
    a: Fact | None,
    b: Fact | None,
    losses: Mapping[str, int],
    recorded: tuple[bool, bool],
) -> FactPair:
    absent = [numbers.UNKNOWN if there or where == "Plan" else NOT_RECORDED for there in recorded]
    one, other = a.value if a else absent[0], b.value if b else absent[1]
    if one == other or NOT_RECORDED in (one, other):
        return FactPair(where, what, one, other)
    bearing, weight = _bearing(where, what.rpartition(", ")[2], a, b, losses)
    return FactPair(where, what, one, other, bearing, weight)


_MORE_LESS = {
    "settle": ("waits longer, loses nothing", "waits less: late records can count as missing"),
    "slots": ("more requests at a time", "fewer requests at a time"),
    "wait": ("asks at a lower rate", "asks at a higher rate"),
    "per_round": ("asks more at a time", "asks less at a time"),
    "files_per_server": ("asks for more", "asks for less"),
    "servers": ("asks more servers", "asks fewer servers"),
    "repeats": ("asks more often: surer", "asks less often: less sure"),
    "pass_at": ("stricter: the verdict, not the figures", "milder: the verdict, not the figures"),
    "timeout": ("clients give up later", "clients give up sooner"),
    "asked": ("more servers", "fewer servers"),
    "cpus": ("more processors", "fewer processors"),
    "net.core.rmem_max": ("kernels keep more datagrams", "kernels keep fewer datagrams"),
    "net.core.rmem_default": ("kernels keep more datagrams", "kernels keep fewer datagrams"),
    "net.core.netdev_max_backlog": ("kernels keep more packets", "kernels keep fewer packets"),
    "flush, s": ("closes are sent later", "closes are sent sooner"),
    "fstat interval, s": ("closes are sent later", "closes are sent sooner"),
    "findings": ("more is wrong with the configuration", "less is wrong with the configuration"),
    "mtu": ("longer datagrams pass whole", "datagrams are cut into fragments sooner"),
}
_OTHER = {
    "seed": "other files, in another order",
    "name": "",
    "kind": "other kinds of access",
    "versions": "another version can count differently",
    "XRootD": "another version can count differently",
    "xrootd": "another version can count differently",
    "version": "another version can count differently",
    "tally": "figures of another version",
    "local lab": "another federation: not the same pipeline",
    "broker": "another broker",
    "list": "other files",
    "dir": "other files",
    "files": "other files",
    "kernel": "another kernel: settings may not have been kept",
    "monitoring": "the server reports other things, or to others",
    "instance": "another process",
}


def _bearing(where: str, what: str, a: Fact | None, b: Fact | None, losses: Mapping[str, int]) -> tuple[str, Weight]:
    """What a difference can mean: a clause, and whether it is likely the reason of losses."""
    one, other = a.amount if a else None, b.amount if b else None
    grown = one is not None and other is not None and other > one
    if what == DROPS and (other or 0) > (one or 0):
        return _cause(losses.get("kernel", 0), losses)
    if what == RESTARTED and (other or 0) > 0:
        return _cause(losses.get("server", 0), losses)
    if what == STILL_ON:
        return ("a fault of another run disturbs one of the two", "cause" if sum(losses.values()) > 0 else "")
    if what == "faults":
        return ("the plan disturbs the pipeline", "cause" if sum(losses.values()) > 0 else "")
    if where == "Clients" and what == "up" and one and other:
        share = 100 * (one / other - 1)
        each = f"each asks {abs(share):.0f} % {'more' if share > 0 else 'less'}" if share else "the same number"
        return each, ""
    if what in _MORE_LESS and one is not None and other is not None:
        return _MORE_LESS[what][0 if grown else 1], ""
    return _OTHER.get(what, ""), ""


def _cause(some: int, losses: Mapping[str, int]) -> tuple[str, Weight]:
    total = sum(losses.values())
    if some <= 0:
        return "explains none of what was lost", ""
    return f"likely cause of {some:,} of the {total:,}", "cause"
