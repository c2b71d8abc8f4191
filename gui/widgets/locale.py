"""The writing of the user's language, from Qt's locale, and which one is kept in the settings."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale, QSettings

from gui.models.writing import ISO, Writing, use

SETTING = "appearance/format"


def of_locale(locale: QLocale) -> Writing:
    """How this language writes numbers and times."""

    def when(moment: float) -> QDateTime:
        return QDateTime.fromMSecsSinceEpoch(round(moment * 1000))

    short = QLocale.FormatType.ShortFormat
    group = "\u202f" if locale.groupSeparator().isspace() else locale.groupSeparator()  # one that does not break
    return Writing(
        group,
        locale.decimalPoint(),
        lambda moment: locale.toString(when(moment).date(), short),
        lambda moment: f"{locale.toString(when(moment).date(), short)} {_clock(locale, when(moment))}",
        lambda moment: _clock(locale, when(moment)),
    )


def _clock(locale: QLocale, moment: QDateTime) -> str:
    twelve = "AP" in locale.timeFormat(QLocale.FormatType.ShortFormat).upper()
    return locale.toString(moment.time(), "h:mm:ss AP" if twelve else "HH:mm:ss")


def use_kept_writing() -> None:
    """Write as the settings say."""
    use(of_locale(QLocale.system()) if str(QSettings().value(SETTING, "iso")) == "locale" else ISO)
