"""Signing in to a hub over TLS from this machine, and out; what is kept here in between."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.messages import CredentialError
from gui.hub import Hub, HubOptions
from gui.hub.signin.messages import EnterCode
from gui.hub.signin.provider import SignInOptions
from gui.runner.hublink import HubLink, RemoteError
from gui.runner.hubs import HubKey, KeptSignIn, credentials_for, hub_account, kept_sign_in, sign_in, sign_out
from gui.runner.remote import RemoteHub
from gui.runner.secrets import Secrets
from tests.gui.hub.conftest import MemoryStore
from tests.standins import GitHubStandIn, User


@pytest.fixture
def github() -> Iterator[GitHubStandIn]:
    with GitHubStandIn(person=User("ada", 7)).running() as running:
        yield running


@pytest.fixture
async def hub(tmp_path: Path, github: GitHubStandIn) -> AsyncIterator[Hub]:
    """A hub with TLS that lets ada operate."""
    options = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, version="test")
    async with Hub(MemoryStore(), options) as hub:
        await hub.people.use(SignInOptions("github", github.client, operators=("ada",), github=github.address))
        yield hub


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "mine")


def link(hub: Hub, **changes: Any) -> HubLink:
    return HubLink(hub.local_address, **{"pin": hub.pin, **changes})


async def signed_in(hub: Hub, secrets: Secrets, github: GitHubStandIn) -> KeptSignIn:
    shown: list[EnterCode] = []

    def show(code: EnterCode) -> None:
        shown.append(code)
        github.enter()

    kept = await sign_in(link(hub), secrets, show)
    assert [code.code for code in shown] == ["WDJB-MJHT"]
    return kept


async def test_in_and_out(hub: Hub, secrets: Secrets, github: GitHubStandIn) -> None:
    kept = await signed_in(hub, secrets, github)
    assert (kept.login, kept.name, kept.scopes, kept.pin) == ("ada", "ada", ("operator", "observer"), hub.pin)
    assert abs(kept.ends - time.time() - 7 * 86400) < 600
    assert kept_sign_in(secrets, hub.local_address) == kept
    assert kept.secret not in repr(kept)
    assert secrets.file.stat().st_mode & 0o777 == 0o600

    async with RemoteHub.open(kept.hub, kept.credentials()) as remote:
        assert remote.agents == ()
        await sign_out(link(hub), kept)
        with pytest.raises(RemoteError):
            await remote.stop()
    with pytest.raises(RemoteError, match="The key was revoked"):
        async with RemoteHub.open(kept.hub, kept.credentials()):
            pass
    with pytest.raises(RemoteError, match="The key was revoked"):
        await sign_out(link(hub), kept)


async def test_an_observer_signs_as_one(hub: Hub, secrets: Secrets, github: GitHubStandIn) -> None:
    await hub.people.use(SignInOptions("github", github.client, observers=("ada",), github=github.address))
    kept = await signed_in(hub, secrets, github)
    assert kept.credentials().scope == "observer"
    async with RemoteHub.open(kept.hub, kept.credentials()) as remote:
        with pytest.raises(RemoteError, match="may look on only"):
            await remote.stop()


async def test_who_is_not_named_keeps_nothing(hub: Hub, secrets: Secrets, github: GitHubStandIn) -> None:
    github.person = User("mallory", 8)
    with pytest.raises(RemoteError, match=r"You are not signed in: mallory .* is named by no list of this hub"):
        await signed_in(hub, secrets, github)
    assert kept_sign_in(secrets, hub.local_address) is None


async def test_a_hub_that_trusts_nobody(hub: Hub, secrets: Secrets, github: GitHubStandIn) -> None:
    await hub.people.use(None)
    with pytest.raises(RemoteError, match=r"its settings name no provider in \[signin\]"):
        await signed_in(hub, secrets, github)


async def test_nothing_is_said_to_a_hub_with_another_key(hub: Hub, secrets: Secrets) -> None:
    with pytest.raises(RemoteError, match="nothing was sent to it"):
        await sign_in(link(hub, pin="sha256:" + 64 * "0"), secrets, print)
    with pytest.raises(RemoteError, match="is not trusted"):
        await sign_in(link(hub, pin=""), secrets, print)
    with pytest.raises(CredentialError):
        link(hub, pin="sha256:short")


async def test_a_hub_that_ends_in_the_middle(hub: Hub, secrets: Secrets) -> None:
    """Not with a traceback: one sentence."""

    def show(_: EnterCode) -> None:
        for websocket in [one for server in hub._servers for one in server.connections]:
            websocket.transport.abort()

    with pytest.raises(RemoteError, match="The connection to the hub broke; try again"):
        await sign_in(link(hub), secrets, show)


@pytest.mark.parametrize(
    "url", ["wss://Hub.example", "hub.example", "wss://hub.example:443", "wss://hub.example/", "HUB.example:443"]
)
def test_one_hub_under_many_names(url: str) -> None:
    assert hub_account(url) == "hub hub.example:443"


@pytest.mark.parametrize("url", ["wss://hub.example:99999", "http://hub.example", "wss://", "hub.example/x"])
def test_what_is_no_address_is_said_before_anything_else(secrets: Secrets, url: str) -> None:
    with pytest.raises(CredentialError, match=r"The hub's address is wss://HOST:PORT, not '"):
        credentials_for(secrets, HubKey(url))


def test_what_another_tally_has_kept_is_no_sign_in(secrets: Secrets) -> None:
    secrets.write(hub_account("hub.example"), '{"hub": 7}')
    assert kept_sign_in(secrets, "hub.example") is None
