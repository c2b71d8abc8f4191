"""Personal keys: made, renewed, ended. The provider is the stand-in for GitHub; time is moved by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gui.hub.persistence import Person
from gui.hub.signin.people import KEY_SECONDS, MAX_OF_ONE, NotAllowedError, name_of
from gui.hub.signin.provider import Confirmed, SignInOptions, Tokens
from tests.standins import GitHubStandIn, User

HOUR, DAY = 3600.0, 86400.0


async def signed_in(hub: Any, github: GitHubStandIn, via: str = "program", person: User | None = None) -> Any:
    """A new sign-in of whoever GitHub has, and its token there."""
    user = person or github.person
    assert user is not None
    token = f"gho_{len(hub.store.sign_in_rows)}"
    github.tokens[token] = user
    who = Person(github.address, str(user.id), user.login, "", user.teams)
    return await hub.hub.people.welcome(Confirmed(who, Tokens(token)), via, "laptop", "10.0.0.1")


def key(hub: Any, granted: Any) -> Any:
    return hub.store.key_rows[granted.key.kid]


async def test_a_key_for_twelve_hours(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    assert granted.key.until == hub.clock.now + KEY_SECONDS
    assert (granted.key.scopes, granted.key.sub, granted.sign_in.role) == (("observer",), "ada", "observer")
    github.person = User("bo", 8, ("osg/operators",))
    assert (await signed_in(hub, github)).key.scopes == ("operator", "observer")


async def test_nothing_is_kept_for_who_is_not_named(hub: Any, github: GitHubStandIn) -> None:
    with pytest.raises(
        NotAllowedError, match=r"mallory \(GitHub, subject 9\) is named by no list of this hub; ask whoever"
    ):
        await signed_in(hub, github, person=User("mallory", 9))
    assert hub.store.sign_in_rows == {}
    assert len(hub.store.key_rows) == 1  # the shared key
    await hub.until(lambda: github.tokens == {})


async def test_it_is_renewed_while_it_is_used(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    for _ in range(10):
        hub.clock.advance(6 * HOUR)
        hub.hub.people.touch(granted.key.kid)
        await hub.hub.people.renew()
        assert key(hub, granted).until == hub.clock.now + KEY_SECONDS
    assert hub.hub.people.good(granted.key.kid)


async def test_it_is_not_renewed_while_nobody_uses_it(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    hub.clock.advance(HOUR)
    await hub.hub.people.renew()  # used when it was made, and confirmed then
    assert key(hub, granted).until == hub.clock.now - HOUR + KEY_SECONDS
    hub.clock.advance(12 * HOUR)
    await hub.hub.people.renew()
    await hub.hub.people.tidy()
    assert key(hub, granted).state == "revoked"
    assert hub.store.sign_in_rows[granted.key.kid].sealed == ""
    await hub.until(lambda: github.tokens == {})


async def test_an_expired_key_is_refused_even_before_anybody_tidies(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    token = hub.token(
        key=granted.secret, kid=granted.key.kid, sub="ada", scope="observer", now=hub.clock.now + 13 * HOUR
    )
    hub.clock.advance(13 * HOUR)
    status, text = await hub.refused("/register", f"Bearer {token}")
    assert status == 403
    assert text in (
        "The sign-in that this key belongs to has ended; sign in again with tally login.",
        "The key was revoked.",  # the hub's own beat was faster
    )


async def test_a_database_that_fails_keeps_no_session_open(hub: Any, github: GitHubStandIn, caplog: Any) -> None:
    granted = await signed_in(hub, github)
    hub.store.broken = RuntimeError("the disk is gone")
    hub.clock.advance(13 * HOUR)
    assert hub.hub._keyring.is_revoked(granted.key.kid)
    await hub.until(lambda: "sign-ins cannot be ended in the database" in caplog.text)
    caplog.clear()
    hub.store.broken = None
    await hub.until(lambda: key(hub, granted).state == "revoked")
    caplog.clear()


async def test_a_sign_in_lasts_a_week_at_most(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    for _ in range(7 * 24 * 2):
        hub.clock.advance(HOUR / 2)
        hub.hub.people.touch(granted.key.kid)
        await hub.hub.people.renew()
    await hub.hub.people.tidy()
    assert key(hub, granted).state == "revoked"


async def test_who_left_the_team_is_out_ten_minutes_later(hub: Any, github: GitHubStandIn) -> None:
    person = User("bo", 8, ("osg/operators",))
    granted = await signed_in(hub, github, person=person)
    person.teams = ()
    hub.clock.advance(599)
    hub.hub.people.touch(granted.key.kid)
    await hub.hub.people.renew()
    assert hub.hub.people.good(granted.key.kid)
    hub.clock.advance(2)
    await hub.hub.people.renew()
    assert key(hub, granted).state == "revoked"


async def test_who_becomes_an_observer_loses_the_right_to_command(
    hub: Any, github: GitHubStandIn, trusting: Any
) -> None:
    granted = await signed_in(hub, github, person=User("bo", 8, ("osg/operators",)))
    await hub.hub.people.use(replace(trusting, observers=("bo",), operators=()))
    assert key(hub, granted).state == "revoked"


async def test_who_becomes_an_operator_stays_signed_in(hub: Any, github: GitHubStandIn, trusting: Any) -> None:
    granted = await signed_in(hub, github)
    await hub.hub.people.use(replace(trusting, operators=("ada",)))
    assert hub.hub.people.good(granted.key.kid)


async def test_a_token_that_the_person_has_revoked_at_the_provider(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    github.tokens.clear()
    hub.clock.advance(601)
    hub.hub.people.touch(granted.key.kid)
    await hub.hub.people.renew()
    assert key(hub, granted).state == "revoked"
    (entry,) = [entry for entry in await audit(hub) if entry.what == "signed out"]
    assert "GitHub does not accept the token" in entry.text


async def test_a_provider_that_is_away_says_nothing_about_anybody(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    until, github.away = key(hub, granted).until, True
    hub.clock.advance(HOUR)
    hub.hub.people.touch(granted.key.kid)
    await hub.hub.people.renew()
    assert (key(hub, granted).state, key(hub, granted).until) == ("active", until)
    assert hub.heard.problems[-1].startswith("sign-in: Nobody's sign-in can be renewed: GitHub answered 503")
    asked = len(github.asked)
    await hub.hub.people.renew()
    assert len(github.asked) == asked  # not again for a minute
    github.away = False
    hub.clock.advance(61)
    await hub.hub.people.renew()
    assert key(hub, granted).until == hub.clock.now + KEY_SECONDS
    assert hub.heard.problems[-1] == "sign-in: "


async def test_no_tokens_no_renewal(hub: Any, github: GitHubStandIn) -> None:
    """The key that seals them was lost, say: the sign-in goes on until its twelve hours are over."""
    granted = await signed_in(hub, github)
    row = hub.store.sign_in_rows[granted.key.kid]
    hub.store.sign_in_rows[granted.key.kid] = replace(row, sealed="made by another hub")
    await hub.hub.people.load()
    hub.clock.advance(HOUR)
    hub.hub.people.touch(granted.key.kid)
    await hub.hub.people.renew()
    assert key(hub, granted).state == "active"
    assert key(hub, granted).until == hub.clock.now - HOUR + KEY_SECONDS


async def test_revoked_on_the_command_line_while_it_is_renewed(hub: Any, github: GitHubStandIn) -> None:
    """Renewing never brings a revoked key back."""
    granted = await signed_in(hub, github)
    hub.clock.advance(601)
    hub.hub.people.touch(granted.key.kid)
    hub.store.key_rows[granted.key.kid] = replace(key(hub, granted), state="revoked", until=hub.clock.now)
    await hub.hub.people.renew()  # the hub has not looked at the database since
    assert key(hub, granted).state == "revoked"
    await hub.hub.people.tidy()
    assert hub.store.sign_in_rows[granted.key.kid].sealed == ""


async def test_settings_that_are_gone_end_everything(hub: Any, github: GitHubStandIn) -> None:
    granted, page = await signed_in(hub, github), await signed_in(hub, github, "page")
    await hub.hub.people.use(None)
    assert {key(hub, granted).state, key(hub, page).state} == {"revoked"}


async def test_another_issuer_with_the_same_names(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    elsewhere = SignInOptions("https://idp.example", "c", "s", ("7", "ada", "login:ada"))
    await hub.hub.people.use(elsewhere)
    assert key(hub, granted).state == "revoked"


async def test_settings_that_cannot_be_used_change_nothing(hub: Any, github: GitHubStandIn, trusting: Any) -> None:
    granted = await signed_in(hub, github)
    for wrong in (
        replace(trusting, client_id=""),
        replace(trusting, observers=("a b",)),
        replace(trusting, provider="http://idp.example"),
        replace(trusting, lasts=91 * DAY),
    ):
        with pytest.raises(ValueError):
            await hub.hub.people.use(wrong)
    assert hub.hub.people.good(granted.key.kid)


async def test_one_person_cannot_fill_the_database(hub: Any, github: GitHubStandIn) -> None:
    granted = []
    for _ in range(MAX_OF_ONE + 2):
        hub.clock.advance(1)
        granted.append(await signed_in(hub, github))
    good = [hub.hub.people.good(one.key.kid) for one in granted]
    assert good == [False, False, *[True] * MAX_OF_ONE]


async def test_what_ended_is_forgotten_a_day_later(hub: Any, github: GitHubStandIn) -> None:
    granted = await signed_in(hub, github)
    assert await hub.hub.people.end(granted.key.kid, "they signed out")
    assert not await hub.hub.people.end(granted.key.kid, "again")
    await hub.hub.people.tidy()
    assert granted.key.kid in hub.store.sign_in_rows
    hub.clock.advance(DAY + HOUR)
    await hub.hub.people.tidy()
    assert hub.store.sign_in_rows == {}
    assert len(hub.store.key_rows) == 1
    told = {entry.what: entry.text for entry in await audit(hub) if granted.key.kid in entry.who}
    assert set(told) == {"signed in", "revoked", "signed out"}
    assert told["signed in"] == "ada by GitHub as observer, 10.0.0.1"
    assert told["signed out"] == "they signed out"


async def test_it_survives_a_restart(hub: Any, github: GitHubStandIn, trusting: Any, tmp_path: Any) -> None:
    from gui.hub import Hub, HubOptions

    granted = await signed_in(hub, github, "page")
    options = HubOptions(directory=tmp_path, host="127.0.0.1", port=0, insecure=True, version="test")
    async with Hub(hub.store, options, clock=hub.clock.wall, monotonic=hub.clock.monotonic) as second:
        cookie = f"{granted.key.kid}.{granted.secret}"
        assert second.people.of_cookie(cookie) is None  # nobody is let in before the lists are read
        await second.people.use(trusting)
        assert second.people.of_cookie(cookie) is not None
        hub.clock.advance(HOUR)
        second.people.touch(granted.key.kid)
        await second.people.renew()
        assert key(hub, granted).until == hub.clock.now + KEY_SECONDS


@pytest.mark.parametrize(
    ("login", "name"),
    [("ada", "ada"), ("Ada Lovelace", "Ada-Lovelace"), ("-x-", "x"), ("<b>", "b"), ("", "person-"), ("é", "person-"),
     ("a" * 100, "a" * 64), ("../x", "x")],
)  # fmt: skip
def test_names_in_tokens(login: str, name: str) -> None:
    made = name_of(Person("i", "7", login))
    assert made.startswith(name)
    assert len(made) <= 64


def test_a_verified_address_is_a_name_too() -> None:
    assert name_of(Person("i", "7", "", "ada.l@example.org")) == "ada.l"


async def audit(hub: Any) -> list[Any]:
    """The record so far."""
    await hub.hub._audit.flush()
    return list(hub.store.audit)
