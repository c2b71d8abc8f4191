"""Add agent: a sheet that creates an invitation, shows the command to paste, and shows when the agent has joined.

The filled button, which Enter presses, is the next step: make the invitation, copy its command, done."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QButtonGroup, QDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from gui.hub.roster import AgentView
from gui.widgets.fields import NumberField, WholeField
from gui.widgets.parts import Badge, Button, button, label, line, segments
from gui.widgets.theme import fixed_font

Role = Literal["client", "server"]


class AddAgentSheet(QDialog):
    """`invitation_wanted` asks for (role, hours, uses); the owner answers by `show_command` or `show_error`."""

    invitation_wanted = Signal(str, float, int)

    def __init__(self, parent: QWidget, hub: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add agent")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(720)
        self._known: set[str] = set()
        self._waiting = False

        self.roles = QButtonGroup(self)
        role_row = QHBoxLayout()
        choices = []
        for role, text in (("client", "Client: reads the files"), ("server", "Server: runs beside an XRootD server")):
            choice = button(text, kind="segment")
            choice.setProperty("value", role)
            choices.append(choice)
        role_row.addWidget(segments(*choices, group=self.roles))
        choices[0].setChecked(True)
        role_row.addStretch(1)
        self.hours = NumberField(24, "h", decimals=1)
        self.hours.setMinimum(0.1)
        self.hours.setValue(1)
        self.hours.setAccessibleName("Lifetime of the invitation in hours")
        self.uses = WholeField(1, 1000)
        self.uses.setAccessibleName("Number of agents that may use it")
        life = QHBoxLayout()
        life.setSpacing(8)
        life.addWidget(self.hours)
        life.addWidget(label("for at most", "secondary"))
        life.addWidget(self.uses)
        life.addWidget(label("agents", "secondary"))
        life.addStretch(1)
        self.command = QLineEdit()
        self.command.setReadOnly(True)
        self.command.setFont(fixed_font())
        self.command.setPlaceholderText("tally-agent join …")
        self.command.setAccessibleName("Command for the agent")
        self.copy = button("Copy", "copy", self._copy)
        self.copy.setEnabled(False)
        command = QHBoxLayout()
        command.setSpacing(8)
        command.addWidget(self.command, 1)
        command.addWidget(self.copy)
        self.state = Badge()
        self.state.set_state("ring", "no invitation yet", "mute")
        self.error = label("", "error")
        self.error.setWordWrap(True)
        self.error.hide()
        self.make = button("Make invitation", "key", self._make, kind="primary")
        self.done_button = button("Close", "x", self.close)
        foot = QHBoxLayout()
        foot.addWidget(self.state)
        foot.addStretch(1)
        foot.addWidget(self.make)
        foot.addWidget(self.done_button)

        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(12)
        grid.setColumnMinimumWidth(0, 96)
        for number, (title, row) in enumerate(
            (("Role", role_row), ("Valid for", life), ("Command", command)),
        ):
            grid.addWidget(label(title, "secondary"), number, 0)
            grid.addLayout(row, number, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(16)
        column.addWidget(label("Add agent", "title"))
        column.addWidget(label(f"It will join {hub or 'the hub, once it is started'}.", "secondary"))
        column.addLayout(grid)
        column.addWidget(label("The command contains a secret that is valid for these joins only.", "hint"))
        column.addWidget(self.error)
        column.addWidget(line())
        column.addLayout(foot)
        self._lead_to(self.make)

    def _lead_to(self, next_step: Button) -> None:
        """Make this button the filled one, and that of Enter."""
        for each in (self.make, self.copy, self.done_button):
            each.set_kind("primary" if each is next_step else "")
            each.setDefault(each is next_step)

    def role(self) -> Role:
        chosen = self.roles.checkedButton()
        return "server" if chosen is not None and chosen.property("value") == "server" else "client"

    def show_command(self, command: str, agents: tuple[AgentView, ...]) -> None:
        """Show the command of the new invitation; `agents` are those that have already joined."""
        self._known = {agent.id for agent in agents if agent.live}
        self._waiting = True
        self.error.hide()
        self.command.setText(command)
        self.command.setCursorPosition(0)
        self.copy.setEnabled(True)
        self.state.set_state("run", "waiting for the agent", "info")
        self.make.set_caption("Make another")
        self._close_as("Close", "x")
        self._lead_to(self.copy)
        self.copy.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_error(self, sentence: str) -> None:
        self.error.setText(sentence)
        self.error.show()

    def agents_changed(self, agents: tuple[AgentView, ...]) -> None:
        """Show agents that have joined since."""
        if not self._waiting:
            return
        new = [agent for agent in agents if agent.live and agent.id not in self._known]
        if new:
            names = ", ".join(agent.name for agent in new[:3])
            self.state.set_state("ok", f"connected as {names}", "ok")
            self._close_as("Done", "check")
            self._lead_to(self.done_button)
            if self.focusWidget() in (self.copy, self.make, self.command):
                self.done_button.setFocus(Qt.FocusReason.OtherFocusReason)

    def _close_as(self, words: str, symbol: str) -> None:
        if self.done_button.text() != words:
            self.done_button.set_caption(words)
            self.done_button.show_icon(symbol)

    def _make(self) -> None:
        self.invitation_wanted.emit(self.role(), self.hours.value(), self.uses.value())

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.command.text())
