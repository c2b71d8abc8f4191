"""Buttons and menu actions that may not be used now: visible, disabled, and they say why. Whatever a page does with its
buttons meanwhile, they stay so until they are allowed again."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton

from gui.widgets.parts import plain_tip

Control = QAbstractButton | QAction


class Forbidden(QObject):
    """The controls that are forbidden, each with its reason."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._why: dict[Control, tuple[str, str, bool]] = {}
        """By control: the reason, and its own tooltip and whether it was enabled."""
        self._at_work = False

    def forbid(self, controls: Iterable[Control], why: str) -> None:
        """Disable these; `why` is their tooltip."""
        for control in controls:
            if control not in self._why:
                self._why[control] = (why, control.toolTip(), control.isEnabled())
                if isinstance(control, QAction):
                    control.changed.connect(self._action_changed)
                else:
                    control.installEventFilter(self)
            self._enforce(control)

    def allow_all(self) -> None:
        """Enable again what was enabled."""
        forbidden, self._why = self._why, {}
        for control, (_why, tip, enabled) in forbidden.items():
            if isinstance(control, QAction):
                control.changed.disconnect(self._action_changed)
            else:
                control.removeEventFilter(self)
            control.setToolTip(tip)
            control.setEnabled(enabled)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.EnabledChange, QEvent.Type.ToolTipChange) and isinstance(
            watched, QAbstractButton
        ):
            self._enforce(watched)
        return False

    def _action_changed(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self._enforce(action)

    def _enforce(self, control: Control) -> None:
        if self._at_work or control not in self._why:
            return
        self._at_work = True
        try:
            tip = plain_tip(self._why[control][0])
            if control.isEnabled():
                control.setEnabled(False)
            if control.toolTip() != tip:
                control.setToolTip(tip)
        finally:
            self._at_work = False
