"""The operators' feed: tables of rows, of which each session is sent what is new to it. Pure.

A *topic* is a table: rows by key, each row an object of named fields. Its newest state is published as often as its
owner likes (`Topics.publish`) and looked at only when a session is due. A session gets rows that are new, the changed
fields of rows that it has, and the keys of rows that are gone. What does not fit into one message follows in the next;
a session that comes late gets what changes first, and then the rest, the newest rows before the older ones. States in
between are skipped, so a slow session costs nobody anything: for each topic it is remembered by three numbers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from agent.messages import Message, Name

log = logging.getLogger("tally.hub")

MESSAGE = 128 * 1024
"""Bytes of rows after which a message is full; it has at least one row."""
MAX_ROW = 1024 * 1024
"""Bytes of one row. Every owner keeps its rows far below; one that is larger is sent without its fields."""
MAX_GONE = 10_000
"""Keys of removed rows that are remembered by a topic. A session that is further behind starts again."""

PLACE = "#"
"""A row's number; in the order of these numbers, the rows are as they were published."""

Rows = Mapping[str, Any]
"""Values by key, in their order. They are not copied: publish another object for a change."""
Fields = Callable[[Any], dict[str, Any]]
"""What a row has of its value: plain values by name."""


class Feed(Message, frozen=True, tag="feed"):
    """What is new in a topic. `first`: forget all its rows; then forget those that are `gone`; then `put`: by key, all
    fields of rows that are new, and the changed ones of others. `more`: the next message of the topic goes on.
    The field `PLACE` of a row says where it belongs among the others."""

    topic: Name
    put: dict[str, msgspec.Raw]
    gone: list[str]
    first: bool = False
    more: bool = False


@dataclass(slots=True)
class Told:
    """What a session has of a topic: everything since `start` up to `upto`, and of what is older from `below` on."""

    epoch: int = -1
    start: int = 0
    upto: int = 0
    below: int = 0


@dataclass(slots=True)
class _Row:
    value: object
    fields: dict[str, Any]
    changed: dict[str, Any]
    """The fields that differ from those of the version before."""
    version: int
    before: int = 0
    """The version that this one has replaced; 0: the row is new."""
    whole: msgspec.Raw | None = None
    difference: msgspec.Raw | None = None


class Table:
    """One topic. Rows are kept in the order of their last change."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._rows: dict[str, _Row] = {}
        self._gone: deque[tuple[int, str]] = deque()
        self._forgotten = 0
        """Removals up to this version are no longer known."""
        self._version = 0
        self._places = 0
        self._epoch = 0
        self._era: object = None
        self._published: Callable[[], Rows] | None = None
        self._fields: Fields = msgspec.to_builtins

    def publish(self, rows: Callable[[], Rows], fields: Fields, era: object) -> None:
        """Replace the state; `rows` is called when it is needed. With another `era` every row is new."""
        self._published, self._fields = rows, fields
        if era != self._era:
            self._era = era
            self._epoch += 1
            self._version += 1
            self._rows.clear()
            self._gone.clear()
            self._forgotten = self._version

    def behind(self, told: Told) -> bool:
        """Whether `excerpt` would have something."""
        return self._published is not None or (told.epoch, told.upto, told.below) != (self._epoch, self._version, 0)

    def excerpt(self, told: Told) -> Feed | None:
        """The next message for this session; None when it has everything. Updates `told`."""
        self._look()
        first = told.epoch != self._epoch or told.upto < self._forgotten
        if first:
            told.epoch = self._epoch
            told.start = told.upto = self._version
            told.below = self._version + 1
        put: dict[str, msgspec.Raw] = {}
        before = told.upto
        size = self._newer(told, put)
        gone = [key for version, key in self._gone if before < version <= told.upto]
        if told.upto == self._version:
            self._older(told, put, size)
        if not (first or put or gone):
            return None
        return Feed(topic=self.topic, put=put, gone=gone, first=first, more=self.behind(told))

    def _newer(self, told: Told, put: dict[str, msgspec.Raw]) -> int:
        """What has changed since this session was told, the oldest change first; returns its size."""
        due: list[tuple[str, _Row]] = []
        for key, row in reversed(self._rows.items()):
            if row.version <= told.upto:
                break
            due.append((key, row))
        size, had = 0, Told(told.epoch, told.start, told.upto, told.below)
        for key, row in reversed(due):
            if size >= MESSAGE:
                return size
            put[key] = self._encoded(row, whole=not self._has(had, row.before))
            size += len(memoryview(put[key])) + len(key)
            told.upto = row.version
        told.upto = self._version
        return size

    def _older(self, told: Told, put: dict[str, msgspec.Raw], size: int) -> None:
        """What was there before this session came, the newest first."""
        if told.below == 0:
            return
        for key, row in reversed(self._rows.items()):
            if row.version >= told.below:
                continue
            if size >= MESSAGE:
                return
            put[key] = self._encoded(row, whole=True)
            size += len(memoryview(put[key])) + len(key)
            told.below = row.version
        told.below = 0

    @staticmethod
    def _has(told: Told, version: int) -> bool:
        """Whether a session has this version of a row."""
        if version == 0:
            return False
        return version <= told.upto if version > told.start else version >= told.below

    def _encoded(self, row: _Row, *, whole: bool) -> msgspec.Raw:
        """The row, or what has changed in it, as JSON; encoded once for all sessions."""
        found = row.whole if whole else row.difference
        if found is None:
            data = msgspec.json.encode(row.fields if whole else row.changed)
            if len(data) > MAX_ROW:
                log.error("! a row of %s has %d bytes; it is sent without its fields", self.topic, len(data))
                data = b"{}"
            found = msgspec.Raw(data)
            if whole:
                row.whole = found
            else:
                row.difference = found
        return found

    def _look(self) -> None:
        """Take over what was published last."""
        if self._published is None:
            return
        rows, self._published = self._published(), None
        for key in [key for key in self._rows if key not in rows]:
            del self._rows[key]
            self._version += 1
            self._gone.append((self._version, key))
        for key, value in rows.items():
            old = self._rows.get(key)
            if old is not None and (old.value is value or old.value == value):
                continue
            fields = self._fields(value)
            if old is None:
                self._version += 1
                self._places += 1
                fields[PLACE] = self._places
                self._rows[key] = _Row(value, fields, fields, self._version)
                continue
            fields[PLACE] = old.fields[PLACE]
            changed = {name: now for name, now in fields.items() if name not in old.fields or old.fields[name] != now}
            old.value = value
            if changed or len(fields) < len(old.fields):
                del self._rows[key]  # to the end: it is the newest change
                if not old.fields.keys() <= fields.keys():  # nobody can be told that a field is gone, but a row
                    self._version += 1
                    self._gone.append((self._version, key))
                    old.version = 0
                self._version += 1
                self._rows[key] = _Row(value, fields, changed, self._version, old.version)
        while len(self._gone) > MAX_GONE:
            self._forgotten, _ = self._gone.popleft()


class Topics:
    """The newest state of every topic, for all operators' sessions."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._stamps: dict[str, object] = {}
        self._changed: set[asyncio.Event] = set()

    def publish(
        self,
        topic: str,
        rows: Callable[[], Rows],
        *,
        fields: Fields = msgspec.to_builtins,
        era: object = None,
        stamp: object = None,
    ) -> None:
        """Replace the state of a topic; see `Table.publish`. Nothing has changed if `stamp` is the same object as
        before. Topics are sent in the order in which they were first published."""
        if stamp is not None and self._stamps.get(topic) is stamp:
            return
        self._stamps[topic] = stamp
        if topic not in self._tables:
            self._tables[topic] = Table(topic)
        self._tables[topic].publish(rows, fields, era)
        for event in self._changed:
            event.set()

    def watch(self) -> asyncio.Event:
        """An event that is set at each change; release it with `unwatch`."""
        event = asyncio.Event()
        event.set()
        self._changed.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Release an event."""
        self._changed.discard(event)

    def since(self, told: dict[str, Told]) -> list[Feed]:
        """One message for each topic that has something new to a session; `told` (by topic) is updated."""
        feeds = []
        for topic, table in self._tables.items():
            feed = table.excerpt(told.setdefault(topic, Told()))
            if feed is not None:
                feeds.append(feed)
        return feeds

    def behind(self, told: dict[str, Told]) -> bool:
        """Whether `since` has more to send."""
        return any(table.behind(told.get(topic, Told())) for topic, table in self._tables.items())
