"""The forms: bus, hub, people, database, appearance."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSettings, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from gui.hub.signin.provider import GITHUB
from gui.models.checklist import STATES
from gui.pages.settings.presenter import HubFacts, SignInFacts
from gui.pages.settings.rows import NARROW, WIDE, CheckLines, ChoiceRow, Row, SecretRow, Section, TextRow
from gui.runner.buscheck import outcome
from gui.runner.checklist import Check
from gui.runner.settings import BY_NAME, FOLDER, LAB, RABBITMQ, MachineSettings
from gui.widgets.fields import ChoiceField
from gui.widgets.parts import Badge, Elided, button, label, plain_tip
from gui.widgets.theme import Mode, fixed_font, theme

CERTIFICATES = "Certificates (*.pem *.crt *.cer);;All files (*)"


def hint(name: str) -> str:
    """The sentence of a setting."""
    return BY_NAME[name].help


class BusSection(Section):
    """The bus, and [Test] of it. `test_wanted` carries nothing, `lab_wanted` the folder of a lab."""

    test_wanted = Signal()
    lab_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__("bus", "Bus", "where datagrams and records travel", "queue")
        kind = self.group("Kind")
        self.kind = ChoiceRow(
            "bus.kind",
            "Kind",
            (
                (RABBITMQ, "RabbitMQ", "for several machines; the broker keeps what is under way"),
                (FOLDER, "Folder on this machine", "no broker; for one machine"),
                (LAB, "Lab on this machine", "the bus, servers and files that tally-agent lab up has started"),
            ),
            "broker amqp bus",
            headed=False,
        )
        self.add(kind, self.kind)
        self.offer = QWidget()
        self.offer.setProperty("words", "lab")
        self._offer_text = Elided("")
        self._use_lab = button("Use it", "play", lambda: self.lab_wanted.emit(self._lab))
        row = QHBoxLayout(self.offer)
        row.setContentsMargins(191, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._offer_text)
        row.addWidget(self._use_lab)
        row.addStretch(1)
        self._lab = ""
        self.hidden.add(self.offer)
        kind.add(self.offer)

        where = self.group("Connection")
        self.address = TextRow(
            "bus.address", "Address", hint("bus.address"), width=WIDE, placeholder="amqps://HOST/VHOST"
        )
        self.user = TextRow("bus.user", "User", words="login")
        self.secret = SecretRow("bus", "Password")
        self.authority = TextRow(
            "bus.ca_file",
            "Certificate authority",
            hint("bus.ca_file"),
            placeholder="of the system",
            files=CERTIFICATES,
            words="tls ca certificate",
        )
        self.token = TextRow(
            "bus.token_file",
            "Token file",
            hint("bus.token_file"),
            placeholder="none: the password",
            files="All files (*)",
            words="token password secret rotated",
        )
        self.folder = TextRow("bus.folder", "Folder", hint("bus.folder"), width=WIDE, folders=True)
        self.lab = TextRow("bus.lab", "Lab", hint("bus.lab"), width=WIDE, folders=True)
        self.add(where, self.address, self.user, self.secret, self.authority, self.token, self.folder, self.lab)
        self.test = button("Test", "wire", self.test_wanted.emit)
        self.testing = Badge()
        self.testing.hide()
        testing = QWidget()
        testing.setProperty("words", "test connection exchange rights policies bound queues")
        row = QHBoxLayout(testing)
        row.setContentsMargins(191, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.test)
        row.addWidget(self.testing)
        row.addStretch(1)
        where.add(testing)
        self.found = CheckLines()
        self.found.setProperty("words", "test")
        self.hidden.add(self.found)
        where.add(self.found)

        names = self.group("Exchanges and queues")
        self.names: list[Row] = [
            TextRow("bus.packets_exchange", "Datagrams", hint("bus.packets_exchange"), words="exchange"),
            TextRow("bus.records_exchange", "Records", hint("bus.records_exchange"), words="exchange"),
            TextRow("bus.status_exchange", "Status", hint("bus.status_exchange"), words="exchange"),
            TextRow("bus.packets_queue", "Queue of datagrams", hint("bus.packets_queue"), placeholder="not known"),
            TextRow("bus.queue_expires", "Queue expires after", hint("bus.queue_expires"), width=NARROW, words="limit"),
            TextRow("bus.queue_max", "Queue holds at most", hint("bus.queue_max"), width=NARROW, words="limit disk"),
            TextRow(
                "bus.management",
                "Management",
                hint("bus.management"),
                width=WIDE,
                placeholder="http://HOST:15672",
                words="policies http",
            ),
        ]
        self.add(names, *self.names)

    def show_kind(self, kind: str) -> None:
        """Show the fields of this kind of bus only."""
        broker: list[QWidget] = [self.address, self.user, self.secret, self.authority, self.token]
        parts: dict[str, list[QWidget]] = {
            RABBITMQ: [*broker, *self.names],
            FOLDER: [self.folder, *self.names[:4]],
            LAB: [self.lab],
        }
        for widgets in parts.values():
            self.hidden.update(widgets)
        self.hidden.difference_update(parts.get(kind, []))
        if kind == LAB or not self._lab:
            self.hidden.add(self.offer)
        else:
            self.hidden.discard(self.offer)
        self.refresh()

    def show_lab(self, text: str, directory: str, kind: str) -> None:
        """Offer a lab that runs here; without a text there is none."""
        self._lab = directory
        self._offer_text.setText(f"{text}: use it" if text else "")
        self._offer_text.setToolTip(plain_tip(directory))
        self.show_kind(kind)

    def show_checks(self, checks: Sequence[Check], *, running: bool) -> None:
        """What the test has found until now."""
        self.found.show_checks(checks)
        if checks:
            self.hidden.discard(self.found)
        else:
            self.hidden.add(self.found)
        show_verdict(self.testing, checks, running=running)
        self.refresh()


def show_verdict(badge: Badge, checks: Sequence[Check], *, running: bool) -> None:
    """The outcome of a test in one badge."""
    badge.setVisible(running or bool(checks))
    if running:
        badge.set_state("run", "testing", "info")
        return
    state, words = outcome(checks)
    symbol, _, colour = STATES[state]
    badge.set_state(symbol, words, colour)


class HubSection(Section):
    """Where the hub listens, and its certificate. `reopen_wanted`: close the workspace and open it again."""

    reopen_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("hub", "Hub and TLS", "where agents join", "lock")
        where = self.group("Address")
        self.add(
            where,
            TextRow("hub.host", "Listens on", hint("hub.host"), words="listen address interface"),
            TextRow("hub.port", "Port", hint("hub.port"), width=NARROW),
            TextRow("hub.public", "Public name", hint("hub.public"), placeholder="the name of this host"),
            TextRow("hub.metrics", "Metrics", hint("hub.metrics"), placeholder="nowhere", words="prometheus health"),
        )
        crowd = self.group("Connections before sign-in")
        self.add(
            crowd,
            TextRow("hub.max_waiting", "At most in all", hint("hub.max_waiting"), width=NARROW,
                    words="limit idle flood"),
            TextRow("hub.max_waiting_each", "From one address", hint("hub.max_waiting_each"), width=NARROW,
                    words="limit idle flood nat"),
        )  # fmt: skip
        tls = self.group("TLS certificate")
        self.add(
            tls,
            TextRow("hub.certificate", "Certificate", hint("hub.certificate"), width=WIDE,
                    placeholder="made by Tally", files=CERTIFICATES, words="tls pem"),
            TextRow("hub.key", "Private key", hint("hub.key"), width=WIDE, files=CERTIFICATES, words="tls pem"),
        )  # fmt: skip
        self.pin = QLineEdit()
        self.pin.setReadOnly(True)
        self.pin.setFont(fixed_font())
        self.pin.setAccessibleName("Fingerprint of the certificate's key")
        self.pin.setMinimumWidth(240)
        self.pin.setMaximumWidth(560)
        self.copy = button("Copy", "copy", lambda: QGuiApplication.clipboard().setText(self.pin.text()))
        tls.add(_labelled("Fingerprint", self.pin, self.copy, words="pin sha256"))
        now = self.group("Now")
        self.state = Badge()
        now.add(_labelled("Hub", self.state, words="state running"))
        self.reopen_text = label("", "warn")
        self.reopen_text.setWordWrap(True)
        self.reopen = button("Reopen now", "refresh", self.reopen_wanted.emit)
        self._reopen_row = _labelled("", self.reopen_text, self.reopen, words="reopen")
        self.hidden.add(self._reopen_row)
        now.add(self._reopen_row)
        self.refresh()

    def show_hub(self, facts: HubFacts) -> None:
        """How it stands with the hub."""
        if self.pin.text() != facts.pin:
            self.pin.setText(facts.pin)
            self.pin.setCursorPosition(0)
        self.pin.setPlaceholderText("made when the hub first starts" if not facts.address else "no TLS")
        self.copy.setEnabled(bool(facts.pin))
        if facts.address:
            agents = f"{facts.agents:,} agent{'' if facts.agents == 1 else 's'}"
            self.state.set_state("dot", f"listens at {facts.address}, {agents}", "ok")
        else:
            self.state.set_state("ring", "starts when a workspace is opened", "mute")
        self.reopen_text.setText("The hub listens as before until the workspace is opened again; its agents come back.")
        before = self._reopen_row in self.hidden
        (self.hidden.discard if facts.reopen else self.hidden.add)(self._reopen_row)
        if before == facts.reopen:
            self.refresh()


class PeopleSection(Section):
    """Whom the hub lets in by sign-in."""

    def __init__(self) -> None:
        super().__init__("signin", "People", "who may look on or run tests without a key", "client")
        provider = self.group("Provider")
        self.provider = TextRow(
            "signin.provider", "Provider", hint("signin.provider"), width=WIDE, placeholder="nobody signs in",
            words="github oidc cilogon check-in iam keycloak sign in login",
        )  # fmt: skip
        self.client = TextRow("signin.client_id", "Client id", hint("signin.client_id"), width=WIDE, words="oauth app")
        self.secret = SecretRow("signin", "Client secret")
        self.file = TextRow(
            "signin.secret_file", "or in a file", hint("signin.secret_file"), width=WIDE, files="All files (*)"
        )
        self.back = QLineEdit()
        self.back.setReadOnly(True)
        self.back.setFont(fixed_font())
        self.back.setAccessibleName("Address that the provider sends people back to")
        self.back.setMinimumWidth(240)
        self.back.setMaximumWidth(560)
        copy = button("Copy", "copy", lambda: QGuiApplication.clipboard().setText(self.back.text()))
        self.add(provider, self.provider, self.client, self.secret, self.file)
        provider.add(_labelled("Register there", self.back, copy, words="redirect uri callback address"))
        lists = self.group("Who is let in")
        self.operators = TextRow("signin.operators", "Operators", hint("signin.operators"), width=WIDE,
                                 placeholder="nobody", words="allow list team group")  # fmt: skip
        self.observers = TextRow("signin.observers", "Observers", hint("signin.observers"), width=WIDE,
                                 placeholder="nobody", words="allow list team group")  # fmt: skip
        self.add(
            lists, self.operators, self.observers,
            TextRow("signin.lasts", "Sign in again after", hint("signin.lasts"), width=NARROW, words="duration"),
        )  # fmt: skip
        now = self.group("Now")
        self.state = Badge()
        self.open = button("Open the page", "eye", lambda: QDesktopServices.openUrl(QUrl(self._page)))
        now.add(_labelled("Sign-in", self.state, self.open, words="page browser state"))
        more = self.group("More")
        self.scopes = TextRow("signin.scopes", "Scopes", hint("signin.scopes"), width=WIDE, words="oidc")
        self.github = TextRow(
            "signin.github", "GitHub's address", hint("signin.github"), width=WIDE, words="enterprise"
        )
        self.authority = TextRow("signin.ca_file", "Certificate authority", hint("signin.ca_file"),
                                 placeholder="of the system", files=CERTIFICATES, words="tls ca")  # fmt: skip
        self.add(more, self.scopes, self.github, self.authority)
        self._page = ""
        self.refresh()

    def show_draft(self, draft: MachineSettings) -> None:
        """Show the fields that this provider needs."""
        kind = draft["signin.provider"]
        for row, applies in ((self.github, kind == GITHUB), (self.scopes, bool(kind) and kind != GITHUB)):
            (self.hidden.discard if applies else self.hidden.add)(row)
        self.refresh()

    def show_sign_in(self, facts: SignInFacts) -> None:
        """How it stands with the sign-in of the hub that runs."""
        if self.back.text() != facts.back:
            self.back.setText(facts.back)
            self.back.setCursorPosition(0)
        self.back.setPlaceholderText("known when the hub has started")
        self._page = facts.page
        self.open.setEnabled(bool(facts.page))
        self.state.set_state(facts.icon, facts.words, facts.colour)


class DatabaseSection(Section):
    """The database that is opened first."""

    test_wanted = Signal()
    open_wanted = Signal()

    def __init__(self) -> None:
        super().__init__("database", "Database", "where runs, requests and records are kept", "db")
        where = self.group("Workspace that is opened when none is named")
        self.address = TextRow(
            "database.address",
            "Database",
            hint("database.address"),
            width=WIDE,
            files="Workspaces (*.db);;All files (*)",
            words="sqlite postgresql",
        )
        self.secret = SecretRow("database", "Password")
        self.add(where, self.address, self.secret)
        self.test = button("Test", "wire", self.test_wanted.emit)
        self.open = button("Open it", "folder", self.open_wanted.emit)
        self.testing = Badge()
        self.testing.hide()
        where.add(_labelled("", self.test, self.open, self.testing, words="test open"))
        self.found = CheckLines()
        self.hidden.add(self.found)
        where.add(self.found)
        now = self.group("Now")
        self.shown = Elided("")
        now.add(_labelled("Open", self.shown, words="open workspace"))
        self.refresh()

    def show_draft(self, draft: MachineSettings, *, dirty: bool) -> None:
        """Show what the other fields need for it."""
        url = draft["database.address"].startswith("postgresql")
        before = self.secret in self.hidden
        (self.hidden.discard if url else self.hidden.add)(self.secret)
        if before == url:
            self.refresh()
        self.open.setEnabled(not dirty)
        self.open.setToolTip("Apply the changes first" if dirty else "")

    def show_open(self, shown: str, default: str) -> None:
        """Which one is open now, and which one is opened by default."""
        self.shown.setText(shown or "no workspace is open")
        self.address.box.setPlaceholderText(default)

    def show_checks(self, checks: Sequence[Check], *, running: bool) -> None:
        """What the test has found."""
        self.found.show_checks(checks)
        (self.hidden.discard if checks else self.hidden.add)(self.found)
        show_verdict(self.testing, checks, running=running)
        self.refresh()


ZOOMS = (75, 90, 100, 110, 125, 150, 175, 200)


class AppearanceSection(Section):
    """Theme, zoom, and how numbers and times are written: kept with the window, and used at once.

    `look_changed` is emitted after each change; who draws the window reads ``appearance/zoom`` (per cent) and
    ``appearance/format`` (``iso`` or ``locale``)."""

    look_changed = Signal()

    def __init__(self) -> None:
        super().__init__("appearance", "Appearance", "how the window looks; used at once", "eye")
        group = self.group("")
        self.mode = ChoiceRow(
            "appearance.theme",
            "Theme",
            (
                ("system", "As the system", "follows it while running"),
                ("light", "Light", ""),
                ("dark", "Dark", ""),
            ),
            "dark light colour color",
        )
        self.zoom = ZoomRow()
        self.format = ChoiceRow(
            "appearance.format",
            "Numbers and times",
            (
                ("iso", "ISO", "1,234,567.5 and 2026-11-29 14:05:09"),
                ("locale", "As the system", "as your language writes them"),
            ),
            "locale date decimal",
        )
        self.add(group, self.mode, self.zoom, self.format)
        for row in self.rows.values():
            row.changed.connect(self._keep)
            row.restore_wanted.connect(self.restore)
        theme().follow(self.read)
        self.read()

    def read(self) -> None:
        """Show what is kept."""
        values = {"appearance.theme": theme().mode, **{name: _kept(key) for name, key in KEPT.items()}}
        for name, text in values.items():
            self.rows[name].set_text(text)
            self.rows[name].show_changed(changed=text != DEFAULTS[name])

    def changed_names(self) -> list[str]:
        """What differs from its default."""
        return [name for name, row in self.rows.items() if not row.restore.isHidden()]

    def restore(self, name: str) -> None:
        """Back to the default."""
        self._keep(name, DEFAULTS[name])

    def _keep(self, name: str, text: str) -> None:
        if name == "appearance.theme":
            modes: dict[str, Mode] = {"light": "light", "dark": "dark", "system": "system"}
            QSettings().setValue("theme", text)
            theme().set_mode(modes[text])
        else:
            QSettings().setValue(KEPT[name], text)
        self.read()
        self.look_changed.emit()


KEPT = {"appearance.zoom": "appearance/zoom", "appearance.format": "appearance/format"}
DEFAULTS = {"appearance.theme": "system", "appearance.zoom": "100", "appearance.format": "iso"}


def _kept(key: str) -> str:
    name = key.replace("/", ".")
    return str(QSettings().value(key, DEFAULTS[name]))


class ZoomRow(Row):
    """The zoom of the whole interface."""

    def __init__(self) -> None:
        super().__init__("appearance.zoom", "Zoom", "Of the whole interface.", "scale size font large small")
        self.box = ChoiceField()
        self.box.setFixedWidth(NARROW)
        self.box.setAccessibleName("Zoom of the interface")
        for zoom in ZOOMS:
            self.box.addItem(f"{zoom} %", str(zoom))
        self.box.activated.connect(lambda _number: self.changed.emit(self.name, str(self.box.currentData())))
        self.box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.fill(self.box)

    def field(self) -> QWidget:
        return self.box

    def set_text(self, text: str) -> None:
        found = self.box.findData(text)
        if found < 0 and text.isdecimal():
            self.box.addItem(f"{text} %", text)
            found = self.box.count() - 1
        self.box.setCurrentIndex(max(0, found))


def _labelled(title: str, *widgets: QWidget, words: str) -> QWidget:
    """A row that is no setting, in line with those that are."""
    holder = QWidget()
    holder.setProperty("words", f"{title} {words}")
    row = QHBoxLayout(holder)
    row.setContentsMargins(15, 0, 0, 0)
    row.setSpacing(12)
    caption = label(title, "secondary")
    caption.setFixedSize(164, 28)
    row.addWidget(caption, 0, Qt.AlignmentFlag.AlignTop)
    for widget in widgets:
        row.addWidget(widget, 1000 if isinstance(widget, QLineEdit) else 0)
    row.addStretch(1)
    return holder
