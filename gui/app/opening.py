"""The dialogs of opening and closing: which file. Whether a run may be left for it is asked by `leaving`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QFileDialog

from gui.app.background import Background
from gui.app.home import Home
from gui.runner.bundles import ENDING
from gui.runner.hubs import HubKey
from gui.widgets.frame import Frame
from gui.widgets.open_hub import OpenHubSheet


class Opening:
    """`import_plan` and `take_in` are called with a plan or a bundle that the user opens instead of a workspace."""

    def __init__(
        self,
        frame: Frame,
        home: Home,
        background: Background,
        unless_running: Callable[[str, Callable[[], object]], object],
        import_plan: Callable[[Path], object],
        take_in: Callable[[Path], object],
    ) -> None:
        self._frame = frame
        self._home = home
        self._background = background
        self._unless_running = unless_running
        self._import_plan = import_plan
        self._take_in = take_in

    def new(self) -> None:
        """Ask for the file of a new workspace."""
        where = str(self._home.data / "workspace.db")
        dialog = QFileDialog(self._frame, "New workspace", where, "Workspaces (*.db)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("db")
        dialog.fileSelected.connect(self.open_named)
        dialog.open()

    def ask(self) -> None:
        """Ask which workspace, plan or bundle to open."""
        kinds = f"Workspaces, plans and bundles (*.db *.toml *{ENDING})"
        dialog = QFileDialog(self._frame, "Open workspace, plan or bundle", str(self._home.data), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.open_named)
        dialog.open()

    def ask_hub(self) -> None:
        """Ask which remote hub to open."""
        sheet = OpenHubSheet(self._frame)
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.wanted.connect(self.open_hub)
        sheet.open()

    def open_hub(self, key: HubKey) -> None:
        """Open this remote hub; its key is remembered by name and file, never by its secret."""
        remember_hub(key)
        self._unless_running(f"open {key.url}", lambda: self._open_hub_soon(key))

    def _open_hub_soon(self, key: HubKey) -> None:
        insecure = key.url.startswith("ws://")
        self._background.start(self._home.open_hub(key, insecure=insecure), "open a remote hub")

    def open_default(self) -> None:
        """Open the default workspace, with a hub that other machines can reach."""
        self.open_named(self._home.default)

    def open_named(self, name: object) -> None:
        """Open this workspace, import this plan, or take in this bundle."""
        path = str(name)
        if path.startswith(("wss://", "ws://")):
            self.open_hub(remembered_hub(path))
            return
        if path.endswith(".zip"):
            self._take_in(Path(path))
            return
        if path.endswith(".toml"):
            self._frame.go("plans")
            self._import_plan(Path(path))
            return
        self._unless_running(f"open {Path(path).name}", lambda: self._open_soon(path))

    def _open_soon(self, path: str) -> None:
        self._background.start(self._home.open(self._home.options_for(path)), "open a workspace")

    def leave(self) -> None:
        """Close the open workspace."""
        self._unless_running("close the workspace", self._home.leave)


def remember_hub(key: HubKey) -> None:
    """Keep how a hub is asked, for the list of recent ones: the names of key and file."""
    file = str(key.key_file or "")
    QSettings().setValue(f"hubs/{_setting(key.url)}", [key.url, key.kid, file, key.name, key.pin])


def remembered_hub(url: str) -> HubKey:
    """How this hub was asked the last time; at first, with the sign-in that is kept."""
    kept = QSettings().value(f"hubs/{_setting(url)}")
    if not isinstance(kept, list) or len(kept) != 5:
        return HubKey(url)
    where, kid, file, name, pin = map(str, kept)
    return HubKey(where, kid, Path(file) if file else None, name, pin)


def _setting(url: str) -> str:
    return url.partition("://")[2].strip("/").replace("/", "-")
