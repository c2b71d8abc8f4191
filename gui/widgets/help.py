"""Help of the page that is shown: its `help.md`, beside it. The text is ours, so it may be rich."""

from __future__ import annotations

from importlib.resources import files

from PySide6.QtGui import QFont, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextFormat
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

from gui.widgets.sheet import Sheet
from gui.widgets.theme import theme

NOTHING = "There is no help for this page."


def help_of(page: str) -> str:
    """The help of a page as Markdown; of one that has none, a sentence."""
    try:
        return files(f"gui.pages.{page}").joinpath("help.md").read_text("utf-8")
    except (FileNotFoundError, ModuleNotFoundError):
        return NOTHING


class HelpSheet(Sheet):
    """The sheet behind F1; it follows the page."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over, "Help", place="side", width=400)
        self._text = ""
        self.text = QTextBrowser()
        self.text.setFrameShape(QFrame.Shape.NoFrame)
        self.text.setObjectName("help")
        self.text.setAccessibleName("Help")
        self.text.setOpenLinks(False)
        self.text.document().setDocumentMargin(20)
        self.text.document().setIndentWidth(20)
        self.body.addWidget(self.text, 1)
        theme().follow(self._render)

    def show_page(self, page: str, title: str) -> None:
        """Show the help of this page."""
        self.title.setText(f"Help: {title}" if title else "Help")
        self._text = help_of(page)
        self._render()

    def first_focus(self) -> QWidget:
        return self.text

    def _render(self) -> None:
        # The head of the sheet has the title; what a heading of the text looks like follows from the theme.
        body = "\n".join(row for row in self._text.splitlines() if not row.startswith("# "))
        document = self.text.document()
        document.setDefaultFont(QFont(self.font()))
        document.setDefaultStyleSheet(f"a {{ color: {theme().hex('accent_text')}; }}")
        self.text.setMarkdown(body)
        self._set_type()
        self.text.moveCursor(self.text.textCursor().MoveOperation.Start)

    def _set_type(self) -> None:
        """Sizes and gaps of the window's own type; Qt's headings are those of a printed page."""
        block = self.text.document().begin()
        while block.isValid():
            heading = block.blockFormat().headingLevel() > 0
            gaps = QTextBlockFormat()
            gaps.setTopMargin(18 if heading else 6)
            gaps.setBottomMargin(2)
            gaps.setLineHeight(120, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
            cursor = QTextCursor(block)
            cursor.mergeBlockFormat(gaps)
            if heading:
                cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
                look = QTextCharFormat()
                look.setProperty(QTextFormat.Property.FontSizeAdjustment, 0)
                look.setFontWeight(QFont.Weight.DemiBold)
                cursor.mergeCharFormat(look)
            block = block.next()
