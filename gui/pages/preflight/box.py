"""What there is to say about the chosen line: what is wrong, where, what to do, and why it is checked."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QResizeEvent, QTextOption
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from gui.models.checklist import STATES, Line
from gui.runner.checklist import Fix
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Button, button, label, plain_tip, short_caption
from gui.widgets.theme import fixed_font, theme

SYMBOLS = {"copy": "copy", "go": "right", "plan": "play", "again": "refresh", "end": "stop"}
SHOWN_DETAILS = 100


class Wrapped(QPlainTextEdit):
    """Plain text to read and to select, as high as it is, broken anywhere if it must be: a path has no blanks."""

    def __init__(self, *, fixed: bool = False) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        for bars in (self.setVerticalScrollBarPolicy, self.setHorizontalScrollBarPolicy):
            bars(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        if fixed:
            self.setFont(fixed_font(12))
        self._padding = 6 if fixed else 0
        self.document().setDocumentMargin(self._padding)

    def text(self) -> str:
        """What it says."""
        return self.toPlainText()

    def say(self, text: str) -> None:
        """Show this; nothing is seen of it when it is empty."""
        if text != self.toPlainText():
            self.setPlainText(text)
        self.setVisible(bool(text))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        lines = max(1.0, self.document().size().height())  # of a plain text, in lines
        self.setFixedHeight(round(lines * self.fontMetrics().lineSpacing()) + 2 * self._padding + 4)


class RemedyBox(QWidget):
    """`fix_wanted` carries the Fix that was clicked."""

    fix_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._line: Line | None = None
        self._fixes: tuple[Fix, ...] = ()
        self.buttons: list[Button] = []
        self.picture = QLabel()
        self.title = label("", "section")
        self.text = Wrapped()
        self.details = Wrapped()
        self.remedy = Wrapped()
        self.config = Wrapped(fixed=True)
        self.explanation = Wrapped()
        self._row = QHBoxLayout()
        self._row.setSpacing(8)
        self._row.addStretch(1)
        column = QVBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for widget in (self.title, self.text, self.details, self.remedy, self.config):
            column.addWidget(widget)
        column.addLayout(self._row)
        column.addWidget(self.explanation)
        inside = QWidget()
        row = QHBoxLayout(inside)
        row.setContentsMargins(12, 12, 12, 12)
        row.setSpacing(10)
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
        self._frame = QFrame()
        self._frame.setObjectName("plaincard")
        self._area = QScrollArea()
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(inside)
        self._inside = inside
        framed = QVBoxLayout(self._frame)
        framed.setContentsMargins(0, 0, 0, 0)
        framed.addWidget(self._area)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 16, 16)
        outer.addWidget(self._frame)
        self._room = 240
        inside.installEventFilter(self)
        self.hide()
        theme().follow(self._restyle)

    def set_room(self, pixels: int) -> None:
        """The most that this may take of the page's height; the rest is scrolled."""
        self._room = pixels
        self._fit()

    def show_line(self, shown: Line | None, *, explain: bool, busy: bool) -> None:
        """Show this line; a line that is well only when it is to be explained."""
        check = shown.check if shown is not None and shown.state not in ("waiting", "checking") else None
        wrong = check is not None and check.state != "ok"
        self.setVisible(shown is not None and (wrong or explain))
        self._line = shown
        if shown is None:
            return
        self.title.setText(shown.item.title)
        self.text.say(check.text if check is not None else "")
        details = check.details if check is not None else ()
        more = f"\n… and {len(details) - SHOWN_DETAILS:,} more" if len(details) > SHOWN_DETAILS else ""
        self.details.say("\n".join(details[:SHOWN_DETAILS]) + more)
        self.remedy.say(check.remedy if check is not None and check.state != "ok" else "")
        self.config.say(check.line if check is not None else "")
        self.explanation.say(shown.item.explain if explain or wrong else "")
        self._show_fixes(check.fixes if check is not None and check.state != "ok" else (), busy=busy)
        self._restyle()
        self._fit()

    def _show_fixes(self, fixes: tuple[Fix, ...], *, busy: bool) -> None:
        if fixes != self._fixes:
            self._fixes = fixes
            for old in self.buttons:
                self._row.removeWidget(old)
                old.hide()
                old.deleteLater()
            self.buttons = []
            for place, fix in enumerate(fixes):
                made = button(short_caption(fix.text, 40), SYMBOLS[fix.kind], kind="small")
                made.setToolTip(plain_tip(fix.text))
                made.clicked.connect(lambda _on=False, fix=fix: self.fix_wanted.emit(fix))
                self._row.insertWidget(place, made)
                self.buttons.append(made)
        for made, fix in zip(self.buttons, fixes, strict=True):
            made.setEnabled(not busy or fix.kind in ("copy", "go"))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        self._frame.setFixedHeight(min(self._inside.sizeHint().height() + 4, self._room))

    def _restyle(self) -> None:
        look = theme()
        if self._line is not None:
            symbol, _, colour = STATES[self._line.state]
            self.picture.setPixmap(pixmap(symbol, colour, 16, 2.0))
            edge = colour if self._line.state in ("failed", "warning") else "border"
            surface = f"background: {look.hex('surface')}; border-radius: 6px;"
            give_sheet(self._frame, f"#plaincard {{ {surface} border: 1px solid {look.hex(edge)}; }}")
        for words, colour in (
            (self.text, "text"),
            (self.details, "text2"),
            (self.remedy, "text"),
            (self.explanation, "text2"),
        ):
            give_sheet(words, f"background: transparent; border: 0; padding: 0; color: {look.hex(colour)};")
        ground, edge = look.hex("raised"), look.hex("border")
        give_sheet(self.config, f"background: {ground}; border: 1px solid {edge}; border-radius: 4px; padding: 0;")
