"""JSON from the wire: any bytes give a value, or one reason why they do not."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from collector.wire.header import RejectedError, text_of

MAX_DEPTH = 32
"""Deeper than anything that servers send, and far below the recursion limit, which differs between decoding and later
encoding from a deeper stack."""


_LONG_NUMBER = re.compile(rb"\d{19}|\d[eE]\+?\d{3}|NaN|Infinity")
"""Matches what may be a number too large to store; almost no text has one."""


def parse_json(text: bytes) -> Any:
    """The value that `text` is. Bytes that are not UTF-8 become surrogates, as in all text from the wire (`text_of`).
    Numbers that do not fit into 64 bits (or a double) are left out, with their names: neither a checkpoint nor most
    readers of records accept them. Raises RejectedError: json, also for text nested deeper than `MAX_DEPTH`.
    """
    try:
        value = _decoded(text)
    except (ValueError, msgspec.DecodeError) as error:
        raise RejectedError("json", str(error)) from None
    except RecursionError:
        raise RejectedError("json", "nested too deeply") from None
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise RejectedError("json", "nested too deeply")
    if _LONG_NUMBER.search(text) is None:
        return value
    if _too_large(value):
        raise RejectedError("json", "a number beyond 64 bits")
    return _held(value)


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except UnicodeDecodeError:
        return json.loads(text_of(text))
    except msgspec.DecodeError:
        if _LONG_NUMBER.search(text) is None:
            raise
        return json.loads(text_of(text))  # accepts numbers of any size


def _held(value: Any) -> Any:
    """`value` without the numbers that are too large to store. It is not nested too deeply."""
    if isinstance(value, dict):
        return {key: _held(item) for key, item in value.items() if not _too_large(item)}
    if isinstance(value, list):
        return [_held(item) for item in value if not _too_large(item)]
    return value


def _too_large(value: object) -> bool:
    if isinstance(value, int):
        return not -(1 << 63) <= value < 1 << 64
    return isinstance(value, float) and not math.isfinite(value)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [inner for inner in level if isinstance(inner, dict | list)]:
        depth += 1
        level = [item for inner in level for item in (inner.values() if isinstance(inner, dict) else inner)]
    return depth
