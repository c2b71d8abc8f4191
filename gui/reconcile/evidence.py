"""What the stages counted of each server during a run, gathered for the loss ladder.

Status messages are by *sender*, the address from which a server's datagrams come; requests are by server. They are
brought together by the server's IP address, which its records tell. Where several servers of the run share an address
(a lab on one machine) their figures cannot be told apart: they are summed, and nothing drawn from them is certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, select

from gui.reconcile.ladder import Counted, SequenceGap
from gui.store import LoadedRow, StatusPair, Store, schema
from shoveler.service import (
    CollectorSender,
    CollectorStatus,
    ShovelerSender,
    ShovelerStatus,
    StatusError,
    decode_status,
)

_SAMPLE = 5


@dataclass(slots=True)
class _Path:
    """Sums over the senders of one address."""

    shovelers: int = 0
    collectors: int = 0
    received: int = 0
    confirmed: int = 0
    waiting: int = 0
    returned: int = 0
    oversize: int = 0
    kernel_drops: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    gaps: list[SequenceGap] = field(default_factory=list)
    records: int = 0
    incomplete: Counter[str] = field(default_factory=Counter)


class Evidence:
    """Everything that the stages counted during a run; `counted` gives one server's share. Pure, once made.

    `pairs`: first and last status messages. `loaded`: what the database got since the run began. `addresses`: for each
    server id of the directory, the IP addresses that its records tell. `since`: when the run began."""

    def __init__(
        self,
        pairs: Iterable[StatusPair],
        loaded: Sequence[LoadedRow],
        addresses: Mapping[int, frozenset[str]],
        since: float = 0.0,
    ) -> None:
        self._since = since
        self._addresses = addresses
        self._paths: dict[str, _Path] = {}
        self._senders: Counter[str] = Counter()
        self._loaded = loaded
        for pair in pairs:
            self._add(pair)

    def counted(self, server_id: int) -> Counted:
        """What was counted of this server."""
        addresses = self._addresses.get(server_id, frozenset())
        paths = [self._paths[address] for address in sorted(addresses) if address in self._paths]
        sharing = sum(1 for others in self._addresses.values() if others & addresses)
        senders = sum(self._senders[address] for address in addresses)
        rows = [row for row in self._loaded if str(row.facts.get("server_ip", "")) in addresses]
        total = _Path()
        for path in paths:
            _sum(total, path)
        return Counted(
            own_path=sharing == 1 and senders == 1,
            received=total.received if total.shovelers else None,
            confirmed=total.confirmed if total.shovelers else None,
            waiting=total.waiting,
            returned=total.returned,
            oversize=total.oversize,
            kernel_drops=total.kernel_drops,
            refused=dict(total.refused),
            seen=total.seen if total.collectors else None,
            rejected=dict(total.rejected),
            gaps=tuple(sorted(total.gaps, key=lambda gap: gap.t_min)),
            records=total.records if total.collectors else None,
            incomplete=dict(total.incomplete),
            loaded=sum(row.loaded for row in rows) if rows else None,
            restarted=len({row.stod for row in rows if row.loaded}) > sharing,
        )

    def _add(self, pair: StatusPair) -> None:
        key = f"{pair.program}.{pair.member}"
        try:
            first, last = decode_status(key, pair.first), decode_status(key, pair.last)
        except StatusError:
            return  # stored by a newer Tally; the ladder then knows less and says "probably"
        # A daemon that started within the run began to count at zero; its first message is no base to subtract.
        fresh = pair.started >= self._since
        if isinstance(first, ShovelerStatus) and isinstance(last, ShovelerStatus):
            for sender, counts in last.senders.items():
                base = ShovelerSender() if fresh else first.senders.get(sender, ShovelerSender())
                self._add_shoveler(sender, base, counts)
        elif isinstance(first, CollectorStatus) and isinstance(last, CollectorStatus):
            for sender, seen in last.senders.items():
                start = CollectorSender() if fresh else first.senders.get(sender, CollectorSender())
                self._add_collector(sender, start, seen)

    def _path(self, sender: str) -> _Path:
        return self._paths.setdefault(_address(sender), _Path())

    def _add_shoveler(self, sender: str, first: ShovelerSender, last: ShovelerSender) -> None:
        path = self._path(sender)
        path.shovelers += 1
        path.received += last.received - first.received
        path.confirmed += last.confirmed - first.confirmed
        path.waiting += last.received - last.confirmed
        path.returned += last.returned - first.returned
        path.oversize += last.oversize - first.oversize
        path.kernel_drops += last.kernel_drops - first.kernel_drops
        path.refused += Counter(last.rejected) - Counter(first.rejected)
        self._senders[_address(sender)] += 1

    def _add_collector(self, sender: str, first: CollectorSender, last: CollectorSender) -> None:
        path = self._path(sender)
        path.collectors += 1
        path.seen += last.seen - first.seen
        path.rejected += Counter(last.rejected) - Counter(first.rejected)
        path.gaps += [SequenceGap(gap.cls, gap.after, gap.missing, gap.t_min, gap.t_max) for gap in last.gaps]
        path.records += last.records + last.provisional - first.records - first.provisional
        path.incomplete += Counter(last.incomplete) - Counter(first.incomplete)


def gather(store: Store, run_id: int) -> Evidence:
    """The evidence of a run, from the database. Raises StoreError."""
    run = store.run(run_id)
    tag, repeat = schema.tag, schema.repeat
    # All servers of the run, also those that lost nothing: they may share an address with one that did.
    servers = select(tag.c.server_id).join(repeat, repeat.c.id == tag.c.repeat_id).where(repeat.c.run_id == run_id)
    with store.database.read() as connection:
        ids = sorted(connection.scalars(servers.distinct()))
        addresses = {server_id: _addresses(connection, run_id, server_id) for server_id in ids}
    return Evidence(store.statuses(run_id), store.loaded_since_mark(run_id), addresses, run.started or run.created)


def _addresses(connection: Connection, run_id: int, server_id: int) -> frozenset[str]:
    """The IP addresses of a server of the directory, as the records of its requests tell, else as its URL does."""
    request, record, origin, repeat = schema.request, schema.record, schema.origin, schema.repeat
    some = (
        select(record.c.origin_id)
        .join(
            request,
            (request.c.tag_id == record.c.tag_id)
            & (request.c.match_key == record.c.match_key)
            & (request.c.path == record.c.path),
        )
        .join(repeat, repeat.c.id == request.c.repeat_id)
        .where(repeat.c.run_id == run_id, request.c.server_id == server_id)
        .limit(_SAMPLE)
        .subquery()
    )
    facts = connection.scalars(select(origin.c.facts).where(origin.c.id.in_(select(some.c.origin_id)))).all()
    found = {str(address) for text in facts if (address := _decode(text).get("server_ip"))}
    if not found:
        url = connection.scalar(select(schema.server.c.url).where(schema.server.c.id == server_id)) or ""
        host = urlsplit(url).hostname or ""
        every = connection.scalars(select(origin.c.facts)).all()
        for known in map(_decode, every):
            if host and host in (known.get("server"), known.get("server_hostname"), known.get("server_ip")):
                found.add(str(known.get("server_ip") or host))
        found = found or ({host} if host else set())
    return frozenset(found)


def _decode(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _address(sender: str) -> str:
    return sender.rpartition(":")[0].strip("[]")


def _sum(total: _Path, path: _Path) -> None:
    for name in ("shovelers", "collectors", "received", "confirmed", "waiting", "returned", "oversize"):
        setattr(total, name, getattr(total, name) + getattr(path, name))
    total.kernel_drops += path.kernel_drops
    total.refused += path.refused
    total.seen += path.seen
    total.rejected += path.rejected
    total.gaps += path.gaps
    total.records += path.records
    total.incomplete += path.incomplete
