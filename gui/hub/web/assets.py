"""The files of the page: one HTML, one style sheet, one script, and the fonts. Read once; colours come from the theme
of the window. A file's address holds the version of all, so that a browser may keep it for ever."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Any

from gui.hub.web.markup import Html, join
from resources import read_text

ROOT = "/page/"
_FONTS = {
    "inter-400.otf": "Inter-Regular.otf",
    "inter-500.otf": "Inter-Medium.otf",
    "inter-600.otf": "Inter-SemiBold.otf",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files, by name, and the frame of every page."""

    files: dict[str, Asset]
    frame: Template
    version: str

    def find(self, path: str) -> Asset | None:
        """The file at this path of an address; None if there is none of this version."""
        version, _, name = path.removeprefix(ROOT).partition("/")
        return self.files.get(name) if version == self.version else None

    def page(self, title: str, body: Html, *, live: str = "") -> bytes:
        """A whole page. `live`: what the script is told; empty for a page that does not change."""
        place = f"{ROOT}{self.version}"
        refresh = '<noscript><meta http-equiv="refresh" content="10"></noscript>' if live else ""
        light, dark = theme()["colours"]["window"]
        text = self.frame.substitute(
            title=join(title),
            body=body,
            place=place,
            live=live,
            version=self.version,
            refresh=refresh,
            light=light,
            dark=dark,
        )
        return text.encode()


@lru_cache(maxsize=1)
def assets() -> Assets:
    """The files of this Tally. Blocking, once."""
    style = colours() + read_text("page/status.css")
    found = {
        "status.css": Asset(style.encode(), "text/css; charset=utf-8"),
        "status.js": Asset(read_text("page/status.js").encode(), "text/javascript; charset=utf-8"),
        "icon.svg": Asset(_mark().encode(), "image/svg+xml"),
    }
    for name, file in _FONTS.items():
        found[name] = Asset(files("resources").joinpath("fonts", file).read_bytes(), "font/otf")
    frame = read_text("page/status.html")
    digest = sha256(frame.encode())
    for name, asset in sorted(found.items()):
        digest.update(name.encode() + asset.body)
    return Assets(found, Template(frame), digest.hexdigest()[:12])


@lru_cache(maxsize=1)
def theme() -> dict[str, Any]:
    """The colours of the window, by name: light and dark."""
    return tomllib.loads(read_text("themes/tally.toml"))


def colours() -> str:
    """The colours of the theme as variables of a style sheet: light, and dark where the reader prefers it."""
    named = theme()
    pairs = {**named["colours"], **{f"series-{name}": pair for name, pair in named["series"].items()}}
    light, dark = (
        "".join(f"--{name.replace('_', '-')}:{pair[place]};" for name, pair in pairs.items()) for place in (0, 1)
    )
    return f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def _mark() -> str:
    outline = json.loads(read_text("icons/icons.json"))["tally"]
    accent = theme()["colours"]["accent"][0]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{accent}" '
        f'stroke-width="1.5" stroke-linecap="round">{outline}</svg>'
    )
