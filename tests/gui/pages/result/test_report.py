"""The sheet of a report: formats, preview, redaction; the ending that is missing; hostile text stays text."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QGuiApplication, QTextDocument
from PySide6.QtWidgets import QFileDialog, QPushButton

from gui.pages.result.report import FORMATS, ReportSheet, command_of, with_ending
from gui.report import FORMATS as ALL
from gui.report.preview import Preview


@pytest.fixture
def sheet(show, tmp_path) -> ReportSheet:
    made = ReportSheet(None, 36, tmp_path)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)  # the test looks at it afterwards
    return show(made)


def press(sheet: ReportSheet, text: str, qtbot) -> None:
    wanted = next(each for each in sheet.findChildren(QPushButton) if each.text() == text)
    qtbot.mouseClick(wanted, Qt.MouseButton.LeftButton)


def test_each_format_and_the_switch_ask_for_a_preview(sheet, qtbot) -> None:
    asked: list[tuple[str, bool]] = []
    sheet.preview_wanted.connect(lambda wanted, redact: asked.append((wanted, redact)))
    sheet.begin()
    press(sheet, "CSV", qtbot)
    sheet.redact.setFocus()
    qtbot.keyClick(sheet.redact, Qt.Key.Key_Space)
    assert asked == [("html", False), ("csv", False), ("csv", True)]
    assert {name for name, _, _ in FORMATS} == set(ALL)


def test_the_preview_shows_a_page_or_text_and_loads_nothing(sheet, qtbot) -> None:
    harm = '<script>alert(1)</script><img src="http://example.org/x.png"><img src="file:///etc/passwd">'
    sheet.begin()
    sheet.show_preview("html", False, Preview(html=f"<body><p>Run 36</p>{harm}</body>"))
    assert sheet.views.currentWidget() is sheet.page
    assert "Run 36" in sheet.page.toPlainText()
    kind = QTextDocument.ResourceType.ImageResource.value
    assert sheet.page.loadResource(kind, QUrl("file:///etc/passwd")) is None
    assert not sheet.page.openLinks()
    sheet.page.grab()
    press(sheet, "CSV", qtbot)
    sheet.show_preview("html", False, Preview(html="<p>late</p>"))  # of a format that is not wanted any more
    assert "late" not in sheet.page.toPlainText()
    sheet.show_preview("csv", False, Preview(text=harm))
    assert sheet.plain.toPlainText() == harm
    sheet.show_error("The database does not answer.")
    assert sheet.wait.text() == "The database does not answer."


def test_pictures_are_drawn(sheet) -> None:
    size = 'viewBox="0 0 8 8" width="8" height="8"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="8" height="8"/></svg>'.encode()
    sheet.begin()
    page = '<p><img src="picture-0.svg" width="8" height="8"></p>'
    sheet.show_preview("html", False, Preview(html=page, pictures=(("picture-0.svg", svg),)))
    image = sheet.page.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl("picture-0.svg"))
    assert image.pixelColor(image.width() // 2, image.height() // 2).alpha() == 255


def test_a_missing_ending_is_that_of_the_format(sheet, qtbot, tmp_path) -> None:
    saved: list[tuple[str, bool, Path]] = []
    sheet.save_wanted.connect(lambda *given: saved.append(given))
    press(sheet, "JUnit", qtbot)
    qtbot.mouseClick(sheet.save_button, Qt.MouseButton.LeftButton)
    dialog = sheet.findChild(QFileDialog)
    assert dialog.selectedFiles()[0].endswith("run-36.junit.xml")
    dialog.fileSelected.emit(str(tmp_path / "mine"))
    dialog.close()
    assert saved == [("junit", False, tmp_path / "mine.junit.xml")]
    assert sheet.closed
    sheet.show_preview("junit", False, Preview(text="too late"))
    assert with_ending(Path("a/R.PDF"), "pdf") == Path("a/R.PDF")
    assert with_ending(Path("a/r.html"), "pdf") == Path("a/r.html.pdf")


def test_the_command_writes_the_same(sheet, qtbot) -> None:
    press(sheet, "Copy as command", qtbot)
    assert QGuiApplication.clipboard().text() == "tally results 36 --format html --out run-36.html"
    assert command_of(36, "table", redact=True) == "tally results 36 --format table --redact --out run-36.txt"
