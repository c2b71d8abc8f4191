from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.store import match_key, record_key
from gui.store.keys import record_keys

ACCESS = "9f2c4a1e5b7d80364f8e1a2b3c4d5e6f"


def test_a_match_key_is_the_signed_64_bit_blake2b_of_tag_nul_path() -> None:
    digest = blake2b(b"abcdefgh\0/store/f1.root", digest_size=8).digest()
    assert match_key("abcdefgh", "/store/f1.root") == int.from_bytes(digest, "big", signed=True)


def test_the_nul_keeps_tag_and_path_apart() -> None:
    assert match_key("abcdefgh", "i/x") != match_key("abcdefghi", "/x")


@given(st.text(), st.text())
def test_any_text_has_a_key_of_64_bits(tag: str, path: str) -> None:
    assert -(2**63) <= match_key(tag, path) < 2**63


def test_final_and_provisional_of_an_access_share_all_but_the_last_bit() -> None:
    final, provisional = record_key(f"{ACCESS}.f"), record_key(f"{ACCESS}.p")
    assert final >> 1 == provisional >> 1
    assert (final & 1, provisional & 1) == (1, 0)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_other_accesses_have_other_keys(one: int, two: int) -> None:
    a, b = f"{one:032x}.f", f"{two:032x}.f"
    if one >> 65 != two >> 65:
        assert record_key(a) != record_key(b)


@given(st.text(max_size=60))
def test_ids_of_other_collectors_have_keys_too(record_id: str) -> None:
    key = record_key(record_id)
    assert -(2**63) <= key < 2**63
    assert key & 1 == record_id.endswith(".f")


@pytest.mark.parametrize(
    "odd", [[], ["x"], [""], [f"{'g' * 32}.f"], [f"{'0' * 15} {'0' * 16}.f"], [f"{'ab' * 16}.x"], [f"{'AB' * 16}.p"]]
)
def test_keys_of_many_records_are_those_of_each(odd: list[str]) -> None:
    ids = [f"{number * 2**61:032x}.{'fp'[number % 2]}" for number in range(20)] + [
        f"{number:032x}.f" for number in (0, 1)
    ]
    assert list(record_keys([*ids, *odd])) == [record_key(one) for one in (*ids, *odd)]
    assert list(record_keys([])) == []
