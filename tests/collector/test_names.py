"""Host names in the background: nobody waits, failures are remembered, everything is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from collector import names as names_module
from collector.names import Names, reverse_lookup
from tests.promises import within
from tests.waiting import until


class Resolver:
    """A resolver that answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, str | None] = {}
        self.open = threading.Event()
        self.open.set()

    def __call__(self, ip: str) -> str | None:
        self.open.wait(10)
        self.asked.append(ip)
        return self.answers.get(ip)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def resolver() -> Resolver:
    return Resolver()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def names(resolver: Resolver, clock: Clock) -> Iterator[Names]:
    made = Names(keep=100.0, keep_failure=10.0, workers=1, lookup=resolver, clock=clock)
    yield made
    resolver.open.set()
    made.close()


def test_the_first_answer_is_none_at_once_however_slow_the_resolver(names: Names, resolver: Resolver) -> None:
    resolver.open.clear()
    resolver.answers["192.0.2.1"] = "se1.example.org"
    begun = time.monotonic()
    assert [names.name("192.0.2.1") for _ in range(1000)] == [None] * 1000
    assert time.monotonic() - begun < within(10)
    resolver.open.set()
    until(lambda: names.name("192.0.2.1") == "se1.example.org")
    assert resolver.asked == ["192.0.2.1"]


def test_an_address_without_a_name_costs_one_look_up(names: Names, resolver: Resolver, clock: Clock) -> None:
    """P15: 100 closes, 100 blocking look-ups."""
    names.name("192.0.2.1")
    until(lambda: names.lookups == 1)
    for _ in range(100):
        assert names.name("192.0.2.1") is None
    clock.now = 9.0
    names.name("192.0.2.1")
    names.name("192.0.2.2")  # the only worker takes one after the other: whatever was asked before has been done
    until(lambda: "192.0.2.2" in resolver.asked)
    assert resolver.asked == ["192.0.2.1", "192.0.2.2"]
    clock.now = 11.0  # after a while it is worth another try
    names.name("192.0.2.1")
    until(lambda: names.lookups == 3)


def test_an_old_name_is_used_while_it_is_looked_up_again(names: Names, resolver: Resolver, clock: Clock) -> None:
    resolver.answers["192.0.2.1"] = "old.example.org"
    names.name("192.0.2.1")
    until(lambda: names.lookups == 1)
    resolver.answers["192.0.2.1"] = "new.example.org"
    clock.now = 101.0
    assert names.name("192.0.2.1") == "old.example.org"
    until(lambda: names.lookups == 2)
    assert names.name("192.0.2.1") == "new.example.org"


def test_only_addresses_are_looked_up(names: Names, resolver: Resolver) -> None:
    for text in ("host.example.org", "", "192.0.2", "x" * 5000, "192.0.2.1\n"):
        assert names.name(text) is None
    names.name("2001:db8::1")
    until(lambda: names.lookups == 1)
    assert resolver.asked == ["2001:db8::1"]


def test_list_and_memory_are_bounded(names: Names, resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "_MOST_KNOWN", 50)
    resolver.open.clear()
    for number in range(20_000):
        names.name(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    resolver.open.set()
    until(lambda: names.lookups >= 10_000)
    assert len(resolver.asked) <= 10_001  # the one in work, and a full list
    assert len(names._known) <= 50


def test_the_systems_resolver_gives_none_for_what_has_no_name() -> None:
    assert reverse_lookup("192.0.2.1") is None or isinstance(reverse_lookup("192.0.2.1"), str)
    assert reverse_lookup("no address") is None
