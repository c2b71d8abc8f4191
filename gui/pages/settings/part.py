"""Settings: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from gui.models.finder import Found, rank
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.pages.settings.page import SettingsPage
from gui.pages.settings.presenter import SettingsPresenter
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    only_here = True
    page: SettingsPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = page = SettingsPage()
        self.presenter = presenter = SettingsPresenter(desk, page, desk.data)
        page.show_place(str(presenter.file))
        page.edited.connect(presenter.edit)
        page.entered.connect(presenter.entered)
        page.restore_wanted.connect(presenter.restore)
        page.secret_typed.connect(presenter.type_secret)
        page.forget_wanted.connect(presenter.forget_secret)
        page.apply_wanted.connect(presenter.apply)
        page.discard_wanted.connect(presenter.discard)
        page.bus.test_wanted.connect(presenter.test_bus)
        page.bus.lab_wanted.connect(presenter.use_lab)
        page.hub.reopen_wanted.connect(self._reopen)
        page.database.test_wanted.connect(presenter.test_database)
        page.database.open_wanted.connect(lambda: desk.open_workspace())
        page.keys.revoke_wanted.connect(presenter.revoke)
        page.keys.create_wanted.connect(presenter.create_key)
        page.keys.rotate_wanted.connect(presenter.rotate_shared_key)
        page.keys.invite_wanted.connect(lambda: desk.go("fleet", invite=True))
        page.appearance.look_changed.connect(desk.frame.look_changed)
        desk.frame.look_changed.connect(page.appearance.read)
        page.keys.open_wanted.connect(lambda: desk.open_workspace())

    def attach(self, workspace: Workspace) -> None:
        self.presenter.attach(workspace)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def shown(self) -> None:
        self.page.show_back(None)
        self.page.shortcuts.connect_actions(self._desk.frame.actions_by_name)
        self.presenter.show()

    def found(self, words: str) -> Iterable[Found]:
        rows = [(section, row) for section in self.page.sections for row in section.rows.values()]
        for section, row in rank(words, rows, lambda pair: f"{pair[1].title} {pair[0].title}"):
            yield Found(
                f"{row.title}: setting", section.title, section.symbol, partial(self._show_row, section.name, row.name)
            )

    def _show_row(self, section: str, name: str) -> None:
        self._desk.go("settings", section=section)
        self.page.focus(name)

    def visit(self, **place: object) -> None:
        """`section`: bus, hub, signin, keys, database, appearance or shortcuts; `back`: the page that the way back
        leads to."""
        if "section" in place:
            self.page.search.clear()
            self.page.go(str(place["section"]))
        back = place.get("back")
        if back:
            self.page.show_back(lambda: self._desk.go(str(back)))

    def _reopen(self) -> None:
        workspace = self._desk.workspace
        if workspace is not None:
            self._desk.open_workspace(str(workspace.options.database))
