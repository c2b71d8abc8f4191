"""Fleet: the page, its presenter, and the sheet that creates invitations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import Qt

from gui.models.finder import Found, rank
from gui.pages.fleet.page import FleetPage
from gui.pages.fleet.presenter import FleetPresenter
from gui.pages.fleet.servers import ServersPresenter
from gui.pages.part import Limited, WindowDesk
from gui.pages.part import Part as Base
from gui.runner.progress import RunProgress
from gui.runner.workspace import Workspace
from gui.widgets.add_agent import AddAgentSheet
from gui.widgets.add_servers import AddServersSheet


class Part(Base):
    """See the module."""

    page: FleetPage

    def __init__(self, desk: WindowDesk) -> None:
        self._desk = desk
        self.page = FleetPage(self.add_agent, desk.try_here)
        self.presenter = presenter = FleetPresenter(desk, self.page)
        self.page.ping_wanted.connect(presenter.ping)
        self.page.drain_wanted.connect(presenter.drain)
        self.page.resume_wanted.connect(presenter.resume)
        self.page.disconnect_wanted.connect(presenter.disconnect)
        self.page.allow_wanted.connect(presenter.allow)
        self.page.revoke_wanted.connect(presenter.revoke)
        self.page.agent_wanted.connect(lambda agent, server: desk.go("agent", agent=agent, server=server))
        self.page.add_servers_wanted.connect(self.add_servers)
        self._servers: ServersPresenter | None = None
        desk.frame.add_action("Fleet", "add-agent", "Add agent…", "Ctrl+I", self.add_agent, symbol="plus")
        for name, text, symbol, call in (
            ("ping", "Ping the selected clients", "wire", self.page.ping_chosen),
            ("drain", "Drain or resume the selected clients", "drain", self.page.drain_chosen),
            ("disconnect", "Disconnect the selected clients, or allow them again…", "x", self.page.disconnect_chosen),
            ("revoke", "Revoke the key of the selected client…", "key", self.page.revoke_chosen),
        ):
            desk.frame.add_action("Fleet", name, text, "", call, symbol=symbol)
        desk.frame.add_action("Fleet", "add-servers", "Add servers…", "Ctrl+Shift+I", self.add_servers, symbol="fleet")

    def limited(self) -> Limited:
        page, named = self.page, self._desk.frame.actions_by_name
        buttons = (page.ping_button, page.drain_button, page.disconnect_button, page.revoke_button, page.add_button)
        actions = tuple(named[name] for name in ("add-agent", "ping", "drain", "disconnect", "revoke"))
        return Limited((*buttons, *actions), (page.add_servers_button, named["add-servers"]))

    def attach(self, workspace: Workspace) -> None:
        self.presenter.attach(workspace)

    def detach(self) -> None:
        self.presenter.detach()

    def look(self) -> None:
        self.presenter.look()

    def progressed(self, progress: RunProgress) -> None:
        self.page.set_working(progress.clients if progress.outcome == "running" else ())

    def visit(self, **place: object) -> None:
        """`invite`, `servers`: open the sheet that creates an invitation, or the one that adds servers; `server`: the
        address of one, `agent`: an id."""
        for table, key in ((self.page.servers, place.get("server")), (self.page.clients, place.get("agent"))):
            if key is not None:
                table.filter_box.clear()  # it may hide what was asked for
                table.select_key(key)
                table.view.setFocus()
        if place.get("invite"):
            self.add_agent()
        if place.get("servers"):
            self.add_servers()

    def found(self, words: str) -> Iterable[Found]:
        """Servers and clients."""
        go = self._desk.go
        servers: list[Found] = [
            Found(row.name, f"server {row.url}", "fleet", partial(go, "fleet", server=row.url))
            for row in self.page.servers.model.rows.all
        ]
        clients: list[Found] = [
            Found(row.name, f"client on {row.host or 'an unknown host'}", "client",
                  partial(go, "fleet", agent=row.id))
            for row in self.page.clients.model.rows.all
        ]  # fmt: skip
        return rank(words, [*servers, *clients], lambda found: f"{found.title} {found.detail}")

    def add_agent(self) -> None:
        """Open the sheet that creates an invitation; without a workspace, open the default one first."""
        workspace = self._desk.workspace
        if workspace is None:
            self._desk.background(self._open_then(self.add_agent), "open a workspace")
            return
        if why := workspace.why_not("operator"):
            self._desk.complain("fleet", why)
            return
        presenter = self.presenter
        sheet = AddAgentSheet(self._desk.frame, workspace.hub.address)
        presenter.sheet = sheet
        sheet.invitation_wanted.connect(
            lambda role, hours, uses: self._desk.background(presenter.invite(sheet, role, hours, uses), "invite")
        )
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.finished.connect(lambda _code: self._forget_sheet())
        sheet.open()

    async def _open_then(self, call: Callable[[], object]) -> None:
        if await self._desk.open_default():
            call()

    def add_servers(self) -> None:
        """Open the sheet that adds addresses of servers; without a workspace, open the default one first."""
        workspace = self._desk.workspace
        if workspace is None:
            self._desk.background(self._open_then(self.add_servers), "open a workspace")
            return
        if why := workspace.why_not("here"):
            self._desk.complain("fleet", why)
            return
        sheet = AddServersSheet(self._desk.frame)
        presenter = self._servers = ServersPresenter(self._desk, sheet, workspace)
        sheet.check_wanted.connect(presenter.check)
        sheet.add_wanted.connect(presenter.add)
        sheet.remove_wanted.connect(presenter.remove)
        sheet.file_wanted.connect(presenter.read_file)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.finished.connect(lambda _code: presenter.close())
        sheet.open()

    def _forget_sheet(self) -> None:
        self.presenter.sheet = None
