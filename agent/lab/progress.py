"""What a supervisor tells whoever started it: one JSON line each, on its standard output."""

from __future__ import annotations

import msgspec
from msgspec import Struct

KEEP = b"keep"
"""What the starter says when the lab shall outlive it; its end without this word takes the lab down."""


class Progress(Struct, frozen=True, tag="progress"):
    """Something is done; for people."""

    text: str


class Up(Struct, frozen=True, tag="up"):
    """Everything answers; the state file says where."""


class Failed(Struct, frozen=True, tag="failed"):
    """The lab does not come up; `Down` follows."""

    error: str
    wish: bool = False
    """What was wished for is the cause."""


class Down(Struct, frozen=True, tag="down"):
    """The lab is gone; `problems` are sentences about what could not be removed."""

    problems: list[str]


Report = Progress | Up | Failed | Down
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Report).decode
