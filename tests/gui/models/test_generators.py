"""What clients make of what is offered to them."""

from __future__ import annotations

from gui.models.generators import clients_words, made_words
from gui.runner.progress import ClientRow


def test_a_client_at_its_limit_is_named_first() -> None:
    idle = ClientRow("c1", "i1", "up", cpu=20, offered=100.0, achieved=99.0)
    limited = ClientRow("c2", "i2", "up", cpu=97, busy=True, offered=100.0, achieved=40.0)
    first, second = clients_words([idle, limited]).splitlines()
    assert first == "c2: 40.0 of 100 per s, CPU 97 %: at its limit, it may be what is measured"
    assert second == "c1: 99.0 of 100 per s, CPU 20 %"


def test_what_is_not_known_and_too_many() -> None:
    assert made_words(ClientRow("c", "i", "up")) == "– per s"
    assert made_words(ClientRow("c", "i", "up", offered=5.0)) == "– of 5.0 per s"
    assert clients_words([ClientRow(f"c{n}", f"i{n}", "up") for n in range(15)]).endswith("and 3 more clients")
    assert clients_words([]) == ""
