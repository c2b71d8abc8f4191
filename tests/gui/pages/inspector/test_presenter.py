"""Datagram inspector without a window: sources, one datagram, one file, the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from gui.models.datagrams import ServerNames
from gui.pages.inspector.presenter import InspectorPresenter
from gui.runner.datagrams import Counts, Decoded, InspectionError
from tests.gui.models.test_datagrams import row


class FakeInspection:
    """Reads what a test says; remembers what it was asked."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.closed = False
        self.error = ""
        self.asked: list[object] = []

    async def file(self, path: Path):
        if path.name == "bad":
            raise InspectionError("bad is a checkpoint and holds no datagrams")
        for number in range(1, 4):
            self.counts.datagrams += 1
            yield [row(number, server="anon@127.0.0.1:1094")]
        self.counts.broken, self.counts.complete = 1, True

    async def live(self, tap):
        yield [row(1)]
        tap.shown.set()
        await tap.over.wait()
        self.counts.datagrams, self.counts.dropped = 1, 7

    async def decoded(self, one):
        if self.error:
            raise InspectionError(self.error)
        return Decoded(one, b"f", ())

    async def about(self, file_id, one, rows):
        self.asked.append((file_id, one.number, len(rows)))
        if self.error:
            raise InspectionError(self.error)
        return {1, 3}

    async def save(self, path, rows):
        if path.name == "full":
            raise OSError(28, "No space left on device")
        return len(rows)

    async def stop(self) -> None:
        self.asked.append("stop")

    async def close(self) -> None:
        self.closed = True


class FakeTap:
    def __init__(self, address, *, exchange, options) -> None:
        self.exchange, self.stopped, self.trouble, self.connected = exchange, False, "", True
        self.shown, self.over = asyncio.Event(), asyncio.Event()

    def start(self) -> None: ...

    def stop(self) -> None:
        self.stopped = True
        self.over.set()


@pytest.fixture
def presenter(desk, page) -> InspectorPresenter:
    return InspectorPresenter(desk, page, ServerNames(), inspection=FakeInspection, tap=FakeTap)  # type: ignore[arg-type]


def shown(page, name: str) -> list[tuple]:
    return [call[1:] for call in page.calls if call[0] == name]


async def test_a_file_is_read_and_another_one_replaces_it(desk, page, presenter) -> None:
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    assert sum(len(rows) for (rows,) in shown(page, "add")) == 3
    assert shown(page, "show_source")[-1] == ("c.jsonl", "broken", "3 datagrams, 1 broken")
    first = presenter._inspection
    presenter.open(Path("/bad"))
    await desk.settle()
    assert first.closed
    assert presenter.rows == []
    assert shown(page, "show_source")[-1] == ("bad", "failed", "bad is a checkpoint and holds no datagrams")


async def test_names_of_the_workspace(desk, page, presenter) -> None:
    desk.workspace = SimpleNamespace(servers=lambda: [SimpleNamespace(url="root://127.0.0.1:1094", name="s17")])
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    assert presenter.names.of(presenter.rows[0]) == "s17"


async def test_one_datagram_and_only_the_last_that_was_asked_for(desk, page, presenter) -> None:
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    presenter.choose(presenter.rows[0])
    presenter.choose(presenter.rows[1])
    await desk.settle()
    assert [decoded[0].row.number for decoded in shown(page, "show_decoded")] == [2]
    presenter.choose(row(9, at=None, what="not a datagram"))
    assert shown(page, "show_decoded")[-1] == (None, "not a datagram")
    presenter._inspection.error = "no answer"
    presenter.choose(presenter.rows[2])
    await desk.settle()
    assert shown(page, "show_decoded")[-1] == (None, "no answer")
    presenter.choose(None)
    assert shown(page, "show_decoded")[-1] == (None,)


async def test_following_a_file(desk, page, presenter) -> None:
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    presenter.follow(presenter.rows[0], 5)
    await desk.settle()
    assert presenter._inspection.asked == [(5, 1, 3)]
    assert shown(page, "show_only") == [({1, 3}, "file 5 of 127.0.0.1:1094")]
    presenter._inspection.error = "it failed"
    presenter.follow(presenter.rows[0], 6)
    await desk.settle()
    assert shown(page, "say")[-1] == ("it failed", True)


async def test_saving(desk, page, presenter) -> None:
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    presenter.save(Path("/s.jsonl"), presenter.rows)
    presenter.save(Path("/full"), presenter.rows)
    await desk.settle()
    assert set(shown(page, "say")) == {
        ("3 datagrams saved in /s.jsonl", False),
        ("full was not saved: No space left on device", True),
    }


async def test_live_needs_a_bus_and_is_paused(desk, page, presenter) -> None:
    presenter.live()
    assert shown(page, "say")[-1][1] is True
    desk.workspace = SimpleNamespace(
        bus=SimpleNamespace(address=object()), lab=None, servers=list,
        options=SimpleNamespace(packets_exchange="packets", bus_options=None),
    )  # fmt: skip
    presenter.live()
    while presenter._tap is None:
        await asyncio.wait({presenter._reading}, timeout=0.01)
    await presenter._tap.shown.wait()
    assert len(presenter.rows) == 1
    assert presenter.reading
    presenter.pause()
    await asyncio.wait({presenter._reading})
    assert shown(page, "show_source")[-1] == ("packets", "paused", "1 datagrams, 7 came too fast to be shown")


async def test_the_end(desk, page, presenter) -> None:
    presenter.open(Path("/c.jsonl"))
    await desk.settle()
    await presenter.close()
    assert presenter._inspection.closed
