"""Something dragged over a widget and dropped there, as the toolkit tells a widget of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget

_COPY, _LEFT, _NO_KEY = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def drop(widget: QWidget, things: Sequence[Path | str], at: QPoint) -> bool:
    """Drags files (a text is a whole URL) over a point of the widget and lets go; returns whether it takes them."""
    data = QMimeData()
    data.setUrls([QUrl(one) if isinstance(one, str) else QUrl.fromLocalFile(str(one)) for one in things])
    with warnings.catch_warnings():  # newer PySide6 deprecates the event's constructor and has no other
        warnings.simplefilter("ignore", DeprecationWarning)
        enter = QDragEnterEvent(at, _COPY, data, _LEFT, _NO_KEY)
    QApplication.sendEvent(widget, enter)
    QApplication.sendEvent(widget, QDropEvent(QPointF(at), _COPY, data, _LEFT, _NO_KEY))
    return enter.isAccepted()
