"""The writing of a language, as Qt knows it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QLocale, QSettings

from gui.models import figures
from gui.models.writing import ISO, use
from gui.widgets.locale import SETTING, of_locale, use_kept_writing


@pytest.mark.parametrize(
    ("name", "number", "clock"),
    [("de_DE", "1.234.567,5", "05:09"), ("en_US", "1,234,567.5", "05:09"), ("fr_FR", "1\u202f234\u202f567,5", "05:09")],
)
def test_a_language_writes_its_way(qapp, name: str, number: str, clock: str) -> None:
    made = of_locale(QLocale(name))
    assert made.number("1,234,567.5") == number
    assert clock in made.clock(1_795_961_109.0)
    assert made.date(1_795_961_109.0) in made.date_and_time(1_795_961_109.0)
    assert ("AM" in made.clock(1.0) or "PM" in made.clock(1.0)) == (name == "en_US")


def test_the_settings_say_which(qapp) -> None:
    try:
        QSettings().setValue(SETTING, "locale")
        use_kept_writing()
        QSettings().setValue(SETTING, "iso")
        use_kept_writing()
        assert figures.count(1234) == "1,234"
    finally:
        use(ISO)
