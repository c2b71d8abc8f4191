"""Datagrams from a capture, a spool of files and the bus, decoded by the collector's own program."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import closing
from pathlib import Path

import pytest

from gui.runner import datagrams
from gui.runner.datagrams import Inspection, InspectionError, Tap
from shoveler import envelope
from shoveler.bus import BusOptions, Outgoing, open_publisher, open_topology, parse_bus_address
from tests.collector.test_inspection import capture, closed, f_stream, ident, opened
from tests.waiting import until


async def read(inspection: Inspection, path: Path) -> list[datagrams.DatagramRow]:
    return [row async for rows in inspection.file(path) for row in rows]


@pytest.fixture
async def inspection():
    made = Inspection()
    yield made
    await made.close()


async def test_a_capture_with_a_gap_a_broken_datagram_and_a_line_that_is_none(tmp_path: Path, inspection) -> None:
    whole = f_stream(3, opened(5, b"/store/f.root"))
    path = capture(tmp_path / "c.jsonl", ident(), f_stream(1, opened(4, b"/a")), whole, whole[:-9], b"\xff")
    with path.open("a") as file:
        file.write("<b>not a datagram</b>\n")
    rows = await read(inspection, path)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
    rows = [*rows[1:], rows[0]]  # what is no datagram comes first of what was read at once
    assert [row.stream for row in rows] == ["=", "f", "f", "f", "ff", ""]
    assert [row.seq for row in rows] == [0, 1, 3, 3, None, None]
    assert rows[2].note == "1 of class F missing after 1"
    assert rows[2].what == "1 records: 1 open"
    assert rows[2].files == (5,)
    assert rows[3].problems[0] == "truncated"
    assert rows[4].problems == ("unknown",)
    assert rows[5].problems == ("line",)
    assert rows[5].at is None
    assert rows[1].server == "d1@se01.example.org:1094"
    assert (inspection.counts.datagrams, inspection.counts.broken, inspection.counts.complete) == (5, 3, True)
    decoded = await inspection.decoded(rows[2])
    assert decoded.data == whole
    assert [field.name for field in decoded.fields] == ["Header", "Time of day", "Open"]
    assert decoded.fields[2].value == "/store/f.root"
    again = await inspection.decoded(rows[0])
    assert again.data == ident()
    with pytest.raises(InspectionError, match="not a datagram"):
        await inspection.decoded(rows[5])


async def test_follow_a_file_and_save_what_is_listed(tmp_path: Path, inspection) -> None:
    path = capture(
        tmp_path / "c.jsonl",
        ident(),
        f_stream(1, opened(5, b"/store/f.root")),
        f_stream(2, opened(6, b"/other")),
        f_stream(3, closed(6)),
        f_stream(4, closed(5)),
        f_stream(5, opened(7, b"/last")),
        f_stream(6, closed(7)),
    )
    rows = await read(inspection, path)
    assert await inspection.about(5, rows[1], rows) == {2, 3, 4, 5, 6}
    assert await inspection.save(tmp_path / "s.jsonl", rows[1:3]) == 2
    copy = Inspection()
    try:
        assert [row.what for row in await read(copy, tmp_path / "s.jsonl")] == [row.what for row in rows[1:3]]
    finally:
        await copy.close()


async def test_what_cannot_be_opened_says_why(tmp_path: Path, inspection) -> None:
    with pytest.raises(InspectionError, match="No such file"):
        await read(inspection, tmp_path / "none")


async def test_a_program_that_is_not_there(tmp_path: Path, inspection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "program_command", lambda _name: ["/nowhere/tally-collector"])
    with pytest.raises(InspectionError, match="cannot be started"):
        await read(inspection, tmp_path / "c")


async def test_live_from_a_local_bus_takes_copies(tmp_path: Path, inspection) -> None:
    bus = parse_bus_address(str(tmp_path / "bus"))
    with closing(open_topology(bus)) as topology:
        topology.declare_exchange("packets")
        topology.declare_queue("collector", exchange="packets")
    tap = Tap(bus, exchange="packets", options=BusOptions(), clock=lambda: 1234.5)
    tap.start()
    await asyncio.to_thread(until, lambda: tap.connected)

    def publish() -> None:
        with closing(open_publisher(bus, exchange="packets", writer="shoveler")) as publisher:
            one = envelope.encode_batch([("w:1", "192.0.2.1:5000", ident())], "1")
            two = envelope.encode_single("192.0.2.1:5000", f_stream(1, opened(5, b"/f")), "1")
            publisher.send([Outgoing(one, "1", content_type=envelope.BATCH), Outgoing(two, "2"), Outgoing(b"?", "3")])
            while publisher.pending:
                publisher.outcomes(1.0)

    await asyncio.to_thread(publish)
    rows: list[datagrams.DatagramRow] = []
    async for some in inspection.live(tap):
        rows += some
        if len(rows) == 3:
            tap.stop()
    rows.sort(key=lambda row: row.t is None)
    assert [row.stream for row in rows] == ["=", "f", ""]
    assert [row.t for row in rows] == [1234.5, 1234.5, None]
    assert rows[2].problems == ("line",)
    tap.join()
    with closing(open_topology(bus)) as topology:
        assert topology.depth("collector", exchange="packets") == 3


def test_a_tap_that_is_too_fast_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "WAITING", 2)
    tap = Tap(parse_bus_address("amqp://h/"), exchange="x", options=BusOptions())
    for _ in range(5):
        tap._put(b'{"remote":"h"}', 1.0)
    tap._put(b"  ", 1.0)
    assert tap.dropped == 3
    assert json.loads(tap.take()[0]) == {"t": 1.0, "remote": "h"}
    assert len(tap.lines) == 0


def test_a_real_datagram_survives_the_temporary_capture() -> None:
    data = base64.b64encode(b"\0\xff").decode()
    line = datagrams._capture_line(datagrams.Seen(t=None, remote="h:1", data=data, id="w:7"))
    assert json.loads(line) == {"t": 0.0, "remote": "h:1", "data": data, "id": "w:7"}
