"""Settings without a screen: what is edited, applied, tested and revoked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import pytest

from gui.hub import keys
from gui.hub.certificate import own_identity
from gui.hub.persistence import Key
from gui.hub.signin.people import NoSignInError
from gui.models.keys import key_rows
from gui.pages.settings.presenter import HubFacts, SecretState, SettingsPresenter, SignInFacts
from gui.runner.secrets import Secrets
from gui.runner.settings import FILE, MachineSettings, read_settings, write_settings
from gui.store import Store
from shoveler.bus import parse_bus_address

BROKER = "amqp://ada:s3cret@mq.example.org/tally?exchange=own"


@pytest.fixture(autouse=True)
def no_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def made(desk: Any, page: Any, tmp_path: Path) -> SettingsPresenter:
    desk.page = "settings"
    return SettingsPresenter(desk, page, tmp_path, environ={})


def last(page: Any, name: str) -> tuple[Any, ...]:
    """The arguments of the last call of this name."""
    return next(call[1:] for call in reversed(page.calls) if call[0] == name)


class FakeBus:
    queue = "tally.w-1"


def workspace_for(make_workspace: Any, store: Store, **changes: Any) -> Any:
    """An open workspace that remembers which options it was told to use."""
    used: list[Any] = []

    async def use_bus(options: Any) -> None:
        used.append(options)

    values: dict[str, Any] = {
        "store": store,
        "use_bus": use_bus,
        "used": used,
        "bus": FakeBus(),
        "options": make_workspace(secrets=object(), database="w.db"),
        "sign_in": None,
        "hub": make_workspace(address="wss://h:8765", pin="sha256:ab", roster=make_workspace(agents=())),
    }
    return make_workspace(**(values | changes))


async def test_what_is_typed_is_kept_by_apply_and_used_without_a_restart(
    desk, page, made, make_workspace, tmp_path
) -> None:
    with Store(tmp_path / "w.db") as store:
        desk.workspace = workspace = workspace_for(make_workspace, store)
        made.attach(workspace)
        for end in range(1, len(BROKER) + 1):  # typed, not pasted: it is taken apart when the field is left
            made.edit("bus.address", BROKER[:end])
        assert last(page, "show_settings")[1]["bus.address"].startswith("Leave user and password out")
        made.entered("bus.address")
        await desk.settle()
        assert made.mistakes == {}
        assert (made.draft["bus.user"], made.draft["bus.records_exchange"]) == ("ada", "own")
        assert last(page, "show_secret")[0] == "signin"
        assert ("show_secret", "bus", SecretState(str(tmp_path / "secrets.json"), typed=True)) in page.calls
        assert not (tmp_path / FILE).exists()
        made.apply()
        await desk.settle()
        assert read_settings(tmp_path / FILE)[0] == made.kept
        assert "s3cret" not in (tmp_path / FILE).read_text()
        assert Secrets(tmp_path).read("bus ada@mq.example.org:5672/tally") == "s3cret"
        (options,) = workspace.used
        assert options.bus == "amqp://ada:@mq.example.org:5672/tally"
        assert parse_bus_address(options.bus).password == ""
        assert last(page, "show_outcome") == ("Kept; the workspace connects to it now.", "ok")
        assert not made.dirty


async def test_what_is_pasted_is_taken_apart_at_once_also_for_a_database(desk, page, made, tmp_path) -> None:
    made.edit("bus.address", f"{BROKER}&queue=mine")
    assert (made.draft["bus.address"], made.draft["bus.user"]) == ("amqp://mq.example.org/tally", "ada")
    (shown,) = [call for call in page.calls if call[0] in ("show_settings", "show_outcome")][-1:]
    assert shown[1] == "The queue mine is left out: each workspace has a queue of its own.", "the last word"
    made.edit("database.address", "postgresql://ada:p4ss@db.example.org/tally")
    assert made.draft["database.address"] == "postgresql://ada@db.example.org/tally"
    assert made.mistakes == {}
    made.apply()
    await desk.settle()
    assert Secrets(tmp_path).read("database ada@db.example.org:5432/tally") == "p4ss"
    assert "p4ss" not in (tmp_path / FILE).read_text()


async def test_a_mistake_is_beside_its_field_and_nothing_is_applied(desk, page, made, tmp_path) -> None:
    made.edit("hub.port", "many")
    draft, mistakes = last(page, "show_settings")[:2]
    assert (draft["hub.port"], "whole number" in mistakes["hub.port"]) == ("many", True)
    made.apply()
    await desk.settle()
    assert not (tmp_path / FILE).exists()
    made.discard()
    assert last(page, "show_settings")[1:] == ({}, False)


async def test_a_certificate_that_does_not_fit_is_said_at_its_field(desk, page, made, tmp_path) -> None:
    first, second = own_identity(tmp_path / "a"), own_identity(tmp_path / "b")
    made.edit("hub.certificate", str(first.certificate))
    made.edit("hub.key", str(second.key))
    await desk.settle()
    assert "cannot be used together" in made.mistakes["hub.certificate"]
    made.edit("hub.key", str(first.key))
    await desk.settle()
    assert made.mistakes == {}


async def test_defaults_come_back_one_by_one_and_by_section(desk, page, made, tmp_path) -> None:
    write_settings(tmp_path / FILE, MachineSettings({"bus.user": "ada", "bus.folder": "/b", "hub.port": "9000"}))
    made.show()
    made.restore(["bus.user"])
    assert made.draft.changed() == ("bus.folder", "hub.port")
    made.restore_section("bus.")
    assert made.draft.changed() == ("hub.port",)
    made.restore_section("")
    assert made.draft.changed() == ()
    assert read_settings(tmp_path / FILE)[0].changed() != ()
    made.apply()
    await desk.settle()
    assert read_settings(tmp_path / FILE)[0].changed() == ()


async def test_a_hub_that_moves_says_that_it_must_be_opened_again(desk, page, made, make_workspace, tmp_path) -> None:
    with Store(tmp_path / "w.db") as store:
        desk.workspace = workspace = workspace_for(make_workspace, store)
        made.attach(workspace)
        assert last(page, "show_hub") == (HubFacts("wss://h:8765", 0, "sha256:ab"),)
        made.edit("hub.port", "9000")
        made.apply()
        await desk.settle()
        assert last(page, "show_hub")[0].reopen
        assert workspace.used == [], "the bus has not changed"
        made.attach(workspace)  # opened again
        assert not last(page, "show_hub")[0].reopen


async def test_a_run_keeps_its_bus_and_a_demonstration_its_own(desk, page, made, make_workspace, tmp_path) -> None:
    from gui.runner.refusal import RunRefusedError

    async def refuse(options: Any) -> None:
        raise RunRefusedError("A run is under way.")

    with Store(tmp_path / "w.db") as store:
        desk.workspace = workspace_for(make_workspace, store, use_bus=refuse)
        made.edit("bus.address", "amqp://mq.example.org")
        made.apply()
        await desk.settle()
        assert last(page, "show_outcome") == ("Kept, but not used yet: A run is under way.", "warn")
        demo = make_workspace(secrets=None, database="demo.db")
        desk.workspace = workspace_for(make_workspace, store, options=demo)
        made.edit("bus.address", "amqp://mq2.example.org")
        made.apply()
        await desk.settle()
        assert desk.workspace.used == []
        assert "keeps its own bus" in last(page, "show_outcome")[0]


async def test_the_test_of_the_bus_tells_line_by_line_and_ends(desk, page, made, tmp_path) -> None:
    made.test_bus()
    await desk.settle()
    name, checks, running = last(page, "show_checks")
    assert (name, running) == ("bus", False)
    assert checks[0].text.startswith("No address is given")
    made.edit("bus.kind", "folder")
    made.edit("bus.folder", str(tmp_path / "bus"))
    made.test_bus()
    await desk.settle()
    shown = [call for call in page.calls if call[0] == "show_checks"]
    assert [len(call[2]) for call in shown][-5:] == [0, 1, 2, 3, 3]
    assert [check.name for check in shown[-1][2]] == ["folder", "room", "exchanges"]
    made.edit("bus.kind", "lab")
    made.edit("bus.lab", str(tmp_path))
    made.test_bus()
    await desk.settle()
    assert "There is no lab in" in last(page, "show_checks")[1][0].text


async def test_the_test_of_the_database_says_what_is_there(desk, page, made, tmp_path) -> None:
    async def tested(address: str) -> Any:
        made.edit("database.address", address)
        made.test_database()
        await desk.settle()
        (check,) = last(page, "show_checks")[1]
        return check

    assert "is not there yet" in (await tested(str(tmp_path / "new.db"))).text
    assert not (tmp_path / "new.db").exists()
    with Store(tmp_path / "w.db"):
        pass
    assert "is a workspace with 0 runs" in (await tested(str(tmp_path / "w.db"))).text
    (tmp_path / "other.db").write_text("this is no database")
    assert (await tested(str(tmp_path / "other.db"))).state == "failed"
    assert (await tested("postgresql://nobody@127.0.0.1:1/tally")).state == "failed"
    assert (await tested(str(tmp_path / "other.db" / "w.db"))).state == "failed"


async def test_settings_that_cannot_be_read_are_said_and_not_overwritten(desk, page, made, tmp_path) -> None:
    (tmp_path / FILE).write_text("[bus\n")
    made.show()
    assert "cannot be read" in last(page, "show_notes")[0][0]
    made.edit("bus.user", "ada")
    made.apply()
    await desk.settle()
    assert last(page, "show_outcome")[1] == "bad"
    assert (tmp_path / FILE).read_text() == "[bus\n"


async def test_the_environment_comes_first_and_is_named(desk, page, tmp_path) -> None:
    presenter = SettingsPresenter(desk, page, tmp_path, environ={"TALLY_BUS": "amqp://env"})
    presenter.show()
    await desk.settle()
    assert "TALLY_BUS is set" in last(page, "show_notes")[0][0]


async def test_a_kept_password_is_forgotten_for_this_broker_only(desk, page, made, tmp_path) -> None:
    secrets = Secrets(tmp_path)
    for host in ("a", "b"):
        secrets.write(f"bus guest@{host}:5672/", "x")
    made.edit("bus.address", "amqp://a")
    made.entered("bus.address")
    await desk.settle()
    kept = [call[2] for call in page.calls if call[:2] == ("show_secret", "bus")]
    assert kept[-1].kept
    made.forget_secret("bus")
    await desk.settle()
    assert (secrets.read("bus guest@a:5672/"), secrets.read("bus guest@b:5672/")) == ("", "x")
    assert last(page, "show_outcome") == ("The password of guest@a:5672/ is forgotten.", "ok")


async def test_keys_are_listed_created_replaced_and_revoked(desk, page, made, make_workspace, tmp_path) -> None:
    with Store(tmp_path / "w.db") as store:
        desk.workspace = workspace_for(make_workspace, store)
        keys.ensure_shared_key(store, time.time())
        keys.invite(store, role="client", now=time.time(), ttl=60, uses=3, hub="wss://h:1", pin="")
        made.look(force=True)
        await desk.settle()
        rows, trouble = last(page, "show_keys")
        assert ({row.kind for row in rows}, trouble) == ({"shared key", "invitation"}, "")
        made.create_key("site-a", ["agent:client"], "")
        await desk.settle()
        (fresh,) = last(page, "show_new_key")
        assert (fresh.kid, fresh.scopes) == ("site-a", ("agent:client",))
        made.create_key("site-a", ["agent:client"], "")
        made.create_key("bad name", ["agent:client"], "")
        await desk.settle()
        words = [call[1] for call in page.calls if call[0] == "show_outcome"]
        assert any("already a key 'site-a'" in text for text in words)
        assert any("The name of a key: expected up to 64 letters" in text for text in words)
        made.rotate_shared_key(60)
        await desk.settle()
        states = {row.id: row.state for row in last(page, "show_keys")[0]}
        assert sorted(states.values()) == ["in use", "in use", "in use", "retiring"]
        made.revoke([row for row in last(page, "show_keys")[0] if row.kind in ("invitation", "key")])
        await desk.settle()
        states = {row.kind: row.state for row in last(page, "show_keys")[0] if row.kind in ("invitation", "key")}
        assert states == {"invitation": "revoked", "key": "revoked"}
        made.detach()
        assert last(page, "show_keys") == (None, "")


def test_the_state_of_a_key_is_what_it_can_still_do() -> None:
    now = 1000.0
    shared = keys.shared_key(now)
    rows = key_rows([shared], [], now)
    assert (rows[0].state, rows[0].can_be_revoked, rows[0].who) == ("in use", True, "anybody")
    from gui.hub.persistence import Issued

    old = Issued("i-1", "s", "client", 0, 10, uses=2)
    full = Issued("i-2", "s", "server", 900, 2000, uses=1, used=1)
    gone = Issued("i-3", "s", "server", 901, 2000, revoked=True)
    rows = key_rows([], [old, full, gone], now)
    assert [(row.id, row.state, row.uses, row.who) for row in rows] == [
        ("i-3", "revoked", "0 of 1", "one agent"),
        ("i-2", "used up", "1 of 1", "one agent"),
        ("i-1", "expired", "0 of 2", "2 agents"),
    ]
    assert not any(row.can_be_revoked for row in rows)


# ---- people


class FakeSignIn:
    """Counts how often the hub was told to go by the settings of now."""

    def __init__(self) -> None:
        self.read_count = 0

    async def read(self) -> None:
        self.read_count += 1


class FakePeople:
    """A hub's people: `why_not` is why nobody can sign in."""

    signed_in = 2

    def __init__(self, make_workspace: Any, why_not: str = "") -> None:
        self._make, self._why_not = make_workspace, why_not

    def needed(self) -> Any:
        if self._why_not:
            raise NoSignInError(self._why_not)
        return self._make(options=self._make(title="GitHub"))


def with_people(make_workspace: Any, store: Store, why_not: str = "", problems: Any = ()) -> Any:
    hub = make_workspace(
        address="wss://h:8765", pin="sha256:ab", roster=make_workspace(agents=()), page="https://h:8765",
        people=FakePeople(make_workspace, why_not),
    )  # fmt: skip
    listed = make_workspace(all=lambda: problems)
    return workspace_for(make_workspace, store, sign_in=FakeSignIn(), hub=hub, problems=listed)


async def test_who_is_let_in_is_kept_and_used_at_once(desk, page, made, make_workspace, tmp_path) -> None:
    with Store(tmp_path / "w.db") as store:
        desk.workspace = with_people(make_workspace, store)
        made.attach(desk.workspace)
        made.edit("signin.provider", "github")
        assert "signin.client_id" in made.mistakes
        made.edit("signin.client_id", "c1")
        made.edit("signin.operators", "ada, osg/monitoring")
        made.type_secret("signin", "s3cret")
        made.apply()
        await desk.settle()
        assert read_settings(tmp_path / FILE)[0].names("signin.operators") == ("ada", "osg/monitoring")
        assert Secrets(tmp_path).read("signin c1@github") == "s3cret"
        assert "s3cret" not in (tmp_path / FILE).read_text()
        assert desk.workspace.sign_in.read_count == 1
        assert last(page, "show_outcome") == ("Kept; the hub goes by it now.", "ok")
        assert desk.workspace.used == []  # the bus has nothing to do with it
        facts = SignInFacts("ok", "by GitHub, 2 sign-ins now", "ok", "https://h:8765/", "https://h:8765/signin/back")
        assert last(page, "show_sign_in") == (facts,)

        made.type_secret("signin", "another")
        made.apply()
        await desk.settle()
        assert desk.workspace.sign_in.read_count == 2
        made.forget_secret("signin")
        await desk.settle()
        assert desk.workspace.sign_in.read_count == 3
        assert Secrets(tmp_path).read("signin c1@github") == ""


async def test_what_is_said_of_the_sign_in(desk, page, made, make_workspace, tmp_path) -> None:
    assert last_facts(made, page).words == "starts when a workspace is opened"
    with Store(tmp_path / "w.db") as store:
        desk.workspace = with_people(make_workspace, store, "Nobody is let in by sign-in here.")
        assert last_facts(made, page) == SignInFacts(
            "ring", "Nobody is let in by sign-in here.", "mute", "", "https://h:8765/signin/back"
        )
        wrong = make_workspace(where="sign-in settings", text="The settings cannot be used.")
        desk.workspace = with_people(make_workspace, store, problems=(wrong,))
        assert (last_facts(made, page).icon, last_facts(made, page).words) == ("bad", "The settings cannot be used.")
        desk.workspace = workspace_for(make_workspace, store)
        assert last_facts(made, page).words == "a demonstration lets nobody sign in"


def last_facts(made: SettingsPresenter, page: Any) -> SignInFacts:
    made.look()
    (facts,) = last(page, "show_sign_in")
    assert isinstance(facts, SignInFacts)
    return facts


async def test_a_mistake_in_a_list_stops_apply(desk, page, made, tmp_path) -> None:
    made.edit("signin.provider", "github")
    made.edit("signin.client_id", "c1")
    made.edit("signin.observers", "ada lovelace")
    made.apply()
    await desk.settle()
    assert not (tmp_path / FILE).exists()
    assert made.mistakes["signin.observers"] == "Expected a GitHub login or ORG/TEAM, got 'ada lovelace'."


def test_a_sign_in_is_listed_as_one_and_ends_at_its_time() -> None:
    key = Key("u-0123456789ab", "s" * 40, ("observer",), 10.0, sub="ada", until=100.0)
    page = replace(key, kid="p-0123456789ab", scopes=("page",))
    mine = replace(key, kid="u-mine", until=None)
    rows = {row.id: row for row in key_rows([key, page, mine], [], 50.0)}
    assert [rows[one.kid].kind for one in (key, page, mine)] == ["sign-in", "sign-in", "key"]
    assert (rows[key.kid].state, rows[key.kid].until, rows[key.kid].can_be_revoked) == ("in use", 100.0, True)
    (over,) = key_rows([key], [], 100.0)
    assert (over.state, over.can_be_revoked) == ("expired", False)
