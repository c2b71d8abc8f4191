"""Messages from a supervisor to its starter: one JSON line each, on its standard output."""

from __future__ import annotations

import msgspec
from msgspec import Struct

KEEP = b"keep"
"""The starter's word when the lab must outlive it; if it ends without this word, the lab is taken down."""


class Progress(Struct, frozen=True, tag="progress"):
    """A step is done; for users."""

    text: str


class Up(Struct, frozen=True, tag="up"):
    """Everything answers; the state file says where."""


class Failed(Struct, frozen=True, tag="failed"):
    """The lab cannot start; `Down` follows."""

    error: str
    wish: bool = False
    """The cause is an invalid request."""


class Down(Struct, frozen=True, tag="down"):
    """The lab is gone; `problems` are sentences about what could not be removed."""

    problems: list[str]


Report = Progress | Up | Failed | Down
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Report).decode
