"""What forms of settings are made of: rows with a mark for a changed value, and one sentence when it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QScrollArea,
    QSizePolicy,
    QSpacerItem,
    QVBoxLayout,
    QWidget,
)

from gui.models.checklist import STATES
from gui.models.plain import straight
from gui.runner.checklist import WORDS, Check
from gui.widgets.dress import give_sheet
from gui.widgets.icons import pixmap
from gui.widgets.parts import Elided, button, label
from gui.widgets.theme import theme

LABEL_WIDTH, WIDE, MIDDLE, NARROW = 160, 400, 240, 120
MARK_WIDTH = 3
LARGEST_TEXT = 4096
"""Characters that a field takes; more is no address of anything."""


class Row(QWidget):
    """A setting: label, field, and below them a hint and what is wrong. `changed` carries its name and text.

    `words` are what a search finds it by, beside its label."""

    changed = Signal(str, str)
    entered = Signal(str)
    restore_wanted = Signal(str)

    def __init__(self, name: str, title: str, hint: str = "", words: str = "") -> None:
        super().__init__()
        self.name, self.title = name, title
        self.words = f"{title} {hint} {words} {name}".lower()
        self.mark = QFrame()
        self.mark.setFixedSize(MARK_WIDTH, 28)
        self.mark.setObjectName("changedmark")
        caption = label(title, "secondary")
        caption.setFixedSize(LABEL_WIDTH, 28)
        self.caption = caption
        self.line = QHBoxLayout()
        self.line.setSpacing(12)
        self.restore = button("Restore default", "reset", lambda: self.restore_wanted.emit(name), kind="link")
        self.restore.setAccessibleName(f"Restore the default of {title}")
        self.hint = label(hint, "hint")
        self.hint.setWordWrap(True)
        if not hint:
            self.hint.hide()  # never show what has no parent yet: it would be a window
        self._error_icon = QLabel()
        self.error = label("", "error")
        self.error.setWordWrap(True)
        wrong = QHBoxLayout()
        wrong.setContentsMargins(0, 0, 0, 0)
        wrong.setSpacing(4)
        wrong.addWidget(self._error_icon, 0, Qt.AlignmentFlag.AlignTop)
        wrong.addWidget(self.error, 1)
        self.wrong = QWidget()
        self.wrong.setLayout(wrong)
        self.wrong.hide()
        below = QVBoxLayout()
        below.setSpacing(2)
        below.addLayout(self.line)
        below.addWidget(self.hint)
        below.addWidget(self.wrong)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addSpacing(12)
        row.addWidget(caption, 0, Qt.AlignmentFlag.AlignTop)
        self.after_caption = QSpacerItem(16, 0)
        row.addSpacerItem(self.after_caption)
        row.addLayout(below, 1)
        self._default = ""
        self._hint = hint
        theme().follow(self._restyle)
        self.show_changed(changed=False)

    def fill(self, *fields: QWidget) -> None:
        """Put the field (and buttons beside it) in its place."""
        for field in fields:
            wide = field.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Expanding
            self.line.addWidget(field, 1000 if wide else 0)
        self.line.addWidget(self.restore)
        self.line.addStretch(1)

    def set_text(self, text: str) -> None:
        """Show this value, without telling that it has changed."""
        raise NotImplementedError

    def field(self) -> QWidget:
        """Where the focus goes."""
        raise NotImplementedError

    def show_changed(self, *, changed: bool, default: str = "") -> None:
        """Mark the value as another one than its default, which is named below it."""
        self._is_changed = changed
        self.restore.setVisible(changed)
        hint = f"{self._hint} Default: {default}" if changed and default else self._hint
        self.hint.setText(hint.strip())
        self.hint.setVisible(bool(hint))
        self._restyle()

    def show_error(self, sentence: str) -> None:
        """Show what is wrong with it; an empty text: nothing."""
        self.wrong.setVisible(bool(sentence))
        self.error.setText(sentence)
        field = self.field()
        wrong = "true" if sentence else "false"
        if field.property("invalid") != wrong:
            field.setProperty("invalid", wrong)
            field.style().unpolish(field)
            field.style().polish(field)
        field.setAccessibleDescription(sentence or self.hint.text())

    _is_changed = False

    def _restyle(self) -> None:
        look, changed = theme(), self._is_changed
        self._error_icon.setPixmap(pixmap("bad", "bad", 14, 2.0))
        give_sheet(self.mark, f"background: {look.hex('accent_text') if changed else 'transparent'};")
        weight = "font-weight: 500;" if changed else ""
        give_sheet(self.caption, f"color: {look.hex('text' if changed else 'text2')}; {weight}")


class TextRow(Row):
    """A line of text. With `files`, a button chooses a file; with `folders`, a folder."""

    def __init__(
        self,
        name: str,
        title: str,
        hint: str = "",
        *,
        width: int = MIDDLE,
        placeholder: str = "",
        files: str = "",
        folders: bool = False,
        words: str = "",
    ) -> None:
        super().__init__(name, title, hint, words)
        self.box = QLineEdit()
        self.box.setMaxLength(LARGEST_TEXT)
        self.box.setMinimumWidth(min(width, MIDDLE))
        self.box.setMaximumWidth(width)
        self.box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.box.setPlaceholderText(placeholder)
        self.box.setAccessibleName(title)
        self.caption.setBuddy(self.box)
        self.box.textEdited.connect(lambda text: self.changed.emit(name, text.strip()))
        self.box.editingFinished.connect(lambda: self.entered.emit(name))
        fields: list[QWidget] = [self.box]
        self._files, self._folders = files, folders
        if files or folders:
            fields.append(button("Choose…", "folder", self.choose))
        self.fill(*fields)

    def field(self) -> QWidget:
        return self.box

    def set_text(self, text: str) -> None:
        if self.box.text().strip() != text:
            with QSignalBlocker(self.box):
                self.box.setText(text)
                self.box.setCursorPosition(0)

    def choose(self) -> None:
        """Open the dialog that chooses a file or a folder."""
        start = self.box.text() or str(Path.home())
        dialog = QFileDialog(self.window(), self.title, start, self._files)
        dialog.setFileMode(QFileDialog.FileMode.Directory if self._folders else QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._chosen)
        dialog.open()

    def _chosen(self, path: str) -> None:
        self.box.setText(path)
        self.changed.emit(self.name, path)
        self.entered.emit(self.name)


class ChoiceRow(Row):
    """One of a few values, each with a remark: radio buttons under one another. `choices`: (value, title, remark)."""

    def __init__(
        self, name: str, title: str, choices: Sequence[tuple[str, str, str]], words: str = "", *, headed: bool = True
    ) -> None:
        """Without `headed`, the heading of the group says what it is."""
        super().__init__(name, title, "", words + " ".join(f" {t} {r}" for _, t, r in choices))
        if not headed:
            self.caption.hide()
            self.after_caption.changeSize(0, 0)
        self.group = QButtonGroup(self)
        self.buttons: dict[str, QRadioButton] = {}
        self.remarks: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(0)
        grid.setContentsMargins(0, 0, 0, 0)
        for number, (value, words_of_it, remark) in enumerate(choices):
            choice = QRadioButton(words_of_it)
            choice.setMinimumHeight(28)
            choice.setAccessibleDescription(remark)
            choice.clicked.connect(lambda _on=False, value=value: self.changed.emit(name, value))
            self.group.addButton(choice)
            self.buttons[value] = choice
            self.remarks[value] = Elided(remark, "secondary", least=120)
            grid.addWidget(choice, number, 0)
            grid.addWidget(self.remarks[value], number, 1)
        grid.setColumnStretch(1, 1)
        holder = QWidget()
        holder.setLayout(grid)
        self.line.addWidget(holder, 1)
        self.line.addWidget(self.restore, 0, Qt.AlignmentFlag.AlignTop)

    def field(self) -> QWidget:
        return self.group.checkedButton() or next(iter(self.buttons.values()))

    def set_text(self, text: str) -> None:
        if text in self.buttons:
            self.buttons[text].setChecked(True)


class SecretRow(Row):
    """A password: it is typed and kept, never shown. `typed` carries its name and what was typed."""

    typed = Signal(str, str)
    forget_wanted = Signal(str)

    def __init__(self, name: str, title: str) -> None:
        super().__init__(name, title, " ", "password secret keyring")
        self.box = QLineEdit()
        self.box.setMaxLength(LARGEST_TEXT)
        self.box.setEchoMode(QLineEdit.EchoMode.Password)
        self.box.setFixedWidth(MIDDLE)
        self.box.setAccessibleName(title)
        self.caption.setBuddy(self.box)
        self.box.textEdited.connect(lambda text: self.typed.emit(name, text))
        self.forget = button("Forget…", "trash", lambda: self.forget_wanted.emit(name))
        self.forget.hide()
        self.fill(self.box, self.forget)

    def field(self) -> QWidget:
        return self.box

    def set_text(self, text: str) -> None:
        """Nothing: a password is not among the settings."""

    def show_state(self, *, place: str, kept: bool, typed: bool, trouble: str) -> None:
        """`place`: ``keyring`` or the path of a file."""
        keyring = place == "keyring"
        if not typed and self.box.text():
            self.box.clear()
        told = ("kept in the keyring" if keyring else "kept in a file") if kept else "none; type it here"
        self.box.setPlaceholderText("•••••• not applied yet" if typed else told)
        where = "in the keyring of this desktop" if keyring else f"in {place}, which only you can read"
        self.hint.setText(f"Kept {where}." if keyring else f"No keyring runs here: kept {where}.")
        self.hint.setVisible(bool(place))
        self.forget.setVisible(kept)
        self.show_error(trouble)


class Group:
    """A heading with the rows under it."""

    def __init__(self, title: str, layout: QVBoxLayout) -> None:
        self.heading = label(title, "section")
        self.heading.setContentsMargins(15, 8, 0, 0)
        if not title:
            self.heading.hide()
        self.title = title
        self.rows: list[QWidget] = []
        self._layout = layout
        layout.addWidget(self.heading)

    def add(self, row: QWidget) -> None:
        """Append a row."""
        self.rows.append(row)
        self._layout.addWidget(row)


class Section(QScrollArea):
    """A page of settings that scrolls. `name` is what `go("settings", section=…)` says."""

    def __init__(self, name: str, title: str, remark: str, symbol: str, *, fills: bool = False) -> None:
        """`fills`: it takes all of the height, for a table."""
        super().__init__()
        self.name, self.title, self.remark, self.symbol = name, title, remark, symbol
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        inside = QWidget()
        inside.setMaximumWidth(880)
        self.column = QVBoxLayout(inside)
        self.column.setContentsMargins(16, 0, 24, 24)
        self.column.setSpacing(10)
        self.groups: list[Group] = []
        self.rows: dict[str, Row] = {}
        self.hidden: set[QWidget] = set()
        """Rows that do not apply now, whatever is searched for."""
        self._words: list[str] = []
        holder = QWidget()
        side = QHBoxLayout(holder)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(inside, 1000)
        if not fills:
            side.setAlignment(inside, Qt.AlignmentFlag.AlignTop)
        side.addStretch(1)
        self.setWidget(holder)

    def group(self, title: str) -> Group:
        """A new heading."""
        made = Group(title, self.column)
        self.groups.append(made)
        return made

    def add(self, group: Group, *rows: Row) -> None:
        """Append settings to a group."""
        for row in rows:
            group.add(row)
            self.rows[row.name] = row

    def narrow(self, words: Sequence[str]) -> int:
        """Show only what these words are in (all, for none); how much that is."""
        self._words = list(words)
        return self.refresh()

    def refresh(self) -> int:
        """Show what applies and is searched for; the number of rows that were found."""
        found = 0
        for group in self.groups:
            any_shown = False
            for widget in group.rows:
                hit = not self._words or self._hit(group, widget)
                shown = hit and widget not in self.hidden
                widget.setVisible(shown)
                any_shown = any_shown or shown
                found += shown
            group.heading.setVisible(any_shown and bool(group.title))
        return found if self._words else 0

    def _hit(self, group: Group, widget: QWidget) -> bool:
        text = widget.words if isinstance(widget, Row) else str(widget.property("words") or "")
        whole = f"{self.title} {group.title} {text}".lower()
        return all(word in whole for word in self._words)

    def first_field(self) -> QWidget | None:
        """The first field that is shown."""
        shown = [row for row in self.rows.values() if not row.isHidden()]
        return shown[0].field() if shown else None


class CheckLines(QWidget):
    """What a test found: a line for each thing, with its state as icon and colour, and what to do below it."""

    def __init__(self) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(15, 0, 0, 0)
        self._column.setSpacing(6)
        self._checks: tuple[Check, ...] = ()
        theme().follow(self._draw)

    def show_checks(self, checks: Sequence[Check]) -> None:
        """Show these, in their order."""
        if tuple(checks) != self._checks:
            self._checks = tuple(checks)
            self._draw()

    def texts(self) -> list[str]:
        """What is said, a line each: ``title: text``."""
        return [f"{check.title}: {check.text}" for check in self._checks]

    def _draw(self) -> None:
        while (item := self._column.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for check in self._checks:
            self._column.addWidget(self._line(check))

    def _line(self, check: Check) -> QWidget:
        symbol, _, colour = STATES[check.state]
        picture = QLabel()
        picture.setPixmap(pixmap(symbol, colour, 14, 2.0))
        picture.setFixedSize(14, 20)
        state = label(WORDS[check.state], "caption")
        state.setFixedSize(72, 20)
        give_sheet(state, f"color: {theme().hex(colour)};")
        title = Elided(check.title)
        title.setFixedSize(LABEL_WIDTH - 14, 20)
        give_sheet(title, f"font-weight: 500; color: {theme().hex('text' if check.state != 'skipped' else 'text2')};")
        text = _wrapped(check.text, "" if check.state in ("warning", "failed") else "secondary")
        words = QVBoxLayout()
        words.setContentsMargins(0, 0, 0, 0)
        words.setSpacing(0)
        words.addWidget(text)
        details = [line for line in check.details if line not in check.text][:12]
        for line in details if check.state in ("warning", "failed") or check.name == "bound" else ():
            words.addWidget(_wrapped(line, "hint"))
        if check.remedy and check.state != "ok":
            words.addWidget(_wrapped(check.remedy, "caption"))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for part in (picture, title, state):
            row.addWidget(part, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        holder = QWidget()
        holder.setLayout(row)
        holder.setAccessibleName(straight(f"{check.title}: {WORDS[check.state]}. {check.text} {check.remedy}".strip()))
        return holder


def _wrapped(text: str, kind: str) -> QLabel:
    made = label(text, kind)
    made.setWordWrap(True)
    made.setMinimumWidth(120)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made
