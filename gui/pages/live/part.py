"""Live: the page and its presenter."""

from __future__ import annotations

from gui.pages.live.page import LivePage
from gui.pages.live.presenter import LivePresenter
from gui.pages.part import Part as Base
from gui.pages.part import WindowDesk
from gui.runner.progress import RunProgress


class Part(Base):
    """See the module."""

    page: LivePage

    def __init__(self, desk: WindowDesk) -> None:
        self.page = LivePage((("Try it on this machine", "play", desk.try_here),), desk.leave)
        self.presenter = LivePresenter(self.page)
        desk.frame.add_action("Run", "pause", "Pause the live view\tSpace", "", self.page.toggle_pause, symbol="pause")

    def detach(self) -> None:
        self.presenter.detach()

    def progressed(self, progress: RunProgress) -> None:
        self.presenter.progressed(progress)

    def stage(self, text: str) -> None:
        self.presenter.stage(text)
