"""A correlator's options, and the records it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

LOGICAL_DIRECTORIES: Mapping[str, int] = MappingProxyType(
    {
        "/user": 2,
        "/osgconnect/public": 3,
        "/osgconnect/protected": 3,
        "/ospool/PROTECTED": 3,
        "/ospool": 4,
        "/path-facility": 3,
        "/hcc": 5,
        "/pnfs/fnal.gov/usr": 4,
        "/gwdata": 2,
        "/chtc/": 1,
        "/icecube/": 1,
        "/igwn": 3,
        "/store": 2,
        "/user/dteam": 2,
    }
)
"""Prefix of a path → how many of its components are the logical directory; the longest matching prefix decides."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a correlator. Durations are seconds, sizes bytes."""

    ttl: float = 86_400.0
    """An open file is given up after this long without progress and without any sign of life of its server."""
    max_age: float = 30 * 86_400.0
    """…and in any case when it has been open for this long."""
    max_bytes: int = 512 * 1024 * 1024
    """Size of all state in memory (estimated); beyond it the files idle for longest are given up."""
    max_servers: int = 10_000
    """Incarnations known at the same time; beyond it the one silent for longest is given up."""
    grace: float = 20.0
    """How long we wait for what may only be late: an open, a session, a missing datagram, the end of a dead server."""
    settle: float = 12.0
    """How long to wait for the application info of a new session or the name of a new server. (A session of a
    server whose sessions never have any does not wait.)"""
    oss_interval: float = 60.0
    """Storage statistics are written as differences over this interval."""
    logical_directories: Mapping[str, int] = field(default_factory=lambda: LOGICAL_DIRECTORIES)
    names: Callable[[str], str | None] | None = None
    """Host name of an IP address as far as known *now*; must return at once (a look-up in a cache). None: no names."""
    host: str = ""
    """The collector's own host name, for the WLCG form."""
    wlcg: bool = False
    """Also write the WLCG form of records (kinds ``wlcg``, ``wlcg-cache``, ``wlcg-tpc``)…"""
    wlcg_only: bool = False
    """…and then not the normal one, as the peers do."""
    wlcg_vos: frozenset[str] = frozenset({"cms"})
    wlcg_path_prefixes: tuple[str, ...] = ("/store", "/user/dteam")
    drop_vos: frozenset[str] = frozenset()
    """Records of these VOs are dropped (counted); lower case."""
    drop_path_prefixes: tuple[str, ...] = ()


class Record(NamedTuple):
    """A record ready to be published: routing key ``KIND.VO``, message id `record_id`."""

    kind: str
    """One of `collector.records.KINDS`."""
    vo: str
    """VO as a word of a routing key (no dots, blanks or wildcards); ``none`` when not known."""
    record_id: str
    """Unique among all records and the same when the same datagrams are read again."""
    body: bytes
    """The JSON text, UTF-8, one object without a newline."""
