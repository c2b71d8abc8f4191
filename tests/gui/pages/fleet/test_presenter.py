"""Fleet: what is shown follows the roster; an invitation goes to the sheet that is open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.messages import CredentialError
from gui.campaign.selection import Server
from gui.pages.fleet.presenter import LEARN_SECONDS, FleetPresenter, known_servers
from gui.store import StoreError


class Hub:
    """Invites; `fails` is why it cannot."""

    def __init__(self, pin: str = "") -> None:
        self.address, self.pin = "host:8765", pin
        self.roster = SimpleNamespace(version=0, agents=())
        self.fails = ""
        self.invited: list[object] = []
        self.told: list[object] = []

    async def invite(self, role: str, *, ttl: float, uses: int) -> tuple[str, str]:
        if self.fails:
            raise StoreError(self.fails)
        self.invited.append((role, ttl, uses))
        return "id", "wss://host:8765/#t"

    async def ping(self, agent: str) -> None:
        self.told.append((agent, "ping"))

    async def drain(self, agent: str) -> None:
        if self.fails:
            raise CredentialError(self.fails)
        self.told.append((agent, "drain"))

    async def resume(self, agent: str) -> None:
        self.told.append((agent, "resume"))

    async def keep_out(self, agent: str, seconds: float | None) -> None:
        self.told.append((agent, seconds))

    async def allow(self, agent: str) -> None:
        self.told.append((agent, "allow"))

    async def revoke_agent(self, agent: str) -> None:
        self.told.append((agent, "revoke"))


@pytest.fixture
def workspace(desk, make_workspace) -> Any:
    lab = SimpleNamespace(servers=[SimpleNamespace(url="root://s1:1094", site="SITE-A")])
    desk.workspace = make_workspace(
        hub=Hub(),
        lab=lab,
        servers=lambda: [Server(name, f"root://{name}:1094") for name in ("s1", "s2", "s3")],
        directory=SimpleNamespace(listed=[Server("s3", "root://s3:1094")]),
        members=lambda: (),
        store=SimpleNamespace(origin_facts=lambda: ()),
    )
    return desk.workspace


def names(page: Any) -> list[str]:
    return [call[0] for call in page.calls]


def test_servers_say_where_they_are_known_from(workspace) -> None:
    sources = [(known.source, known.site) for known in known_servers(workspace)]
    assert sources == [("lab", "SITE-A"), ("agent", ""), ("list", "")]


async def test_the_page_is_filled_when_agents_change_and_at_each_beat_while_it_is_shown(desk, page, workspace) -> None:
    presenter = FleetPresenter(desk, page)
    presenter.look()
    presenter.look()
    assert names(page) == ["set_clients", "set_servers"]
    workspace.hub.roster.version += 1
    presenter.look()
    desk.page = "fleet"
    presenter.look()
    assert names(page).count("set_servers") == 3
    assert await desk.settle() == ["learn senders"]


async def test_senders_are_asked_for_again_after_a_while(desk, page, workspace) -> None:
    now = [100.0]
    presenter = FleetPresenter(desk, page, lambda: now[0])
    desk.page = "fleet"
    presenter.look()
    now[0] += LEARN_SECONDS / 2
    presenter.look()
    now[0] += LEARN_SECONDS / 2
    presenter.look()
    assert await desk.settle() == ["learn senders"] * 2


@pytest.mark.parametrize(("pin", "end"), [("sha256:ab", "#t"), ("", "#t --insecure")])
async def test_an_invitation_is_a_command_to_paste(desk, page, recorder, workspace, pin: str, end: str) -> None:
    workspace.hub.pin = pin
    presenter = FleetPresenter(desk, page)
    presenter.sheet = sheet = recorder()
    await presenter.invite(sheet, "client", 2.0, 3)
    assert workspace.hub.invited == [("client", 7200.0, 3)]
    assert sheet.calls == [("show_command", f"tally-agent join wss://host:8765/{end}", ())]


async def test_an_invitation_that_fails_is_a_sentence_in_the_sheet(desk, page, recorder, workspace) -> None:
    workspace.hub.fails = "The database is away."
    presenter = FleetPresenter(desk, page)
    presenter.sheet = sheet = recorder()
    await presenter.invite(sheet, "client", 1.0, 1)
    assert sheet.calls == [("show_error", "The database is away.")]


async def test_a_sheet_that_was_closed_meanwhile_is_told_nothing(desk, page, recorder, workspace) -> None:
    presenter = FleetPresenter(desk, page)
    closed = recorder()
    await presenter.invite(closed, "client", 1.0, 1)
    workspace.hub.fails = "The database is away."
    await presenter.invite(closed, "client", 1.0, 1)
    assert closed.calls == []


async def test_what_is_asked_of_clients_goes_to_the_hub_and_an_error_is_a_sentence(desk, page, workspace) -> None:
    presenter = FleetPresenter(desk, page)
    presenter.ping(["a", "b"])
    presenter.drain(["a"])
    presenter.resume(["a"])
    presenter.disconnect(["a"], 600.0)
    presenter.allow(["a"])
    presenter.revoke("a")
    await desk.settle()
    assert workspace.hub.told == [
        ("a", "ping"), ("b", "ping"), ("a", "drain"), ("a", "resume"), ("a", 600.0), ("a", "allow"), ("a", "revoke"),
    ]  # fmt: skip
    workspace.hub.fails = "There is no agent a."
    presenter.drain(["a"])
    await desk.settle()
    assert desk.said == [("fleet", "There is no agent a.", "")]
    desk.workspace = None
    presenter.ping(["a"])
    assert await desk.settle() == []


def test_without_a_workspace_the_page_is_empty(desk, page) -> None:
    presenter = FleetPresenter(desk, page)
    presenter.look()
    assert page.calls == []
    presenter.detach()
    assert page.calls == [("set_hub", ""), ("set_clients", ()), ("set_servers", ())]
