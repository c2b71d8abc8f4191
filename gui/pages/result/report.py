"""Report…: a sheet with the choice of format, a preview of what will be in the file, and whether names are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QGuiApplication, QImage, QPainter, QTextDocument
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QStackedWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from gui.report import ENDINGS
from gui.report.palette import LIGHT
from gui.report.preview import Preview
from gui.widgets.fields import CheckField
from gui.widgets.parts import button, label, line, segments
from gui.widgets.theme import fixed_font, theme

FORMATS = (
    ("html", "HTML", "One page for a browser; loads nothing"),
    ("pdf", "PDF", "A4 across, with page numbers"),
    ("csv", "CSV", "The table, for a spreadsheet"),
    ("json", "JSON", "Everything, for programs"),
    ("table", "Text", "The table, for a terminal"),
    ("markdown", "Markdown", "For a pull request or a wiki"),
    ("junit", "JUnit", "For continuous integration"),
)
"""(format, what it is called, what it is for)."""


class SafeBrowser(QTextBrowser):
    """Shows HTML of ours that has text of others: it loads nothing but the pictures that came with it."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self._pictures: dict[str, bytes] = {}
        ring = theme().pair("focus")[0]  # as paper, also in the dark theme
        self.setStyleSheet(
            f"QTextBrowser {{ background: {LIGHT['surface']}; }} QTextBrowser:focus {{ border: 2px solid {ring}; }}"
        )

    def show_page(self, preview: Preview) -> None:
        """Show this page from its top."""
        self._pictures = dict(preview.pictures)
        self.setHtml(preview.html)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        content = self._pictures.get(name.toString() if isinstance(name, QUrl) else name)
        if kind != QTextDocument.ResourceType.ImageResource.value or content is None:
            return None
        return _drawn(content, self.devicePixelRatioF())


def _drawn(content: bytes, scale: float) -> QImage:
    renderer = QSvgRenderer(QByteArray(content))
    size = renderer.defaultSize().scaled(QSize(900, 600), Qt.AspectRatioMode.KeepAspectRatio)
    image = QImage(size * scale, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    image.setDevicePixelRatio(scale)
    return image


class ReportSheet(QDialog):
    """`preview_wanted` asks for (format, redact), `save_wanted` for (format, redact, path)."""

    preview_wanted = Signal(str, bool)
    save_wanted = Signal(str, bool, Path)

    def __init__(self, parent: QWidget | None, run: int, directory: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Report of run {run}")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(960, 640)
        self.closed = False
        """What is called after that touches no widget: they are gone."""
        self.finished.connect(self._finished)
        self._run = run
        self._directory = directory
        self.choices = QButtonGroup(self)
        made = []
        for name, text, tip in FORMATS:
            choice = button(text, kind="segment", tip=tip)
            choice.setProperty("value", name)
            made.append(choice)
        self.formats = segments(*made, group=self.choices)
        made[0].setChecked(True)
        self.choices.buttonToggled.connect(lambda _button, on: self._ask() if on else None)
        self.redact = CheckField("Leave out names of hosts and people")
        self.redact.toggled.connect(self._ask)
        self.purpose = label("", "secondary")
        self.page = SafeBrowser()
        self.page.setAccessibleName("Preview of the report")
        self.plain = QPlainTextEdit()
        self.plain.setReadOnly(True)
        self.plain.setFont(fixed_font())
        self.plain.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.plain.setAccessibleName("Preview of the report as text")
        self.wait = label("Making the preview…", "secondary")
        self.wait.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.wait.setWordWrap(True)
        self.views = QStackedWidget()
        for view in (self.wait, self.page, self.plain):
            self.views.addWidget(view)
        self.save_button = button("Save…", "export", self._save, kind="primary")
        copy = button("Copy as command", "term", self._copy, tip="The command that writes the same report")
        close = button("Close", action=self.close)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self.formats)
        top.addWidget(self.purpose)
        top.addStretch(1)
        top.addWidget(self.redact)
        foot = QHBoxLayout()
        foot.addWidget(copy)
        foot.addStretch(1)
        foot.addWidget(close)
        foot.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(12)
        column.addWidget(label(f"Report of run {run}", "title"))
        column.addLayout(top)
        column.addWidget(self.views, 1)
        column.addWidget(line())
        column.addLayout(foot)

    def _finished(self) -> None:
        self.closed = True

    def format(self) -> str:
        """The chosen format, one of `gui.report.FORMATS`."""
        chosen = self.choices.checkedButton()
        return str(chosen.property("value")) if chosen is not None else "html"

    def begin(self) -> None:
        """Ask for the first preview."""
        self._ask()

    def show_preview(self, wanted: str, redact: bool, preview: Preview) -> None:
        """Show this preview, if it is still the wanted one, and the sheet is open."""
        if self.closed or (wanted, redact) != (self.format(), self.redact.isChecked()):
            return
        if preview.html:
            self.page.show_page(preview)
            self.views.setCurrentWidget(self.page)
        else:
            self.plain.setPlainText(preview.text)
            self.views.setCurrentWidget(self.plain)

    def show_error(self, text: str) -> None:
        """There is no preview, for this reason."""
        if self.closed:
            return
        self.wait.setText(text)
        self.views.setCurrentWidget(self.wait)

    def _ask(self) -> None:
        name = self.format()
        self.purpose.setText(next(tip for each, _, tip in FORMATS if each == name))
        self.wait.setText("Making the preview…")
        if not (self.page.isVisible() or self.plain.isVisible()):
            self.views.setCurrentWidget(self.wait)
        self.preview_wanted.emit(name, self.redact.isChecked())

    def _save(self) -> None:
        ending = ENDINGS[self.format()]
        name = str(self._directory / f"run-{self._run}.{ending}")
        title = next(text for each, text, _ in FORMATS if each == self.format())
        dialog = QFileDialog(self, "Save report", name, f"{title} (*.{ending})")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(self._chosen)
        dialog.open()

    def _chosen(self, name: str) -> None:
        self.save_wanted.emit(self.format(), self.redact.isChecked(), with_ending(Path(name), self.format()))
        self.close()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(command_of(self._run, self.format(), redact=self.redact.isChecked()))


def with_ending(path: Path, wanted: str) -> Path:
    """The path with the ending of this format, which is added where it is missing."""
    ending = f".{ENDINGS[wanted]}"
    return path if path.name.lower().endswith(ending) else path.with_name(path.name + ending)


def command_of(run: int, wanted: str, *, redact: bool) -> str:
    """The command that writes the same report."""
    out = f"run-{run}.{ENDINGS[wanted]}"
    return f"tally results {run} --format {wanted}{' --redact' if redact else ''} --out {out}"
