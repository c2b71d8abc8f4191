"""Making, rotating and revoking keys; the same functions for the command line and a running hub."""

from __future__ import annotations

from typing import Any

import pytest

from agent.messages import CredentialError, decode_join_string, sign_token
from gui.hub import keys
from gui.hub.keys import KeyBook
from gui.hub.persistence import Issued, Key
from gui.hub.tokens import AdmissionError, read_authorization

NOW = 1_800_000_000.0


def test_a_key_is_long_random_and_hidden() -> None:
    key = keys.new_key(["observer"], NOW)
    other = keys.new_key(["observer"], NOW)
    assert len(key.secret) >= 43
    assert key.secret != other.secret
    assert key.kid != other.kid
    assert key.secret not in repr(key)
    assert key.secret not in repr(Issued("i", key.secret, "client", NOW, NOW))


@pytest.mark.parametrize(
    ("scopes", "options", "says"),
    [
        ([], {}, "A key allows one or more of"),
        (["admin"], {}, "not 'admin'"),
        (["join"], {}, "not 'join'"),
        (["observer"], {"secret": "short"}, "at least 32"),
        (["observer"], {"secret": "  " + "x" * 31 + "\n"}, "at least 32"),
    ],
)
def test_keys_that_cannot_be_made(scopes: list[str], options: dict, says: str) -> None:
    with pytest.raises(CredentialError) as caught:
        keys.new_key(scopes, NOW, **options)
    assert says in str(caught.value)


def test_the_shared_key_is_made_once(memory_store: Any) -> None:
    memory_store.key_rows.clear()
    made = keys.ensure_shared_key(memory_store, NOW)
    assert made.scopes == ("agent:client", "agent:server")
    assert keys.ensure_shared_key(memory_store, NOW + 1) == made
    assert keys.ensure_shared_key(memory_store, NOW + 1, f"  {made.secret}\n") == made
    given = keys.ensure_shared_key(memory_store, NOW + 2, "y" * 40)
    assert given.secret == "y" * 40
    assert memory_store.key_rows[made.kid].state == "revoked"


def test_rotation_keeps_the_old_one_for_its_grace(memory_store: Any) -> None:
    old = keys.ensure_shared_key(memory_store, NOW)
    fresh = keys.rotate_shared_key(memory_store, NOW, grace=60)
    retiring = memory_store.key_rows[old.kid]
    assert (retiring.state, retiring.until) == ("retiring", NOW + 60)
    assert [keys.usable(retiring, NOW + after) for after in (0, 59, 60)] == [True, True, False]
    assert [key.kid for key in KeyBook.of(memory_store.keys(), []).shared()] == [fresh.kid, old.kid]
    assert keys.usable(fresh, NOW + 1e6)


def test_rotating_and_revoking_keys_of_their_own(memory_store: Any) -> None:
    key = keys.new_key(["operator"], NOW, sub="anna")
    memory_store.put_key(key)
    fresh = keys.rotate_key(memory_store, key.kid, NOW + 1)
    assert (fresh.kid, fresh.sub, fresh.scopes) == (key.kid, "anna", ("operator",))
    assert fresh.secret != key.secret
    assert keys.revoke_key(memory_store, key.kid, NOW + 2).state == "revoked"
    with pytest.raises(CredentialError, match="no key 'nobody'"):
        keys.revoke_key(memory_store, "nobody", NOW)
    with pytest.raises(CredentialError, match="with a grace time"):
        keys.rotate_key(memory_store, keys.ensure_shared_key(memory_store, NOW).kid, NOW)


def test_an_invitation_and_its_join_string(memory_store: Any) -> None:
    issued, text = keys.invite(
        memory_store, role="server", now=NOW, ttl=60, uses=3, hub="wss://h:1", pin="sha256:" + "a" * 64
    )
    invitation = decode_join_string(text)
    assert (invitation.hub, invitation.role, invitation.pin) == ("wss://h:1", "server", "sha256:" + "a" * 64)
    book = KeyBook.of([], memory_store.invitations())
    bearer = read_authorization(f"Bearer {invitation.token}", book, NOW)
    assert (bearer.scopes, bearer.role, bearer.invitation) == (("join",), "server", issued)
    with pytest.raises(AdmissionError, match="expired"):
        read_authorization(f"Bearer {invitation.token}", book, NOW + 71)
    assert keys.revoke_invitation(memory_store, issued.id, NOW).revoked
    with pytest.raises(CredentialError):
        keys.revoke_invitation(memory_store, "nothing", NOW)


@pytest.mark.parametrize(("ttl", "uses"), [(0, 1), (86401, 1), (60, 0), (60, 10_001)])
def test_invitations_out_of_bounds(memory_store: Any, ttl: float, uses: int) -> None:
    with pytest.raises(CredentialError):
        keys.invite(memory_store, role="client", now=NOW, ttl=ttl, uses=uses, hub="wss://h:1", pin="")
    assert memory_store.invitations() == []


def test_a_day_is_the_longest_invitation(memory_store: Any) -> None:
    _, text = keys.invite(memory_store, role="client", now=NOW, ttl=86400, uses=1, hub="wss://h:1", pin="")
    book = KeyBook.of([], memory_store.invitations())
    assert read_authorization(f"Bearer {decode_join_string(text).token}", book, NOW + 86399).role == "client"


def test_newest_shared_key_first() -> None:
    rows = [Key(str(age), "x" * 32, ("agent:client",), NOW + age, shared=True) for age in (2, 1, 3)]
    assert [key.kid for key in KeyBook.of(rows, []).shared()] == ["3", "2", "1"]


@pytest.mark.parametrize("name", ["shared", "Shared", "shared-0123", "i-0123"])
def test_names_of_the_shared_key_and_of_invitations_are_reserved(memory_store: Any, name: str) -> None:
    with pytest.raises(CredentialError, match="is reserved for"):
        keys.create_key(memory_store, ["observer"], NOW, kid=name)
    assert keys.create_key(memory_store, ["observer"], NOW, kid="sharedsite").kid == "sharedsite"


def test_a_key_that_was_once_named_shared_lets_nobody_in(memory_store: Any) -> None:
    """Its sessions could not be told from those of the shared key, and so not be revoked."""
    old = keys.new_key(["agent:client"], NOW, kid="shared")
    book = KeyBook.of([*memory_store.keys(), old], [])
    with pytest.raises(AdmissionError, match="not signed with a key"):
        read_authorization(f"Bearer {sign_token(old.secret, sub='c1', scope='agent:client', kid='shared')}", book, NOW)
