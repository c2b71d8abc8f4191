"""Live: the page and its presenter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from gui.models.finder import Found, rank
from gui.pages.live.page import LivePage
from gui.pages.live.presenter import LivePresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.runner.progress import RunProgress
from gui.runner.workspace import Workspace


class Part(Base):
    """See the module."""

    page: LivePage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        actions = (
            ("Go to Plans", "plans", lambda: desk.go("plans")),
            ("Try it on this machine", "play", desk.try_here),
        )
        self.page = page = LivePage(actions, desk.leave)
        self.presenter = presenter = LivePresenter(desk, page, desk.run_plan)
        page.result_wanted.connect(presenter.show_result)
        page.again_wanted.connect(lambda run: desk.background(presenter.run_again(run), "run again"))
        page.table_wanted.connect(
            lambda path, table: desk.background(presenter.write_table(path, table), "write a table")
        )
        desk.frame.add_action("Run", "pause", "Pause the live view\tSpace", "", page.toggle_pause, symbol="pause")

    def attach(self, workspace: Workspace) -> None:  # noqa: ARG002
        self.presenter.read_last()

    def detach(self) -> None:
        self.presenter.detach()

    def progressed(self, progress: RunProgress) -> None:
        self.presenter.progressed(progress)

    def found(self, words: str) -> Iterable[Found]:
        """The servers of the run that is under way, or was the last one."""
        run = self.page.title.text()
        servers: list[Found] = [
            Found(row.name, f"server in {run}", "run", partial(self._desk.go, "live", server=row.name))
            for row in self.page.table.model.rows.all
        ]
        return rank(words, servers, lambda found: f"{found.title} {found.detail}")

    def visit(self, **place: object) -> None:
        """`server`: the name of one of the run's."""
        if (server := place.get("server")) is not None:
            self.page.table.filter_box.clear()  # it may hide what was asked for
            self.page.table.select_key(server)
            self.page.table.view.setFocus()

    def running(self, *, on: bool) -> None:
        if not on:
            self.presenter.read_last()

    def stage(self, text: str) -> None:
        self.presenter.stage(text)
