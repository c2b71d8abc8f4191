"""A newcomer adds a page: one folder and one line, and nothing else."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from pathlib import Path

from PySide6.QtGui import QAction

import gui.app
import gui.pages
from gui.app import PAGES, PageEntry, make_window
from gui.widgets.help import NOTHING, help_of
from tests.gui.parts import page, part

FOLDER = {
    "__init__.py": '"""Mail: what was sent."""\n',
    "help.md": "# Mail\n\nWhat was sent.\n",
    "presenter.py": """
class MailPresenter:
    def __init__(self, desk, page) -> None:
        self.desk, self.page = desk, page

    def show(self) -> None:
        self.page.remark.setText("a workspace is open" if self.desk.workspace is not None else "nothing is open")
""",
    "page.py": """
from gui.widgets.parts import Page


class MailPage(Page):
    def __init__(self) -> None:
        super().__init__("Mail")
""",
    "part.py": """
from gui.pages.mail.page import MailPage
from gui.pages.mail.presenter import MailPresenter
from gui.pages.part import Part as Base


class Part(Base):
    def __init__(self, desk) -> None:
        self.page = MailPage()
        self.presenter = MailPresenter(desk, self.page)

    def shown(self) -> None:
        self.presenter.show()
""",
}


def test_one_folder_and_one_line_are_a_page(qapp, drive, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "more" / "mail"
    folder.mkdir(parents=True)
    for name, text in FOLDER.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(gui.pages, "__path__", [*gui.pages.__path__, str(folder.parent)])
    monkeypatch.setattr(gui.app, "PAGES", (*PAGES, PageEntry("mail", "Mail")))

    async def story() -> None:
        window = make_window(tmp_path / "data")
        frame = window.frame
        frame.show()
        try:
            frame.go("mail")
            await asyncio.sleep(0)
            assert frame.current_page() == "mail"
            assert page(window, "mail").isVisible()
            assert page(window, "mail").remark.text() == "nothing is open"
            assert part(window, "mail").presenter.desk is window
            assert frame.title_of("mail") == "Mail"
            assert "What was sent." in help_of("mail")
            assert "Mail" in [action.text() for action in frame.findChildren(QAction)]  # menu, key and palette
        finally:
            frame.close()
            await asyncio.wait_for(window.done.wait(), 60)

    drive(story())


def test_every_page_is_a_folder_with_the_same_files_an_icon_help_and_tests() -> None:
    icons = json.loads(files("resources").joinpath("icons/icons.json").read_text("utf-8"))
    pages, tests = Path(gui.pages.__path__[0]), Path(__file__).parents[1] / "pages"
    for entry in PAGES:
        for name in ("page.py", "presenter.py", "part.py", "help.md"):
            assert (pages / entry.name / name).is_file(), f"{entry.name}/{name}"
        assert help_of(entry.name) != NOTHING
        assert list((tests / entry.name).glob("test_*.py")), f"tests of {entry.name}"
        assert entry.place not in ("rail", "foot") or entry.name in icons, f"icon of {entry.name}"
    folders = {folder.name for folder in pages.iterdir() if (folder / "part.py").is_file()}
    assert folders == {entry.name for entry in PAGES}
