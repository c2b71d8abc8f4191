"""Fleet: clients above, servers below, and details of the selected server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from agent.messages import ServerReport
from gui.campaign.selection import name_order
from gui.hub.roster import AgentView
from gui.models import figures
from gui.models.besides import daemons_word, throughput_words
from gui.models.fleet import AGENT_STATES, FleetServer, count_words, ping_words, shared_words, state_word
from gui.models.rows import Column
from gui.runner.progress import ClientRow
from gui.widgets.parts import Button, Elided, Page, Splitter, button, label, line, plain_tip
from gui.widgets.question import ask
from gui.widgets.table import Empty, Table
from gui.widgets.theme import fixed_font

Action = tuple[str, str, Callable[[], object]]

OUT_FOR: tuple[tuple[str, float | None], ...] = (
    ("For 10 minutes", 600.0),
    ("For 1 hour", 3600.0),
    ("Until allowed again", None),
)
MOST_VERDICTS = 6
"""How many findings the details of a server have in words; the agent's page has all."""
BUSY_WORDS = "The client uses nearly all its cores: it may be what limits the test, not the servers"


def _since(moment: float | None) -> float | None:
    return None if not moment else max(0.0, time.time() - moment)


def _live(row: AgentView, text: str) -> str:
    return text if row.live else figures.UNKNOWN


def _sends(report: ServerReport | None) -> str:
    throughput = report.throughput if report is not None else None
    if throughput is None or not throughput.seconds:
        return figures.UNKNOWN
    return f"{figures.size(throughput.sent)}/s"


CLIENT_COLUMNS: list[Column[AgentView]] = [
    Column(
        "state",
        "State",
        state_word,
        kind="status",
        icon=lambda r: AGENT_STATES[r.state][0],
        colour=lambda r: AGENT_STATES[r.state][1],
        width=136,
        tip=lambda r: r.reason or shared_words(r),
    ),
    Column("name", "Name", lambda r: r.name, width=120, bold=True),
    Column("host", "Host", lambda r: r.host, width=220, stretch=True),
    Column("version", "Version", lambda r: r.version, width=88, colour=lambda _r: "text2"),
    Column("xrootd", "XRootD", lambda r: r.xrootd, width=80, colour=lambda _r: "text2", fold=1),
    Column(
        "cpu",
        "CPU",
        lambda r: r.cpu if r.live else None,
        lambda r: _live(r, figures.per_cent(r.cpu)),
        "right",
        112,
        kind="bar",
        colour=lambda r: "warn" if r.busy else None,
        tip=lambda r: BUSY_WORDS if r.busy else "Per cent of one core, for the agent and its workers",
    ),
    Column(
        "clock",
        "Clock",
        lambda r: r.clock_offset if r.live else None,
        lambda r: _live(r, figures.milliseconds(r.clock_offset, signed=True)),
        "right",
        80,
        tip="How far its clock is ahead of the hub's",
    ),
    Column(
        "ping",
        "Ping",
        lambda r: r.pinged.rtt if r.pinged else None,
        lambda r: ping_words(r, time.time()) or figures.UNKNOWN,
        "right",
        156,
        colour=lambda r: "warn" if r.pinged and r.pinged.rtt is None else "text2",
        tip="The answer to the last ping, and when it was asked",
        fold=2,
    ),
    Column("requests", "Requests", lambda r: r.requests, lambda r: figures.count(r.requests), "right", 96),
    Column(
        "unsent",
        "Unsent lines",
        lambda r: r.journal_last - r.journal_stored,
        lambda r: figures.count(max(0, r.journal_last - r.journal_stored)),
        "right",
        104,
        shown=False,
        tip="Journal lines that the hub has not stored yet",
    ),
    Column(
        "seen",
        "Last seen",
        lambda r: _since(r.last_seen),
        lambda r: figures.age(_since(r.last_seen)),
        "right",
        104,
        colour=lambda r: "text2" if r.live else "warn",
    ),
    Column(
        "session",
        "Session",
        lambda r: _since(r.joined),
        lambda r: figures.duration(_since(r.joined)),
        "right",
        112,
        colour=lambda _r: "text2",
    ),
    Column("labels", "Labels", lambda r: ", ".join(r.labels), width=120, shown=False),
    Column("address", "Address", lambda r: r.address, width=140, shown=False),
]

SERVER_COLUMNS: list[Column[FleetServer]] = [
    Column(
        "state",
        "State",
        lambda r: r.state,
        kind="status",
        icon=lambda r: AGENT_STATES[r.state][0],
        colour=lambda r: AGENT_STATES[r.state][1],
        width=108,
    ),
    Column("name", "Name", lambda r: r.name, width=120, bold=True),
    Column("address", "Address", lambda r: r.url, width=240, stretch=True),
    Column("site", "Site", lambda r: r.site, width=104, colour=lambda _r: "text2", shown=False),
    Column("xrootd", "XRootD", lambda r: r.xrootd, width=80, colour=lambda _r: "text2", fold=3),
    Column(
        "config",
        "Monitoring config",
        lambda r: r.config,
        width=220,
        kind="status",
        icon=lambda r: "check" if r.config == "ok" else "warn" if r.config else None,
        colour=lambda r: "ok" if r.config == "ok" else "warn" if r.config else "text3",
        tip=lambda r: r.config or "No agent beside this server has reported its configuration",
    ),
    Column(
        "datagrams",
        "Datagrams/s",
        lambda r: r.figures.rate,
        lambda r: figures.rate(r.figures.rate),
        "right",
        96,
        colour=lambda r: "text" if r.figures.rate else "text3",
    ),
    Column(
        "sends",
        "Sends",
        lambda r: r.report.throughput.sent if r.report and r.report.throughput else None,
        lambda r: _sends(r.report),
        "right",
        96,
        tip="Bytes per second to its clients, as the server counts them itself; its agent asks for it",
        fold=2,
    ),
    Column("minute", "Last minute", lambda r: r.figures.last_minute, lambda _r: "", kind="spark", width=104, fold=4),
    Column(
        "gaps",
        "Gaps",
        lambda r: r.figures.gaps,
        lambda r: figures.count(r.figures.gaps),
        "right",
        64,
        colour=lambda r: "bad" if r.figures.gaps else "text3",
        tip="Datagrams missing from the server's sequences",
    ),
    Column(
        "oversize",
        "Oversize",
        lambda r: r.figures.oversize,
        lambda r: figures.count(r.figures.oversize),
        "right",
        80,
        colour=lambda r: "warn" if r.figures.oversize else "text3",
        tip="Datagrams larger than the path MTU, which are sent in fragments",
        fold=1,
    ),
    Column(
        "shoveler", "Shoveler", lambda r: r.figures.shoveler, width=88, kind="fixed", colour=lambda _r: "text2", fold=2
    ),
    Column(
        "seen",
        "Last seen",
        lambda r: _since(r.figures.last_seen),
        lambda r: figures.age(_since(r.figures.last_seen)),
        "right",
        104,
        colour=lambda _r: "text2",
    ),
    Column("source", "Known from", lambda r: r.source, width=96, shown=False),
]


def client_columns(working: Callable[[str], ClientRow | None]) -> list[Column[AgentView]]:
    """The columns of clients; `working` is what a client (its public id) does in the run under way."""

    def offered(agent: AgentView) -> float | None:
        row = working(agent.id)
        return None if row is None else row.offered

    def made(agent: AgentView) -> float | None:
        row = working(agent.id)
        return None if row is None else row.achieved

    rates: list[Column[AgentView]] = [
        Column(
            "offered", "Offered/s", offered, lambda r: figures.rate(offered(r)), "right", 88,
            tip="Requests per second: its share of what the run offers", fold=3,
        ),
        Column(
            "made", "Made/s", made, lambda r: figures.rate(made(r)), "right", 80,
            tip="Requests per second that it makes, over ten seconds", fold=3,
        ),
    ]  # fmt: skip
    place = next(number for number, column in enumerate(CLIENT_COLUMNS) if column.key == "requests") + 1
    return [*CLIENT_COLUMNS[:place], *rates, *CLIENT_COLUMNS[place:]]


class FleetPage(Page):
    """The page. Signals carry the public ids of the selected agents; `disconnect_wanted` also for how many seconds
    (None: until it is allowed again), `agent_wanted` the server that it was opened from (empty: none)."""

    ping_wanted = Signal(list)
    drain_wanted = Signal(list)
    resume_wanted = Signal(list)
    disconnect_wanted = Signal(list, object)
    allow_wanted = Signal(list)
    revoke_wanted = Signal(str)
    agent_wanted = Signal(str, str)
    add_servers_wanted = Signal()

    def __init__(self, add_agent: Callable[[], object], try_here: Callable[[], object]) -> None:
        super().__init__("Fleet")
        self._resumes = self._allows = False
        self.ping_button = button("Ping", "wire", self.ping_chosen)
        self.drain_button = button("Drain", "drain", self.drain_chosen)
        self.disconnect_button = button("Disconnect…", "x", self.disconnect_chosen)
        self.revoke_button = button("Revoke…", "key", self.revoke_chosen)
        self._outs = QMenu(self)
        for words, seconds in OUT_FOR:
            self._outs.addAction(words).triggered.connect(partial(self._disconnect_for, seconds))
        self.question: QMessageBox | None = None
        self.add_button = button("Add agent…", "plus", add_agent, tip="Ctrl+I")
        for widget in (*self._of_selection(), self.add_button):
            self.add_action(widget)
        self._add_agent, self._try_here = add_agent, try_here

        self._working: dict[str, ClientRow] = {}
        columns = client_columns(lambda agent: self._working.get(agent))
        self.clients = Table("fleet-clients", "Clients", columns, key=lambda r: r.id, hint="state:missing")
        self.servers = Table("fleet-servers", "Servers", SERVER_COLUMNS, key=lambda r: r.url, hint="config:xfr")
        self.add_servers_button = button("Add servers…", "plus", self.add_servers_wanted.emit, tip="Ctrl+Shift+I")
        self.servers.bar.addWidget(self.add_servers_button)
        self.detail = ServerDetail(self.agent_wanted.emit)
        self.detail.hide()
        self.servers.selected.connect(self._show_detail)
        self.clients.selected.connect(lambda _row: self._show_buttons())
        self.clients.activated.connect(lambda row: self.agent_wanted.emit(row.id, ""))
        split = Splitter(Qt.Orientation.Vertical)
        split.setObjectName("fleet")
        for part in (self.clients, self.servers, self.detail):
            split.addWidget(part)
        self.clients.setMinimumHeight(self.clients.height_for(3))
        self.servers.setMinimumHeight(self.servers.height_for(5))
        split.setStretchFactor(1, 1)
        split.setSizes([220, 420, 200])
        split.setChildrenCollapsible(False)
        self.body.addWidget(split)
        self.set_hub("")
        self.set_clients(())
        self.set_servers(())

    # ---- called by the owner

    def set_hub(self, address: str) -> None:
        """Set the address that the hub listens at; empty while it does not."""
        where = f"the hub listens at {address}" if address else "the hub is not started yet"
        self.clients.set_empty(
            Empty(
                "client",
                "No client has joined this hub",
                f"Clients read the files. One is enough to start; {where}.",
                (("Add a client…", "plus", self._add_agent), ("Try it on this machine", "play", self._try_here)),
            )
        )
        self.servers.set_empty(
            Empty(
                "fleet",
                "No server is known yet",
                "An agent beside each server checks its monitoring line and counts its datagrams.\n"
                "A server without an agent can be tested too: its address is enough.",
                (
                    ("Add a server agent…", "plus", self._add_agent),
                    ("Add servers…", "plus", self.add_servers_wanted.emit),
                ),
                primary=False,
            )
        )

    def set_clients(self, agents: Sequence[AgentView]) -> None:
        """Show the client agents; one that is not live counts as missing."""
        clients = (agent for agent in agents if agent.role == "client")
        rows = sorted(clients, key=lambda agent: name_order(agent.name))
        self.clients.set_rows(rows)
        self.clients.set_counts(count_words(rows))
        self.add_button.set_kind(
            "primary" if rows else ""
        )  # while the table is empty, the page's only filled button is there
        self._show_buttons()

    def set_working(self, clients: Sequence[ClientRow]) -> None:
        """Set what the clients do in the run under way; it is painted with the next `set_clients`."""
        self._working = {client.public_id: client for client in clients}

    def set_servers(self, servers: Sequence[FleetServer]) -> None:
        """Show all known servers."""
        self.servers.set_rows(servers)
        words = []
        for state in ("up", "check", "missing", "waiting"):
            count = sum(server.state == state for server in servers)
            if count:
                words.append(f"{count} {'to check' if state == 'check' else state}")
        self.servers.set_counts(", ".join(words) or "none")
        self._show_detail(self.servers.current())

    # ---- inside

    def _chosen(self) -> list[str]:
        return [agent.id for agent in self.clients.selection()]

    def _of_selection(self) -> tuple[Button, ...]:
        return (self.ping_button, self.drain_button, self.disconnect_button, self.revoke_button)

    def _show_buttons(self) -> None:
        rows = self.clients.selection()
        for widget in self._of_selection():
            widget.setEnabled(bool(rows))
        self._resumes = bool(rows) and all(row.state == "draining" for row in rows)
        self.drain_button.setText("Resume" if self._resumes else "Drain")
        self.drain_button.setToolTip("Give rounds again" if self._resumes else "Give no new rounds until resumed")
        self._allows = bool(rows) and all(row.state == "disconnected" for row in rows)
        self.disconnect_button.setText("Allow again" if self._allows else "Disconnect…")
        self.revoke_button.setEnabled(len(rows) == 1 and not rows[0].shared_key)
        why = shared_words(rows[0]) if len(rows) == 1 else "Choose one client"
        self.revoke_button.setToolTip(plain_tip(why or "Disable its key for good"))

    # ---- what buttons and the menu do

    def ping_chosen(self) -> None:
        """Ping the selected clients."""
        self.ping_wanted.emit(self._chosen())

    def drain_chosen(self) -> None:
        """Drain the selected clients, or let them go on if all are draining."""
        (self.resume_wanted if self._resumes else self.drain_wanted).emit(self._chosen())

    def disconnect_chosen(self) -> None:
        """Ask for how long to disconnect the selected clients; or allow them again if all are disconnected."""
        if self._allows:
            self.allow_wanted.emit(self._chosen())
        elif self._chosen():
            self._outs.popup(self.disconnect_button.mapToGlobal(self.disconnect_button.rect().bottomLeft()))

    def _disconnect_for(self, seconds: float | None, _checked: bool = False) -> None:
        self.disconnect_wanted.emit(self._chosen(), seconds)

    def revoke_chosen(self) -> None:
        """Ask whether to disable the key of the selected client."""
        rows = self.clients.selection()
        if len(rows) != 1 or rows[0].shared_key:
            return
        row = rows[0]
        others = [one.name for one in self.clients.model.rows.all if one.kid == row.kid and one.id != row.id]
        after = f"Its key {row.kid} cannot be used again; {row.name} needs a new invitation."
        if others:
            after += f" The same key is used by {', '.join(others[:3])}."
        call = partial(self.revoke_wanted.emit, row.id)
        self.question = ask(
            self, f"Revoke the key of {row.name} on {row.host or 'an unknown host'}?", after, "Revoke", call
        )

    def _show_detail(self, server: FleetServer | None) -> None:
        self.detail.setVisible(server is not None)
        if server is not None:
            self.detail.show_server(server)


class ServerDetail(QWidget):
    """Details of one server: its monitoring line, what is wrong with it, the corrected line, and facts."""

    def __init__(self, open_agent: Callable[[str, str], object]) -> None:
        super().__init__()
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._server: FleetServer | None = None
        self._open_agent = open_agent
        self.name = Elided("", "section")
        self.verdict = label("", "")
        self.verdict.setWordWrap(True)
        self.now = _command_box()
        self.fixed = _command_box()
        self.now.setAccessibleName("Monitoring line now")
        self.fixed.setAccessibleName("Fixed monitoring line")
        self.copy = button("Copy fixed line", "copy", self._copy)
        self.more = button("Checks, log and history", "right", self._more)
        left = QGridLayout()
        left.setContentsMargins(16, 12, 16, 12)
        left.setVerticalSpacing(8)
        left.setHorizontalSpacing(12)
        left.addWidget(self.name, 0, 0, 1, 2)
        left.addWidget(self.more, 0, 2)
        left.addWidget(self.verdict, 1, 0, 1, 3)
        self._now_label, self._fixed_label = label("Now", "secondary"), label("Fixed", "secondary")
        left.addWidget(self._now_label, 2, 0)
        left.addWidget(self.now, 2, 1)
        left.addWidget(self._fixed_label, 3, 0)
        left.addWidget(self.fixed, 3, 1)
        left.addWidget(self.copy, 3, 2)
        left.setColumnStretch(1, 1)
        left.setRowStretch(4, 1)
        self.facts = QGridLayout()
        self.facts.setContentsMargins(16, 12, 16, 12)
        self.facts.setVerticalSpacing(4)
        self.facts.setHorizontalSpacing(16)
        self.facts.setColumnStretch(1, 1)
        self.facts.addWidget(label("Facts", "section"), 0, 0, 1, 2)
        self._facts: list[tuple[QLabel, QLabel]] = []
        for number in range(10):
            title, value = label("", "secondary"), Elided("")
            self.facts.addWidget(title, number + 1, 0)
            self.facts.addWidget(value, number + 1, 1)
            self._facts.append((title, value))
        self.facts.setRowStretch(11, 1)
        side = QFrame()
        side.setFixedWidth(360)
        side.setLayout(self.facts)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        holder = QVBoxLayout()
        holder.addLayout(left)
        row.addLayout(holder, 1)
        row.addWidget(line("vertical"))
        row.addWidget(side)

    def show_server(self, server: FleetServer) -> None:
        if server == self._server:
            return
        self._server = server
        self.name.setText(server.name)
        errors = [f for f in server.findings if f.severity != "info"]
        if errors:
            words = [f"{f.what}{': ' + f.why if f.why else ''}" for f in errors[:MOST_VERDICTS]]
            if len(errors) > MOST_VERDICTS:
                words.append(f"and {len(errors) - MOST_VERDICTS} more, see its checks")
            self.verdict.setText("\n".join(words))
        elif server.config == "ok":
            self.verdict.setText("The monitoring line of this server is correct.")
        else:
            self.verdict.setText(
                "No agent runs beside this server, so its configuration is not known. "
                "Its datagrams are counted anyway, once a shoveler receives them."
            )
        fixed = next((f.fixed for f in errors if f.fixed), "")
        for box, text in ((self.now, server.monitor_line), (self.fixed, fixed)):
            box.setText(text)
            box.setCursorPosition(0)  # show the beginning of the line
            box.setToolTip(plain_tip(text))
        self._now_label.setVisible(bool(server.monitor_line))
        self.now.setVisible(bool(server.monitor_line))
        self._fixed_label.setVisible(bool(fixed))
        self.fixed.setVisible(bool(fixed))
        self.copy.setVisible(bool(fixed))
        agent = server.agent
        self.more.setVisible(agent is not None)
        rows = [
            ("Address", server.url),
            ("Site, instance", ", ".join(part for part in (server.site, server.instance) if part) or figures.UNKNOWN),
            ("Known from", server.source or figures.UNKNOWN),
            ("Agent", f"{agent.name}, {agent.version}, {agent.host}" if agent else "none"),
            (
                "Clock, round trip",
                f"{figures.milliseconds(agent.clock_offset, signed=True)}, {figures.milliseconds(agent.rtt)}"
                if agent
                else figures.UNKNOWN,
            ),
            ("Sequence gaps", figures.count(server.figures.gaps)),
            ("Shoveler", server.figures.shoveler or figures.UNKNOWN),
            *_reported(server.report),
        ]
        for (title, value), (name, text) in zip(self._facts, rows, strict=True):
            title.setText(name)
            value.setText(text)

    def _more(self) -> None:
        if self._server is not None and self._server.agent is not None:
            self._open_agent(self._server.agent.id, self._server.url)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.fixed.text())


def _reported(report: ServerReport | None) -> list[tuple[str, str]]:
    """What only the agent beside the server sees."""
    if report is None:
        return [(name, figures.UNKNOWN) for name in ("Server says", "MTU, kernel drops", "Beside it")]
    drops = sum(socket.drops for socket in report.sockets)
    return [
        ("Server says", throughput_words(report.throughput)),
        ("MTU, kernel drops", f"{figures.count(report.mtu or None)}, {figures.count(drops)}"),
        ("Beside it", daemons_word(report) or figures.UNKNOWN),
    ]


def _command_box() -> QLineEdit:
    box = QLineEdit()
    box.setReadOnly(True)
    box.setFont(fixed_font())
    return box
