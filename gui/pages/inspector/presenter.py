"""Datagram inspector: reads a source, shows what one datagram has in it, follows a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gui.models.datagrams import ServerNames, address_of
from gui.pages.desk import Desk
from gui.runner.datagrams import DatagramRow, Decoded, Inspection, InspectionError, Tap
from shoveler.bus import BusAddress, BusOptions

BEAT = 0.2
"""Seconds between two additions to the list while a source is read."""
DEFAULT_EXCHANGE = "shoveled-xrd"


class InspectorView(Protocol):
    """The page."""

    def show_source(self, name: str, state: str, words: str) -> None: ...
    def clear(self) -> None: ...
    def add(self, rows: Sequence[DatagramRow]) -> None: ...
    def show_decoded(self, decoded: Decoded | None, why: str = "") -> None: ...
    def show_only(self, numbers: set[int] | None, words: str) -> None: ...
    def say(self, words: str, *, bad: bool) -> None: ...


class InspectorPresenter:
    """See the module. One source at a time; opening another one closes it."""

    def __init__(
        self,
        desk: Desk,
        page: InspectorView,
        names: ServerNames,
        *,
        inspection: Callable[[], Inspection] = Inspection,
        tap: Callable[..., Tap] = Tap,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._page = page
        self._make = inspection
        self._make_tap = tap
        self._clock = clock
        self.names = names
        self.rows: list[DatagramRow] = []
        self._inspection: Inspection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._tap: Tap | None = None
        self._wanted: DatagramRow | None = None

    # ---- sources

    def open(self, path: Path) -> None:
        """Read a capture, a spool or a local bus."""
        self._begin(self._read_file(path), f"read {path.name}")

    def live(self) -> None:
        """Show copies of what is on the bus, as it comes."""
        workspace = self._desk.workspace
        address = workspace.bus.address if workspace is not None else None
        if workspace is None or address is None:
            self._page.say("There is no bus: a live feed needs a workspace with a bus, or a lab.", bad=True)
            return
        places = workspace.lab or workspace.options
        exchange = places.packets_exchange or DEFAULT_EXCHANGE
        self._begin(self._read_live(address, exchange, workspace.options.bus_options), "watch the bus")

    def pause(self) -> None:
        """Read no further; what is listed stays."""
        if self._tap is not None:
            self._tap.stop()
        elif self._inspection is not None and self.reading:
            self._desk.background(self._inspection.stop(), "stop reading")

    @property
    def reading(self) -> bool:
        """Whether a source is being read."""
        return self._reading is not None and not self._reading.done()

    def _begin(self, work: object, name: str) -> None:
        before, self._reading = self._reading, None
        self._reading = self._desk.background(self._after(before, work), name)

    async def _after(self, before: asyncio.Task[None] | None, work: object) -> None:
        if before is not None:
            before.cancel()
            await asyncio.wait({before})
        if self._inspection is not None:
            await self._inspection.close()
        self.rows = []
        self._wanted = None
        self._inspection = self._make()
        self._learn_names()
        self._page.clear()
        await work  # type: ignore[misc]

    def _learn_names(self) -> None:
        workspace = self._desk.workspace
        self.names.clear()
        self.names.know({address_of(s.url): s.name for s in workspace.servers()} if workspace is not None else {})

    async def _read_file(self, path: Path) -> None:
        inspection = self._inspection
        assert inspection is not None
        self._page.show_source(path.name, "reading", "")
        try:
            await self._show(inspection.file(path), path.name, "reading")
        except InspectionError as error:
            self._page.show_source(path.name, "failed", str(error))
            return
        counts = inspection.counts
        broken = f", {counts.broken:,} broken" if counts.broken else ""
        rest = "" if counts.complete else "; not read to the end"
        state = "broken" if counts.broken else "read"
        self._page.show_source(path.name, state, f"{counts.datagrams:,} datagrams{broken}{rest}")

    async def _read_live(self, address: BusAddress, exchange: str, options: BusOptions) -> None:
        inspection = self._inspection
        assert inspection is not None
        name = exchange
        tap = self._tap = self._make_tap(address, exchange=exchange, options=options)
        self._page.show_source(name, "live", "waiting for datagrams")
        tap.start()
        watching = self._desk.background(self._watch(tap, name), "watch the live feed")
        try:
            await self._show(inspection.live(tap), name, "live")
        except InspectionError as error:
            self._page.show_source(name, "failed", str(error))
            return
        finally:
            tap.stop()
            watching.cancel()
            self._tap = None
        dropped = f", {inspection.counts.dropped:,} came too fast to be shown" if inspection.counts.dropped else ""
        self._page.show_source(name, "paused", f"{inspection.counts.datagrams:,} datagrams{dropped}")

    async def _watch(self, tap: Tap, name: str) -> None:
        """Say why nothing comes."""
        shown = ""
        while not tap.stopped:
            words = tap.trouble or ("" if self.rows else "connected, waiting for datagrams" if tap.connected else "")
            if words and words != shown:
                self._page.show_source(name, "away" if tap.trouble else "live", words)
            shown = words
            await asyncio.sleep(BEAT)

    async def _show(self, batches: object, name: str, state: str) -> None:
        """Add what comes to the list, on a beat of its own."""
        waiting: list[DatagramRow] = []
        due = self._clock()
        async for rows in batches:  # type: ignore[attr-defined]
            waiting += rows
            if self._clock() >= due:
                self._add(waiting, name, state)
                waiting = []
                due = self._clock() + BEAT
        self._add(waiting, name, state)

    def _add(self, rows: list[DatagramRow], name: str, state: str) -> None:
        if not rows:
            return
        self.names.hear(rows)
        self.rows += rows
        self._page.add(rows)
        self._page.show_source(name, state, f"{len(self.rows):,} datagrams")

    # ---- looking closer

    def choose(self, row: DatagramRow | None) -> None:
        """Show the fields and bytes of a datagram."""
        self._wanted = row
        if row is None or self._inspection is None:
            self._page.show_decoded(None)
        elif row.at is None:
            self._page.show_decoded(None, row.what)
        else:
            self._desk.background(self._decode(self._inspection, row), "decode a datagram")

    async def _decode(self, inspection: Inspection, row: DatagramRow) -> None:
        if self._wanted is not row:
            return
        try:
            decoded = await inspection.decoded(row)
        except InspectionError as error:
            if self._wanted is row:
                self._page.show_decoded(None, str(error))
            return
        if self._wanted is row:
            self._page.show_decoded(decoded)

    def follow(self, row: DatagramRow, file_id: int) -> None:
        """Show only what concerns one file of the server that sent this datagram."""
        if self._inspection is not None:
            self._desk.background(self._follow(self._inspection, row, file_id), f"follow file {file_id}")

    async def _follow(self, inspection: Inspection, row: DatagramRow, file_id: int) -> None:
        rows = list(self.rows)
        self._page.say(f"looking for everything about file {file_id} …", bad=False)
        try:
            numbers = await inspection.about(file_id, row, rows)
        except InspectionError as error:
            self._page.say(str(error), bad=True)
            return
        if self._inspection is inspection:
            self._page.show_only(numbers, f"file {file_id} of {self.names.of(row)}")
            self._page.say("", bad=False)

    def save(self, path: Path, rows: Sequence[DatagramRow]) -> None:
        """Write these datagrams as a capture."""
        if self._inspection is not None:
            self._desk.background(self._save(self._inspection, path, rows), f"save {path.name}")

    async def _save(self, inspection: Inspection, path: Path, rows: Sequence[DatagramRow]) -> None:
        try:
            written = await inspection.save(path, rows)
        except OSError as error:
            self._page.say(f"{path.name} was not saved: {error.strerror or error}", bad=True)
        else:
            self._page.say(f"{written:,} datagrams saved in {path}", bad=False)

    async def close(self) -> None:
        """End the programs beside the window."""
        if self._tap is not None:
            self._tap.stop()
        if self._reading is not None:
            self._reading.cancel()
        if self._inspection is not None:
            await self._inspection.close()
