"""Our marshalled frames are pika's own, byte for byte."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties, frame, spec

from shoveler.bus import Outgoing
from shoveler.bus.publish_frames import PublishFrames

CHANNEL, FRAME_MAX = 7, 4096


def plain(exchange: str, message: Outgoing) -> bytes:
    """What pika's basic_publish writes for the same message."""
    out = [
        frame.Method(
            CHANNEL, spec.Basic.Publish(exchange=exchange, routing_key=message.routing_key, mandatory=True)
        ).marshal(),
        frame.Header(
            CHANNEL,
            len(message.body),
            BasicProperties(
                content_type=message.content_type,
                headers=dict(message.headers),
                delivery_mode=2,
                message_id=message.id,
            ),
        ).marshal(),
    ]
    size = FRAME_MAX - 8
    out += [
        frame.Body(CHANNEL, message.body[start : start + size]).marshal() for start in range(0, len(message.body), size)
    ]
    return b"".join(out)


def ours(frames: PublishFrames, message: Outgoing) -> bytes:
    out: list[bytes] = []
    size = frames.append(message, out)
    marshalled = b"".join(out)
    assert size == len(marshalled)
    return marshalled


@given(
    body=st.binary(max_size=300),
    identifier=st.text(min_size=1, max_size=60),
    routing_key=st.text(max_size=60),
    headers=st.dictionaries(
        st.text(min_size=1, max_size=20), st.text(max_size=40) | st.integers(-(2**63), 2**63 - 1), max_size=4
    ),
    content_type=st.sampled_from(["application/json", "application/x-ndjson"]),
    exchange=st.text(max_size=30),
)
def test_any_message(body, identifier, routing_key, headers, content_type, exchange) -> None:
    message = Outgoing(body, identifier, routing_key, headers, content_type)
    frames = PublishFrames(exchange, CHANNEL, FRAME_MAX)
    expected = plain(exchange, message)
    assert ours(frames, message) == expected
    assert ours(frames, message) == expected  # and again, from the caches


@pytest.mark.parametrize("size", [0, 1, 4087, 4088, 4089, 8176, 8177, 100_000])
def test_bodies_are_cut_where_pika_cuts_them(size: int) -> None:
    message = Outgoing(os.urandom(size), "S:1", "key", {"shard": 3})
    assert ours(PublishFrames("e", CHANNEL, FRAME_MAX), message) == plain("e", message)


def test_more_routing_keys_and_headers_than_are_kept() -> None:
    frames = PublishFrames("e", CHANNEL, FRAME_MAX)
    for number in range(10_000):
        frames.append(Outgoing(b"", "S:1", f"key {number}", {"n": number}), [])
    assert len(frames._methods) <= 4096
    assert len(frames._properties) <= 4096
    message = Outgoing(b"x", "S:1", "key 17", {"n": 17})
    assert ours(frames, message) == plain("e", message)


def test_an_id_that_does_not_fit_is_refused_before_anything_is_added() -> None:
    out: list[bytes] = []
    with pytest.raises(ValueError, match="a message id can have at most 255 bytes, and this one has 256"):
        PublishFrames("e", CHANNEL, FRAME_MAX).append(Outgoing(b"", "ä" * 128), out)
    assert out == []
