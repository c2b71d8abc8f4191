"""What pages are given: progress of a run, agents, servers, results; with any names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QPushButton, QWidget

from gui.runner.progress import Marker, RunProgress, SamplePoint, ServerRow

STARTED = 1_795_000_000.0

HOSTILE = [
    "<b>bold</b><img src=x onerror=alert(1)>",
    "two\nlines\tand a tab",
    "\u202eevil\u202c rtl שלום",
    "emoji 🦑🧪",
    "n" * 300,
    "&amp; &lt;tag&gt; &Ampersand",
]


@pytest.fixture
def hostile() -> list[str]:
    return list(HOSTILE)


@pytest.fixture
def progress() -> Callable[..., RunProgress]:
    """A moment of a run: ``progress(servers=…, seconds=…)``; a server's rate is its number, at every second."""

    def make(
        servers: int | list[str] = 4, seconds: int = 30, markers: tuple[Marker, ...] = (), rates=None, **changes
    ) -> RunProgress:
        names = servers if isinstance(servers, list) else [f"s{number:02}" for number in range(1, servers + 1)]
        last = rates(seconds) if rates else [number * 2.0**20 for number in range(1, len(names) + 1)]
        newest = [None if rate is None or math.isnan(rate) else rate for rate in last]
        rows = tuple(
            ServerRow(
                name, f"root://{number}.example.org:1094", requested=10, read=9, recorded=8, gap=1,
                rate=newest[number - 1],
            )
            for number, name in enumerate(names, start=1)
        )  # fmt: skip
        samples = tuple(
            SamplePoint(
                STARTED + second,
                rates(second) if rates else tuple(number * 2.0**20 for number in range(1, len(names) + 1)),
                requested=second * 10,
                read=second * 9,
                recorded=second * 8,
            )
            for second in range(1, seconds + 1)
        )
        values: dict[str, Any] = {
            "t": STARTED + seconds, "run": 37, "plan": "broker drill", "phase": "round", "test": 1, "tests": 1,
            "repeat": 1, "repeats": 3, "round": 3, "rounds": 5, "total": 400, "requested": 300, "read": 290,
            "recorded": 280, "gap": 10, "gap_oldest": 2.1, "achieved_rate": 97.5, "offered_rate": 160.0,
            "started": STARTED, "servers": rows, "samples": samples, "markers": markers,
        }  # fmt: skip
        return RunProgress(**(values | changes))

    return make


@pytest.fixture
def texts() -> Callable[[QWidget], list[str]]:
    """The texts of all labels and buttons that can be seen."""

    def visible(widget: QWidget) -> list[str]:
        found = [label for label in widget.findChildren(QLabel) if label.isVisible()]
        buttons = [button for button in widget.findChildren(QPushButton) if button.isVisible()]
        return [part.text() for part in (*found, *buttons) if part.text()]  # type: ignore[attr-defined]

    return visible


@pytest.fixture
def show(qtbot) -> Callable[[QWidget], QWidget]:
    """Show a page at the size that it has in the window."""

    def shown(page: QWidget) -> QWidget:
        qtbot.addWidget(page)
        page.resize(1368, 796)
        page.show()
        qtbot.waitExposed(page)
        return page

    return shown


@pytest.fixture
def controls() -> Callable[[QWidget], list[tuple[QWidget, str]]]:
    """What Tab reaches in a page, each with what a screen reader calls it."""

    def found(holder: QWidget) -> list[tuple[QWidget, str]]:
        return [
            (widget, widget.accessibleName() or (widget.text() if isinstance(widget, QPushButton) else ""))
            for widget in holder.findChildren(QWidget)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and widget.isVisible()
            and widget.isEnabled()
            and widget.focusProxy() is None
            and not isinstance(widget.parentWidget(), QComboBox)
        ]

    return found
