"""Evidence: one request, stage by stage: what each program saw of it, when, and how sure that is.

The page receives an immutable view and asks its owner for everything else; it never accesses the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.course import Advice, Command, CourseView, Fact
from gui.models.plain import straight
from gui.models.rows import Column
from gui.pages.evidence.side import Strips, WhenPlot
from gui.pages.evidence.stages import StageList
from gui.widgets.crumbs import Crumbs
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Badge, Elided, Page, breakable, button, label, line, plain_tip
from gui.widgets.shortcuts import add_key
from gui.widgets.table import Empty, Table, empty_widget
from gui.widgets.theme import fixed_font, theme

Lost = tuple[int, str, str, int, float | None]

TOGETHER_COLUMNS: list[Column[Lost]] = [
    Column("file", "File", lambda r: r[1], width=160, stretch=True, cut="left"),
    Column("tag", "Tag", lambda r: r[2], width=84, kind="fixed", fold=1),
    Column("bytes", "Bytes", lambda r: r[3], lambda r: figures.count(r[3]), "right", 88, fold=2),
    Column("closed", "Closed", lambda r: r[4], lambda r: figures.clock(r[4]), "right", 116),
]
SIDE, NARROW_SIDE = 456, 376
ROOMY = 1280
"""Pixels from which on there is room for everything."""
LEAST = 1000
LAST_ROW = 99
USUAL = 7
"""Facts of a request that is missing."""
FOCUS = Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard


class EvidencePage(Page):
    """The page. `step` is -1 or 1: the request before or after this one in the list that it was opened from."""

    runs_wanted = Signal()
    run_wanted = Signal()
    list_wanted = Signal()
    step_wanted = Signal(int)
    request_wanted = Signal(int)
    datagrams_wanted = Signal()
    together_wanted = Signal(str)
    leave_out_wanted = Signal()
    """What the plan injected is to be left out of the run's figures."""
    fault_wanted = Signal()
    without_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("")
        self.view: CourseView | None = None
        self.crumbs = Crumbs(self.list_wanted.emit, "Back to the requests  Esc")
        self.badge = Badge()
        self.injected = Badge()
        self.injected.set_state("zap", "", "warn")
        self.head.insertWidget(0, self.crumbs)
        self.head.insertWidget(2, self.badge)
        self.head.insertWidget(3, self.injected)
        self.remark.hide()
        self.place = label("", "secondary")
        self.before = button("", "up", lambda: self.step_wanted.emit(-1), tip="The request before  Alt+Up")
        self.after = button("", "down", lambda: self.step_wanted.emit(1), tip="The next request  Alt+Down")
        self.datagrams = button("Open datagrams", "search", self.datagrams_wanted.emit)
        self.copy = button("Copy evidence", "copy", self._copy, tip="Everything on this page as text")
        self.add_action(self.place)
        for widget in (self.before, self.after, self.datagrams, self.copy):
            self.add_action(widget)
        add_key(self, "Request before", "Alt+Up", lambda: self.step_wanted.emit(-1))
        add_key(self, "Next request", "Alt+Down", lambda: self.step_wanted.emit(1))
        back = add_key(self, "Back to the requests", "Esc", self.list_wanted.emit)
        back.setShortcuts(QKeySequence.listFromString("Esc; Alt+Left"))
        self.facts = FactLine()
        self.stages = StageList()
        self.advice = AdviceBox()
        self.leave_out = button("Leave the injected out", "cfail", self.leave_out_wanted.emit)
        self.open_fault = button("Open the fault in the plan", "plans", self.fault_wanted.emit)
        self.run_without = button("Run without it", "play", self.without_wanted.emit)
        self.run_without.setToolTip("Run the plan of this run again, without this fault")
        self.advice.set_actions(self.leave_out, self.open_fault, self.run_without)
        left = QVBoxLayout()
        left.setContentsMargins(0, 0, 0, 16)
        left.setSpacing(0)
        left.addWidget(self.stages)
        left.addWidget(self.advice)
        left.addStretch(1)
        self.strips_title, self.strips_remark = label("", "section"), Elided("", "caption")
        self.strips = Strips()
        self.strips_foot = Elided("Gaps belong to the server id inside the datagram, not to its address.", "caption")
        self.strips_foot.setContentsMargins(16, 6, 16, 8)
        self.when_title, self.when_remark = label("", "section"), Elided("", "caption")
        self.when = WhenPlot()
        self.together_title = Elided("Lost with the same datagram", "section", least=120)
        self.together_count = label("", "caption")
        self.filter_button = button("Filter to these", "filter", self._filter, kind="small")
        self.together = Table("evidence-together", "Lost with the same datagram", TOGETHER_COLUMNS, key=lambda r: r[0])
        self.together.bar_holder.hide()
        self.together.activated.connect(lambda row: self.request_wanted.emit(row[0]))
        self.nothing = label("", "secondary")
        self.nothing.setWordWrap(True)
        self.nothing.setContentsMargins(16, 12, 16, 12)
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        self._strips_parts = (
            _titled(self.strips_title, self.strips_remark),
            self.strips,
            self.strips_foot,
            line(),
        )
        for part in self._strips_parts:
            right.addWidget(part)
        right.addWidget(_titled(self.when_title, self.when_remark))
        right.addWidget(self.when)
        right.addWidget(line())
        self._together_head = _titled(self.together_title, self.together_count, self.filter_button)
        right.addWidget(self._together_head)
        right.addWidget(self.together, 1)
        right.addWidget(self.nothing)
        right.addStretch(0)
        side = QWidget()
        side.setLayout(right)
        side.setFixedWidth(SIDE)
        self._side = side
        inside = QWidget()
        inside.setLayout(left)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        below = QHBoxLayout()
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(0)
        below.addWidget(scroll, 1)
        below.addWidget(line("vertical"))
        below.addWidget(side)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.facts)
        column.addWidget(line())
        column.addLayout(below, 1)
        self.stack = QStackedWidget()
        reason = "Open one from the requests of a run: double-click it, or press Enter."
        self.stack.addWidget(
            empty_widget(Empty("search", "No request is open", reason, (("All runs", "runs", self.runs_wanted.emit),)))
        )
        self.stack.addWidget(whole)
        self.body.addWidget(self.stack)
        self.clear()

    # ---- called by the owner

    def show_course(self, view: CourseView, place: tuple[int, int], named: str, datagrams: str) -> None:
        """Show a request. `place`: its number in the list that it was opened from, and how many there are (0: none);
        `named`: what that list is called; `datagrams`: why they cannot be opened, or empty."""
        self.view = view
        self.stack.setCurrentIndex(1)
        self.badge.show()
        self.crumbs.set_path(
            [
                ("Runs", self.runs_wanted.emit),
                (f"Run {view.run}", self.run_wanted.emit),
                (named, self.list_wanted.emit),
            ]
        )
        self.title.cut = Qt.TextElideMode.ElideMiddle  # a path says most at its ends
        self.title.setText(view.path)
        self.badge.set_state(*view.verdict)
        self._show_injected()
        number, count = place
        self.place.setText(f"{number:,} of {count:,}" if number else "")
        self.before.setEnabled(number > 1)
        self.after.setEnabled(0 < number < count)
        self.datagrams.setEnabled(not datagrams)
        self.datagrams.setToolTip(plain_tip(datagrams))
        self.copy.setEnabled(True)
        self.facts.show_facts(view.facts)
        self.stages.show_stages(view.stages)
        self.advice.show_advice(view.advice)
        self.leave_out.set_caption(f"Leave the {view.injected_count:,} injected out")
        self.leave_out.setVisible(view.injected_count > 0)
        for part in self._strips_parts:
            part.setVisible(bool(view.strips))
        self.strips_title.setText(view.strips_title[0])
        self.strips_remark.setText(view.strips_title[1])
        self.strips.show_strips(view.strips)
        self.when_title.setText(view.axis_title[0])
        self.when_remark.setText(view.axis_title[1])
        self.when.show_axis(view.axis)
        several = view.together_count > 0
        self._together_head.setVisible(several)
        self.together.setVisible(several)
        self.together_count.setText(f"{view.together_count:,} request{'s' if view.together_count != 1 else ''}")
        self.filter_button.setVisible(view.together_count > 1)
        self.together.set_rows(view.together)
        self.together.select_key(view.request)
        words = "" if several else "No datagram of this server is known to be lost with it."
        self.nothing.setText(words)
        self.nothing.setVisible(bool(words))

    def clear(self) -> None:
        """Show no request."""
        self.view = None
        self.crumbs.set_path([("Runs", self.runs_wanted.emit)])
        self.stack.setCurrentIndex(0)
        self.title.setText("Evidence")
        self.badge.hide()
        self.injected.hide()
        self.place.setText("")
        for widget in (self.before, self.after, self.datagrams, self.copy):
            widget.setEnabled(False)
        self.facts.show_facts(())
        self.stages.show_stages(())
        self.advice.hide()
        for part in (*self._strips_parts, self._together_head, self.together, self.nothing):
            part.hide()
        self.when.show_axis(None)
        self.when_title.setText("")
        self.when_remark.setText("")

    # ---- inside

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._side.setFixedWidth(SIDE if self.width() >= ROOMY else NARROW_SIDE)
        self.crumbs.set_roomy(self.width() >= ROOMY)
        self._show_injected()

    def minimumSizeHint(self) -> QSize:
        return QSize(LEAST, super().minimumSizeHint().height())

    def _show_injected(self) -> None:
        """With little room the line of facts alone says that the plan injected it."""
        injected = self.view.injected if self.view is not None else ""
        self.injected.set_state("zap", injected, "warn")
        self.injected.setVisible(bool(injected) and self.width() >= ROOMY)

    def _copy(self) -> None:
        if self.view is not None:
            QGuiApplication.clipboard().setText(self.view.text)

    def _filter(self) -> None:
        if self.view is not None:
            self.together_wanted.emit(self.view.group)


class FactLine(QWidget):
    """Facts side by side: a name over a value. With little room values are cut, never the names of others."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(52)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 0, 16, 8)
        self._row.setSpacing(24)
        self._row.addStretch(1)
        self._pairs: list[tuple[QWidget, Elided, Elided]] = []

        for _ in range(USUAL):
            self._add()

    def _add(self) -> None:
        holder, name, value = QWidget(), Elided("", "caption", least=40), Elided("", least=56)
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(name)
        column.addWidget(value)
        self._row.insertWidget(len(self._pairs), holder)
        self._pairs.append((holder, name, value))

    def show_facts(self, facts: Sequence[Fact]) -> None:
        """Show these."""
        while len(self._pairs) < len(facts):
            self._add()
        for number, (holder, name, value) in enumerate(self._pairs):
            holder.setVisible(number < len(facts))
            if number < len(facts):
                fact = facts[number]
                name.setText(fact.name)
                value.setText(fact.value)
                value.setFont(fixed_font(12) if fact.fixed else self.font())
                give_sheet(value, "font-weight: 600;" if fact.bold else "")
                value.setAccessibleName(straight(f"{fact.name}: {fact.value}"))
        for holder, _, _ in self._pairs:
            inside = holder.layout()
            if inside is not None:
                inside.activate()
        self._row.activate()  # at once: the first paint would show names without room


class AdviceBox(QWidget):
    """What it means and what to do, with commands to copy."""

    def __init__(self) -> None:
        super().__init__()
        self.advice: Advice | None = None
        card = QWidget()
        card.setObjectName("card")
        card.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 0)
        outer.addWidget(card)
        self.picture = label()
        self.bold = label("", "section")
        self.bold.setWordWrap(True)
        self.words = label()
        self.more = label("", "secondary")
        for text in (self.words, self.more):
            text.setWordWrap(True)
            text.setTextInteractionFlags(FOCUS)
            text.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._grid = QGridLayout(card)
        self._grid.setContentsMargins(12, 12, 12, 12)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(2, 1)
        self._grid.addWidget(self.picture, 0, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(self.bold, 0, 1, 1, 2)
        self._grid.addWidget(self.words, 1, 1, 1, 2)
        self._grid.addWidget(self.more, 2, 1, 1, 2)
        self.commands: list[tuple[QWidget, Elided, QWidget, QWidget]] = []
        self.action_row = QWidget()
        self._grid.addWidget(self.action_row, LAST_ROW, 1, 1, 2)
        self.action_row.hide()
        theme().follow(self._restyle)

    def set_actions(self, *buttons: QWidget) -> None:
        """What can be done about a loss that the plan injected."""
        row = QHBoxLayout(self.action_row)
        row.setContentsMargins(0, 8, 0, 0)
        row.setSpacing(8)
        for each in buttons:
            row.addWidget(each)
        row.addStretch(1)

    def show_advice(self, advice: Advice) -> None:
        """Show this."""
        self.advice = advice
        self.bold.setText(breakable(advice.bold))
        self.words.setText(breakable(advice.text))
        self.more.setText(breakable(advice.more))
        self.more.setVisible(bool(advice.more))
        while len(self.commands) < len(advice.commands):
            self._add_command(len(self.commands))
        for number, (holder, text, _, where) in enumerate(self.commands):
            shown = number < len(advice.commands)
            holder.setVisible(shown)
            if shown:
                self._fill(text, where, advice.commands[number])
        self.action_row.setVisible(advice.injected)
        self._restyle()
        self.show()

    def _add_command(self, number: int) -> None:
        text, where = Elided("", least=120), Elided("", "secondary", least=60)
        text.setFont(fixed_font(12))
        text.setContentsMargins(8, 3, 8, 3)
        copy = button("", "copy", lambda: QGuiApplication.clipboard().setText(text.text()), tip="Copy")
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 4, 0, 0)
        row.setSpacing(8)
        row.addWidget(text)
        row.addWidget(copy)
        row.addWidget(where)
        row.addStretch(1)
        self._grid.addWidget(holder, 3 + number, 1, 1, 2)
        self.commands.append((holder, text, copy, where))

    @staticmethod
    def _fill(text: Elided, where: QWidget, command: Command) -> None:
        text.setText(command.text)
        assert isinstance(where, Elided)
        where.setText(command.where)

    def _restyle(self) -> None:
        injected = self.advice is not None and self.advice.injected
        self.picture.setPixmap(pixmap("zap" if injected else "info", "warn" if injected else "text2", 16, 2.0))
        look = theme()
        for _, text, _, _ in self.commands:
            give_sheet(
                text,
                f"background: {look.hex('surface')}; border: 1px solid {look.hex('border_mid')}; border-radius: 4px;",
            )


def _titled(title: QWidget, remark: QWidget, *more: QWidget) -> QWidget:
    holder = QWidget()
    holder.setMinimumHeight(36)
    row = QHBoxLayout(holder)
    row.setContentsMargins(16, 6, 16, 6)
    row.setSpacing(8)
    row.addWidget(title)
    row.addWidget(remark)
    row.addStretch(1)
    for widget in more:
        row.addWidget(widget)
    return holder
