"""Live: the page and its presenter."""

from __future__ import annotations

from gui.app.part import Part as Base
from gui.app.part import WindowDesk
from gui.pages.live import LivePage
from gui.presenters.live import LivePresenter
from gui.runner.progress import RunProgress


class Part(Base):
    """See the module."""

    page: LivePage

    def __init__(self, desk: WindowDesk) -> None:
        self.page = LivePage((("Try it on this machine", "play", desk.try_here),), desk.leave)
        self.presenter = LivePresenter(self.page)

    def detach(self) -> None:
        self.presenter.detach()

    def progressed(self, progress: RunProgress) -> None:
        self.presenter.progressed(progress)
