from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.records.text import clean_text, put_text, routing_word


def put(text: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    put_text(fields, "name", text)
    return fields


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_gives_no_key(text: str | None) -> None:
    assert put(text) == {}


def test_text_stays_as_it_is() -> None:
    assert put("café") == {"name": "café"}


@given(st.binary(min_size=1))
def test_no_byte_is_lost(raw: bytes) -> None:
    fields = put(raw.decode("utf-8", "surrogateescape"))
    fields["name"].encode()  # it is valid text
    if "name_b64" in fields:
        assert base64.b64decode(fields["name_b64"]) == raw
    else:
        assert fields["name"].encode() == raw


@given(st.binary())
def test_clean_text_is_valid(raw: bytes) -> None:
    clean_text(raw.decode("utf-8", "surrogateescape")).encode()


@pytest.mark.parametrize(
    ("vo", "word"),
    [(None, "none"), ("", "none"), ("CMS", "cms"), ("lsst.org", "lsst_org"), ("a b#*", "a_b__"), ("x" * 99, "x" * 64)],
)
def test_a_vo_is_one_word_of_a_routing_key(vo: str | None, word: str) -> None:
    assert routing_word(vo) == word
