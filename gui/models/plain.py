"""Text of others as the window shows it: it cannot turn the direction of what stands beside it, nor hide in it."""

from __future__ import annotations

import re

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def straight(text: str) -> str:
    """The text with ``·`` for each mark that turns the direction of writing, as reports have it, and for each control
    character but the end of a line and the tab.

    `gnp.exe` behind such a mark reads `exe.png`. Letters of languages that are written from the right stay as they are.
    """
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub("·", text)
