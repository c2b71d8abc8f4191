"""Text of others as the window shows it: it cannot turn the direction of what stands beside it."""

from __future__ import annotations

import re

_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def straight(text: str) -> str:
    """The text with ``·`` for each mark that turns the direction of writing, as reports have it.

    `gnp.exe` behind such a mark reads `exe.png`. Letters of languages that are written from the right stay as they are.
    """
    return text if text.isascii() else _TURNS.sub("·", text)
