"""A machine without any font, and screens of any size and scale: each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NO_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{empty}</dir><cachedir>{cache}</cachedir></fontconfig>
"""

LOOK = """
import json, sys
from gui.app import make_application, make_frame
from PySide6.QtGui import QFontDatabase, QFontInfo, QFontMetrics
application = make_application()
frame, welcome = make_frame()
frame.show()
application.processEvents()
from gui.widgets.theme import fixed_font, sized_font
room = frame.screen().availableGeometry()
print(json.dumps({
    "families": sorted(QFontDatabase.families()),
    "text": QFontInfo(application.font()).family(),
    "fixed": QFontInfo(fixed_font()).family(),
    "bold": QFontInfo(sized_font(13, application.font().Weight.DemiBold)).weight(),
    "digits": len({QFontMetrics(application.font()).horizontalAdvance(digit) for digit in "0123456789"}),
    "missing": [letter for letter in "azÄ–≥…✓→" if not QFontMetrics(application.font()).inFontUcs4(ord(letter))],
    "icons": sorted(size.width() for size in application.windowIcon().availableSizes()),
    "screen": [room.width(), room.height()],
    "window": [frame.width(), frame.height()],
    "place": [frame.x(), frame.y()],
    "least": [frame.minimumSizeHint().width(), frame.minimumSizeHint().height()],
    "scale": frame.devicePixelRatioF(),
}))
"""


def look(display: str, tmp_path: Path, **environment: str) -> dict[str, object]:
    """What a window of its own process says of itself."""
    places = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, **places, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    said["stderr"] = done.stderr
    return said


def test_the_window_has_its_own_fonts_where_there_is_none(x_display: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "fonts.conf").write_text(NO_FONTS.format(empty=tmp_path / "empty", cache=tmp_path / "cache"))
    said = look(x_display, tmp_path, FONTCONFIG_FILE=str(tmp_path / "fonts.conf"))
    families = said["families"]
    assert isinstance(families, list)
    assert {"DejaVu Sans", "DejaVu Sans Mono", "Inter"} <= set(families)
    assert said["missing"] == []
    assert (said["text"], said["fixed"], said["bold"]) == ("Inter", "DejaVu Sans Mono", 600)
    assert said["digits"] == 1
    assert said["stderr"] == ""


def test_the_licence_of_each_font_is_beside_it() -> None:
    folder = Path(__file__).resolve().parents[3] / "resources" / "fonts"
    licences = [(path.read_text(), path.name) for path in folder.glob("*.LICENSE.txt")]
    for font in (*folder.glob("*.otf"), *folder.glob("*.ttf")):
        assert any(font.name in text for text, _ in licences), font.name


def test_the_window_has_an_icon_of_its_own_at_every_size(x_display: str, tmp_path: Path) -> None:
    assert look(x_display, tmp_path)["icons"] == [16, 24, 32, 48, 64, 128, 256]


@pytest.mark.parametrize("scale", ["1", "1.5", "2"])
@pytest.mark.parametrize("small_screen", [(1280, 720)], indirect=True, ids=["1280x720"])
def test_the_first_window_fits_its_screen_at_every_scale(small_screen: str, tmp_path: Path, scale: str) -> None:
    said = look(small_screen, tmp_path, QT_SCALE_FACTOR=scale)
    assert said["scale"] == float(scale)
    for what in ("window", "least"):
        for mine, room in zip(said[what], said["screen"], strict=True):  # type: ignore[call-overload]
            assert mine <= room, (what, said)
    assert said["stderr"] == ""
