"""Preflight: a line for each check, what to do about the chosen one, and the run at the side."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from gui.models import figures
from gui.models.checklist import STATES, Line, LineState, PlanTotals, counts
from gui.models.plain import straight
from gui.pages.preflight.box import RemedyBox
from gui.runner.checklist import Fix, verdict
from gui.widgets.crumbs import Crumbs
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Badge, Button, Elided, Page, button, label, line, plain_tip, short_caption
from gui.widgets.shortcuts import add_key
from gui.widgets.theme import theme

ROW, STATE, CHECK, RESULT = 40, 112, 264, 112
SIDE = 280


class PreflightPage(Page):
    """Signals say what was clicked. `fix_wanted` carries a Fix, `again_wanted` the name of a line."""

    again_wanted = Signal(str)
    all_wanted = Signal()
    stop_wanted = Signal()
    fix_wanted = Signal(object)
    run_wanted = Signal()
    text_wanted = Signal()
    command_wanted = Signal()
    plans_wanted = Signal()
    welcome_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("Preflight")
        self._lines: tuple[Line, ...] = ()
        self._current = ""
        self._chosen_by_hand = False
        self._explained = False
        self._busy = False
        self._seen = ""
        """The line that was scrolled to last."""
        self._make_head()
        self.rows: dict[str, LineRow] = {}
        self._inside = QWidget()
        self._column = QVBoxLayout(self._inside)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.header = _Header()
        self._column.addStretch(1)
        self.scroll_area = QScrollArea()
        self.scroll_area.setFrameShape(QFrame.Shape.NoFrame)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setWidget(self._inside)
        self.scroll_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.box = RemedyBox()
        self.box.fix_wanted.connect(self._fix)
        left = QVBoxLayout()
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(0)
        left.addWidget(self.header)
        left.addWidget(self.scroll_area, 1)
        left.addWidget(self.box)
        list_side = QWidget()
        list_side.setLayout(left)
        self.side = _Side(self.run_wanted.emit)
        both = QWidget()
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(list_side, 1)
        row.addWidget(line("vertical"))
        row.addWidget(self.side)
        self.stack = QStackedWidget()
        self.stack.addWidget(both)
        self.stack.addWidget(self._make_empty())
        self.body.addWidget(line())
        self.body.addWidget(self.stack, 1)
        back = add_key(self, "Back to the plan", "Esc", self.plans_wanted.emit)
        back.setShortcuts(QKeySequence.listFromString("Esc; Alt+Left"))
        self.show_nothing("No plan was checked yet.", "plans")

    def _make_head(self) -> None:
        self.crumbs = Crumbs(self.plans_wanted.emit, "Back to the plan  Esc")
        self.crumbs.set_path([("Plans", self.plans_wanted.emit)])
        self.badge = Badge()
        self.head.insertWidget(0, self.crumbs)
        self.head.insertWidget(2, self.badge)
        self.again_button = button("Check again", "refresh", self._again_or_stop, tip="Check all lines again  F5")
        self.text_button = button("Copy as text", "copy", self.text_wanted.emit, tip="The whole checklist as text")
        self.command_button = button("", "term", self.command_wanted.emit, tip="Copy the command that does the same")
        for widget in (self.again_button, self.command_button, self.text_button):
            self.add_action(widget)

    def _make_empty(self) -> QWidget:
        self.why = label("", "secondary")
        self.why.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.why.setWordWrap(True)
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.way_out = button("Open Plans", action=self._way_out)
        self._action = "plans"
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.way_out)
        row.addStretch(1)
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setSpacing(12)
        column.addStretch(2)
        column.addWidget(self.picture)
        column.addWidget(self.why)
        column.addLayout(row)
        column.addStretch(3)
        theme().follow(self._restyle)
        self._restyle()
        return holder

    def _restyle(self) -> None:
        self.picture.setPixmap(pixmap("plans", "text3", 32, 2.0))

    # ---- called by the presenter

    def show_nothing(self, why: str, action: str) -> None:
        """Say why nothing is checked; the button leads to the page `action`."""
        self.why.setText(why)
        self._action = action
        self.way_out.setText("Open Plans" if action == "plans" else "Open Welcome")
        self.stack.setCurrentIndex(1)
        self.remark.setText("")
        for widget in (self.badge, self.again_button, self.text_button, self.command_button):
            widget.hide()
        self._lines = ()
        self._current = ""
        self._chosen_by_hand = False

    def show_plan(self, name: str, remark: str, totals: PlanTotals | None) -> None:
        """Show which plan is checked; `remark` says that it was changed for this run."""
        self.stack.setCurrentIndex(0)
        for widget in (self.badge, self.again_button, self.text_button, self.command_button):
            widget.show()
        self.crumbs.set_path([(name, self.plans_wanted.emit)])
        self.remark.setText(remark)
        self.side.show_totals(totals)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show the checklist as it is now."""
        if tuple(lines) == self._lines:
            return
        names = [one.item.name for one in lines]
        if names != list(self.rows):
            self._make_rows(lines)
        self._lines = tuple(lines)
        for one in lines:
            self.rows[one.item.name].show_line(one)
        if not self._chosen_by_hand or self._current not in self.rows:
            # What is worst is what a person wants to read; nothing is chosen while all is well.
            worst = [one.item.name for state in ("failed", "warning") for one in lines if one.state == state]
            self._current = worst[0] if worst else ""
            self._explained = False
        self._show_current()
        self.side.show_lines(lines)
        self._show_badge()

    def set_busy(self, *, busy: bool) -> None:
        """Whether lines are being looked at: then the button stops that."""
        self._busy = busy
        self.again_button.setText("Stop" if busy else "Check again")
        self.again_button.setToolTip("Stop looking  F5" if busy else "Check all lines again  F5")
        self.again_button.show_icon("stop" if busy else "refresh")
        self._show_badge()
        self._show_current()

    def set_run(self, words: str, *, can: bool, why: str) -> None:
        """Name what Run starts, and whether it can."""
        self.side.set_run(words, can=can, why=why, lines=self._lines)

    # ---- what is done

    def current(self) -> str:
        """The name of the chosen line."""
        return self._current

    def choose(self, name: str, *, explain: bool = False) -> None:
        """Show what there is to say about a line; `explain`: also what it is good for."""
        self._current, self._chosen_by_hand = name, True
        self._explained = explain
        self._show_current()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.box.set_room(max(96, event.size().height() // 3))

    def _again_or_stop(self) -> None:
        (self.stop_wanted if self._busy else self.all_wanted).emit()

    def _way_out(self) -> None:
        (self.plans_wanted if self._action == "plans" else self.welcome_wanted).emit()

    def _fix(self, fix: Fix) -> None:
        if fix.kind == "again":
            self.again_wanted.emit(self._current)
        else:
            self.fix_wanted.emit(fix)

    def _fix_of(self, name: str, fix: Fix) -> None:
        self.choose(name)
        self._fix(fix)

    def _make_rows(self, lines: Sequence[Line]) -> None:
        for old in self.rows.values():
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
        self.rows = {}
        for place, one in enumerate(lines):
            made = LineRow(one.item.name)
            made.chosen.connect(self.choose)
            made.explain_wanted.connect(lambda name: self.choose(name, explain=True))
            made.again_wanted.connect(self.again_wanted.emit)
            made.fix_wanted.connect(self._fix_of)
            made.step_wanted.connect(self._step)
            self._column.insertWidget(place, made)
            self.rows[one.item.name] = made

    def _step(self, name: str, by: int) -> None:
        names = list(self.rows)
        place = max(0, min(len(names) - 1, names.index(name) + by))
        self.rows[names[place]].setFocus()
        self.choose(names[place])
        self.scroll_area.ensureWidgetVisible(self.rows[names[place]], 0, ROW)

    def _show_current(self) -> None:
        for name, row in self.rows.items():
            row.set_chosen(on=name == self._current, busy=self._busy)
        found = next((one for one in self._lines if one.item.name == self._current), None)
        self.box.show_line(found, explain=self._explained, busy=self._busy)
        if self._current in self.rows and self._current != self._seen:  # the box takes room from the list
            QTimer.singleShot(0, self._scroll_there)
        self._seen = self._current

    def _scroll_there(self) -> None:
        if self._current in self.rows:
            self.scroll_area.ensureWidgetVisible(self.rows[self._current], 0, 0)

    def _show_badge(self) -> None:
        if not self._lines:
            return
        found = counts(self._lines)
        total = len(self._lines)
        if self._busy:
            self.badge.set_state("run", f"{total - found['waiting'] - found['checking']} of {total}", "info")
        elif found["failed"]:
            self.badge.set_state("bad", f"{found['failed']} failed", "bad")
        elif found["warning"]:
            self.badge.set_state("warn", f"{found['warning']} to look at", "warn")
        elif found["ok"] == total:
            self.badge.set_state("ok", "all ok", "ok")
        else:
            self.badge.set_state("unreq", f"{found['skipped'] + found['waiting']} not checked", "mute")


class _Header(QWidget):
    """The heads of the columns."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("raised")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(28)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(8)
        for title, width in (("State", STATE), ("Check", CHECK), ("Result", RESULT), ("Detail", 0)):
            head = label(title, "caption")
            if width:
                head.setFixedWidth(width)
            if title == "Result":
                head.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            row.addSpacing(0 if width else 8)
            row.addWidget(head, 0 if width else 1)


class LineRow(QWidget):
    """One line. Keys: ↑ ↓ choose, Enter explains, R measures again."""

    chosen = Signal(str)
    explain_wanted = Signal(str)
    again_wanted = Signal(str)
    fix_wanted = Signal(str, object)
    step_wanted = Signal(str, int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._line: Line | None = None
        self._on = False
        self._busy = False
        self._fix: Fix | None = None
        self.setMinimumHeight(ROW)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.picture = QLabel()
        self.word = label("")
        self.title = Elided("", least=120)
        self.title.setFixedWidth(CHECK)
        self.figure = Elided("", least=RESULT)
        self.figure.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.figure.setFixedWidth(RESULT)
        self.detail = Elided("", "secondary", least=80)
        self.explain = button("Explain", action=lambda: self.explain_wanted.emit(name), kind="link")
        self.again = button("", "refresh", lambda: self.again_wanted.emit(name), kind="plain", tip="Measure again")
        self.fix_button = button("Fix", action=self._do, kind="small")
        state = QHBoxLayout()
        state.setSpacing(6)
        state.addWidget(self.picture)
        state.addWidget(self.word, 1)
        holder = QWidget()
        holder.setFixedWidth(STATE)
        holder.setLayout(state)
        state.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 0, 16, 0)
        row.setSpacing(8)
        for widget in (holder, self.title, self.figure):
            row.addWidget(widget)
        row.addSpacing(8)
        row.addWidget(self.detail, 1)
        row.addWidget(self.fix_button)
        row.addWidget(self.explain)
        row.addWidget(self.again)
        theme().follow(self._restyle)
        add_key(self, "Explain the line", "Return", self.explain.click, heard=True)
        add_key(self, "Measure the line again", "R", self.again.click, heard=True)

    def sizeHint(self) -> QSize:
        return QSize(640, ROW)

    def show_line(self, shown: Line) -> None:
        """Show a line as it is now."""
        if shown == self._line:
            return
        self._line = shown
        self.title.setText(shown.item.title)
        self.figure.setText(shown.figure)
        self.detail.setText(shown.detail)
        self.word.setText(STATES[shown.state][1])
        fixes = shown.check.fixes if shown.check is not None and shown.state in ("warning", "failed", "skipped") else ()
        self._fix = next((fix for fix in fixes if fix.kind != "again"), None)
        self.fix_button.setVisible(self._fix is not None)
        self.fix_button.setText(short_caption(self._fix.text, 24) if self._fix else "")
        self.explain.setAccessibleName(f"Explain {shown.item.title}")
        self.again.setAccessibleName(f"Measure again: {shown.item.title}")
        told = f"{STATES[shown.state][1]}: {shown.item.title}. {shown.figure} {shown.detail}"
        self.setAccessibleName(straight(told))
        self._restyle()

    def set_chosen(self, *, on: bool, busy: bool) -> None:
        """Whether this line is the chosen one, and whether any is being looked at."""
        self._on, self._busy = on, busy
        self.again.setEnabled(not busy)
        self.fix_button.setEnabled(not busy or (self._fix is not None and self._fix.kind != "plan"))
        self.update()

    def _do(self) -> None:
        if self._fix is not None:
            self.fix_wanted.emit(self.name, self._fix)

    def _restyle(self) -> None:
        if self._line is not None:
            symbol, _, colour = STATES[self._line.state]
            self.picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
            give_sheet(self.word, f"color: {theme().hex(colour)};")
            give_sheet(self.title, "font-weight: 500;")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setFocus()
            self.chosen.emit(self.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.step_wanted.emit(self.name, 1 if key == Qt.Key.Key_Down else -1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.explain_wanted.emit(self.name)
        elif key == Qt.Key.Key_R and not event.modifiers() and not self._busy:
            self.again_wanted.emit(self.name)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        look, painter = theme(), QPainter(self)
        if self._on:
            painter.fillRect(self.rect(), look.colour("select"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, look.colour("grid"))
        if self.hasFocus():
            pen = painter.pen()
            pen.setColor(look.colour("focus"))
            pen.setWidth(2)
            painter.setPen(pen)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))


class _Side(QWidget):
    """Counts, the plan in figures, and Run."""

    def __init__(self, run: object) -> None:
        super().__init__()
        self.setFixedWidth(SIDE)
        self._counts: dict[LineState, tuple[QLabel, QLabel, QLabel]] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(label("Summary", "section"))
        for state, (_, word, _colour) in STATES.items():
            picture, name, count = QLabel(), label("running" if state == "checking" else word), label("0")
            row = QHBoxLayout()
            row.setSpacing(6)
            row.addWidget(picture)
            row.addWidget(name, 1)
            row.addWidget(count)
            column.addLayout(row)
            self._counts[state] = (picture, name, count)
        column.addSpacing(8)
        column.addWidget(line())
        column.addSpacing(8)
        column.addWidget(label("This plan", "section"))
        self._totals: list[QLabel] = []
        for title in ("Tests, repeats", "Requests", "Data", "With settling, at most"):
            value = label(figures.UNKNOWN)
            row = QHBoxLayout()
            row.addWidget(label(title, "secondary"), 1)
            row.addWidget(value)
            column.addLayout(row)
            self._totals.append(value)
        column.addStretch(1)
        self.verdict = label("", "secondary")
        self.verdict.setWordWrap(True)
        self.run_button: Button = button("Run", "play", kind="primary")
        self.run_button.clicked.connect(run)
        column.addWidget(self.verdict)
        column.addWidget(self.run_button)
        theme().follow(self._restyle)
        self._restyle()

    def totals(self) -> list[str]:
        """What is shown of the plan."""
        return [value.text() for value in self._totals]

    def counted(self) -> dict[LineState, str]:
        """The counts as they are shown."""
        return {state: count.text() for state, (_, _, count) in self._counts.items()}

    def show_lines(self, lines: Sequence[Line]) -> None:
        found = counts(lines)
        for state, (_, _, count) in self._counts.items():
            count.setText(str(found[state]))
        self._restyle()

    def show_totals(self, totals: PlanTotals | None) -> None:
        if totals is None:
            return
        texts = (
            f"{totals.tests}, {totals.repeats}",
            figures.count(totals.requests),
            figures.size(totals.bytes) if totals.bytes is not None else figures.UNKNOWN,
            figures.duration(totals.seconds) if totals.seconds is not None else figures.UNKNOWN,
        )
        for value, text in zip(self._totals, texts, strict=True):
            value.setText(text)

    def set_run(self, name: str, *, can: bool, why: str, lines: Sequence[Line]) -> None:
        checks = [one.check for one in lines if one.check is not None and one.state not in ("waiting", "checking")]
        failed = any(check.state == "failed" for check in checks)
        words = why or verdict(checks)
        if not why:
            words += " A run that is started now keeps this with it."
        self.verdict.setText(words)
        self.run_button.setText("Run anyway" if failed else f"Run {short_caption(name, 22)}")
        self.run_button.set_kind("" if failed else "primary")
        self.run_button.setEnabled(can)
        self.run_button.setToolTip(plain_tip(why or f"Run “{name}”"))
        self.run_button.setAccessibleName(straight(f"Run {name}"))

    def _restyle(self) -> None:
        for state, (picture, name, count) in self._counts.items():
            symbol, _, colour = STATES[state]
            quiet = count.text() == "0"
            picture.setPixmap(pixmap(symbol, "mute" if quiet else colour, 14, 2.0))
            give_sheet(name, f"color: {theme().hex('text3' if quiet else colour)};")
            give_sheet(count, f"color: {theme().hex('text3' if quiet else 'text')};")
