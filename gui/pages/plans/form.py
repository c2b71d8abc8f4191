"""The form of one test of a plan. What is wrong stands beside its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from agent.messages import Workload
from gui.campaign.plan import Choice, Labelled, Plan, Test
from gui.widgets.fields import ChoiceField, NumberField, WholeField
from gui.widgets.parts import Elided, button, label, segments

KINDS = ("full", "range", "vector", "long", "write")
UNITS = (("B", 1), ("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30))


class TestForm(QWidget):
    """The fields of one test, with the plan's name and settle time."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._problems: dict[str, str] = {}
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 8, 0, 8)
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(8)
        self.grid.setColumnMinimumWidth(0, 88)
        self.grid.setColumnStretch(1, 1)
        self._errors: dict[str, Any] = {}

        self.name = QLineEdit()
        self.name.setMinimumWidth(240)
        self.name.setMaximumWidth(472)
        self.test_name = QLineEdit()
        self.test_name.setFixedWidth(240)
        self.test_name.setPlaceholderText("none")
        self.servers = QLineEdit()
        self.servers.setFixedWidth(240)
        self.servers_hint = Elided("", "secondary")
        self.clients = QLineEdit()
        self.clients.setFixedWidth(240)
        self.clients_hint = Elided("", "secondary")
        self.slots = WholeField(1, 1024)
        self.per_round = WholeField(1, 100_000)
        self.wait = NumberField(86_400, "s", width=96)
        self.files = WholeField(1, 10_000_000)
        self.files_hint = Elided("", "secondary")
        self.kinds = QButtonGroup(self)
        self.bytes = WholeField(0, 2**30)
        self.unit = ChoiceField()
        self.unit.addItems([name for name, _ in UNITS])
        self.unit.setFixedWidth(72)
        self.chunks = WholeField(0, 1024)
        self.reads = WholeField(0, 1_000_000)
        self.pause = NumberField(86_400, "s", width=96)
        self.repeats = WholeField(1, 1000)
        self.seed = WholeField(0, 2**31 - 1)
        self.settle = NumberField(604_800, "s", width=96)
        self.pass_at = NumberField(100, "%", decimals=2)

        choices: list[QPushButton] = []
        for kind in KINDS:
            choice = button(kind.capitalize(), kind="segment")
            choice.setProperty("value", kind)
            choices.append(choice)
        kinds = segments(*choices, group=self.kinds)
        self._sized = [self.bytes, self.unit]
        self._vector = [self.chunks, label("chunks of", "secondary")]
        self._long = [self.reads, label("reads of", "secondary")]
        self._paused = [label("with a pause of", "secondary"), self.pause]
        self._sized_hint = Elided("", "secondary")

        self._row("Name", "name", self.name)
        self._row("Test name", "test_name", self.test_name)
        self._row("Servers", "servers", self.servers, self.servers_hint)
        self._row("Clients", "clients", self.clients, self.clients_hint)
        self._row("Slots", "slots", self.slots, label("worker threads in each client", "secondary"))
        self._row(
            "Requests",
            "per_round",
            self.per_round,
            label("to each server in a round, wait", "secondary"),
            self.wait,
            label("between rounds", "secondary"),
        )
        self._row("Files", "files", self.files, self.files_hint)
        self._row("Read", "kind", kinds)
        self._row("", "sizes", *self._vector, *self._long, *self._sized, self._sized_hint)
        self._row("", "pause", *self._paused)
        self._row(
            "Repeats",
            "repeats",
            self.repeats,
            label("Seed", "secondary"),
            self.seed,
            label("Settle at most", "secondary"),
            self.settle,
        )
        self._row("Pass at", "pass_at", self.pass_at, label("or more of the requests recorded", "secondary"))
        self.grid.setRowStretch(self.grid.rowCount(), 1)

        for edit in (self.name, self.test_name, self.servers, self.clients):
            edit.textEdited.connect(self._changed)
        for spin in (
            self.slots,
            self.per_round,
            self.files,
            self.bytes,
            self.chunks,
            self.reads,
            self.repeats,
            self.seed,
        ):
            spin.valueChanged.connect(self._changed)
        for number in (self.wait, self.pause, self.settle, self.pass_at):
            number.valueChanged.connect(self._changed)
        self.unit.currentIndexChanged.connect(self._changed)
        self.kinds.buttonClicked.connect(self._changed)

    # ---- both ways

    def fill(self, plan: Plan, test: Test) -> None:
        """Show this test, without emitting a signal."""
        with QSignalBlocker(self):
            _set(self.name, plan.name)
            _set(self.test_name, test.name)
            _set(self.servers, choice_text(test.servers))
            _set(self.clients, choice_text(test.who.clients))
            self.slots.setValue(test.who.slots)
            self.per_round.setValue(test.per_round)
            self.wait.setValue(test.wait)
            self.files.setValue(test.files_per_server)
            for choice in self.kinds.buttons():
                choice.setChecked(choice.property("value") == test.workload.kind)
            amount, unit = _split_size(test.workload.bytes)
            self.bytes.setValue(amount)
            self.unit.setCurrentIndex(unit)
            self.chunks.setValue(test.workload.chunks)
            self.reads.setValue(test.workload.reads)
            self.pause.setValue(test.workload.pause)
            self.repeats.setValue(test.repeats)
            self.seed.setValue(min(test.seed, 2**31 - 1))
            self.settle.setValue(plan.settle)
            self.pass_at.setValue(test.pass_at)
            self._check()
            self._show_kind()
            self._show_rounds()

    def test(self, base: Test) -> Test:
        """The test that the form declares; fields that it does not show come from `base`. Raises ValueError."""
        if self._problems:
            raise ValueError(next(iter(self._problems.values())))
        kind = self._kind()
        takes = {"range": "b", "vector": "cb", "long": "rpb", "write": "b"}.get(kind, "")
        size = self.bytes.value() * UNITS[self.unit.currentIndex()][1]
        return replace(
            base,
            name=self.test_name.text().strip(),
            servers=parse_choice(self.servers.text(), "server"),
            files_per_server=self.files.value(),
            per_round=self.per_round.value(),
            wait=self.wait.value(),
            repeats=self.repeats.value(),
            seed=self.seed.value(),
            pass_at=round(self.pass_at.value(), 2),
            who=replace(base.who, clients=parse_choice(self.clients.text(), "client"), slots=self.slots.value()),
            workload=Workload(
                kind=kind,  # type: ignore[arg-type]
                bytes=size if "b" in takes else 0,
                chunks=self.chunks.value() if "c" in takes else 0,
                reads=self.reads.value() if "r" in takes else 0,
                pause=self.pause.value() if "p" in takes else 0.0,
            ),
        )

    def refuse(self, problems: Mapping[str, str]) -> None:
        """Show, beside the fields, what a plan file would not accept; what belongs to no field goes under the name."""
        for field, text in problems.items():
            last = field.rpartition(".")[2]
            self._problems[last if last in self._errors else "name"] = text
        self._show_problems()

    def plan_name(self) -> str:
        return self.name.text().strip()

    def problems(self) -> dict[str, str]:
        """The errors, by field."""
        return dict(self._problems)

    def set_hints(self, servers: int, clients: Sequence[str]) -> None:
        """Show which servers and clients the fields select."""
        self.servers_hint.setText(
            f"{servers} server{'s' if servers != 1 else ''}; a number, all, names, URLs or label:NAME"
        )
        self.clients_hint.setText(", ".join(clients[:4]) + (" …" if len(clients) > 4 else "") or "none up yet")

    # ---- inside

    def _kind(self) -> str:
        chosen = self.kinds.checkedButton()
        return str(chosen.property("value")) if chosen else "full"

    def _changed(self) -> None:
        self._check()
        self._show_kind()
        self._show_rounds()
        self.changed.emit()

    def _show_kind(self) -> None:
        kind = self._kind()
        for widgets, on in (
            (self._sized, kind != "full"),
            (self._vector, kind == "vector"),
            (self._long, kind == "long"),
            (self._paused, kind == "long"),
        ):
            for widget in widgets:
                widget.setVisible(on)
        self._sized_hint.setText(
            {
                "full": "every byte of each file, in reads of up to 1 MiB",
                "range": "at a random offset; 0 means 1 MiB",
                "vector": "at random offsets; 0 means 16 chunks of 64 KiB",
                "long": "",
                "write": "to new files under /store/write; 0 means 1 MiB",
            }[kind]
        )

    def _show_rounds(self) -> None:
        rounds = -(-self.files.value() // self.per_round.value())
        last = self.files.value() - (rounds - 1) * self.per_round.value()
        short = f"; the last round is short: {last}" if last < self.per_round.value() else ", all full"
        self.files_hint.setText(f"from each server, in {rounds:,} round{'s' if rounds > 1 else ''}{short}")

    def _check(self) -> None:
        found: dict[str, str] = {}
        if not self.plan_name():
            found["name"] = "Enter a name for the plan."
        for field, edit, noun in (("servers", self.servers, "server"), ("clients", self.clients, "client")):
            try:
                parse_choice(edit.text(), noun)
            except ValueError as error:
                found[field] = str(error)
        self._problems = found
        self._show_problems()

    def _show_problems(self) -> None:
        for field, message in self._errors.items():
            message.setText(self._problems.get(field, ""))
            message.setVisible(field in self._problems)

    def _row(self, title: str, field: str, *widgets: QWidget) -> None:
        number = self.grid.rowCount()
        if title:
            name = label(title, "secondary")
            name.setFixedHeight(28)
            self.grid.addWidget(name, number, 0, Qt.AlignmentFlag.AlignTop)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in widgets:
            row.addWidget(widget, 1000 if widget is self.name else 0)
            if title and isinstance(widget, QLineEdit | WholeField | NumberField):
                widget.setAccessibleName(title)
        row.addStretch(1)
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addLayout(row)
        message = label("", "error")
        message.hide()
        self._errors[field] = message
        column.addWidget(message)
        self.grid.addLayout(column, number, 1)


def choice_text(choice: Choice) -> str:
    """A choice of servers or clients as text for the field."""
    return ", ".join(choice) if isinstance(choice, tuple) else str(choice)


def parse_choice(text: str, noun: str) -> Choice:
    """Parse a field: a number, ``all``, ``label:NAME`` or names separated by commas. Raises ValueError."""
    text = text.strip()
    if not text:
        raise ValueError(f"Enter which {noun}s: a number, all, names separated by commas, or label:NAME.")
    if text == "all":
        return "all"
    if text.lstrip("-").isdecimal():
        if int(text) < 1:
            raise ValueError(f"At least one {noun} is needed, not {text}.")
        return int(text)
    if text.startswith("label:") and "," not in text:
        if not text.removeprefix("label:").strip():
            raise ValueError("Enter the label's name after “label:”.")
        return Labelled(text.removeprefix("label:").strip())
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"The {noun} {min(twice)!r} is named twice.")
    return names


def _split_size(size: int) -> tuple[int, int]:
    """A size in the largest unit that keeps it whole: (amount, number of the unit)."""
    unit = 0
    while size and size % 1024 == 0 and unit < len(UNITS) - 1:
        size, unit = size // 1024, unit + 1
    return size, unit if size else 2


def _set(edit: QLineEdit, text: str) -> None:
    """Set a text without moving the cursor while the user is typing."""
    if edit.text() != text:
        edit.setText(text)
        edit.setCursorPosition(0)
