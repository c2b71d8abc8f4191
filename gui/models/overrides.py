"""An error in a method that Qt calls is reported, and never ends the program.

On Python 3.11, PySide6 (each of 6.8 to 6.11) ends the process with a segmentation fault when an error that the
interpreter itself raised, as ``{}["x"]`` does, leaves a Python method that C++ called while Python was calling C++: its
value is not an exception object yet when PySide6 sets it aside. Caught once in Python and raised again, it is one.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from PySide6.QtCore import QObject

NEEDED = sys.version_info < (3, 12)
"""From 3.12 on an error is an exception object as soon as it is raised."""


def guard_overrides() -> None:
    """From now on, what classes of ours override of Qt's raises errors that PySide6 can report."""
    if NEEDED:
        QObject.__init_subclass__ = classmethod(_guard)  # type: ignore[assignment, method-assign]


def _guard(cls: Any, /, **arguments: Any) -> None:
    super(QObject, cls).__init_subclass__(**arguments)
    if not cls.__module__.startswith(("gui.", "tests.")):
        return
    qt = [base for base in cls.__mro__ if base.__module__.startswith("PySide6.")]
    for name, method in list(vars(cls).items()):
        overrides = isinstance(method, FunctionType) and not name.startswith("__")
        if overrides and any(name in vars(base) for base in qt):
            setattr(cls, name, _raised_again(method))


def _raised_again(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except BaseException:
            raise

    return call
