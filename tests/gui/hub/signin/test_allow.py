"""Who is named by an allow-list."""

from __future__ import annotations

import pytest

from gui.hub.persistence import Person
from gui.hub.signin.allow import AllowList, parse_entry

ADA = Person("https://github.com", "7", "Ada", "ada@example.org", ("Osg/monitoring",))
EVE = Person("https://idp.example", "x1@idp", "eve", "", ("/wlcg", "urn:mace:egi:group:tally"))


def at_github(*names: str) -> AllowList:
    return AllowList.of(names, (), github=True)


def at_issuer(*names: str) -> AllowList:
    return AllowList.of(names, (), github=False)


@pytest.mark.parametrize("name", ["ada", "ADA", "osg/Monitoring", "sub:7", "login:ada", "group:osg/monitoring"])
def test_named_at_github(name: str) -> None:
    assert at_github(name).role(ADA) == "operator"


@pytest.mark.parametrize("name", ["adam", "osg/other", "monitoring/osg", "sub:77", "sub:ada", "email:eve@example.org"])
def test_not_named_at_github(name: str) -> None:
    assert at_github(name).role(ADA) is None


@pytest.mark.parametrize(
    "name", ["x1@idp", "/wlcg", "urn:mace:egi:group:tally", "sub:x1@idp", "group:/wlcg", "login:eve"]
)
def test_named_at_an_issuer(name: str) -> None:
    assert at_issuer(name).role(EVE) == "operator"


@pytest.mark.parametrize("name", ["eve", "X1@idp", "/WLCG", "sub:/wlcg", "group:x1@idp", "email:eve", "wlcg"])
def test_not_named_at_an_issuer(name: str) -> None:
    """A plain login is worth nothing there: at many issuers people choose it themselves."""
    assert at_issuer(name).role(EVE) is None


def test_an_address_counts_only_if_there_is_a_verified_one() -> None:
    assert at_issuer("email:Ada@example.org").role(ADA) == "operator"
    assert at_issuer("email:eve@example.org").role(EVE) is None


def test_who_operates_may_also_observe_and_nobody_else_may_anything() -> None:
    both = AllowList.of(("ada",), ("ada", "bob"), github=True)
    assert both.role(ADA) == "operator"
    assert both.role(Person("", "8", "bob")) == "observer"
    assert both.role(Person("", "9", "carl")) is None
    nobody = AllowList.of((), (), github=True)
    assert nobody.empty
    assert nobody.role(ADA) is None


def test_a_person_without_a_name_is_not_named_by_an_entry_without_one() -> None:
    assert at_github("login:x").role(Person("", "8")) is None
    with pytest.raises(ValueError, match="expected a name after login:"):
        parse_entry("login: ", github=True)


@pytest.mark.parametrize("text", ["", "  ", "a b", "-a", "ada/", "https://x.example/ada", "a\x00b", "x" * 600])
def test_no_entry_of_github(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_entry(text, github=True)


def test_teams_are_asked_for_only_where_some_are_named() -> None:
    assert not at_github("ada", "sub:8").needs_teams
    assert at_github("ada", "osg/x").needs_teams
    assert at_github("group:osg/x").needs_teams
