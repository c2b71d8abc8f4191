"""Sign-ins that browsers have begun."""

from __future__ import annotations

import pytest

from gui.hub.signin.waiting import MAX_OF_ONE, MAX_WAITING, TooManyError, Waiting


def test_each_is_good_once_for_who_began_it() -> None:
    waiting = Waiting()
    begun = waiting.begin("10.0.0.1", "/runs", "https://hub/back", 100.0)
    assert waiting.take(begun.state, "another", 101.0) is None
    assert waiting.take("another", begun.binding, 101.0) is None
    assert waiting.take(begun.state, begun.binding, 101.0) is begun
    assert waiting.take(begun.state, begun.binding, 101.0) is None
    assert len(waiting) == 0


def test_they_are_all_different_and_say_nothing_in_a_log() -> None:
    one, two = (Waiting().begin("a", "/", "b", 0.0) for _ in range(2))
    secrets = [(each.state, each.binding, each.nonce, each.verifier) for each in (one, two)]
    assert len({*secrets[0], *secrets[1]}) == 8
    assert not any(secret in f"{one!r} {one.errand!r}" for secret in secrets[0])


def test_ten_minutes() -> None:
    waiting = Waiting()
    begun = waiting.begin("a", "/", "b", 0.0)
    assert waiting.take(begun.state, begun.binding, 599.9) is begun
    late = waiting.begin("a", "/", "b", 1000.0)
    assert waiting.take(late.state, late.binding, 1600.0) is None


def test_one_address_cannot_take_all_places() -> None:
    waiting = Waiting()
    for _ in range(MAX_OF_ONE):
        waiting.begin("bad", "/", "b", 0.0)
    with pytest.raises(TooManyError):
        waiting.begin("bad", "/", "b", 1.0)
    waiting.begin("good", "/", "b", 1.0)
    waiting.begin("bad", "/", "b", 601.0)


def test_they_are_bounded() -> None:
    waiting = Waiting()
    for number in range(MAX_WAITING):
        waiting.begin(f"a{number}", "/", "b", 0.0)
    with pytest.raises(TooManyError):
        waiting.begin("one more", "/", "b", 0.0)
    waiting.begin("one more", "/", "b", 601.0)
    assert len(waiting) == 1
