"""Which servers and clients a plan means."""

from __future__ import annotations

import pytest

from gui.campaign.plan import Labelled
from gui.campaign.selection import Client, SelectionError, Server, choose_clients, choose_servers, normal_url

SERVERS = [
    Server("s10", "root://h10:1094", ("EU",)),
    Server("s2", "root://h2:1094", ("US",)),
    Server("s1", "root://h1:1095", ("EU", "big")),
]


def names(choice: object) -> list[str]:
    return [server.name for server in choose_servers(choice, SERVERS)]  # type: ignore[arg-type]


def test_ways_to_choose_servers() -> None:
    assert names(2) == ["s1", "s2"]
    assert names("all") == ["s1", "s2", "s10"]
    assert names(Labelled("EU")) == ["s1", "s10"]
    assert names(("s10", "s1")) == ["s10", "s1"]
    assert names(("root://h2/", "root://new.example:2000")) == ["s2", "new.example:2000"]


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (4, "asks for 4 servers, but there are 3 servers here"),
        (("s3",), "no server 's3' (the nearest is 's"),
        (Labelled("ASIA"), "No server has the label 'ASIA'; the labels are EU, US, big."),
        (("s2", "root://h2:1094"), "names server s2 (root://h2:1094) twice"),
        (("ftp://h2",), "is not the URL of an XRootD server"),
        (("root://h:x",), "is not the URL of an XRootD server"),
    ],
)
def test_what_is_not_there_is_said(choice: object, says: str) -> None:
    with pytest.raises(SelectionError) as caught:
        names(choice)
    assert says in str(caught.value)


def test_no_servers_at_all() -> None:
    for choice in (1, "all", Labelled("x"), ("s1",)):
        with pytest.raises(SelectionError):
            choose_servers(choice, [])


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("root://h", "root://h:1094"),
        ("root://H:99/", "root://h:99"),
        ("roots://[::1]:7/", "roots://[::1]:7"),
        ("root://H.example.org.", "root://h.example.org:1094"),
        ("root://[2001:DB8:0::1]:99", "root://[2001:db8::1]:99"),
    ],
)
def test_urls_are_compared_in_one_form(url: str, normal: str) -> None:
    assert normal_url(url) == normal


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("root://bob@h:99", "root://h:99 names a user"),
        ("root://bob:SECRET@h", "root://h:1094 names a user"),
        ("root://h//data", "root://h:1094 goes on with a path"),
        ("root://h?authz=SECRET", "root://h:1094 goes on with a path"),
        ("root://h:x?authz=SECRET", "is not the URL of an XRootD server"),
        ("root://bob:SECRET@h:x", "is not the URL of an XRootD server"),
        ("root://[::1", "is not the URL of an XRootD server"),
        ("ftp://h", "is not the URL of an XRootD server"),
        ("root://h:0", "is not the URL of an XRootD server"),
        ("root://h\n:1", "is not the URL of an XRootD server"),
        ("root://h :1", "is not the URL of an XRootD server"),
    ],
)
def test_what_a_url_says_beyond_host_and_port_is_refused_and_not_dropped(url: str, says: str) -> None:
    with pytest.raises(SelectionError) as caught:
        normal_url(url)
    assert says in str(caught.value)
    assert "SECRET" not in str(caught.value)


CLIENTS = [
    Client("c10", "i10"),
    Client("c2", "i2", ("EU",)),
    Client("c1", "i1"),
    Client("c3", "i3", ("EU",), ready=False),
]


def test_ways_to_choose_clients() -> None:
    def chosen(choice: object) -> object:
        found = choose_clients(choice, CLIENTS)  # type: ignore[arg-type]
        return found if isinstance(found, str) else [client.name for client in found]

    assert chosen("all") == ["c1", "c2", "c10"]
    assert chosen(2) == ["c1", "c2"]
    assert chosen(4) == "waiting for 4 clients; 3 ready"
    assert chosen(("c10", "c2")) == ["c2", "c10"]
    assert chosen(("c10", "c3", "c4")) == "waiting for clients c3, c4"
    assert chosen(Labelled("EU")) == ["c2"]
    assert chosen(Labelled("US")) == "waiting for a client with the label US"
    assert choose_clients("all", []) == "waiting for a client"


def test_what_is_in_front_of_servers_is_chosen_only_by_name() -> None:
    origin, front = Server("s1", "root://h:1", ("EU",)), Server("r01", "root://h:2", ("EU",), front=True)
    for many in (1, "all", Labelled("EU")):
        assert choose_servers(many, [front, origin]) == [origin]
    for text in ("r01", "root://h:2"):
        assert choose_servers((text,), [front, origin]) == [front]
    with pytest.raises(SelectionError, match="asks for 2 servers, but there is 1 server here"):
        choose_servers(2, [front, origin])
