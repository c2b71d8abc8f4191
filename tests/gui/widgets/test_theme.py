"""The theme: every text colour is readable on every background that it meets, and nothing else holds a hex value."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from gui.widgets.icons import pixmap
from gui.widgets.theme import theme

TEXTS = ["text", "text2", "text3", "accent_text", "ok", "warn", "bad", "mute", "late", "dup", "info", "axis"]
GROUNDS = ["window", "surface", "raised", "hover", "select", "select_off"]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_is_readable_on_every_ground(qapp, text: str, mode: int) -> None:
    for ground in GROUNDS:
        ratio = contrast(theme().pair(text)[mode], theme().pair(ground)[mode])
        assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("state", ["ok", "warn", "bad", "info", "mute", "late", "dup"])
def test_a_state_is_readable_on_its_own_tint(qapp, state: str, mode: int) -> None:
    assert contrast(theme().pair(state)[mode], theme().pair(f"{state}_bg")[mode]) >= 4.5


def test_text_on_the_filled_button_is_readable(qapp) -> None:
    for mode in (0, 1):
        for fill in ("accent", "accent_hover"):
            assert contrast(theme().pair("on_accent")[mode], theme().pair(fill)[mode]) >= 4.5


def test_no_widget_model_or_page_holds_a_colour_of_its_own() -> None:
    root = Path(__file__).resolve().parents[3] / "gui"
    for folder in ("widgets", "models", "pages"):
        for file in (root / folder).rglob("*.py"):
            found = re.findall(r"#[0-9A-Fa-f]{6}\b", file.read_text())
            assert not found, f"{file.name} holds {found}"


def test_every_icon_draws_something(qapp) -> None:
    for name in json.loads(files("resources").joinpath("icons/icons.json").read_text("utf-8")):
        picture = pixmap(name, "text", 16).toImage()
        drawn = sum(picture.pixelColor(x, y).alpha() > 0 for x in range(16) for y in range(16))
        assert drawn > 3, name


def test_an_ink_is_the_colour_of_the_theme_in_force(qapp) -> None:
    try:
        for mode in ("light", "dark", "light"):
            theme().set_mode(mode)
            assert {name: theme().ink(name) for name in theme().names()} == {
                name: theme().colour(name) for name in theme().names()
            }
    finally:
        theme().set_mode("system")


def test_dark_and_light_differ_and_switch_at_once(qapp, qtbot) -> None:
    theme().set_mode("light")
    light = theme().hex("surface")
    with qtbot.waitSignal(theme().changed):
        theme().set_mode("dark")
    assert theme().hex("surface") != light
    assert theme().dark
