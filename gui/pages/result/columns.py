"""The columns of a run's tests, servers, requests and notes; icon, word and colour of each verdict."""

from __future__ import annotations

from gui.models import figures
from gui.models.rows import Column
from gui.models.runs import TestRow
from gui.reconcile import ServerFigures
from gui.store import NoteRow

CONCLUSIONS = {
    "pass": ("ok", "pass", "ok"),
    "fail": ("bad", "FAIL", "bad"),
    "inconclusive": ("warn", "inconclusive", "warn"),
    "none": ("ring", "no result", "mute"),
}
COUNTS = {
    "matched": ("ok", "ok"),
    "late": ("clock", "late"),
    "missing": ("miss", "bad"),
    "wrong bytes": ("wrong", "bad"),
    "duplicate": ("dup", "dup"),
    "client failed": ("cfail", "mute"),
    "not waited": ("ring", "mute"),
    "unrequested": ("unreq", "mute"),
}
"""Icon and colour of each count; a zero is muted, so that only what happened has colour."""


def when(moment: float | None) -> str:
    return figures.day_and_time(moment)


def conclusion_state(name: str) -> tuple[str, str, str]:
    return CONCLUSIONS.get(name, CONCLUSIONS["none"])


def bad(count: int, colour: str = "bad") -> str:
    return colour if count else "text3"


TEST_COLUMNS: list[Column[TestRow]] = [
    Column("servers", "Num. servers", lambda t: t.entry.spec.servers, align="right", width=104),
    Column(
        "files",
        "Files/server",
        lambda t: t.entry.spec.files_per_server,
        lambda t: figures.count(t.entry.spec.files_per_server),
        "right",
        88,
    ),
    Column(
        "total", "Total files", lambda t: t.entry.spec.total, lambda t: figures.count(t.entry.spec.total), "right", 80
    ),
    Column(
        "rate",
        "Per round",
        lambda t: t.entry.spec.per_round,
        lambda t: f"{t.entry.spec.per_round:,}/server",
        "right",
        88,
    ),
    Column(
        "achieved",
        "Achieved",
        lambda t: t.figures.achieved,
        lambda t: figures.UNKNOWN if t.figures.achieved is None else f"{figures.rate(t.figures.achieved)}/s",
        "right",
        76,
        colour=lambda _t: "text2",
        tip="Requests per second from the first start to the last end, averaged over the repeats",
        fold=5,
    ),
    Column(
        "recorded",
        "Recorded avg.",
        lambda t: t.figures.recorded_avg,
        lambda t: figures.average(t.figures.recorded_avg),
        "right",
        104,
        bold=True,
    ),
    Column(
        "success",
        "Success",
        lambda t: t.figures.success,
        lambda t: figures.success(t.figures.good, t.figures.counted),
        "right",
        80,
        bold=True,
    ),
    Column(
        "interval",
        "95 % interval",
        lambda t: t.figures.interval,
        lambda t: figures.interval(t.figures.interval),
        "right",
        148,
        colour=lambda _t: "text2",
        fold=4,
    ),
    Column(
        "scale",
        "99 to 100 %",
        lambda t: (t.figures.interval[0], t.figures.success, t.figures.interval[1]) if t.figures.interval else None,
        lambda _t: "",
        kind="interval",
        width=108,
        colour=lambda t: "ok" if t.figures.conclusion == "pass" else "bad",
        fold=2,
    ),
    Column(
        "min",
        "Min",
        lambda t: t.figures.recorded_min,
        lambda t: figures.count(t.figures.recorded_min),
        "right",
        64,
        fold=1,
    ),
    Column(
        "max",
        "Max",
        lambda t: t.figures.recorded_max,
        lambda t: figures.count(t.figures.recorded_max),
        "right",
        64,
        fold=1,
    ),
    Column(
        "missing",
        "Missing",
        lambda t: t.figures.missing,
        lambda t: figures.count(t.figures.missing),
        "right",
        68,
        colour=lambda t: bad(t.figures.missing),
    ),
    Column(
        "wrong",
        "Wrong",
        lambda t: t.figures.wrong_bytes,
        lambda t: figures.count(t.figures.wrong_bytes),
        "right",
        60,
        colour=lambda t: bad(t.figures.wrong_bytes),
    ),
    Column(
        "dup",
        "Dup.",
        lambda t: t.figures.duplicate,
        lambda t: figures.count(t.figures.duplicate),
        "right",
        52,
        colour=lambda t: bad(t.figures.duplicate, "dup"),
    ),
    Column(
        "published",
        "Published",
        lambda t: t.published.success if t.published else None,
        lambda t: f"{t.published.success:.2f} %" if t.published else figures.UNKNOWN,
        "right",
        80,
        colour=lambda _t: "text2",
        tip=lambda t: f"{t.published.recorded_avg:,.2f} recorded; {t.published.source}" if t.published else "",
        fold=3,
    ),
    Column(
        "verdict",
        "Verdict",
        lambda t: conclusion_state(t.figures.conclusion)[1],
        width=116,
        kind="status",
        icon=lambda t: conclusion_state(t.figures.conclusion)[0],
        colour=lambda t: conclusion_state(t.figures.conclusion)[2],
        stretch=True,
    ),
]

SERVER_COLUMNS: list[Column[ServerFigures]] = [
    Column("server", "Server", lambda s: s.name, width=88, bold=True),
    Column("address", "Address", lambda s: s.url, width=160, cut="left", colour=lambda _s: "text2"),
    Column("requested", "Requested", lambda s: s.requested, lambda s: figures.count(s.requested), "right", 80),
    Column("read", "Read", lambda s: s.read, lambda s: figures.count(s.read), "right", 64, fold=3),
    Column("recorded", "Recorded", lambda s: s.recorded, lambda s: figures.count(s.recorded), "right", 76),
    Column(
        "missing",
        "Missing",
        lambda s: s.missing,
        lambda s: figures.count(s.missing),
        "right",
        68,
        colour=lambda s: bad(s.missing),
        bold=lambda s: s.missing > 0,
    ),
    Column(
        "late",
        "Late",
        lambda s: s.late,
        lambda s: figures.count(s.late),
        "right",
        52,
        colour=lambda s: bad(s.late, "late"),
    ),
    Column(
        "wrong",
        "Wrong",
        lambda s: s.wrong_bytes,
        lambda s: figures.count(s.wrong_bytes),
        "right",
        60,
        colour=lambda s: bad(s.wrong_bytes),
    ),
    Column(
        "dup",
        "Dup.",
        lambda s: s.duplicate,
        lambda s: figures.count(s.duplicate),
        "right",
        52,
        colour=lambda s: bad(s.duplicate, "dup"),
    ),
    Column(
        "failed",
        "Client failed",
        lambda s: s.client_failed,
        lambda s: figures.count(s.client_failed),
        "right",
        92,
        colour=lambda s: bad(s.client_failed, "mute"),
        shown=False,
    ),
    Column(
        "success",
        "Success",
        lambda s: s.success,
        lambda s: figures.success(s.matched + s.late, s.counted),
        "right",
        84,
    ),
    Column("asked", "Asked MiB", lambda s: s.bytes_asked, lambda s: figures.mib(s.bytes_asked), "right", 88, fold=1),
    Column("rec", "Rec. MiB", lambda s: s.bytes_recorded, lambda s: figures.mib(s.bytes_recorded), "right", 84, fold=2),
    Column("lost", "Lost at", lambda s: s.lost_at, width=108),
    Column(
        "cause",
        "Cause",
        lambda s: s.cause,
        lambda s: s.answer or figures.UNKNOWN,
        width=200,
        stretch=True,
        colour=lambda _s: "text2",
    ),
]

NOTE_COLUMNS: list[Column[NoteRow]] = [
    Column("time", "Time", lambda n: n.t, lambda n: when(n.t), width=184, colour=lambda _n: "text2"),
    Column("author", "Author", lambda n: n.author, width=120),
    Column("text", "Note", lambda n: n.text, width=600, stretch=True),
]
