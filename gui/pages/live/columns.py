"""The columns of the table of servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gui.models import figures
from gui.models.live_servers import News
from gui.models.rows import Column
from gui.runner.progress import ServerRow
from gui.widgets.theme import theme

LEAST_NAME, LEAST_COUNT = 72, 52


def _zero(value: int, bad: str) -> str:
    return bad if value else "text3"


def server_columns(
    number_of: Callable[[str], int],
    news_of: Callable[[str], News],
    gaps_of: Callable[[str], Sequence[int]],
) -> list[Column[ServerRow]]:
    """The columns of the table; `number_of` gives a server's number, which fixes its colour, `news_of` what is new
    about it, `gaps_of` its gap in the last seconds, the oldest first."""
    return [
        Column(
            "server",
            "Server",
            lambda r: r.name,
            kind="swatch",
            colour=lambda r: theme().series(number_of(r.name)).name(),
            width=LEAST_NAME,
            tip=lambda r: r.url,
        ),
        Column("address", "Address", lambda r: r.url, colour=lambda _r: "text2", width=176, stretch=True, fold=1),
        Column("req", "Req.", lambda r: r.requested, lambda r: figures.count(r.requested), "right", LEAST_COUNT),
        Column("read", "Read", lambda r: r.read, lambda r: figures.count(r.read), "right", LEAST_COUNT),
        Column("rec", "Rec.", lambda r: r.recorded, lambda r: figures.count(r.recorded), "right", LEAST_COUNT),
        Column(
            "gap",
            "Gap",
            lambda r: r.gap,
            lambda r: figures.count(r.gap),
            "right",
            56,
            colour=lambda r: _zero(r.gap, "text"),
            bold=lambda r: r.gap > 0,
        ),
        Column(
            "time",
            "Trend",
            lambda r: tuple(gaps_of(r.name)),
            lambda r: " ".join(str(gap) for gap in gaps_of(r.name)),
            kind="spark",
            width=52,
            colour=lambda r: "accent_text" if r.gap else "text3",
            tip="The gap in the last three quarters of a minute",
            fold=5,
        ),
        Column(
            "oldest",
            "Oldest",
            lambda r: r.gap_oldest,
            lambda r: (
                figures.UNKNOWN if r.gap_oldest is None else figures.duration(max(0.0, time.time() - r.gap_oldest))
            ),
            "right",
            60,
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
            56,
        ),
        Column(
            "last",
            "Last",
            lambda r: r.last_record,
            lambda r: (
                figures.UNKNOWN if r.last_record is None else figures.duration(max(0.0, time.time() - r.last_record))
            ),
            "right",
            54,
            colour=lambda _r: "text2",
            tip="How long ago its last record came",
        ),
        Column(
            "state",
            "State",
            lambda r: news_of(r.name).word,
            kind="status",
            width=132,
            icon=lambda r: news_of(r.name).icon,
            colour=lambda r: news_of(r.name).colour,
        ),
    ]
