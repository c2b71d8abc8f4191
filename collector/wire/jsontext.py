"""JSON from the wire: any bytes are a value, or one reason why they are none."""

from __future__ import annotations

from typing import Any

import msgspec

from collector.wire.header import Rejected

MAX_DEPTH = 32
"""Deeper than anything that servers send, and far from where recursion ends: that is elsewhere for who decodes than for
who encodes later, from further down."""


def parse_json(text: bytes) -> Any:
    """The value that `text` is; bytes that are no UTF-8 are replaced.

    Raises Rejected: json, also for what is nested deeper than `MAX_DEPTH`, and for numbers that 64 bits (or a double)
    cannot hold: neither a checkpoint nor most readers of records take such.
    """
    try:
        value = msgspec.json.decode(text)
        msgspec.msgpack.encode(value)
    except msgspec.DecodeError as error:
        raise Rejected("json", str(error)) from None
    except UnicodeDecodeError:
        return parse_json(text.decode("utf-8", "replace").encode())
    except RecursionError:
        raise Rejected("json", "nested too deeply") from None
    except OverflowError:
        raise Rejected("json", "a number beyond 64 bits") from None
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise Rejected("json", "nested too deeply")
    return value


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [inner for inner in level if isinstance(inner, dict | list)]:
        depth += 1
        level = [item for inner in level for item in (inner.values() if isinstance(inner, dict) else inner)]
    return depth
