import json

import pytest

from shoveler.envelope import (
    BATCH,
    SHARDS,
    SINGLE,
    Envelope,
    EnvelopeError,
    decode,
    decode_line,
    encode_batch,
    encode_single,
    shard_of,
)


def test_single_framing_is_the_form_of_the_osg_shoveler():
    body = encode_single("[2001:db8::1]:1094", b"\x00\xffdata", "0.1")
    assert json.loads(body) == {"remote": "[2001:db8::1]:1094", "version": "0.1", "data": "AP9kYXRh"}
    assert decode(body, SINGLE, "ab:7") == [Envelope("[2001:db8::1]:1094", b"\x00\xffdata", "ab:7", "0.1")]


def test_batch_framing_has_an_id_in_every_line():
    body = encode_batch([("ab:7", "1.2.3.4:5", b"x"), ("ab:9", "1.2.3.4:6", b"")], "0.1")
    assert [json.loads(line)["id"] for line in body.split(b"\n")] == ["ab:7", "ab:9"]
    assert decode(body, BATCH, "ab:7") == [
        Envelope("1.2.3.4:5", b"x", "ab:7", "0.1"),
        Envelope("1.2.3.4:6", b"", "ab:9", "0.1"),
    ]


def test_other_shovelers_give_no_id():
    assert decode(b'{"remote": "1.2.3.4:5", "version": "1", "data": "eA=="}', SINGLE, None)[0].id is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "envelope"),
        (b"nonsense", "envelope"),
        (b"[]", "envelope"),
        (b'{"remote": 5, "data": ""}', "envelope"),
        (b'{"data": ""}', "envelope"),
        (b'{"remote": "1.2.3.4:5", "data": "x"}', "base64"),
        (b"\xff\xfe\x00", "envelope"),
        (b'{"remote": "\xff", "data": ""}', "envelope"),
        (b'{"remote": "1.2.3.4:5", "data": "\xed\xa0\x80"}', "envelope"),
        ('{"remote": "1.2.3.4:5", "data": "\u00e9"}'.encode(), "base64"),
    ],
)
def test_what_is_no_envelope(body, reason):
    with pytest.raises(EnvelopeError) as caught:
        decode(body, SINGLE, None)
    assert caught.value.reason == reason


def test_one_host_is_one_shard():
    assert shard_of("1.2.3.4:5") == shard_of("1.2.3.4:6")
    assert shard_of("[2001:db8::1]:5") == shard_of("[2001:db8::1]:6")
    shards = {shard_of(f"10.0.{a}.{b}:1") for a in range(8) for b in range(256)}
    assert shards <= set(range(SHARDS))
    assert len(shards) > 200


def test_json_nested_without_end_is_no_envelope_and_no_crash() -> None:
    deep = b'{"remote":"192.0.2.7:1","data":"AAAA","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(EnvelopeError) as caught:
        decode_line(deep, None)
    assert caught.value.reason == "envelope"
