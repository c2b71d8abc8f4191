"""JSON from the wire: a value, or one reason."""

from __future__ import annotations

import msgspec
import pytest

from collector.wire.header import RejectedError
from collector.wire.jsontext import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{"a": 9223372036854775807, "b": -9223372036854775808}', {"a": 2**63 - 1, "b": -(2**63)}),
        (b'{"a": 1.5e300}', {"a": 1.5e300}),
        (b'{"a": "\xff"}', {"a": "\udcff"}),
        (b'{"a": 99999999999999999999, "b": 1}', {"b": 1}),
        (b'{"a": -9223372036854775809, "b": [1e999, NaN, 2]}', {"b": [2]}),
        (b"[]", []),
        (b"[" + b"{}," * 99 + b"{}]", [{}] * 100),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)),
    ],
)
def test_a_value(text: bytes, value: object) -> None:
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a": [{"b": ' + b"9" * 5000 + b"}]}",
        b'"\xff',
        b"1e999",
        b"9" * 30,
    ],
)
def test_what_is_none_is_rejected_by_one_name(text: bytes) -> None:
    with pytest.raises(RejectedError) as caught:
        parse_json(text)
    assert caught.value.reason == "json"


def test_whatever_is_taken_can_be_kept_and_sent_on() -> None:
    value = parse_json(b'{"a": [18446744073709551615, -1, 0.1, null, true, {"b": "c"}]}')
    assert (
        msgspec.msgpack.decode(msgspec.msgpack.encode(value))
        == value
        == msgspec.json.decode(msgspec.json.encode(value))
    )
