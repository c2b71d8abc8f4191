"""The columns of the table of servers."""

from __future__ import annotations

import time
from collections.abc import Callable

from gui.models import figures
from gui.models.rows import Column
from gui.runner.progress import ServerRow
from gui.widgets.theme import theme


def _zero(value: int, bad: str) -> str:
    return bad if value else "text3"


def server_columns(number_of: Callable[[str], int]) -> list[Column[ServerRow]]:
    """The columns of the table under the plots; `number_of` gives a server's number, which fixes its colour."""
    return [
        Column(
            "server",
            "Server",
            lambda r: r.name,
            kind="swatch",
            colour=lambda r: theme().series(number_of(r.name)).name(),
            width=112,
            tip=lambda r: r.url,
        ),
        Column("address", "Address", lambda r: r.url, colour=lambda _r: "text2", width=176, stretch=True, fold=1),
        Column("req", "Req.", lambda r: r.requested, lambda r: figures.count(r.requested), "right", 68),
        Column("read", "Read", lambda r: r.read, lambda r: figures.count(r.read), "right", 68),
        Column("rec", "Rec.", lambda r: r.recorded, lambda r: figures.count(r.recorded), "right", 68),
        Column(
            "gap",
            "Gap",
            lambda r: r.gap,
            lambda r: figures.count(r.gap),
            "right",
            64,
            colour=lambda r: _zero(r.gap, "text"),
            bold=lambda r: r.gap > 0,
        ),
        Column(
            "oldest",
            "Oldest",
            lambda r: r.gap_oldest,
            lambda r: (
                figures.UNKNOWN if r.gap_oldest is None else figures.duration(max(0.0, time.time() - r.gap_oldest))
            ),
            "right",
            76,
            colour=lambda _r: "text2",
        ),
        Column(
            "wrong",
            "Wrong",
            lambda r: r.wrong,
            lambda r: figures.count(r.wrong),
            "right",
            72,
            colour=lambda r: _zero(r.wrong, "bad"),
            fold=4,
        ),
        Column(
            "dup",
            "Dup.",
            lambda r: r.duplicate,
            lambda r: figures.count(r.duplicate),
            "right",
            64,
            colour=lambda r: _zero(r.duplicate, "dup"),
            fold=3,
        ),
        Column(
            "failed",
            "Client failed",
            lambda r: r.failed,
            lambda r: figures.count(r.failed),
            "right",
            96,
            colour=lambda r: _zero(r.failed, "mute"),
            fold=2,
        ),
        Column(
            "mib",
            "MiB/s",
            lambda r: None if r.rate is None else r.rate / 2**20,
            lambda r: figures.UNKNOWN if r.rate is None else figures.mib(r.rate),
            "right",
            72,
        ),
        Column(
            "last",
            "Last record",
            lambda r: r.last_record,
            lambda r: figures.UNKNOWN if r.last_record is None else figures.age(time.time() - r.last_record),
            "right",
            104,
            colour=lambda _r: "text2",
        ),
    ]
