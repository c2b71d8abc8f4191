"""Preflight: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from PySide6.QtGui import QGuiApplication

from gui.models.checklist import STATES
from gui.models.finder import Found, rank
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.preflight.page import PreflightPage
from gui.pages.preflight.presenter import PreflightPresenter


class Part(Base):
    """See the module."""

    only_here = True
    page: PreflightPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = PreflightPage()
        self.presenter = presenter = PreflightPresenter(
            desk, page, desk, lambda text: QGuiApplication.clipboard().setText(text)
        )
        page.all_wanted.connect(lambda: presenter.begin())
        page.again_wanted.connect(lambda name: presenter.begin([name]))
        page.stop_wanted.connect(presenter.stop)
        page.fix_wanted.connect(presenter.fix)
        page.run_wanted.connect(presenter.run)
        page.text_wanted.connect(presenter.copy_text)
        page.command_wanted.connect(presenter.copy_command)
        page.plans_wanted.connect(lambda: desk.go("plans"))
        page.welcome_wanted.connect(lambda: desk.go("welcome"))

    def detach(self) -> None:
        self.presenter.detach()

    def shown(self) -> None:
        self.presenter.shown()

    def refresh(self) -> None:
        self.page.again_button.click()

    def found(self, words: str) -> Iterable[Found]:
        """The lines of the checklist, as they are now."""
        lines: list[Found] = [
            Found(line.item.title, f"Preflight: {STATES[line.state][1]}", STATES[line.state][0],
                  partial(self._desk.go, "preflight", line=line.item.name))
            for line in self.presenter.lines
        ]  # fmt: skip
        return rank(words, lines, lambda found: f"{found.title} {found.detail}")

    def visit(self, **place: object) -> None:
        """`line`: the name of one of the checklist."""
        if isinstance(name := place.get("line"), str):
            self.page.choose(name, explain=True)

    def running(self, *, on: bool) -> None:
        self.presenter.set_running(running=on)
