"""Number fields: what is typed is what is meant, to the last digit that the field has."""

from __future__ import annotations

import pytest
from PySide6.QtTest import QTest

from gui.widgets.fields import CheckField, ClockField, LargeField, NumberField
from gui.widgets.theme import theme
from tests.gui.parts import wear


def typed(field, text: str) -> float:
    field.selectAll()
    QTest.keyClicks(field, text)
    return field.value()


@pytest.mark.parametrize(
    ("value", "shown"), [(1.0, "1.0 s"), (0.25, "0.25 s"), (90.0, "90.0 s"), (0.001, "0.001 s"), (86_400, "86,400.0 s")]
)
def test_a_number_has_as_many_digits_as_its_value(qtbot, value: float, shown: str) -> None:
    field = NumberField(100_000, "s")
    qtbot.addWidget(field)
    field.setValue(value)
    assert field.text() == shown
    assert typed(field, str(value)) == value


def test_no_digit_is_needed_where_none_is_asked_for(qtbot) -> None:
    field = NumberField(1000, "s", decimals=0)
    qtbot.addWidget(field)
    assert typed(field, "20") == 20
    assert field.text() == "20 s"
    assert typed(field, "7.5") == 7.5


def test_a_large_number_is_exact(qtbot) -> None:
    field = LargeField(2**53)
    qtbot.addWidget(field)
    field.setValue(2**53 - 1)
    assert field.whole() == 2**53 - 1
    assert field.text() == f"{2**53 - 1:,}"
    assert typed(field, "12345678901") == 12_345_678_901


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("01:05", 65, "01:05"),
        ("5", 5, "00:05"),
        ("90", 90, "01:30"),
        ("1:2.5", 62.5, "01:02.5"),
        ("100:00", 6000, "100:00"),
    ],
)
def test_a_time_is_entered_as_minutes_or_as_seconds(qtbot, text: str, value: float, shown: str) -> None:
    field = ClockField(604_800)
    qtbot.addWidget(field)
    assert typed(field, text) == value
    field.setValue(0)
    field.setValue(value)
    assert field.text() == shown


def test_a_time_takes_no_letters_and_keeps_its_bounds(qtbot) -> None:
    field = ClockField(100)
    qtbot.addWidget(field)
    field.setValue(7)
    assert typed(field, "x") == 7
    typed(field, "500")
    field.interpretText()
    assert field.value() <= 100


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_box_of_a_check_is_seen_and_its_tick(qtbot, mode) -> None:
    field = CheckField("Compare")
    qtbot.addWidget(field)
    field.show()
    qtbot.waitExposed(field)
    wear(mode, field)

    def colours() -> set[str]:
        picture = field.grab().toImage()
        return {picture.pixelColor(x, y).name() for x in range(20) for y in range(field.height())}

    assert theme().hex("border_strong").lower() in colours()
    assert theme().hex("accent").lower() not in colours()
    field.setChecked(True)
    assert theme().hex("accent").lower() in colours()
    ticked = len(colours())
    assert ticked > 3, "the tick has colours of its own"
