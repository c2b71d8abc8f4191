"""The look: named colours, fonts and the style sheet, for light and dark; follows the system while running.

Widgets, delegates and plots ask `theme()` for a colour by name (``resources/themes/tally.toml``) and repaint when it
has changed (`Theme.follow`). None of them holds a hex value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from gui.widgets.dress import Wardrobe

Mode = Literal["light", "dark", "system"]

SERIES_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 3), (2, 2), (8, 3, 2, 3))
"""Dash pattern, in pixels, of series 1–8, 9–16, 17–24, 25–32."""

TITLE_PX, BASE_PX, CAPTION_PX, SMALL_PX = 20, 13, 12, 11


class Theme(QObject):
    """The current colours. One object per application."""

    def __init__(self) -> None:
        super().__init__()
        table = tomllib.loads(files("resources").joinpath("themes/tally.toml").read_text("utf-8"))
        self._colours: dict[str, list[str]] = table["colours"]
        self._series: list[list[str]] = list(table["series"].values())
        self.heat: list[str] = table["heat"]["steps"]
        self._mode: Mode = "system"
        self.dark = False
        self._inks: dict[tuple[str, bool], QColor] = {}
        self.wardrobe = Wardrobe()
        self._applied: bool | None = None
        """Whether dark is applied now; None before the first time."""

    @property
    def mode(self) -> Mode:
        return self._mode

    def hex(self, name: str) -> str:
        """The colour of that name as #RRGGBB. Raises KeyError for a name that the theme does not have."""
        return self._colours[name][1 if self.dark else 0]

    def colour(self, name: str, alpha: float = 1.0) -> QColor:
        """The colour of that name; `alpha` 0…1."""
        found = QColor(self.hex(name))
        found.setAlphaF(alpha)
        return found

    def ink(self, name: str) -> QColor:
        """The same, cached, for what is painted hundreds of times a second. Shared: copy it before changing it."""
        kept = self._inks.get((name, self.dark))
        if kept is None:
            kept = self._inks[name, self.dark] = self.colour(name)
        return kept

    def series(self, index: int) -> QColor:
        """Colour of the line of the server with this number (0 is the first)."""
        return QColor(self._series[index % len(self._series)][1 if self.dark else 0])

    def dash(self, index: int) -> tuple[float, ...]:
        """Dash pattern in pixels of the line of the server with this number."""
        return SERIES_DASHES[index // len(self._series) % len(SERIES_DASHES)]

    def names(self) -> list[str]:
        return list(self._colours)

    def pair(self, name: str) -> tuple[str, str]:
        """Light and dark value of a colour, for the contrast tests."""
        light, dark = self._colours[name]
        return light, dark

    def set_mode(self, mode: Mode) -> None:
        """Choose light or dark, or follow the system; takes effect at once."""
        self._mode = mode
        hints = QGuiApplication.styleHints()
        wanted = {
            "light": Qt.ColorScheme.Light,
            "dark": Qt.ColorScheme.Dark,
            "system": Qt.ColorScheme.Unknown,
        }[mode]
        if hasattr(hints, "setColorScheme"):  # Qt ≥ 6.8
            hints.setColorScheme(wanted)
        dark = mode == "dark" or (mode == "system" and hints.colorScheme() == Qt.ColorScheme.Dark)
        self._apply(dark)

    def follow(self, restyle: Callable[[], object]) -> None:
        """Call this method of a widget whenever the colours have changed, as long as there is the widget. What nobody
        sees at that time is called later."""
        self.wardrobe.follow(restyle)

    def follow_system(self) -> None:
        """Connect to the system's switch between light and dark; call once, at start."""
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_changed)
        self.set_mode(self._mode)

    def _system_changed(self) -> None:
        if self._mode == "system":
            dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
            self._apply(dark)

    def _apply(self, dark: bool) -> None:
        if dark == self._applied:  # a new style sheet makes Qt measure every widget again
            return
        self.dark = self._applied = dark
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.setPalette(self._palette())
        self.wardrobe.wear(style_sheet(self))

    def _palette(self) -> QPalette:
        roles = QPalette.ColorRole
        palette = QPalette()
        for role, name in (
            (roles.Window, "window"),
            (roles.Base, "surface"),
            (roles.AlternateBase, "surface"),
            (roles.Button, "surface"),
            (roles.ToolTipBase, "raised"),
            (roles.Text, "text"),
            (roles.WindowText, "text"),
            (roles.ButtonText, "text"),
            (roles.ToolTipText, "text"),
            (roles.PlaceholderText, "text3"),
            (roles.Highlight, "select"),
            (roles.HighlightedText, "text"),
            (roles.Link, "accent_text"),
            (roles.Mid, "border_mid"),
        ):
            palette.setColor(role, self.colour(name))
        for role in (roles.Text, roles.WindowText, roles.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, self.colour("text3"))
        return palette


@lru_cache(maxsize=1)
def theme() -> Theme:
    """The application's theme."""
    return Theme()


OWN_FONTS = {
    "Inter": ("Inter-Regular.otf", "Inter-Medium.otf", "Inter-SemiBold.otf"),
    "DejaVu Sans Mono": ("DejaVuSansMono.ttf",),
    "DejaVu Sans": ("DejaVuSans.ttf",),
}
"""The fonts of the window, in ``resources/fonts``: a machine need not have any. The last one has the letters that
others lack."""


def load_fonts() -> None:
    """Load those of our fonts that the machine does not have."""
    there = set(QFontDatabase.families())
    for family, names in OWN_FONTS.items():
        for name in names if family not in there else ():
            QFontDatabase.addApplicationFontFromData(files("resources").joinpath("fonts", name).read_bytes())


def application_font() -> QFont:
    """Inter at the base size, with tabular figures."""
    load_fonts()
    font = QFont()
    font.setFamilies(["Inter", "DejaVu Sans"])
    font.setPixelSize(BASE_PX)
    for kept in (sized_font, metrics, fixed_font):
        kept.cache_clear()
    if hasattr(font, "setFeature"):  # Qt ≥ 6.7
        font.setFeature(QFont.Tag("tnum"), 1)
    return font


@lru_cache(maxsize=64)
def sized_font(pixels: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The application font at another size and weight, with tabular figures. Shared: copy it before changing it.

    Cached (like `metrics` and `fixed_font`), since every cell of a table asks for it at every paint."""
    font = QFont(QApplication.font())
    font.setPixelSize(pixels)
    font.setWeight(weight)
    return font


@lru_cache(maxsize=64)
def metrics(pixels: int, weight: QFont.Weight = QFont.Weight.Normal, *, fixed: bool = False) -> QFontMetrics:
    """The metrics of `sized_font`, or of `fixed_font`."""
    return QFontMetrics(fixed_font(pixels) if fixed else sized_font(pixels, weight))


@lru_cache(maxsize=8)
def fixed_font(pixels: int = CAPTION_PX) -> QFont:
    """The fixed font, for tags, ids, hex and commands."""
    font = QFont()
    font.setFamilies(["JetBrains Mono" if "JetBrains Mono" in QFontDatabase.families() else "DejaVu Sans Mono"])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(pixels)
    return font


def style_sheet(colours: Theme) -> str:
    """The style sheet, built from the named colours. Object names and the ``kind`` property select variants."""
    c = colours.hex
    return f"""
* {{ outline: 0; }}
QMenuBar, QStatusBar, #rail, #topbar {{ background: {c("window")}; color: {c("text")}; }}
QMenuBar {{ padding: 2px 8px; color: {c("text2")}; border-bottom: 1px solid {c("border")}; }}
QMenuBar::item {{ padding: 4px 8px; background: transparent; border-radius: 4px; }}
QMenuBar::item:selected {{ background: {c("hover")}; color: {c("text")}; }}
QMenu {{ background: {c("surface")}; color: {c("text")}; border: 1px solid {c("border_mid")}; padding: 4px; }}
QMenu::item {{ padding: 4px 24px 4px 24px; border-radius: 4px; }}
QMenu::item:selected {{ background: {c("select")}; }}
QMenu::item:disabled {{ color: {c("text3")}; }}
QMenu::separator {{ height: 1px; background: {c("border")}; margin: 4px 8px; }}
QToolTip {{ background: {c("raised")}; color: {c("text")}; border: 1px solid {c("border_mid")}; padding: 4px; }}
#topbar {{ border-bottom: 1px solid {c("border")}; }}
#rail {{ border-right: 1px solid {c("border")}; }}
QStatusBar {{ border-top: 1px solid {c("border")}; color: {c("text2")}; font-size: 12px; }}
QStatusBar::item {{ border: 0; }}
#page, QStackedWidget#pages {{ background: {c("surface")}; }}
#side, #card, #raised {{ background: {c("raised")}; }}
#card {{ border: 1px solid {c("border")}; border-radius: 6px; }}
#plaincard {{ background: {c("surface")}; border: 1px solid {c("border")}; border-radius: 6px; }}
#popup {{ background: {c("surface")}; border: 1px solid {c("border_mid")}; border-radius: 6px; }}
#popup QListView {{ border-radius: 6px; }}
#sidesheet {{ background: {c("surface")}; border-left: 1px solid {c("border_mid")}; }}
#sidesheet QTextBrowser, #sidesheet QTextBrowser:focus {{ border: 0; border-radius: 0; padding: 0; }}
#sidesheet QTextBrowser:focus {{ border: 2px solid {c("focus")}; }}
#line {{ background: {c("border")}; }}
QLabel {{ background: transparent; color: {c("text")}; }}
QLabel[kind="title"] {{ font-size: 20px; font-weight: 600; }}
QLabel[kind="section"] {{ font-weight: 600; }}
QLabel[kind="secondary"] {{ color: {c("text2")}; }}
QLabel[kind="hint"] {{ color: {c("text3")}; font-size: 12px; }}
QLabel[kind="caption"] {{ color: {c("text2")}; font-size: 12px; }}
QLabel[kind="figure"] {{ font-size: 20px; font-weight: 600; }}
QLabel[kind="error"] {{ color: {c("bad")}; font-size: 12px; }}
QLabel[kind="key"] {{ color: {c("text")}; background: {c("raised")}; border: 1px solid {c("border_mid")};
    border-radius: 3px; padding: 1px 6px; font-size: 12px; }}
QLabel[kind="ok"] {{ color: {c("ok")}; font-size: 12px; }}
QLabel[kind="warn"] {{ color: {c("warn")}; font-size: 12px; }}
QPushButton {{ background: {c("surface")}; color: {c("text")}; border: 1px solid {c("border_mid")};
    border-radius: 4px; padding: 0 12px; height: 26px; }}
QPushButton:hover {{ background: {c("hover")}; }}
QPushButton:pressed {{ background: {c("select_off")}; }}
QPushButton:disabled {{ color: {c("text3")}; background: {c("window")}; border-color: {c("border")}; }}
QPushButton:focus {{ border: 2px solid {c("focus")}; padding: 0 11px; height: 24px; }}
QPushButton[kind="primary"] {{ background: {c("accent")}; color: {c("on_accent")}; border-color: {c("accent")};
    font-weight: 500; }}
QPushButton[kind="primary"]:hover {{ background: {c("accent_hover")}; }}
QPushButton[kind="primary"]:disabled {{ background: {c("select_off")}; color: {c("text3")};
    border-color: {c("border_mid")}; }}
QPushButton[kind="run"] {{ color: {c("accent_text")}; border-color: {c("accent_text")}; font-weight: 500; }}
QPushButton[kind="run"]:disabled {{ color: {c("text3")}; border-color: {c("border")}; }}
QPushButton[kind="plain"] {{ border-color: transparent; background: transparent; }}
QPushButton[kind="plain"]:hover {{ background: {c("hover")}; }}
QPushButton[kind="link"] {{ border-color: transparent; background: transparent; color: {c("accent_text")};
    padding: 0 4px; }}
QPushButton[kind="small"] {{ height: 22px; font-size: 12px; padding: 0 8px; }}
QPushButton[kind="small"]:focus {{ height: 20px; padding: 0 7px; }}
QPushButton[kind="link"]:focus {{ padding: 0 3px; border-color: {c("focus")}; }}
QPushButton[kind="plain"]:focus {{ border-color: {c("focus")}; }}
QPushButton[kind="run"]:focus {{ border-color: {c("focus")}; }}
QPushButton[kind="primary"]:focus {{ border-color: {c("focus")}; padding: 0 11px; }}
QPushButton[chevron="true"] {{ padding-right: 30px; }}
QPushButton[chevron="true"]:focus {{ padding-right: 29px; }}
QPushButton[kind="icon"], QPushButton[narrow="true"], QPushButton[narrow="true"]:focus {{ padding: 0; }}
QPushButton[kind="segment"] {{ border-radius: 0; }}
QPushButton[kind="segment"][place="first"] {{ border-top-left-radius: 4px; border-bottom-left-radius: 4px; }}
QPushButton[kind="segment"][place="last"] {{ border-top-right-radius: 4px; border-bottom-right-radius: 4px; }}
QPushButton[kind="segment"][place="middle"], QPushButton[kind="segment"][place="last"] {{ border-left: 0; }}
QPushButton[kind="segment"]:focus {{ border: 2px solid {c("focus")}; }}
QPushButton[kind="segment"]:checked {{ background: {c("select")}; color: {c("accent_text")}; font-weight: 500; }}
QPushButton::menu-indicator {{ width: 0; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit, QTextEdit {{ background: {c("surface")};
    color: {c("text")}; border: 1px solid {c("border_strong")}; border-radius: 4px; padding: 0 8px;
    selection-background-color: {c("select")}; selection-color: {c("text")}; }}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox {{ height: 26px; }}
QPlainTextEdit, QTextEdit {{ padding: 4px 8px; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{
    border: 2px solid {c("focus")}; padding: 0 7px; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ height: 24px; }}
QPlainTextEdit:focus, QTextEdit:focus {{ border: 2px solid {c("focus")}; padding: 3px 7px; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{ color: {c("text3")};
    border-color: {c("border_mid")}; background: {c("window")}; }}
QLineEdit[invalid="true"], QSpinBox[invalid="true"], QDoubleSpinBox[invalid="true"] {{ border-color: {c("bad")}; }}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {{
    width: 18px; border: 0; background: transparent; }}
QSpinBox::up-arrow, QSpinBox::down-arrow, QDoubleSpinBox::up-arrow, QDoubleSpinBox::down-arrow {{
    image: none; width: 0; height: 0; }}
QComboBox::drop-down {{ border: 0; width: 20px; }}
QComboBox::down-arrow {{ image: none; width: 0; height: 0; }}
QComboBox QAbstractItemView {{ background: {c("surface")}; color: {c("text")}; border: 1px solid {c("border_mid")};
    selection-background-color: {c("select")}; selection-color: {c("text")}; }}
QTreeView::branch {{ background: transparent; }}
QTableView, QTreeView, QListView {{ background: {c("surface")}; color: {c("text")}; border: 0;
    gridline-color: {c("grid")}; selection-background-color: {c("select")}; selection-color: {c("text")}; }}
QTreeView#sidelist, QListView#sidelist {{ background: {c("raised")}; }}
QTableView::item {{ padding: 0 8px; border-bottom: 1px solid {c("grid")}; }}
QTableView::item:selected {{ background: {c("select")}; color: {c("text")}; }}
QTableView::item:selected:!active {{ background: {c("select_off")}; }}
QTreeView::item {{ height: 28px; padding-right: 8px; }}
QTreeView::item:hover, QListView::item:hover {{ background: {c("hover")}; }}
QTreeView::item:selected, QListView::item:selected {{ background: {c("select")}; color: {c("text")}; }}
QHeaderView {{ background: {c("raised")}; border: 0; }}
QHeaderView::section {{ background: {c("raised")}; color: {c("text2")}; border: 0; padding: 0 8px;
    border-top: 1px solid {c("border")}; border-bottom: 1px solid {c("border")}; font-size: 12px; font-weight: 500;
    height: 22px; }}
QHeaderView::section:hover {{ color: {c("text")}; }}
QTableCornerButton::section {{ background: {c("raised")}; border: 0; }}
QTabBar {{ background: transparent; }}
QTabBar::tab {{ background: transparent; color: {c("text2")}; padding: 0 12px; height: 34px;
    border-bottom: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {c("text")}; border-bottom: 2px solid {c("accent_text")}; font-weight: 500; }}
QTabBar::tab:hover {{ color: {c("text")}; }}
QTabWidget::pane {{ border: 0; border-top: 1px solid {c("border")}; }}
QProgressBar {{ background: {c("select_off")}; border: 0; border-radius: 2px; max-height: 8px; min-height: 8px; }}
QProgressBar::chunk {{ background: {c("accent_text")}; border-radius: 2px; }}
QScrollBar:vertical {{ background: transparent; width: 8px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 8px; margin: 0; }}
QScrollBar::handle {{ background: {c("border_mid")}; border-radius: 4px; min-height: 24px; min-width: 24px; }}
QScrollBar::handle:disabled {{ background: transparent; }}
QScrollBar::handle:hover {{ background: {c("border_strong")}; }}
QAbstractScrollArea::corner {{ background: transparent; border: 0; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollArea, QScrollArea > QWidget > QWidget {{ background: transparent; border: 0; }}
QCheckBox, QRadioButton {{ color: {c("text")}; spacing: 6px; border: 2px solid transparent; border-radius: 4px; }}
QCheckBox:focus, QRadioButton:focus {{ border-color: {c("focus")}; }}
QTreeView, QListWidget {{ border: 2px solid transparent; }}
QTreeView:focus, QListWidget:focus {{ border: 2px solid {c("focus")}; }}
QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {c("border_strong")}; border-radius: 3px;
    background: {c("surface")}; }}
QCheckBox::indicator:checked {{ border-color: {c("accent")}; background: {c("accent")}; }}
QCheckBox::indicator:disabled {{ border-color: {c("border_mid")}; background: {c("window")}; }}
QRadioButton::indicator {{ width: 14px; height: 14px; border: 1px solid {c("border_strong")}; border-radius: 8px;
    background: {c("surface")}; }}
QRadioButton::indicator:checked {{ width: 6px; height: 6px; border: 5px solid {c("accent")}; border-radius: 8px;
    background: {c("on_accent")}; }}
QRadioButton:focus {{ color: {c("accent_text")}; }}
QDockWidget {{ color: {c("text")}; }}
QDockWidget::title {{ background: {c("raised")}; padding: 6px 16px; }}
"""
