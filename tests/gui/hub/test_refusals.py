"""Who is not let in is counted by reason, told to the owner, and remembered with the key that the token named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gui.hub.keys import new_key
from gui.hub.operate import RegisterOperator


async def test_a_refusal_is_counted_told_and_remembered_with_its_key(place: Any) -> None:
    key = new_key(["agent:client"], place.clock.now, sub="c5", kid="site-a")
    place.store.put_key(replace(key, state="revoked"))
    bearer = place.token(key=key.secret, kid="site-a", sub="c5")
    assert (await place.refused("/register", f"Bearer {bearer}"))[0] == 403
    assert place.heard.turned_away == [("127.0.0.1", "The key was revoked. (key site-a/c5)")]
    assert place.hub._refusals.counts == {"revoked": 1}
    stranger = place.token(key="x" * 40, kid="nobody\n" + "y" * 100)
    assert (await place.refused("/register", f"Bearer {stranger}"))[0] == 401
    _, text = place.heard.turned_away[-1]
    assert text.startswith("The token is not signed with a key that this hub knows. (key nobody\ny")
    assert len(text) < 140, "a name that nobody has signed is cut"
    assert text.endswith("?)"), "and said to be no more than that"


async def test_a_key_that_the_token_does_not_name(place: Any) -> None:
    assert (await place.refused("/register"))[0] == 401
    assert (await place.refused("/register", f"Bearer {place.token(scope='observer')}"))[0] == 403
    assert [text for _, text in place.heard.turned_away] == [
        "A token is needed: send the header Authorization: Bearer TOKEN.",
        "The key does not allow the scope observer. (key shared/c1)",
    ]


async def test_who_asks_for_a_page_that_is_not_there_is_only_counted(place: Any) -> None:
    assert (await place.refused("/wp-login.php"))[0] == 404
    assert place.hub._refusals.counts == {"path": 1}
    assert place.heard.turned_away == []


@pytest.mark.parametrize("scope", ["agent:client", "operator"])
async def test_a_key_that_is_revoked_between_the_two_steps_opens_no_session(place: Any, scope: str) -> None:
    key = new_key([scope], place.clock.now, sub="c5")
    place.store.put_key(key)
    hello = RegisterOperator(host="h", version="1") if scope == "operator" else place.details()
    client_id = await place.register(place.token(key=key.secret, kid=key.kid, sub="c5", scope=scope), hello)
    await place.hub._keyring.revoke(key.kid)
    session = await place.open(f"{'/operate' if scope == 'operator' else '/agent'}?client_id={client_id}")
    assert (await session.closed())[1] == "The key was revoked."
    assert place.heard.turned_away == [("127.0.0.1", f"The key was revoked. (key {key.kid}/c5)")]
    assert place.hub.roster.agents == ()
