"""The form of one test of a plan. What is wrong stands beside its field.

A field that was not touched leaves its value as it is in the file, to the last digit. What a field cannot show at all
is said beside it, and can be changed in the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.campaign.choices import Noun, can_be_typed, choice_text, parse_choice
from gui.campaign.plan import WRITE_DIRECTORY, Choice, Files, Means, Plan, Test, Who
from gui.pages.plans.workloads import WorkloadRows
from gui.widgets.fields import CheckField, LargeField, NumberField, WholeField
from gui.widgets.parts import Elided, button, label, segments

SOURCES = (("lab", "Of the lab"), ("list", "A list"), ("dir", "A directory"))
FIELD_OF = {
    "name": "name", "settle": "limits", "test.name": "test_name", "test.servers": "servers",
    "test.files_per_server": "files_per_server", "test.per_round": "per_round", "test.wait": "per_round",
    "test.repeats": "repeats", "test.seed": "repeats", "test.pass_at": "pass_at", "test.timeout": "limits",
    "test.request_timeout": "request_timeout", "test.barrier": "barrier",
    "test.files.list": "files", "test.files.dir": "files", "test.who.clients": "clients", "test.who.slots": "slots",
    "test.files.write": "write", "test.verify": "verify", "test.protocol": "kind", "test.port": "kind",
    "test.mix": "kind", "test.auth.token_file": "token", "test.auth.token": "token", "test.auth.cert": "cert",
    "test.auth.key": "cert",
    **{f"test.{table}.{key}": "kind" for table in ("workload", "mix")
       for key in ("weight", "kind", "protocol", "port", "pause", "bytes", "chunks", "reads")},
}  # fmt: skip
"""The field of this form for each field of a plan file."""
_NUMBER = re.compile(r"\[\d+\]")


class TestForm(QWidget):
    """The fields of one test, with the plan's name and settle time."""

    changed = Signal()
    choose_wanted = Signal(str)
    """``server`` or ``client``: show which there are."""

    def __init__(self) -> None:
        super().__init__()
        self._problems: dict[str, str] = {}
        self._mistakes: dict[str, str] = {}
        self._shown: dict[str, Any] = {}
        self._messages: dict[str, QLabel] = {}
        self._notes: dict[str, QLabel] = {}
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 8, 0, 8)
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnMinimumWidth(0, 88)
        self.grid.setColumnStretch(1, 1)
        self._make_fields()
        self._lay_out()
        self._connect()

    def _make_fields(self) -> None:
        self.name = QLineEdit()
        self.name.setMinimumWidth(240)
        self.name.setMaximumWidth(472)
        self.test_name = QLineEdit()
        self.test_name.setFixedWidth(240)
        self.test_name.setPlaceholderText("none")
        self.servers = QLineEdit()
        self.servers.setFixedWidth(160)
        self.choose_servers = button("Choose…", action=lambda: self.choose_wanted.emit("server"))
        self.servers_hint = Elided("", "secondary")
        self.clients = QLineEdit()
        self.clients.setFixedWidth(160)
        self.choose_clients = button("Choose…", action=lambda: self.choose_wanted.emit("client"))
        self.clients_hint = Elided("", "secondary")
        self.slots = WholeField(0, 1024)
        self.per_round = WholeField(0, 100_000)
        self.wait = NumberField(86_400, "s", width=96)
        self.files = WholeField(0, 10_000_000)
        self.files_hint = Elided("", "secondary")
        self.sources = QButtonGroup(self)
        self.path = QLineEdit()
        self.path.setMinimumWidth(80)
        self.path.setMaximumWidth(320)
        self.browse = button("Browse…", action=self._browse)
        self.source_hint = Elided("", "secondary")
        self.workloads = WorkloadRows()
        self.write = QLineEdit()
        self.write.setFixedWidth(240)
        self.write.setPlaceholderText(WRITE_DIRECTORY)
        self.token = QLineEdit()
        self.token.setFixedWidth(240)
        self.token.setPlaceholderText("none")
        self.cert, self.key = QLineEdit(), QLineEdit()
        for edit, empty in ((self.cert, "none"), (self.key, "in the same file")):
            edit.setFixedWidth(160)
            edit.setPlaceholderText(empty)
        self.verify = CheckField("Compare the bytes with what the catalogue knows of them")
        self.repeats = WholeField(0, 1000)
        self.seed = LargeField(2**53, width=176)
        self.barrier = CheckField("All servers begin each round together")
        self.timeout = NumberField(86_400, "s", width=96)
        self.request_timeout = NumberField(30 * 86_400, "s", width=96)
        self.settle = NumberField(604_800, "s", width=104)
        self.pass_at = NumberField(100, "%", decimals=2, most_decimals=6)

    def _lay_out(self) -> None:
        self._row("Name", "name", self.name)
        self._row("Test name", "test_name", self.test_name)
        self._row("Servers", "servers", self.servers, self.choose_servers, self.servers_hint)
        self._row("Clients", "clients", self.clients, self.choose_clients, self.clients_hint)
        self._row("Slots", "slots", self.slots, Elided("worker threads in each client", "secondary"))
        between = (
            Elided("to each server in a round, wait", "secondary"),
            self.wait,
            Elided("between rounds", "secondary"),
        )
        self._row("Requests", "per_round", self.per_round, *between)
        self._row("", "barrier", self.barrier, Elided("and wait for the slowest", "secondary"))
        self._row("Files", "files_per_server", self.files, self.files_hint)
        sources = self._segments(self.sources, SOURCES)
        self._row("From", "files", sources, self.path, self.browse, self.source_hint)
        self._row("Workload", "kind", self.workloads)
        self._row("Write to", "write", self.write, Elided("where clients may write", "secondary"))
        self._row("Token", "token", self.token, Elided("a file, or env:NAME; for https and roots", "secondary"))
        self._row("Certificate", "cert", self.cert, label("key", "secondary"), self.key)
        self._row("Check", "verify", self.verify)
        self._row("Repeats", "repeats", self.repeats, label("Seed", "secondary"), self.seed)
        limits = (label("for each call; settle at most", "secondary"), self.settle)
        self._row("Time limits", "limits", self.timeout, *limits)
        request = Elided("for a whole request; 0 means ten times that of a call, and more for large files", "secondary")
        self._row("", "request_timeout", self.request_timeout, request)
        self._row("Pass at", "pass_at", self.pass_at, Elided("or more of the requests recorded", "secondary"))
        self.grid.setRowStretch(self.grid.rowCount(), 1)
        for field, text in (
            (self.wait, "Wait between rounds"), (self.seed, "Seed"), (self.settle, "Settle at most"),
            (self.timeout, "Time limit of a call"), (self.request_timeout, "Time limit of a request"),
            (self.path, "File list or directory"), (self.token, "File of a bearer token, or env:NAME"),
            (self.cert, "File of the client's certificate"), (self.key, "File of its key"),
            (self.choose_servers, "Choose servers"), (self.choose_clients, "Choose clients"),
        ):  # fmt: skip
            field.setAccessibleName(text)

    def _segments(self, group: QButtonGroup, choices: Any) -> QWidget:
        made: list[QPushButton] = []
        for value, text in choices:
            choice = button(text, kind="segment")
            choice.setProperty("value", value)
            made.append(choice)
        return segments(*made, group=group)

    def _connect(self) -> None:
        texts = (self.name, self.test_name, self.servers, self.clients, self.path, self.write)
        for edit in (*texts, self.token, self.cert, self.key):
            edit.textEdited.connect(self._changed)
        wholes = (self.slots, self.per_round, self.files, self.repeats)
        numbers = (self.wait, self.timeout, self.request_timeout, self.settle, self.pass_at, self.seed)
        for spin in wholes:
            spin.valueChanged.connect(self._changed)
        for number in numbers:
            number.valueChanged.connect(self._changed)
        self.barrier.toggled.connect(self._changed)
        self.workloads.changed.connect(self._changed)
        self.verify.clicked.connect(self._changed)
        self.sources.buttonClicked.connect(self._changed)

    # ---- both ways

    def fill(self, plan: Plan, test: Test) -> None:
        """Show this test, without emitting a signal."""
        with QSignalBlocker(self):
            _set(self.name, plan.name)
            _set(self.test_name, test.name)
            for edit, choose, choice, noun in (
                (self.servers, self.choose_servers, test.servers, "server"),
                (self.clients, self.choose_clients, test.who.clients, "client"),
            ):
                _set(edit, choice_text(choice))
                edit.setReadOnly(not can_be_typed(choice, noun))  # type: ignore[arg-type]
                choose.setEnabled(not edit.isReadOnly())
            self.slots.setValue(test.who.slots)
            self.per_round.setValue(test.per_round)
            self.wait.setValue(test.wait)
            self.files.setValue(test.files_per_server)
            source = "list" if test.files.list is not None else "dir" if test.files.dir is not None else "lab"
            _check(self.sources, source)
            _set(self.path, test.files.list or test.files.dir or "")
            self.workloads.fill(test)
            _set(self.write, test.files.write or "")
            _set(self.token, test.auth.token_file or test.auth.token or "")
            _set(self.cert, test.auth.cert or "")
            _set(self.key, test.auth.key or "")
            self.verify.setChecked(test.verify)
            self.repeats.setValue(test.repeats)
            self.seed.setValue(test.seed)
            self.barrier.setChecked(test.barrier)
            self.timeout.setValue(test.timeout)
            self.request_timeout.setValue(test.request_timeout)
            self.settle.setValue(plan.settle)
            self.pass_at.setValue(test.pass_at)
            self._shown = self._values()
            self._check()
            self._show_source()
            self._show_rounds()
            self._show_beyond(plan, test)

    def accept(self) -> None:
        """What the form shows is now in the plan."""
        self.workloads.accept()
        self._shown = self._values()

    def plan(self, base: Plan, number: int) -> Plan:
        """The plan with this test as the form declares it; what was not touched comes from `base`. Raises ValueError
        when the form cannot be read."""
        if self._problems:
            raise ValueError(next(iter(self._problems.values())))
        tests = list(base.tests)
        tests[number] = self._test(tests[number])
        return replace(
            base,
            name=self._pick("name", base.name),
            settle=self._pick("settle", base.settle),
            tests=tuple(tests),
        )

    def _test(self, base: Test) -> Test:
        pick, values = self._pick, self._values()
        files = base.files
        if values["files"] != self._shown["files"]:
            source, path = values["files"]
            files = {"lab": Files(), "list": Files(list=path), "dir": Files(dir=path)}[source]
        return replace(
            self.workloads.test(base),
            verify=pick("verify", base.verify),
            name=pick("test_name", base.name),
            servers=self._choice("servers", self.servers, base.servers),
            files_per_server=pick("files_per_server", base.files_per_server),
            per_round=pick("per_round", base.per_round),
            wait=pick("wait", base.wait),
            repeats=pick("repeats", base.repeats),
            seed=pick("seed", base.seed),
            pass_at=pick("pass_at", base.pass_at),
            timeout=pick("timeout", base.timeout),
            request_timeout=pick("request_timeout", base.request_timeout),
            barrier=pick("barrier", base.barrier),
            files=replace(files, write=pick("write", base.files.write or "") or None),
            auth=self._auth(base.auth),
            who=Who(self._choice("clients", self.clients, base.who.clients), pick("slots", base.who.slots)),
        )

    def _auth(self, base: Means) -> Means:
        values = self._values()
        if values["token"] != self._shown["token"]:
            token = values["token"] or None
            of_variable = token is not None and token.startswith("env:")
            base = replace(base, token_file=None if of_variable else token, token=token if of_variable else None)
        if values["cert"] != self._shown["cert"]:
            cert, key = values["cert"]
            base = replace(base, cert=cert or None, key=key or None)
        return base

    def _values(self) -> dict[str, Any]:
        """What the fields show, by name."""
        source = self._source()
        return {
            "name": self.name.text().strip(),
            "test_name": self.test_name.text().strip(),
            "servers": self.servers.text(),
            "clients": self.clients.text(),
            "slots": self.slots.value(),
            "per_round": self.per_round.value(),
            "wait": self.wait.value(),
            "files_per_server": self.files.value(),
            "files": (source, self.path.text().strip() if source != "lab" else ""),
            "write": self.write.text().strip(),
            "token": self.token.text().strip(),
            "cert": (self.cert.text().strip(), self.key.text().strip()),
            "verify": self.verify.isChecked(),
            "repeats": self.repeats.value(),
            "seed": self.seed.whole(),
            "barrier": self.barrier.isChecked(),
            "timeout": self.timeout.value(),
            "request_timeout": self.request_timeout.value(),
            "settle": self.settle.value(),
            "pass_at": self.pass_at.value(),
        }

    def _pick(self, name: str, base: Any) -> Any:
        """The value of a field if it was touched, else that of the plan."""
        value = self._values()[name]
        return base if value == self._shown[name] else value

    def _choice(self, name: Noun | str, edit: QLineEdit, base: Choice) -> Choice:
        if edit.text() == self._shown[name]:
            return base
        return parse_choice(edit.text(), "server" if name == "servers" else "client")

    def refuse(self, problems: Mapping[str, str]) -> None:
        """Show, beside the fields, what a plan file would not accept; what belongs to no field goes under the name."""
        for field, text in problems.items():
            known = FIELD_OF.get(_NUMBER.sub("", field), "name")
            self._problems[known] = text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
        self._show_problems()

    def set_mistakes(self, mistakes: Mapping[str, str]) -> None:
        """What stands in the way of a run here, by field; those of no field of this form are left out."""
        self._mistakes = {field: text for field, text in mistakes.items() if field in self._messages}
        self._show_problems()

    def plan_name(self) -> str:
        return self.name.text().strip()

    def problems(self) -> dict[str, str]:
        """What no plan file would hold, by field: the plan was left as it was."""
        return dict(self._problems)

    def message(self, field: str) -> str:
        """What is said beside a field."""
        return self._problems.get(field) or self._mistakes.get(field, "")

    def focus(self, field: str) -> None:
        """Put the cursor where a field is wrong."""
        widget = {
            "name": self.name, "test_name": self.test_name, "servers": self.servers, "clients": self.clients,
            "slots": self.slots, "per_round": self.per_round, "files_per_server": self.files, "files": self.path,
            "kind": self.workloads.rows[0].kind, "write": self.write, "verify": self.verify,
            "token": self.token, "cert": self.cert,
            "repeats": self.repeats, "limits": self.timeout, "request_timeout": self.request_timeout,
            "barrier": self.barrier, "pass_at": self.pass_at,
        }.get(field)  # fmt: skip
        if widget is not None:
            widget.setFocus()

    def set_hints(self, servers: str, clients: str, source: str) -> None:
        """Show which servers, clients and files the fields select."""
        self.servers_hint.setText(servers)
        self.clients_hint.setText(clients)
        self.source_hint.setText(source)

    def choose(self, noun: str, names: str) -> None:
        """Put what was chosen from a list into its field, as if it was typed."""
        edit = self.servers if noun == "server" else self.clients
        _set(edit, names)
        self._changed()

    # ---- inside

    def _source(self) -> str:
        return _checked(self.sources) or "lab"

    def _browse(self) -> None:
        dialog = QFileDialog(self, "File list", self.path.text(), "File lists (*.txt *.list);;All files (*)")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.take_list)
        dialog.open()

    def take_list(self, name: str) -> None:
        """Read the files of this list."""
        _check(self.sources, "list")
        _set(self.path, str(Path(name)))
        self._changed()

    def _changed(self) -> None:
        self._check()
        self._show_source()
        self._show_rounds()
        self.changed.emit()

    def _show_source(self) -> None:
        source = self._source()
        self.path.setVisible(source != "lab")
        self.browse.setVisible(source == "list")
        self.path.setPlaceholderText("PATH SIZE on each line" if source == "list" else "/store/data")

    def _show_rounds(self) -> None:
        per_round, files = self.per_round.value(), self.files.value()
        if not per_round or not files:
            self.files_hint.setText("from each server")
            return
        rounds = -(-files // per_round)
        last = files - (rounds - 1) * per_round
        short = f"; the last round is short: {last:,}" if last < per_round else ", all full"
        self.files_hint.setText(f"from each server, in {rounds:,} round{'s' if rounds > 1 else ''}{short}")

    def _show_beyond(self, plan: Plan, test: Test) -> None:
        """Say what a field cannot show."""
        exact = (
            ("per_round", self.wait, test.wait, "a wait of {} s"),
            ("limits", self.timeout, test.timeout, "a time limit of {} s"),
            ("request_timeout", self.request_timeout, test.request_timeout, "a time limit of {} s"),
            ("limits", self.settle, plan.settle, "settling for {} s"),
            ("pass_at", self.pass_at, test.pass_at, "{} %"),
        )
        said = {
            field: f"Exactly {words.format(repr(value))}; more digits than this field has, so edit it as TOML."
            for field, widget, value, words in exact
            if widget.value() != value
        }
        if text := self.workloads.beyond():
            said["kind"] = text
        for field, edit in (("servers", self.servers), ("clients", self.clients)):
            if edit.isReadOnly():
                said[field] = "A name here reads as a number or as several names in this field; edit it as TOML."
        for field, note in self._notes.items():
            note.setText(said.get(field, ""))
            note.setVisible(field in said)

    def _check(self) -> None:
        found: dict[str, str] = {}
        if not self.plan_name():
            found["name"] = "Enter a name for the plan."
        for field, edit, noun in (("servers", self.servers, "server"), ("clients", self.clients, "client")):
            if edit.isReadOnly():
                continue
            try:
                parse_choice(edit.text(), noun)  # type: ignore[arg-type]
            except ValueError as error:
                found[field] = str(error)
        source = self._source()
        if source != "lab" and not self.path.text().strip():
            found["files"] = (
                "Enter the path of a file list." if source == "list" else "Enter a directory of the servers."
            )
        self._problems = found
        self._mistakes = {field: text for field, text in self._mistakes.items() if field not in found}
        self._show_problems()

    def _show_problems(self) -> None:
        for field, message in self._messages.items():
            text = self.message(field)
            message.setText(text)
            message.setVisible(bool(text))

    def _row(self, title: str, field: str, *widgets: QWidget) -> None:
        number = self.grid.rowCount()
        if title:
            name = label(title, "secondary")
            name.setFixedHeight(28)
            self.grid.addWidget(name, number, 0, Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in widgets:
            row.addWidget(widget, 1000 if widget in (self.name, self.path, self.workloads) else 0)
            if title and isinstance(widget, QLineEdit | WholeField | NumberField) and widget is widgets[0]:
                widget.setAccessibleName(title)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addLayout(row)
        for kept, kind in ((self._messages, "error"), (self._notes, "hint")):
            message = label("", kind)
            message.setWordWrap(True)
            message.hide()
            kept[field] = message
            column.addWidget(message)
        self.grid.addLayout(column, number, 1)


def _check(group: QButtonGroup, value: str) -> None:
    for choice in group.buttons():
        choice.setChecked(choice.property("value") == value)


def _checked(group: QButtonGroup) -> str:
    chosen = group.checkedButton()
    return str(chosen.property("value")) if chosen else ""


def _set(edit: QLineEdit, text: str) -> None:
    """Set a text without moving the cursor while the user is typing."""
    if edit.text() != text:
        edit.setText(text)
        edit.setCursorPosition(0)
