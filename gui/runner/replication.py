"""A copy of a remote hub's results on this machine, kept up to date by queries: see `gui.store.replica`.

    copy = await HubCopy.open(hub, directory)
    await copy.renew(lambda part: part.kind == "run")     # what has changed at the hub, and nothing else
    with Store(copy.file, read_only=True) as store: …

`tally results`, `compare` and `federation` with ``--hub`` read such a copy, and so does the remote window: everything
that reads a database of this machine can show one of elsewhere. The copy stays in the data directory, and has what was
asked for before.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gui.hub.operate import Query
from gui.runner.answers import Parts
from gui.runner.hublink import RemoteError
from gui.runner.remote import RemoteHub, other_version
from gui.store.migrations import HEAD
from gui.store.replica import AT_ONCE, SLICE_ROWS, TABLES, Kind, Part, Replica, Slice

log = logging.getLogger("tally.runner")

FOLDER = "hubs"
"""Of the data directory, with the copies."""
TRIES = 3
"""How often a copy is renewed again, when what was asked for has changed meanwhile."""

Wanted = Callable[[Part], bool]


class HubCopy:
    """See the module. Belongs to the event loop; the file is written in threads."""

    def __init__(self, hub: RemoteHub, replica: Replica) -> None:
        self._hub = hub
        self._replica = replica
        self._alone = asyncio.Lock()
        self.file = replica.file

    @classmethod
    async def open(cls, hub: RemoteHub, directory: Path) -> HubCopy:
        """The copy of this hub's workspace in the data directory. Raises RemoteError and StoreError."""
        hub.must_be_of_our_time()
        parts = await _parts(hub)
        file = copy_file(directory, hub.url, parts.workspace)
        await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
        return cls(hub, await asyncio.to_thread(Replica, file))

    async def close(self) -> None:
        """Close the file, when nothing is being written any more."""
        async with self._alone:
            await asyncio.to_thread(self._replica.close)

    async def renew(self, wanted: Wanted) -> set[str]:
        """Bring the wanted parts up to date, and forget what the hub no longer has; returns the names of the parts that
        have changed. Raises RemoteError and StoreError: parts that are done are kept."""
        changed: set[str] = set()
        async with self._alone:
            for _ in range(TRIES):
                versions = (await _parts(self._hub)).versions
                here = await asyncio.to_thread(self._replica.versions)
                gone = [part_of(name) for name in here.keys() - versions.keys()]
                stale = [part_of(name) for name, version in versions.items() if here.get(name) != version]
                renewed = [part for part in stale if wanted(part)]
                for part in gone:
                    await asyncio.to_thread(self._replica.forget, part)
                for group in _groups(renewed):
                    await self._fetch({part: versions[part.name] for part in group})
                changed |= {part.name for part in (*gone, *renewed)}
                if not renewed:
                    break
        return changed

    async def _fetch(self, versions: Mapping[Part, str]) -> None:
        """Fetch parts of one kind."""
        kind = next(iter(versions)).kind
        log.debug("< %s of %s", ", ".join(part.name for part in versions), self._hub.url)
        await asyncio.to_thread(self._replica.begin, versions)
        try:
            for table in TABLES[kind]:
                key = [str(column.name) for column in table.primary_key]
                await self._fetch_table(kind, [part.number for part in versions], str(table.name), key)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._replica.roll_back))  # no transaction may stay open
            raise
        await asyncio.to_thread(self._replica.commit, versions)

    async def _fetch_table(self, kind: Kind, numbers: list[int], table: str, key: list[str]) -> None:
        after: tuple[int | float | str, ...] = ()
        while True:
            query = Query(
                id=0, what="rows", kind=kind, numbers=tuple(numbers), table=table, after=after, limit=SLICE_ROWS
            )
            try:
                got = msgspec.convert(await self._hub.query(query), Slice)
            except msgspec.ValidationError as error:
                raise RemoteError(f"{self._hub.url} sent rows that cannot be read: {error}.") from error
            await asyncio.to_thread(self._replica.insert, table, got)
            if not got.more:
                return
            places = [got.columns.index(name) for name in key]
            after = tuple(got.rows[-1][place] for place in places)


def _groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Parts that are asked for together: what is known first, then the newest."""
    by_kind: dict[Kind, list[Part]] = {kind: [] for kind in AT_ONCE}
    for part in sorted(parts, key=lambda part: -part.number):
        by_kind[part.kind].append(part)
    for kind, wanted in by_kind.items():
        for begin in range(0, len(wanted), AT_ONCE[kind]):
            yield wanted[begin : begin + AT_ONCE[kind]]


async def _parts(hub: RemoteHub) -> Parts:
    try:
        parts = msgspec.convert(await hub.query(Query(id=0, what="parts")), Parts)
    except msgspec.ValidationError as error:
        raise RemoteError(f"{hub.url} does not answer as a hub does: {error}.") from error
    if parts.schema != HEAD:
        assert hub.welcome is not None
        raise other_version(hub.url, hub.welcome.hub_version, older=parts.schema < HEAD)
    return parts


def part_of(name: str) -> Part:
    """The part with this name. Raises RemoteError."""
    kind, _, number = name.partition(" ")
    try:
        return msgspec.convert({"kind": kind, "number": int(number or 0)}, Part)
    except ValueError as error:
        raise RemoteError(f"The hub speaks of a part {name!r}, which this Tally does not know.") from error


def copy_file(directory: Path, url: str, workspace: str) -> Path:
    """Where the copy of a workspace is kept. Its name is made of the hub's address, and of an id that others chose."""
    parts = urlsplit(url)
    host = re.sub(r"[^A-Za-z0-9.-]+", "-", parts.hostname or "hub")
    mark = hashlib.blake2b(f"{url} {workspace}".encode(), digest_size=6).hexdigest()
    return directory / FOLDER / f"{host}-{parts.port or 443}-{mark}.db"


def of_runs(*kinds: Kind, run: int | None = None) -> Wanted:
    """The parts of these kinds, of all runs or of one."""
    return lambda part: part.kind in kinds and (run is None or part.number in (run, 0))
