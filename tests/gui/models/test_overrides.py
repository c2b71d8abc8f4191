"""An error in a method that Qt calls is reported, and the program goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from types import FunctionType

import gui.app.window  # noqa: F401 - its classes are among those looked at
from gui.app import page_names
from gui.models.overrides import NEEDED

CRASH = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
import gui.widgets
__name__ = "gui.a_test"

class Faulty(QWidget):
    def resizeEvent(self, event):
        if event.size().width() == 300:
            {}["an error of the interpreter's own"]

    def event(self, event):
        return super().event(event)

application = QApplication([])
widget = Faulty()
widget.show()
QTimer.singleShot(0, lambda: widget.resize(300, 300))
QTimer.singleShot(300, application.quit)
application.exec()
print("went on")
"""


def test_the_program_outlives_an_error_of_the_interpreter(x_display: str) -> None:
    environment = os.environ | {"DISPLAY": x_display, "QT_QPA_PLATFORM": "xcb"}
    done = subprocess.run(
        [sys.executable, "-c", CRASH], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    assert "an error of the interpreter's own" in done.stderr


def test_all_that_our_classes_override_is_guarded_where_it_is_needed() -> None:
    from PySide6.QtCore import QObject

    for name in page_names():
        __import__(f"gui.pages.{name}.part")
    bare = [
        f"{cls.__module__}.{cls.__name__}.{name}"
        for cls in _below(QObject)
        if cls.__module__.startswith("gui.")
        for name, method in vars(cls).items()
        if isinstance(method, FunctionType) and not name.startswith("__")
        if any(name in vars(base) for base in cls.__mro__ if base.__module__.startswith("PySide6."))
        if not hasattr(method, "__wrapped__")
    ]
    assert bool(bare) is not NEEDED, bare[:9]


def _below(cls: type) -> list[type]:
    return [found for sub in cls.__subclasses__() for found in (sub, *_below(sub))]
