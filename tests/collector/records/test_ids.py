from __future__ import annotations

import hashlib

from collector.records.ids import access_base, access_id, event_id


def test_access_id_is_blake2b_over_what_the_design_says() -> None:
    packed = bytes.fromhex("00001fc34cc1347a6b026abc000000036b026abd")
    expected = hashlib.blake2b(packed, digest_size=16).hexdigest()
    assert access_id(0x1FC34CC1347A, 0x6B026ABC, 3, 0x6B026ABD) == expected


def test_the_beginning_can_be_shared() -> None:
    base = access_base(1, 2)
    ids = []
    for file_id in (3, 4):
        digest = base.copy()
        digest.update(file_id.to_bytes(4) + (5).to_bytes(4))
        ids.append(digest.hexdigest())
    assert ids == [access_id(1, 2, 3, 5), access_id(1, 2, 4, 5)]


def test_events_are_told_apart_by_kind_server_place_and_content() -> None:
    ids = {
        event_id("cache", 1, 2, 0, b"x"), event_id("tpc", 1, 2, 0, b"x"), event_id("cache", 2, 2, 0, b"x"),
        event_id("cache", 1, 3, 0, b"x"), event_id("cache", 1, 2, 1, b"x"), event_id("cache", 1, 2, 0, b"y"),
        event_id("cache", None, None, 0, b"x"),
    }  # fmt: skip
    assert len(ids) == 7
    assert event_id("cache", 1, 2, 0, b"x") in ids
