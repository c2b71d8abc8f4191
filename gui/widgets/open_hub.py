"""Open a remote hub: its address, and with what key, unless this account is signed in there."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from gui.runner.hubs import HubKey
from gui.widgets.parts import button, label, line

FIELDS = (
    ("url", "Address", "wss://hub.example:8765"),
    ("pin", "Pin", "sha256:… as the hub shows it; not needed with a certificate that is known"),
    ("kid", "Key", "name of the key; not needed after tally login"),
    ("key_file", "Key file", "file with the secret of the key"),
    ("name", "Name", "operator name, as in tally key create --sub; empty: this account's"),
)


class OpenHubSheet(QDialog):
    """`wanted` has a `HubKey` when the user has decided."""

    wanted = Signal(object)

    def __init__(self, parent: QWidget, known: HubKey | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a remote hub")
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(720)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(12)
        grid.setColumnMinimumWidth(0, 96)
        self.fields: dict[str, QLineEdit] = {}
        for number, (name, title, hint) in enumerate(FIELDS):
            field = self.fields[name] = QLineEdit()
            field.setPlaceholderText(hint)
            field.setAccessibleName(title)
            value = getattr(known, name, "") if known is not None else ""
            field.setText(str(value or ""))
            grid.addWidget(label(title, "secondary"), number, 0)
            grid.addWidget(field, number, 1)
            if name == "key_file":
                grid.addWidget(button("Browse…", action=self._browse), number, 2)
        self.error = label("", "error")
        self.error.setWordWrap(True)
        self.error.hide()
        self.open_button = button("Open", "wire", self._take, kind="primary")
        self.open_button.setDefault(True)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(button("Cancel", action=self.reject))
        foot.addWidget(self.open_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(16)
        column.addWidget(label("Open a remote hub", "title"))
        text = (
            "The window shows that hub: its agents, its run, its results. What your key allows can be done from here."
        )
        column.addWidget(label(text, "secondary"))
        column.addLayout(grid)
        column.addWidget(self.error)
        column.addWidget(line())
        column.addLayout(foot)

    def _browse(self) -> None:
        dialog = QFileDialog(self, "Key file", str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.fields["key_file"].setText)
        dialog.open()

    def _take(self) -> None:
        text = {name: field.text().strip() for name, field in self.fields.items()}
        if not text["url"]:
            self.error.setText("Give the address of the hub: wss://HOST:PORT.")
            self.error.show()
            self.fields["url"].setFocus()
            return
        if bool(text["kid"]) != bool(text["key_file"]):
            self.error.setText("A key needs its name and its file: give both, or neither.")
            self.error.show()
            return
        file = Path(text["key_file"]).expanduser() if text["key_file"] else None
        self.wanted.emit(HubKey(text["url"], text["kid"], file, text["name"], text["pin"]))
        self.accept()
