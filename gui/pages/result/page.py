"""Result: one run, its tests and verdicts; the servers, requests, timeline, environment and notes of it.

The page asks its owner to read (`test_wanted` and others) and receives immutable views; it never accesses the database,
so nothing here can block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal, SignalInstance
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.environment import Fact
from gui.models.requests import REQUEST_COLUMNS, RequestRow, TestDetail
from gui.models.rows import filter_word
from gui.models.runs import RunView, TestRow
from gui.models.states import outcome_state
from gui.models.timeline import Timeline
from gui.pages.result.cards import CountCard
from gui.pages.result.columns import COUNTS, SERVER_COLUMNS, TEST_COLUMNS, when
from gui.pages.result.environment import EnvironmentTab
from gui.pages.result.notes import NotesTab
from gui.pages.result.timeline import TimelineTab
from gui.reconcile import ServerFigures, TestFigures
from gui.widgets.crumbs import Crumbs
from gui.widgets.message import Action, MessageBar
from gui.widgets.parts import Badge, Elided, Page, ReadoutBar, Splitter, TabBar, button, line
from gui.widgets.table import Empty, Table, empty_widget

TABS = ("servers", "requests", "timeline", "environment", "notes")
"""The names of the tabs, as in ``go("result", run=36, tab="requests")``."""

SAMPLE = 1000
"""Requests whose paths decide how wide that column is."""


class ResultPage(Page):
    """The page."""

    back_wanted = Signal()
    test_wanted = Signal(object)
    evidence_wanted = Signal(int)
    record_wanted = Signal(int)
    """The id of a record that nobody requested."""
    report_wanted = Signal(int)
    recheck_wanted = Signal(int)
    compare_wanted = Signal(int)
    run_wanted = Signal(int)
    """Another run, to be shown in place of this one."""
    leave_out_wanted = Signal(int, bool)
    """Whether what the plan of this run injected is to be left out of its figures."""
    baseline_wanted = Signal(int, bool)
    """Whether this run is to be the baseline, or no run any more."""
    bundle_wanted = Signal(int)
    note_wanted = Signal(int, str)
    note_change_wanted = Signal(int, int, str)
    """Run, number of one of its notes, and the note's new text."""
    note_delete_wanted = Signal(int, int)

    def __init__(self) -> None:
        super().__init__("Result")
        self.view: RunView | None = None
        self.test: TestRow | None = None
        self.busy = False
        self.crumbs = Crumbs(self.back_wanted.emit, "Back to all runs")
        self.crumbs.set_path([("Runs", self.back_wanted.emit)])
        self.badge = Badge()
        self.head.insertWidget(0, self.crumbs)
        self.head.insertWidget(2, self.badge)
        self.recheck_button = button("Re-check", "refresh", self._recheck, tip="Score the run again with all records")
        self.compare_button = button(
            "Compare…", "split", self._asks(self.compare_wanted), tip="Compare with another run"
        )
        self.baseline_button = button("Set baseline", "pin", self._baseline)
        self.report_button = button("Report…", "file", self._asks(self.report_wanted))
        self.bundle_button = button(
            "Save bundle…", "box", self._asks(self.bundle_wanted), tip="The whole run in one file, for another machine"
        )
        self._buttons = (
            self.recheck_button, self.compare_button, self.baseline_button, self.report_button, self.bundle_button
        )  # fmt: skip
        for widget in self._buttons:
            self.add_action(widget)
            widget.setEnabled(False)
        self.message = MessageBar()
        self.injected = MessageBar()
        self.foreign = MessageBar()
        """Says that a fault of another run was still on."""
        for bar in (self.message, self.foreign, self.injected):
            self.body.addWidget(bar)

        self.tests = Table("run-tests", "Tests", TEST_COLUMNS, key=lambda row: row.number)
        self.tests.bar_holder.hide()
        self.tests.selected.connect(self._choose_test)
        self._count_bar = self._make_counts()

        self.tabs = TabBar()
        for name in ("Servers", "Requests", "Timeline", "Environment", "Notes"):
            self.tabs.addTab(name)
        self.servers = Table("run-servers", "Servers", SERVER_COLUMNS, key=lambda s: s.server_id, hint="missing:>0")
        self.servers.activated.connect(self._show_server)
        self.missing_button = button("Show the missing", "miss", self._show_missing, kind="small")
        self.missing_button.hide()
        self.servers.bar.insertWidget(2, self.missing_button)
        self.requests = Table(
            "run-requests",
            "Requests",
            REQUEST_COLUMNS,
            key=lambda r: r.id,
            hint="verdict:missing server:s17",
        )
        self.requests.model.counts_changed.connect(self._count_requests)
        self._total_requests = 0
        self._unrequested = (0, 0)
        """Rows that are records which nobody requested, and how many of these there are."""
        self.requests.activated.connect(self._open_request)
        self.timeline = TimelineTab()
        self.timeline.evidence_wanted.connect(self.evidence_wanted)
        self.timeline.requests_wanted.connect(self.show_requests)
        self.environment = EnvironmentTab()
        self.notes = NotesTab()
        self.notes.note_wanted.connect(self._note)
        self.notes.change_wanted.connect(self._change_note)
        self.notes.delete_wanted.connect(self._delete_note)
        self.inner = QStackedWidget()
        for part in (self.servers, self.requests, self.timeline, self.environment, self.notes):
            self.inner.addWidget(part)
        self._folded = False
        self.tabs.currentChanged.connect(self._tab_changed)
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
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("result")
        split.addWidget(self.tests)
        split.addWidget(lower)
        split.setStretchFactor(1, 1)
        split.setChildrenCollapsible(False)
        self._split = split
        self._read: tuple[int, int] | None = None
        """Run and test whose servers and requests are in the tables."""
        self.stack = QStackedWidget()
        self.stack.addWidget(
            empty_widget(
                Empty(
                    "runs", "No run is open", "Open one from the list of runs.", (("All runs", "runs", self._go_back),)
                )
            )
        )
        self.stack.addWidget(split)
        self.stack.addWidget(empty_widget(Empty("run", "The run is being read")))
        self.body.addWidget(self.stack)

    def _make_counts(self) -> ReadoutBar:
        self.counts_title = Elided("", "section", least=128)
        self.counts_remark = Elided("", "caption")
        head = QVBoxLayout()
        head.setContentsMargins(16, 8, 16, 8)
        head.setSpacing(0)
        head.addWidget(self.counts_title)
        head.addWidget(self.counts_remark)
        self.unfold_button = button("", action=self._unfold, kind="link")
        self.unfold_button.hide()
        head.addWidget(self.unfold_button, 0, Qt.AlignmentFlag.AlignLeft)
        head.addStretch(1)
        counts = QHBoxLayout()
        counts.setContentsMargins(0, 4, 0, 4)
        counts.setSpacing(0)
        counts.addLayout(head)
        self.counts: dict[str, CountCard] = {}
        for name in COUNTS:
            counts.addWidget(line("vertical"))
            self.counts[name] = card = CountCard(name)
            card.clicked.connect(lambda name=name: self._show_verdict(name))
            counts.addWidget(card)
        counts.addStretch(1)
        return ReadoutBar(counts, [(self.counts[name].remark,) for name in ("late", "client failed", "matched")])

    # ---- called by the owner

    def show_run(self, view: RunView, test: int | None = None) -> None:
        """Show the result of one run, at this test (its number) or the one that says most."""
        same = self.view is not None and self.view.run.id == view.run.id
        self.view = view
        self.stack.setCurrentIndex(1)
        self._show_head()
        self.tests.set_rows(view.tests)
        self.tests.set_absent([] if any(test.published for test in view.tests) else ["published"])
        if not same:
            self._fit_tests(len(view.tests))
        self.notes.show_run(view)
        self.tabs.setTabText(4, f"Notes {len(view.notes)}" if view.notes else "Notes")
        if view.tests:
            keep = test or (self.test.number if same and self.test else opens_on(view.tests).number)
            self.tests.select_key(keep)
            self._choose_test(next((test for test in view.tests if test.number == keep), view.tests[0]))
        self._fold(TABS[self.tabs.currentIndex()] == "timeline", again=True)

    def show_test(self, detail: TestDetail) -> None:
        """Show the servers and requests of the selected test."""
        if self.test is None or detail.number != self.test.number:
            return
        self._read = (self.test.entry.run_id, detail.number)
        for table in (self.servers, self.requests):
            table.set_empty(Empty("fleet", "No request", "Nothing was requested in this test."))
        self.servers.set_rows(detail.servers)
        self._total_requests = detail.total_requests
        self._unrequested = (detail.unrequested, detail.total_unrequested)
        self.requests.set_rows(detail.requests)
        names = [server.name for server in detail.servers]
        self.requests.suggest_width("path", typical([row.path for row in detail.requests[:SAMPLE]]))
        self.requests.suggest_width("server", typical(names), most=144)
        self.servers.suggest_width("address", typical([server.url for server in detail.servers]), most=280)
        self.servers.suggest_width("server", typical(names), most=144)
        nothing = [] if any(row.behaviour for row in detail.requests) else ["behaviour"]
        nothing += [] if any((row.accesses or 1) > 1 for row in detail.requests) else ["accesses"]
        self.requests.set_absent(nothing)
        lossy = sum(server.missing > 0 for server in detail.servers)
        self.servers.set_counts(f"{len(detail.servers)}" + (f", {lossy} with missing records" if lossy else ""))
        self.tabs.setTabText(0, f"Servers {len(detail.servers)}")
        self.tabs.setTabText(1, f"Requests {detail.total_requests:,}")

    def show_environment(self, run: int, facts: Sequence[Fact]) -> None:
        """Show what was there when the run began."""
        if self.view is not None and self.view.run.id == run:
            self.environment.show_facts(facts)

    def show_timeline(self, timeline: Timeline) -> None:
        """Show what happened when in the chosen test."""
        self.timeline.show_timeline(timeline)

    def show_tab(self, name: str) -> None:
        """Show this tab, one of `TABS`."""
        self.tabs.setCurrentIndex(TABS.index(name))

    def show_requests(self, text: str) -> None:
        """Show the requests that pass this filter."""
        self.show_tab("requests")
        self.requests.filter_box.setText(text)
        self.requests.view.setFocus()

    def set_busy(self, text: str) -> None:
        """Show that the run is being scored again; an empty text ends that."""
        self.busy = bool(text)
        self.recheck_button.setText("Re-checking…" if text else "Re-check")
        self.recheck_button.setEnabled(not text and self.view is not None)
        if text:
            self.message.busy(text)

    def say(self, text: str, colour: str = "ok", actions: Sequence[Action] = ()) -> None:
        """Say what was done."""
        self.message.say(text, colour=colour, actions=actions)

    def note_refused(self, text: str) -> None:
        """The new note was not kept."""
        self.notes.show_error(text)

    def visible_requests(self) -> tuple[int, ...]:
        """The ids of the requests that pass the filter, in the order of the table."""
        return tuple(request.id for request in self.requests.model.rows.visible if not request.record)

    def clear(self) -> None:
        """Show no run."""
        self.view = self.test = self._read = None
        self.stack.setCurrentIndex(0)
        for table in (self.tests, self.servers, self.requests):
            table.set_rows(())
        self.notes.clear()
        self.message.dismiss()
        self.injected.dismiss()
        self.foreign.dismiss()
        self.title.setText("Result")
        self.remark.setText("")
        self.badge.hide()
        for widget in self._buttons:
            widget.setEnabled(False)
        self.timeline.clear()
        self.environment.show_facts(())

    def begin(self, run: int) -> None:
        """Show that this run is being read."""
        self.clear()
        self.title.setText(f"Run {run}")
        self.remark.setText("is being read")
        self.stack.setCurrentIndex(2)

    # ---- inside

    def _show_head(self) -> None:
        view = self.view
        assert view is not None
        self.title.setText(f"Run {view.run.id}")
        self.badge.set_state(*outcome_state(view.outcome))
        self.badge.show()
        for widget in self._buttons:
            widget.setEnabled(True)
        self.recheck_button.setEnabled(view.outcome != "running" and not self.busy)
        baseline = view.run.baseline
        self.baseline_button.setText("Remove baseline" if baseline else "Set baseline")
        self.baseline_button.setToolTip(
            "Other runs are compared with this one" if baseline else "Compare other runs with this one"
        )
        self._show_injected(view)
        self._show_foreign(view)
        repeats = max((test.figures.repeats for test in view.tests), default=0)
        times = f"{repeats} repeat{'s' if repeats != 1 else ''}"
        self.remark.setText(f"{view.sentence} · {view.run.name}, {times}, {when(view.run.started)}")

    def _show_foreign(self, view: RunView) -> None:
        """Say that the run began with a fault that is not its own; this stays as long as the figures do."""
        words = view.still_on
        if not words:
            self.foreign.dismiss()
            return
        text = f"{words[:1].upper()}{words[1:]} when this run began: what it lost is not this run's own."
        run = next((fault.run for fault in view.foreign if fault.run), 0)
        actions = ((f"Open run {run}", "runs", lambda: self.run_wanted.emit(run)),) if run else ()
        self.foreign.say(text, colour="warn", symbol="zap", actions=actions, stays=True)

    def _show_injected(self, view: RunView) -> None:
        """Both figures of a run whose plan lost records itself."""
        if not view.injected:
            self.injected.dismiss()
            return
        run, count = view.run.id, figures.count(view.injected)
        every, others = view.success_both
        missing = sum(test.figures.missing + test.figures.left_out for test in view.tests)
        requests = f"{count} missing request{'s' if view.injected != 1 else ''}"
        if view.without_injected:
            words = f"{requests} left out, which the plan injected: {others}. With {_them(view.injected)}: {every}."
            action = ("Count them again", "undo", lambda: self.leave_out_wanted.emit(run, False))
        else:
            of = f"{count} of the {figures.count(missing)} missing" if view.injected != missing else f"The {requests}"
            words = f"{of} {'were' if view.injected != 1 else 'was'} injected by the plan. Success {every}; without "
            words += f"{_them(view.injected)} {others}."
            action = (f"Leave the {count} injected out", "cfail", lambda: self.leave_out_wanted.emit(run, True))
        self.injected.say(words, colour="warn", symbol="zap", actions=(action,), stays=view.without_injected)

    def _choose_test(self, test: TestRow | None) -> None:
        if test is None or self.view is None:
            return
        self.test = test
        f = test.figures
        name = f" · {test.entry.spec.name}" if test.entry.spec.name else ""
        self.counts_title.setText(f"Test {test.number}{name}, {f.repeats} repeat{'s' if f.repeats != 1 else ''}")
        self.counts_remark.setText(f"{f.total:,} requests, {test.entry.spec.servers} servers")
        remarks = {
            "matched": figures.success(f.matched, f.counted),
            "missing": _injected_words(f),
            "late": "counted" if f.late else "",
            "client failed": "not counted" if f.client_failed else "",
            "not waited": "not counted" if f.not_waited else "",
        }
        for name, (symbol, colour) in COUNTS.items():
            value = int(getattr(f, name.replace(" ", "_")))
            card = self.counts[name]
            card.set_icon(symbol, colour if value else "mute", colour if value else "mute")
            card.set(figures.count(value), remarks.get(name, ""))
            what = "the records that nobody requested" if name == "unrequested" else f"the requests that are {name}"
            card.set_leads(value > 0, f"Show {what}")
        self.missing_button.setVisible(f.missing > 0)
        self.missing_button.setText(f"Show the {f.missing:,} missing")
        self.timeline.show_test(self.view, test)
        if self._read != (self.view.run.id, test.number):
            self._show_reading(test)
        self.test_wanted.emit(test)

    def _show_reading(self, test: TestRow) -> None:
        """Say that the servers and requests of this test are being read, in place of those of another one."""
        self._read = None
        self._total_requests, self._unrequested = 0, (0, 0)
        what = f"Test {test.number} is being read"
        reason = f"{figures.count(test.figures.total)} requests of {figures.count(test.entry.spec.servers)} servers."
        for table, name in ((self.servers, "Servers"), (self.requests, "Requests")):
            table.set_empty(Empty("run", what, reason))
            table.set_rows(())
            table.set_counts("")
            self.tabs.setTabText(TABS.index(name.lower()), name)

    def _count_requests(self) -> None:
        rows = self.requests.model.rows
        listed, all_records = self._unrequested
        records = sum(row.record != 0 for row in rows.visible) if listed else 0
        shown, loaded, total = len(rows.visible) - records, len(rows.all) - listed, self._total_requests
        words = f"{shown:,} of {total:,}" if shown != total else f"{total:,}"
        if loaded < total:
            words += f" ({loaded:,} listed: all that are not matched, and the first that are)"
        if all_records:
            some = f"{records:,} of " if records != all_records else ""
            words += f", and {some}{all_records:,} record{'s' if all_records != 1 else ''} that nobody requested"
        self.requests.set_counts(words if total else "")

    def _open_request(self, row: RequestRow) -> None:
        if row.record:
            self.record_wanted.emit(row.record)
        else:
            self.evidence_wanted.emit(row.id)

    def _go_back(self) -> None:
        self.back_wanted.emit()

    def _show_missing(self) -> None:
        self._show_verdict("missing")

    def _show_verdict(self, name: str) -> None:
        """The requests of a card; of the missing, those that it counts."""
        word = filter_word("verdict", name)
        left_out = self.test is not None and self.test.figures.left_out > 0
        self.show_requests(f"{word} -cause:injected" if name == "missing" and left_out else word)

    def _show_server(self, server: ServerFigures) -> None:
        self.show_requests(filter_word("server", server.name, exact=True))

    def _tab_changed(self, number: int) -> None:
        self.inner.setCurrentIndex(number)
        self._fold(TABS[number] == "timeline")

    def _fold(self, on: bool, *, again: bool = False) -> None:
        """Leave only the chosen test in the table, which makes room for the timeline; or show all again."""
        view, test = self.view, self.test
        on = on and view is not None and test is not None and len(view.tests) > 1
        if view is None or (on == self._folded and not (on and again)):
            return
        self._folded = on
        rows = (test,) if on and test is not None else view.tests
        self.tests.set_rows(rows)
        self._fit_tests(len(rows))
        if test is not None:
            self.tests.select_key(test.number)
        self.counts_remark.setVisible(not on)
        self.unfold_button.setText(f"Show all {len(view.tests)} tests")
        self.unfold_button.setMinimumWidth(self.unfold_button.sizeHint().width())
        self.unfold_button.setVisible(on)

    def _unfold(self) -> None:
        self._fold(False)
        self.tests.view.setFocus()

    def _fit_tests(self, count: int) -> None:
        """Make room for all tests, up to the eight of the published table; the rest is for what is below."""
        height = 24 * (1 + min(8, max(1, count))) + 8
        whole = sum(self._split.sizes()) or 760
        self._split.setSizes([height, max(300, whole - height)])

    def _recheck(self) -> None:
        if self.view is not None:
            self.recheck_wanted.emit(self.view.run.id)

    def _baseline(self) -> None:
        if self.view is not None:
            self.baseline_wanted.emit(self.view.run.id, not self.view.run.baseline)

    def _note(self, text: str) -> None:
        if self.view is not None:
            self.note_wanted.emit(self.view.run.id, text)

    def _change_note(self, number: int, text: str) -> None:
        if self.view is not None:
            self.note_change_wanted.emit(self.view.run.id, number, text)

    def _delete_note(self, number: int) -> None:
        if self.view is not None:
            self.note_delete_wanted.emit(self.view.run.id, number)

    def _asks(self, signal: SignalInstance) -> Callable[[], None]:
        """What a button does that asks for something about this run."""

        def ask() -> None:
            if self.view is not None:
                signal.emit(self.view.run.id)

        return ask


def _them(count: int) -> str:
    return "them" if count != 1 else "it"


def _injected_words(f: TestFigures) -> str:
    if f.left_out:
        return f"{figures.count(f.left_out)} injected left out"
    return f"{figures.count(f.injected)} injected" if f.injected else ""


def typical(texts: Sequence[str]) -> str:
    """The text that 95 of 100 are not longer than: a few very long ones are cut, and do not take all room."""
    ordered = sorted(texts, key=len)
    return ordered[(len(ordered) * 95 - 1) // 100] if ordered else ""


def opens_on(tests: Sequence[TestRow]) -> TestRow:
    """The test that a run opens on: the last one with results; where nothing has any, the first."""
    return next((test for test in reversed(tests) if test.figures.counted), tests[0])
