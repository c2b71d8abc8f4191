"""HTML from parts: a text is escaped where it is put in, so that a name can be nothing but a name. Pure."""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape

from resources import read_text

_EMPTY = frozenset({"br", "hr", "img", "input", "meta"})
"""Elements of HTML that have no end."""


class Html(str):
    """Text that is HTML already: made by `h`, `join` or `icon` only."""

    __slots__ = ()


Part = Html | str | None
Attribute = str | int | float | bool | None


def h(name: str, *parts: Part, **attributes: Attribute) -> Html:
    """An element. Attributes are written with ``_`` for ``-`` (``class_``: class); True: without a value, None or
    False: left out. Parts that are not `Html` are escaped."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY and not parts:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*parts)}</{name}>")


def join(*parts: Part) -> Html:
    """Parts one after another."""
    return Html("".join(part if isinstance(part, Html) else escape(part or "") for part in parts))


def _attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'


@lru_cache(maxsize=1)
def _outlines() -> dict[str, str]:
    outlines: dict[str, str] = json.loads(read_text("icons/icons.json"))
    return outlines


@lru_cache(maxsize=256)
def icon(name: str, colour: str = "", size: int = 14) -> Html:
    """An icon of ``resources/icons``; `colour` is a class. It is never alone: a word says the same."""
    return Html(
        f'<svg class="icon{f" {colour}" if colour else ""}" viewBox="0 0 16 16" width="{size}" height="{size}" '
        f'stroke-width="{24 / size:.3g}" aria-hidden="true">{_outlines()[name]}</svg>'
    )
