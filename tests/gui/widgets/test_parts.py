"""Labels that end in "…", tooltips that stay plain text, read-outs and tabs in a narrow window."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QToolTip, QWidget

from gui.widgets.parts import Elided, Readout, ReadoutBar, TabBar, breakable, plain_tip, short_caption


def tip_of(widget: QWidget) -> str:
    QToolTip.hideText()
    place = QPoint(2, 2)
    QApplication.sendEvent(widget, QHelpEvent(QHelpEvent.Type.ToolTip, place, widget.mapToGlobal(place)))
    return QToolTip.text()


def test_a_text_that_does_not_fit_ends_in_dots_and_is_whole_in_the_tooltip(qtbot) -> None:
    label = Elided("<b>Acceptance</b> of the new caches")
    qtbot.addWidget(label)
    label.resize(90, 20)
    label.show()
    qtbot.waitExposed(label)
    assert label.shown_text().endswith("…")
    assert label.text() == "<b>Acceptance</b> of the new caches"
    assert tip_of(label) == plain_tip("<b>Acceptance</b> of the new caches")
    label.resize(600, 20)
    assert label.shown_text() == label.text()
    label.grab()


def test_a_long_text_does_not_widen_what_it_stands_in(qtbot) -> None:
    holder = QWidget()
    qtbot.addWidget(holder)
    row = QHBoxLayout(holder)
    row.addWidget(Elided("n" * 500, least=64))
    row.addWidget(QLabel("beside"))
    assert holder.minimumSizeHint().width() < 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a & b", "a && b"), ("two\nlines", "two lines"), ("n" * 80, "n" * 31 + "…"), ("short", "short")],
)
def test_captions_of_foreign_text(text: str, shown: str) -> None:
    assert short_caption(text) == shown


def test_tooltips_are_never_rich_text() -> None:
    assert plain_tip("<img src=x>\nsecond") == "<p>&lt;img src=x&gt;<br>second</p>"
    assert plain_tip("") == ""


def test_read_outs_leave_out_what_can_be_missed_and_overlap_never(qtbot) -> None:
    row = QHBoxLayout()
    readouts = [Readout(name) for name in ("requested", "read", "rate")]
    for readout in readouts:
        readout.set("1,234,567", "of many")
        row.addWidget(readout)
    window = QWidget()
    qtbot.addWidget(window)
    bar = ReadoutBar(row, [(readouts[2],), (readouts[0],)])
    bar.setParent(window)
    window.show()
    qtbot.waitExposed(window)

    def shown() -> list[str]:
        return [readout.caption.text() for readout in readouts if readout.isVisible()]

    one = readouts[0].minimumSizeHint().width()
    for width, names in (
        (4 * one, ["requested", "read", "rate"]),
        (2 * one + 8, ["requested", "read"]),
        (one, ["read"]),
        (4 * one, ["requested", "read", "rate"]),
    ):
        bar.resize(width, 64)
        qtbot.waitUntil(lambda names=names: shown() == names)
    bar.resize(3 * one, 64)
    readouts[0].set("1,234,567,890,123", "of very many")
    qtbot.waitUntil(lambda: shown() == ["requested", "read"])


def test_tabs_take_the_room_of_their_words(qtbot) -> None:
    bar = TabBar()
    qtbot.addWidget(bar)
    bar.addTab("A")
    assert bar.minimumSizeHint().width() <= bar.sizeHint().width() < 80


def test_long_words_can_be_broken_and_lines_are_one() -> None:
    assert breakable("a short\nsentence\twith  blanks") == "a short sentence with blanks"
    told = breakable("n" * 70)
    assert [len(part) for part in told.split("\u200b")] == [32, 32, 6]
    assert told.replace("\u200b", "") == "n" * 70
