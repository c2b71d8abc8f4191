"""Datagram inspector: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from gui.models.datagrams import ServerNames
from gui.models.finder import Found, rank
from gui.pages.inspector.page import InspectorPage
from gui.pages.inspector.presenter import InspectorPresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk


class Part(Base):
    """See the module."""

    only_here = True
    page: InspectorPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        names = ServerNames()
        self.page = page = InspectorPage(names, lambda: desk.go("pipeline"))
        self.presenter = presenter = InspectorPresenter(desk, page, names)
        page.open_wanted.connect(presenter.open)
        page.live_wanted.connect(presenter.live)
        page.pause_wanted.connect(presenter.pause)
        page.save_wanted.connect(presenter.save)
        page.follow_wanted.connect(presenter.follow)
        page.chosen.connect(presenter.choose)
        desk.frame.add_action("Tools", "open-capture", "Open a capture…", "Ctrl+Shift+O", self.ask, symbol="folder")

    def detach(self) -> None:
        self.presenter.pause()

    def visit(self, **place: object) -> None:
        """`file`: a capture, a spool or a local bus (Path); `filter`: for the list; `live`: what is on the bus."""
        wanted = place.get("file")
        if isinstance(wanted, Path):
            self.presenter.open(wanted)
        elif place.get("live"):
            self.presenter.live()
        if isinstance(text := place.get("filter"), str):
            self.page.set_filter(text)

    def found(self, words: str) -> Iterable[Found]:
        """The servers whose datagrams are listed."""
        servers: list[Found] = [
            Found(name, "datagrams of this server", "search", partial(self._show_server, name))
            for name in self.page.senders()
        ]
        return rank(words, servers, lambda found: f"{found.title} {found.detail}")

    def _show_server(self, name: str) -> None:
        self._desk.go("inspector")
        self.page.only_server(name)

    def ask(self) -> None:
        """Choose a capture and open it."""
        self._desk.go("inspector")
        self.page.ask_for_file()

    def close(self) -> None:
        self._desk.background(self.presenter.close(), "end the inspector")
