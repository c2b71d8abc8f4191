"""The plans included in Tally, and the published results for them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

import resources
from gui.campaign.plan import Plan
from gui.campaign.planfile import parse_plan


@dataclass(frozen=True, slots=True)
class Published:
    """The published result of a preset's test. `recorded_avg`: mean number of recorded files; `success`: per cent."""

    test: str
    recorded_avg: float
    success: float
    source: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A plan to start from. `text` is its TOML, with comments; `published` has a row for each test, or is empty."""

    id: str
    title: str
    about: str
    text: str
    published: tuple[Published, ...] = ()

    @property
    def plan(self) -> Plan:
        return parse_plan(self.text, name=self.id)


def presets() -> tuple[Preset, ...]:
    """All presets, in the order in which to show them."""
    index = tomllib.loads(resources.read_text("presets/index.toml"))
    return tuple(_preset(entry["id"], entry["title"], entry["about"]) for entry in index["preset"])


def find_preset(name: str) -> Preset | None:
    """The preset with this id, or None."""
    return next((preset for preset in presets() if preset.id == name), None)


def _preset(id_: str, title: str, about: str) -> Preset:
    try:
        published = tomllib.loads(resources.read_text(f"presets/{id_}.published.toml"))
    except FileNotFoundError:
        published = {"row": []}
    rows = tuple(
        Published(row["test"], row["recorded_avg"], row["success"], published["source"]) for row in published["row"]
    )
    return Preset(id_, title, about, resources.read_text(f"presets/{id_}.toml"), rows)
