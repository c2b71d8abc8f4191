from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gui.hub.persistence import AuditEntry, Hold, HubStore, Issued, Key, Person, Sighting, SignIn, Spend
from gui.store import ServerEntry, Store, access

KEY = Key("k1", "x" * 40, ("agent:client", "agent:server"), 100.0, shared=True)


def test_the_store_is_what_the_hub_asks_for(store: Store) -> None:
    hub_store: HubStore = store
    assert hub_store.keys() == []


def test_keys_come_back_as_they_were_put(any_world: Any) -> None:
    store = any_world.store
    personal = Key("p-c1", "y" * 40, ("agent:client",), 50.0, sub="c1", state="retiring", until=500.0)
    store.put_key(KEY)
    store.put_key(personal)
    assert store.keys() == [personal, KEY]  # oldest first


def test_a_key_of_the_same_kid_is_replaced(store: Store) -> None:
    store.put_key(KEY)
    store.put_key(replace(KEY, state="revoked"))
    stored = store.keys()
    assert [key.state for key in stored] == ["revoked"]


def test_invitations_come_back_and_are_replaced(any_world: Any) -> None:
    store = any_world.store
    issued = Issued("i1", "z" * 40, "client", 100.0, 200.0, uses=2)
    store.put_invitation(issued)
    store.put_invitation(replace(issued, revoked=True))
    assert store.invitations() == [replace(issued, revoked=True)]


def test_redeeming_counts_a_use_and_makes_the_key(any_world: Any) -> None:
    store = any_world.store
    store.put_invitation(Issued("i1", "z" * 40, "client", 100.0, 200.0, uses=2))
    one, two, three = (replace(KEY, kid=f"p{n}", sub=f"c{n}", shared=False) for n in (1, 2, 3))
    assert store.redeem("i1", one, 150.0)
    assert store.redeem("i1", two, 150.0)
    assert not store.redeem("i1", three, 150.0), "used up"
    stored = store.keys()
    assert [key.kid for key in stored] == ["p1", "p2"]
    assert store.invitations()[0].used == 2


def test_unknown_expired_and_revoked_invitations_make_no_key(store: Store) -> None:
    store.put_invitation(Issued("old", "z" * 40, "client", 100.0, 200.0))
    store.put_invitation(Issued("revoked", "z" * 40, "client", 100.0, 900.0, revoked=True))
    assert not store.redeem("old", KEY, 200.0)
    assert not store.redeem("revoked", KEY, 200.0)
    assert not store.redeem("unknown", KEY, 200.0)
    assert store.keys() == []


def test_a_token_is_spent_once_also_within_a_batch_and_after_a_restart(any_world: Any) -> None:
    store = any_world.store
    a, b = Spend("a", 400.0), Spend("b", 400.0)
    assert store.spend_tokens([a, b, a], 100.0) == [True, True, False]
    assert store.spend_tokens([b], 101.0) == [False]
    with Store(store.database.url.render_as_string(hide_password=False)) as again:
        assert again.spend_tokens([a], 102.0) == [False]


def test_spent_tokens_are_remembered_until_a_minute_after_they_expired(store: Store) -> None:
    store.spend_tokens([Spend("a", 400.0)], 100.0)
    assert store.spend_tokens([Spend("a", 400.0)], 459.0) == [False]
    assert store.spend_tokens([Spend("a", 900.0)], 461.0) == [True]


def test_agents_and_servers_are_remembered(any_world: Any) -> None:
    store = any_world.store
    first = Sighting("shared/c1", "c1", "client", {"host": "wn17", "cpus": 8})
    store.see_agents([first], 10.0)
    store.see_agents([replace(first, facts={"host": "wn18", "cpus": 8}), Sighting("k/s1", "s1", "server", {})], 20.0)
    agent, other = store.agents()
    assert (other.identity, other.first_seen) == ("k/s1", 20.0)
    assert (agent.first_seen, agent.last_seen, agent.facts["host"]) == (10.0, 20.0, "wn18")

    first = store.put_servers([ServerEntry("root://a:1094", "s01", ("EU",), "lab"), ServerEntry("root://b:1094", "")])
    again = store.put_servers([ServerEntry("root://a:1094", "", source="")])
    assert again == {"root://a:1094": first["root://a:1094"]}
    a, b = store.servers()
    assert (a.name, a.labels, a.source) == ("s01", ("EU",), "lab"), "what is not said again stays"
    assert b.name == "root://b:1094"


def test_holds_come_back_are_replaced_and_lifted(any_world: Any) -> None:
    store = any_world.store
    drained, out = Hold("k/c1", "drain", "client", 2.0, by="anna"), Hold("k/c1", "disconnect", "client", 1.0, 9.0)
    for hold in (drained, out, replace(out, until=None)):
        store.put_hold(hold)
    store.put_setting("holdings", "no hold")
    assert store.holds() == [replace(out, until=None), drained]
    assert store.lift_hold("k/c1", "disconnect")
    assert not store.lift_hold("k/c1", "disconnect")
    assert store.holds() == [drained]


def test_the_audit_log_of_one_agent(store: Store) -> None:
    store.add_audit([AuditEntry(float(n), "joined", f"k/c{n % 2}", str(n)) for n in range(4)])
    assert [entry.text for entry in store.audits(who="k/c1")] == ["1", "3"]
    assert [entry.text for entry in store.audits(1, "k/c1")] == ["3"]


def test_of_the_audit_log_refusals_drive_out_only_refusals(any_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_AUDITS_KEPT", 3)
    store = any_world.store
    store.add_audit([AuditEntry(1.0, "started", "wss://h:1", "")])
    store.add_audit([AuditEntry(float(n), "refused", "192.0.2.7", f"{n}") for n in range(2, 9)])
    store.add_audit([AuditEntry(9.0, "joined", "shared/c1", "client agent on h")])
    assert [(entry.t, entry.what) for entry in store.audits()] == [
        (1.0, "started"),
        (6.0, "refused"),
        (7.0, "refused"),
        (8.0, "refused"),
        (9.0, "joined"),
    ]
    assert store.audits(1) == [AuditEntry(9.0, "joined", "shared/c1", "client agent on h")]


def test_a_change_of_credentials_is_seen_by_one_question(any_world: Any) -> None:
    store = any_world.store
    invitation = Issued("i-1", "s" * 43, "client", 1.0, 100.0, uses=1)
    hold = Hold("shared/c1", "drain", "client", 1.0)
    seen = [store.credentials_version()]
    for change in (
        lambda: store.put_key(KEY),
        lambda: store.put_invitation(invitation),
        lambda: store.redeem("i-1", replace(KEY, kid="k-9"), 2.0),
        lambda: store.put_hold(hold),
        lambda: store.lift_hold(hold.identity, hold.what),
    ):
        change()
        seen.append(store.credentials_version())
    assert len(set(seen)) == len(seen)
    store.put_setting("another", "value")
    assert store.credentials_version() == seen[-1]


def test_sign_ins_come_and_go_with_their_keys(any_world: Any) -> None:
    store = any_world.store
    person = Person("https://github.com", "7", "ada", "", ("osg/monitoring",))
    key = Key("u-1", "s" * 40, ("observer",), 10.0, sub="ada", until=50.0)
    sign_in = SignIn("u-1", "program", person, "observer", "laptop", 10.0, 100.0, 10.0, "sealed")
    before = store.credentials_version()
    assert store.put_sign_in(sign_in, key)
    assert store.credentials_version() != before
    assert store.put_sign_in(replace(sign_in, checked=20.0), replace(key, until=70.0))
    assert store.sign_ins() == [replace(sign_in, checked=20.0)]
    assert store.keys() == [replace(key, until=70.0)]
    store.put_key(replace(key, state="revoked", until=30.0))
    assert not store.put_sign_in(replace(sign_in, checked=30.0), replace(key, until=90.0))  # revoked is revoked
    assert store.keys()[0].state == "revoked"
    assert store.sign_ins()[0].checked == 20.0
    assert store.put_sign_in(replace(sign_in, sealed=""), replace(key, state="revoked", until=30.0))
    store.put_sign_in(replace(sign_in, kid="u-2", since=5.0), replace(key, kid="u-2"))
    assert [one.kid for one in store.sign_ins()] == ["u-2", "u-1"]
    store.forget_sign_ins(["u-1", "none"])
    assert [one.kid for one in store.sign_ins()] == ["u-2"]
    assert [one.kid for one in store.keys()] == ["u-2"]  # noqa: SIM118 - not a dict
