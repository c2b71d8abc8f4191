"""Clients at their limit."""

from __future__ import annotations

from gui.campaign.generators import AtLimit, Generators, WasAtLimit, use_words


def looks(generators: Generators, *uses: tuple[float, float]) -> list[object]:
    """What is told of c1 that uses so much of a core, at these times."""
    found = (
        generators.look("c1", busy=busiest >= 90, cpu=2 * busiest, busiest=busiest, now=now) for now, busiest in uses
    )
    return [said for said in found if said is not None]


def test_a_busy_moment_is_no_limit() -> None:
    generators = Generators()
    assert looks(generators, (0, 95), (2, 95), (4, 20), (6, 99), (8, 99), (10, 10)) == []
    assert generators.over(12) == []


def test_a_client_at_its_limit_is_told_once_and_then_for_how_long_it_was() -> None:
    generators = Generators()
    assert looks(generators, (0, 91), (2, 99), (4, 95)) == []
    assert looks(generators, (6, 95), (8, 95)) == [AtLimit("c1", 198, 99)]
    assert looks(generators, (10, 20), (12, 95), (14, 20), (18, 20)) == [], "a moment in between changes nothing"
    assert looks(generators, (20, 20)) == [WasAtLimit("c1", 14, 198, 99)]
    assert looks(generators, (22, 20)) == []
    assert looks(generators, (30, 95), (36, 95)) == [AtLimit("c1", 190, 95)], "and again"


def test_at_the_end_it_is_told_how_long_it_was() -> None:
    generators = Generators()
    looks(generators, (0, 95), (6, 95))
    generators.look("c2", busy=True, cpu=95, busiest=95, now=6)
    assert generators.over(20) == [WasAtLimit("c1", 20, 190, 95)]
    assert generators.over(21) == []


def test_in_words() -> None:
    assert use_words(185.2, 96.6, 8) == "97 % of a core in one process, 185 % of 800 % in all"
    assert use_words(50, 50, 0) == "50 % of a core in one process, 50 % in all"
