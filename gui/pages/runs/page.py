"""Runs: the history, and the result of one run: its tests, verdicts, servers, requests, and the evidence of a request.

The page asks its owner to read (`run_wanted`, `test_wanted`, `evidence_wanted`) and receives immutable views; it never
accesses the database, so nothing here can block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui.models import figures
from gui.models.rows import Column
from gui.models.runs import RunView, TestDetail, TestRow
from gui.models.states import outcome_state
from gui.reconcile import Ladder, Rung, ServerFigures
from gui.store import NoteRow, RequestEntry, VerdictKind
from gui.widgets.icons import pixmap
from gui.widgets.parts import Badge, Elided, Page, Readout, ReadoutBar, TabBar, button, label, line
from gui.widgets.table import Empty, Table
from gui.widgets.theme import theme

CONCLUSIONS = {
    "pass": ("ok", "pass", "ok"),
    "fail": ("bad", "FAIL", "bad"),
    "inconclusive": ("warn", "inconclusive", "warn"),
    "none": ("ring", "no result", "mute"),
}

VERDICTS = {
    VerdictKind.MATCHED: ("ok", "matched", "ok"),
    VerdictKind.WRONG_BYTES: ("wrong", "wrong bytes", "bad"),
    VerdictKind.MISSING: ("miss", "missing", "bad"),
    VerdictKind.DUPLICATE: ("dup", "duplicate", "dup"),
    VerdictKind.CLIENT_FAILED: ("cfail", "client failed", "mute"),
    VerdictKind.LATE: ("clock", "late", "late"),
    VerdictKind.NOT_WAITED: ("ring", "not waited", "mute"),
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


def _when(moment: float | None) -> str:
    return figures.UNKNOWN if moment is None else time.strftime("%d %b %H:%M:%S", time.localtime(moment))


def _conclusion(name: str) -> tuple[str, str, str]:
    return CONCLUSIONS.get(name, CONCLUSIONS["none"])


def _bad(count: int, colour: str = "bad") -> str:
    return colour if count else "text3"


RUN_COLUMNS: list[Column[RunView]] = [
    Column("run", "Run", lambda v: v.run.id, align="right", width=72, bold=True),
    Column("name", "Plan", lambda v: v.run.name, width=220, stretch=True),
    Column(
        "verdict",
        "Verdict",
        lambda v: outcome_state(v.outcome)[1],
        width=128,
        kind="status",
        icon=lambda v: outcome_state(v.outcome)[0],
        colour=lambda v: outcome_state(v.outcome)[2],
    ),
    Column("success", "Success", lambda v: _share(v), lambda v: v.success, "right", 104, bold=True),
    Column("tests", "Tests", lambda v: len(v.tests), align="right", width=72, fold=1),
    Column(
        "requests",
        "Requests",
        lambda v: sum(t.figures.total for t in v.tests),
        lambda v: figures.count(sum(t.figures.total for t in v.tests)),
        "right",
        104,
    ),
    Column(
        "missing",
        "Missing",
        lambda v: sum(t.figures.missing for t in v.tests),
        lambda v: figures.count(sum(t.figures.missing for t in v.tests)),
        "right",
        88,
        colour=lambda v: _bad(sum(t.figures.missing for t in v.tests)),
    ),
    Column("started", "Started", lambda v: v.run.started or v.run.created, lambda v: _when(v.run.started), width=160),
    Column(
        "took",
        "Took",
        lambda v: None if v.run.started is None or v.run.ended is None else v.run.ended - v.run.started,
        lambda v: figures.duration(
            None if v.run.started is None or v.run.ended is None else v.run.ended - v.run.started
        ),
        "right",
        112,
        colour=lambda _v: "text2",
    ),
    Column("message", "Message", lambda v: v.run.message, width=240, colour=lambda _v: "text2", shown=False),
]


def _share(view: RunView) -> float | None:
    counted = sum(t.figures.counted for t in view.tests)
    return 100 * sum(t.figures.good for t in view.tests) / counted if counted else None


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
    Column("rate", "Req. rate", lambda t: t.entry.spec.per_round, lambda t: f"{t.entry.spec.per_round}/s", "right", 72),
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
        colour=lambda t: _bad(t.figures.missing),
    ),
    Column(
        "wrong",
        "Wrong",
        lambda t: t.figures.wrong_bytes,
        lambda t: figures.count(t.figures.wrong_bytes),
        "right",
        60,
        colour=lambda t: _bad(t.figures.wrong_bytes),
    ),
    Column(
        "dup",
        "Dup.",
        lambda t: t.figures.duplicate,
        lambda t: figures.count(t.figures.duplicate),
        "right",
        52,
        colour=lambda t: _bad(t.figures.duplicate, "dup"),
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
        lambda t: _conclusion(t.figures.conclusion)[1],
        width=116,
        kind="status",
        icon=lambda t: _conclusion(t.figures.conclusion)[0],
        colour=lambda t: _conclusion(t.figures.conclusion)[2],
        stretch=True,
    ),
]

SERVER_COLUMNS: list[Column[ServerFigures]] = [
    Column("server", "Server", lambda s: s.name, width=88, bold=True),
    Column("address", "Address", lambda s: s.url, width=160, stretch=True, colour=lambda _s: "text2"),
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
        colour=lambda s: _bad(s.missing),
        bold=lambda s: s.missing > 0,
    ),
    Column(
        "late",
        "Late",
        lambda s: s.late,
        lambda s: figures.count(s.late),
        "right",
        52,
        colour=lambda s: _bad(s.late, "late"),
    ),
    Column(
        "wrong",
        "Wrong",
        lambda s: s.wrong_bytes,
        lambda s: figures.count(s.wrong_bytes),
        "right",
        60,
        colour=lambda s: _bad(s.wrong_bytes),
    ),
    Column(
        "dup",
        "Dup.",
        lambda s: s.duplicate,
        lambda s: figures.count(s.duplicate),
        "right",
        52,
        colour=lambda s: _bad(s.duplicate, "dup"),
    ),
    Column(
        "failed",
        "Client failed",
        lambda s: s.client_failed,
        lambda s: figures.count(s.client_failed),
        "right",
        92,
        colour=lambda s: _bad(s.client_failed, "mute"),
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
        colour=lambda _s: "text2",
    ),
]

REQUEST_COLUMNS: list[Column[RequestEntry]] = [
    Column(
        "verdict",
        "Verdict",
        lambda r: _verdict(r)[1],
        width=132,
        kind="status",
        icon=lambda r: _verdict(r)[0],
        colour=lambda r: _verdict(r)[2],
    ),
    Column("tag", "Tag", lambda r: r.tag, width=84, kind="fixed"),
    Column("path", "Path", lambda r: r.path, width=216, stretch=True, cut="left"),
    Column("server", "Server", lambda r: r.server, width=72),
    Column("client", "Client", lambda r: r.agent.rpartition("/")[2], width=72, fold=5),
    Column("round", "Round", lambda r: r.round, align="right", width=60, fold=1),
    Column("asked", "Asked B", lambda r: r.asked, lambda r: figures.count(r.asked), "right", 88),
    Column(
        "got",
        "Read B",
        lambda r: r.read_got + r.readv_got + r.written,
        lambda r: figures.count(r.read_got + r.readv_got + r.written),
        "right",
        88,
        fold=4,
    ),
    Column("rec", "Recorded B", lambda r: _recorded(r), lambda r: figures.count(_recorded(r)), "right", 92),
    Column(
        "accesses",
        "Accesses",
        lambda r: r.accesses,
        lambda r: figures.count(r.accesses),
        "right",
        76,
        tip=lambda r: f"recovered ×{r.accesses}" if (r.accesses or 0) > 1 else "",
        fold=3,
    ),
    Column(
        "behaviour", "Known behaviour", lambda r: ", ".join(r.behaviours), width=128, colour=lambda _r: "text2", fold=2
    ),
    Column("lost", "Lost at", lambda r: r.lost_at, width=96),
    Column("cause", "Cause", lambda r: r.answer or r.error, width=160, colour=lambda _r: "text2"),
]


def _verdict(request: RequestEntry) -> tuple[str, str, str]:
    return VERDICTS[request.verdict] if request.verdict is not None else ("ring", "not scored", "mute")


def _recorded(request: RequestEntry) -> int | None:
    if request.verdict is None or request.verdict in (VerdictKind.MISSING, VerdictKind.NOT_WAITED):
        return None
    if request.recorded_read is None:
        return request.asked
    return request.recorded_read + (request.recorded_readv or 0) + (request.recorded_write or 0)


LEAST_REQUESTS = 136
"""Pixels of the request table above the evidence: the bar, the header and three rows."""

NOTE_COLUMNS: list[Column[NoteRow]] = [
    Column("time", "Time", lambda n: n.t, lambda n: _when(n.t), width=160, colour=lambda _n: "text2"),
    Column("author", "Author", lambda n: n.author, width=120),
    Column("text", "Note", lambda n: n.text, width=600, stretch=True),
]


class RunsPage(Page):
    """The page."""

    run_wanted = Signal(int)
    test_wanted = Signal(object)
    evidence_wanted = Signal(int)
    report_wanted = Signal(int)
    recheck_wanted = Signal(int)

    def __init__(self, actions: tuple[tuple[str, str, Callable[[], object]], ...] = ()) -> None:
        super().__init__("Runs")
        self._view: RunView | None = None
        self._test: TestRow | None = None
        self.back_button = button("", "left", self.show_list, kind="plain", tip="Back to all runs")
        self.badge = Badge()
        self.head.insertWidget(0, self.back_button)
        self.head.insertWidget(2, self.badge)
        self.recheck_button = button("Re-check", "refresh", self._recheck, tip="Score the run again with all records")
        self.report_button = button("Report…", "file", self._report)
        for widget in (self.recheck_button, self.report_button):
            self.add_action(widget)

        self.runs = Table(
            "runs",
            "History",
            RUN_COLUMNS,
            key=lambda view: view.run.id,
            hint="verdict:FAIL",
            empty=Empty("runs", "No runs in this workspace yet", "Each run is listed here with its verdicts.", actions),
        )
        self.runs.activated.connect(lambda view: self.run_wanted.emit(view.run.id))

        self.tests = Table("run-tests", "Tests", TEST_COLUMNS, key=lambda row: row.number)
        self.tests.bar_holder.hide()
        self.tests.selected.connect(self._choose_test)
        self.counts_title = Elided("", "section", least=128)
        self.counts_remark = Elided("", "caption")
        head = QVBoxLayout()
        head.setContentsMargins(16, 8, 16, 8)
        head.setSpacing(0)
        head.addWidget(self.counts_title)
        head.addWidget(self.counts_remark)
        head.addStretch(1)
        counts = QHBoxLayout()
        counts.setContentsMargins(0, 4, 0, 4)
        counts.setSpacing(0)
        counts.addLayout(head)
        self.counts: dict[str, Readout] = {}
        for name in COUNTS:
            counts.addWidget(line("vertical"))
            self.counts[name] = Readout(name)
            counts.addWidget(self.counts[name])
        counts.addStretch(1)
        self._count_bar = ReadoutBar(
            counts, [(self.counts[name].remark,) for name in ("late", "client failed", "matched")]
        )

        self.tabs = TabBar()
        for name in ("Servers", "Requests", "Notes"):
            self.tabs.addTab(name)
        self.servers = Table("run-servers", "Servers", SERVER_COLUMNS, key=lambda s: s.server_id, hint="missing:>0")
        self.requests = Table(
            "run-requests", "Requests", REQUEST_COLUMNS, key=lambda r: r.id, hint="verdict:missing server:s17"
        )
        self.notes = Table(
            "run-notes",
            "Notes",
            NOTE_COLUMNS,
            key=lambda n: n.id,
            empty=Empty("file", "No notes", "Notes on this run, and what later scorings changed, are listed here."),
        )
        self.evidence = EvidencePanel()
        self.evidence.hide()
        self.requests.selected.connect(self._choose_request)
        request_side = QSplitter(Qt.Orientation.Vertical)
        request_side.setObjectName("requests")
        request_side.addWidget(self.requests)
        request_side.addWidget(self.evidence)
        request_side.setStretchFactor(0, 1)
        self._request_side = request_side
        request_side.setChildrenCollapsible(False)
        self.requests.setMinimumHeight(LEAST_REQUESTS)
        self.evidence.setMinimumHeight(72)
        self.inner = QStackedWidget()
        for part in (self.servers, request_side, self.notes):
            self.inner.addWidget(part)
        self.tabs.currentChanged.connect(self.inner.setCurrentIndex)
        tab_row = QHBoxLayout()
        tab_row.setContentsMargins(8, 0, 16, 0)
        tab_row.addWidget(self.tabs)
        tab_row.addStretch(1)
        lower = QWidget()
        lower_column = QVBoxLayout(lower)
        lower_column.setContentsMargins(0, 0, 0, 0)
        lower_column.setSpacing(0)
        lower_column.addWidget(self._count_bar)
        lower_column.addWidget(line())
        lower_column.addLayout(tab_row)
        lower_column.addWidget(line())
        lower_column.addWidget(self.inner, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setObjectName("result")
        split.addWidget(self.tests)
        split.addWidget(lower)
        split.setStretchFactor(1, 1)
        split.setChildrenCollapsible(False)
        self._split = split
        self.stack = QStackedWidget()
        self.stack.addWidget(self.runs)
        self.stack.addWidget(split)
        self.body.addWidget(self.stack)
        self.show_list()

    # ---- called by the owner

    def set_runs(self, views: Sequence[RunView]) -> None:
        """Show all runs, latest first."""
        self.runs.set_rows(views)
        self.runs.set_counts(f"{len(views):,}" if views else "none")

    def show_run(self, view: RunView) -> None:
        """Show the result of one run."""
        same = self._view is not None and self._view.run.id == view.run.id
        self._view = view
        self.stack.setCurrentIndex(1)
        self._show_head()
        self.tests.set_rows(view.tests)
        if not same:
            self._fit_tests(len(view.tests))
        self.notes.set_rows(view.notes)
        self.tabs.setTabText(2, f"Notes {len(view.notes)}" if view.notes else "Notes")
        if view.tests:
            keep = self._test.number if same and self._test else view.tests[-1].number
            self.tests.select_key(keep)
            self._choose_test(next((test for test in view.tests if test.number == keep), view.tests[0]))

    def show_test(self, detail: TestDetail) -> None:
        """Show the servers and requests of the selected test."""
        if self._test is None or detail.number != self._test.number:
            return
        self.servers.set_rows(detail.servers)
        self.requests.set_rows(detail.requests)
        lossy = sum(server.missing > 0 for server in detail.servers)
        self.servers.set_counts(f"{len(detail.servers)}" + (f", {lossy} with missing records" if lossy else ""))
        shown = len(detail.requests)
        all_of_them = f"{detail.total_requests:,}"
        self.requests.set_counts(all_of_them if shown == detail.total_requests else f"{shown:,} of {all_of_them}")
        self.tabs.setTabText(0, f"Servers {len(detail.servers)}")
        self.tabs.setTabText(1, f"Requests {detail.total_requests:,}")

    def show_evidence(self, request_id: int, ladder: Ladder | None) -> None:
        """Show where the record of a request was lost."""
        current = self.requests.current()
        if current is not None and current.id == request_id:
            self.evidence.show_ladder(current, ladder)
            if self.evidence.isHidden():
                self.evidence.show()
                self._fit_evidence()

    def show_list(self) -> None:
        """Show all runs."""
        self._view = self._test = None
        self.stack.setCurrentIndex(0)
        self._show_head()

    # ---- inside

    def _show_head(self) -> None:
        view = self._view
        for widget in (self.back_button, self.badge, self.recheck_button, self.report_button):
            widget.setVisible(view is not None)
        if view is None:
            self.title.setText("Runs")
            self.remark.setText("")
            return
        self.title.setText(f"Run {view.run.id}")
        self.badge.set_state(*outcome_state(view.outcome))
        repeats = max((test.figures.repeats for test in view.tests), default=0)
        times = f"{repeats} repeat{'s' if repeats != 1 else ''}"
        self.remark.setText(f"{view.sentence} · {view.run.name}, {times}, {_when(view.run.started)}")

    def _choose_test(self, test: TestRow | None) -> None:
        if test is None:
            return
        self._test = test
        f = test.figures
        name = f" · {test.entry.spec.name}" if test.entry.spec.name else ""
        self.counts_title.setText(f"Test {test.number}{name}, {f.repeats} repeat{'s' if f.repeats != 1 else ''}")
        self.counts_remark.setText(f"{f.total:,} requests, {test.entry.spec.servers} servers")
        share = figures.success(f.matched, f.counted)
        for name, (symbol, colour) in COUNTS.items():
            value = int(getattr(f, name.replace(" ", "_")))
            self.counts[name].set_icon(symbol, colour if value else "mute", colour if value else "mute")
        self.counts["matched"].set(figures.count(f.matched), share)
        self.counts["late"].set(figures.count(f.late), "counted" if f.late else "")
        self.counts["missing"].set(figures.count(f.missing))
        self.counts["wrong bytes"].set(figures.count(f.wrong_bytes))
        self.counts["duplicate"].set(figures.count(f.duplicate))
        self.counts["client failed"].set(figures.count(f.client_failed), "not counted" if f.client_failed else "")
        self.counts["not waited"].set(figures.count(f.not_waited), "not counted" if f.not_waited else "")
        self.counts["unrequested"].set(figures.count(f.unrequested))
        self.evidence.hide()
        self.test_wanted.emit(test)

    def _choose_request(self, request: RequestEntry | None) -> None:
        if request is None:
            self.evidence.hide()
        else:
            self.evidence_wanted.emit(request.id)

    def _fit_tests(self, count: int) -> None:
        """Make room for all tests, up to the eight of the published table; the rest is for what is below."""
        height = 24 * (1 + min(8, max(1, count))) + 8
        whole = sum(self._split.sizes()) or 760
        self._split.setSizes([height, max(300, whole - height)])

    def _fit_evidence(self) -> None:
        """Give the evidence its full height, but keep some rows of requests; after that the user moves the divider."""
        whole = sum(self._request_side.sizes())
        height = min(self.evidence.whole_height(), whole - LEAST_REQUESTS)
        self._request_side.setSizes([whole - height, height])

    def _recheck(self) -> None:
        if self._view is not None:
            self.recheck_wanted.emit(self._view.run.id)

    def _report(self) -> None:
        if self._view is not None:
            self.report_wanted.emit(self._view.run.id)


RUNG_STATES = {
    "passed": ("ok", "ok"),
    "lost": ("bad", "bad"),
    "not reached": ("ring", "mute"),
    "unknown": ("unreq", "mute"),
}


class EvidencePanel(QScrollArea):
    """One request: its verdict, what the client did, and the loss ladder where the record is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.title = Elided("", "section", least=160)
        self.badge = Badge()
        self.answer = label("")
        self.answer.setWordWrap(True)
        self._rungs: tuple[Rung, ...] = ()
        self._rows: list[tuple[QLabel, QLabel, QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(3, 1)
        self._grid.setColumnMinimumWidth(1, 88)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.badge)
        head.addStretch(1)
        self._inside = QWidget()
        self.setWidget(self._inside)
        column = QVBoxLayout(self._inside)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.answer)
        column.addLayout(self._grid)
        column.addStretch(1)
        theme().changed.connect(self._show_rungs)

    def whole_height(self) -> int:
        """The height at which nothing needs scrolling."""
        return self._inside.sizeHint().height() + 8

    def show_ladder(self, request: RequestEntry, ladder: Ladder | None) -> None:
        """Fill the panel; without a ladder, nothing was lost."""
        self.title.setText(f"{request.tag}  {request.path}  at {request.server}")
        self.badge.set_state(*_verdict(request))
        if ladder is None:
            words = {
                VerdictKind.CLIENT_FAILED: request.error or "The client did not finish this request.",
                VerdictKind.NOT_WAITED: f"{request.cause[:1].upper()}{request.cause[1:]}.",
                VerdictKind.WRONG_BYTES: "The recorded bytes differ from the requested bytes"
                + (f": {', '.join(request.behaviours)}." if request.behaviours else "."),
            }
            text = words.get(request.verdict, "Nothing was lost.") if request.verdict is not None else ""
            self.answer.setText(text)
        else:
            more = len(ladder.together) - 1
            with_it = (
                f" Lost with the same datagram: {more:,} other request{'s' if more > 1 else ''}." if more > 0 else ""
            )
            self.answer.setText(f"{ladder.answer}.{with_it}" if with_it else ladder.answer)
        self._rungs = ladder.rungs if ladder else ()
        self._show_rungs()

    def _show_rungs(self) -> None:
        while len(self._rows) < len(self._rungs):
            cells = (QLabel(), label("", "section"), label(), label("", "secondary"))
            cells[3].setWordWrap(True)
            for place, cell in enumerate(cells):
                self._grid.addWidget(cell, len(self._rows), place)
            self._rows.append(cells)
        for number, cells in enumerate(self._rows):
            shown = number < len(self._rungs)
            for cell in cells:
                cell.setVisible(shown)
            if shown:
                rung = self._rungs[number]
                symbol, colour = RUNG_STATES[rung.state]
                picture, stage, state, evidence = cells
                picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
                stage.setText(rung.stage)
                state.setText("lost here" if rung.state == "lost" else rung.state)
                state.setStyleSheet(f"color: {theme().hex(colour)};")
                evidence.setText(rung.evidence)
