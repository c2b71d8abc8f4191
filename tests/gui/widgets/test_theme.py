"""The theme: every text colour is readable on every background that it meets, and nothing else holds a hex value."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from PySide6.QtWidgets import QWidget

from gui.models.checklist import STATES as PREFLIGHT
from gui.models.fleet import AGENT_STATES
from gui.models.pipeline import STATES as PIPELINE
from gui.models.states import OUTCOMES
from gui.models.verdicts import verdict_state
from gui.store import VerdictKind
from gui.widgets.icons import pixmap
from gui.widgets.theme import style_sheet, theme

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
    tint = theme().pair(f"{state}_bg")[mode]
    assert [
        ink for ink in (state, "text", "text2", "accent_text") if contrast(theme().pair(ink)[mode], tint) < 4.5
    ] == []


def test_text_on_the_filled_button_is_readable(qapp) -> None:
    for mode in (0, 1):
        for fill in ("accent", "accent_hover"):
            assert contrast(theme().pair("on_accent")[mode], theme().pair(fill)[mode]) >= 4.5


RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def rules(sheet: str) -> list[tuple[str, dict[str, str]]]:
    """Selectors and properties of a style sheet."""
    return [(selector, dict(re.findall(r"([a-z-]+):\s*([^;]+);", body))) for selector, body in RULE.findall(sheet)]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_rule_of_the_style_sheet_is_readable(qapp, mode: str) -> None:
    """A text on the ground of its own rule, or, where it has none, on each that it can stand on; a ground under the
    texts that may stand on it."""
    look = theme()
    look.set_mode(mode)  # type: ignore[arg-type]
    grounds = [look.hex(name) for name in GROUNDS]
    faults, seen = [], 0
    for selector, body in rules(style_sheet(look)):
        ground = body.get("background", body.get("selection-background-color", ""))
        ink = body.get("color", body.get("selection-color", ""))
        solid = ground.startswith("#")
        if (not ink and not solid) or "::handle" in selector or "::chunk" in selector or "::indicator" in selector:
            continue
        if "#line" in selector or "::separator" in selector:
            continue  # a line, without text
        inks = [ink] if ink else [look.hex(name) for name in ("text", "text2", "text3")]
        if not ink and 'kind="primary"' in selector:
            inks = [look.hex("on_accent")]
        for one in inks:
            for other in [ground] if solid else grounds:
                seen += 1
                if contrast(one, other) < 4.5:
                    faults.append(f"{selector.strip()}: {one} on {other} is {contrast(one, other):.2f}")
    assert faults == []
    assert seen > 60


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_what_is_drawn_can_be_told_from_its_ground(qapp, mode: int) -> None:
    """Edges of fields, icons of states, rings and lines of series: 3:1 (WCAG 2, 1.4.11)."""
    pairs = [("border_strong", ground) for ground in ("window", "surface", "raised")]
    pairs += [("focus", ground) for ground in GROUNDS] + [("on_accent", fill) for fill in ("accent", "accent_hover")]
    pairs += [(state, f"{state}_bg") for state in ("ok", "warn", "bad", "info", "mute", "late", "dup")]
    pairs += [("accent", "surface"), ("accent_text", "select_off"), ("crosshair", "surface")]
    faults = [(one, other) for one, other in pairs if contrast(theme().pair(one)[mode], theme().pair(other)[mode]) < 3]
    assert faults == []
    theme().set_mode("dark" if mode else "light")
    surface = theme().pair("surface")[mode]
    lines = [theme().series(number).name() for number in range(8)]
    assert [line for line in lines if contrast(line, surface) < 3] == []


def test_every_state_has_a_picture_of_its_own_beside_its_word() -> None:
    """No status by colour alone: in each list of states no two share both picture and colour unless the word is all
    that tells them apart, and none is without a picture or a word."""
    lists: dict[str, Any] = {
        "agents": AGENT_STATES, "pipeline": PIPELINE, "preflight": PREFLIGHT, "runs": OUTCOMES,
        "verdicts": {kind.word: verdict_state(kind) for kind in VerdictKind},
    }  # fmt: skip
    for name, states in lists.items():
        icons: dict[str, set[str]] = {}
        for word, look in states.items():
            symbol, colour = look[0], look[-1]
            assert symbol, (name, word)
            assert word, (name, symbol)
            icons.setdefault(symbol, set()).add(colour)
        alone = {symbol: colours for symbol, colours in icons.items() if len(colours) > 1}
        assert alone == {}, f"{name}: the same picture in several colours"


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


def test_dark_and_light_differ_and_those_who_follow_are_told(qapp, qtbot) -> None:
    told: list[str] = []

    class Painted(QWidget):
        def restyle(self) -> None:
            told.append(theme().hex("surface"))

    painted, gone = Painted(), Painted()
    qtbot.addWidget(painted)
    theme().set_mode("light")
    light = theme().hex("surface")
    for widget in (painted, gone):
        theme().follow(widget.restyle)
    shiboken6.delete(gone)
    theme().set_mode("dark")
    qtbot.waitUntil(lambda: bool(told))
    assert told == [theme().hex("surface")] != [light]
    assert theme().dark
