"""The judge of the loss campaign: what the injector's log proves, and when an answer is right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from losses.truth import After, Judged, Told, Truth, row

from agent.lab.datagram import Access, Contents
from agent.lab.ledger import Datagram, Deed, Overrun

STOD = 7
ACCESS = Access(4, "tag", "/f")


def files(digest: str, pseq: int, fate: str = "passed", *, opens: int = 0, closes: int = 0) -> Datagram:
    contents = Contents("f", 99, "F", STOD, pseq, opens=[ACCESS] * opens, closes=[ACCESS] * closes)
    return Datagram(1.0, fate, "s1", "127.0.0.1:9", digest, contents)


def login(digest: str, fate: str = "passed") -> Datagram:
    return Datagram(1.0, fate, "s1", "127.0.0.1:9", digest, Contents("u", 50, "M", STOD, 3, dictid=2, user="tag"))


def told(lost_at: str, *, certain: bool = True, datagram: dict[str, Any] | None = None) -> Told:
    return Told("s1", "tag", "/f", lost_at, certain, "why", datagram)


@pytest.mark.parametrize(
    ("entries", "after", "stages"),
    [
        ([login("a", "wire-loss"), files("b", 0, opens=1), files("c", 1, closes=1)], After({"b", "c"}), {"wire"}),
        ([login("a"), files("b", 0, "udp-loss", opens=1), files("c", 1, closes=1)], After({"a", "c"}), {"kernel"}),
        (
            [login("a"), files("b", 0, "udp-loss", opens=1), files("c", 1, "fragment-loss", closes=1)],
            After({"a"}),
            {"kernel", "fragmentation"},
        ),
        ([login("a"), files("b", 0, opens=1, closes=1)], After({"a"}), {"spool"}),
        ([login("a"), files("b", 0, opens=1, closes=1)], After({"a", "b"}, {"b"}), {"queue"}),
        ([login("a"), files("b", 0, opens=1, closes=1)], After({"a", "b"}), set()),
        (
            [login("a"), files("b", 0, opens=1, closes=1)],
            After({"a", "b"}, later=frozenset({"collector"})),
            {"collector"},
        ),
        ([login("a"), files("b", 0, opens=1)], After({"a", "b"}), {"server"}),
        ([login("a"), files("b", 0, opens=1, closes=1)], After(set(), since=2.0), set()),
        ([], After(set()), {"server"}),
    ],
)
def test_what_the_log_proves(entries: list[Datagram], after: After, stages: set[str]) -> None:
    assert Truth(entries, after).stages("s1", "tag", "/f") == stages


def test_another_server_is_another_request() -> None:
    truth = Truth([login("a", "wire-loss"), files("b", 0, opens=1, closes=1)], After({"b"}))
    assert truth.stages("s2", "tag", "/f") == {"server"}


@pytest.mark.parametrize(
    ("answer", "column"),
    [
        (told("kernel"), "certain right"),
        (told("wire"), "certain wrong"),
        (told("kernel", certain=False), "probably right"),
        (told("wire", certain=False), "probably wrong"),
        (told("unknown", certain=False), "unknown"),
    ],
)
def test_an_answer_beside_the_truth(answer: Told, column: str) -> None:
    truth = Truth([login("a"), files("b", 5, "udp-loss", opens=1, closes=1)], After({"a"}))
    judged = truth.judge(answer)
    assert judged.column == column
    assert truth.lost == {"kernel": 1}
    assert row([judged])[column] == 1


@pytest.mark.parametrize(
    ("named", "right"),
    [
        (None, None),
        ({"class": "F", "stod": STOD, "after": 4, "missing": 1}, True),
        ({"class": "F", "stod": STOD, "after": 250, "missing": 20}, True),
        ({"class": "F", "stod": STOD, "after": 5, "missing": 1}, False),
        ({"class": "M", "stod": STOD, "after": 4, "missing": 1}, False),
        ({"class": "F", "stod": STOD + 1, "after": 4, "missing": 1}, False),
    ],
)
def test_a_named_datagram_is_one_that_was_lost(named: dict[str, Any] | None, right: bool | None) -> None:
    truth = Truth([login("a"), files("b", 5, "udp-loss", closes=1)], After({"a"}))
    assert truth.judge(told("kernel", datagram=named)).datagram is right


def test_what_nobody_meant_is_counted() -> None:
    deed = Deed(1.0, "udp-loss", "begin", "…")
    truth = Truth([deed, Overrun(2.0, "s1", 3), login("a"), files("b", 0, opens=1, closes=1)], After({"a", "b"}))
    assert (truth.deeds, truth.overruns) == ([deed], 3)
    judged = [truth.judge(told("wire")), Judged(told("unknown"), frozenset({"wire"}), False, False)]
    found = row(judged)
    assert (found["misses"], found["unexplained"], found["datagram wrong"]) == (2, 1, 1)
