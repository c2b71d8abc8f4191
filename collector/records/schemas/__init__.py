"""JSON Schemas of all record kinds, as package data beside this file (``KIND.json``)."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

KINDS = (
    "file",
    "cache",
    "tpc",
    "tcp",
    "throttle",
    "oss",
    "http",
    "event",
    "redirect",
    "summary",
    "purge",
    "transfer",
    "wlcg",
    "wlcg-cache",
    "wlcg-tpc",
)
"""Every value of ``Record.kind``: the first word of the routing key; a sink chooses the exchange by it."""

RESERVED = ("error",)
"""Reserved kinds: ``error`` is for failed opens and reads, if servers ever send them."""


@cache
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of record. Raises KeyError for an unknown kind."""
    if kind not in KINDS:
        raise KeyError(f"no record kind {kind!r}; there are: {', '.join(KINDS)}")
    text = resources.files(__name__).joinpath(f"{kind}.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded
