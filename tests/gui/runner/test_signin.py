"""Whom a workspace's hub lets in: the settings of the machine, and their changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gui.hub.persistence import Person
from gui.hub.signin.people import NoSignInError
from gui.hub.signin.provider import Confirmed, Tokens
from gui.runner.machine import sign_in_account, sign_in_options, workspace_options
from gui.runner.secrets import Secrets
from gui.runner.settings import MachineSettings, SettingsError
from gui.runner.signin import WHERE
from gui.runner.workspace import Workspace

SETTINGS = (
    '[signin]\nprovider = "github"\nclient_id = "c1"\noperators = ["ada"]\nobservers = ["bob", "osg/monitoring"]\n'
)
GOOD = MachineSettings(
    {"signin.provider": "https://idp.example", "signin.client_id": "c1", "signin.observers": "x1, y,z"}
)


def here(tmp_path: Path) -> Any:
    """Options of a workspace of this machine."""
    options = workspace_options(tmp_path, environ={})
    return replace(options, hub=replace(options.hub, host="127.0.0.1", port=0, insecure=True))


async def named(workspace: Workspace, login: str) -> Any:
    """A sign-in of this login."""
    confirmed = Confirmed(Person("https://github.com", login, login), Tokens("t"))
    return await workspace.hub.people.welcome(confirmed, "page", "h", "a")


def problems(workspace: Workspace) -> list[str]:
    return [problem.text for problem in workspace.problems.all() if problem.where == WHERE]


async def test_the_settings_of_the_machine_say_who_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    async with Workspace.open(here(tmp_path)) as workspace:
        assert (await named(workspace, "ada")).sign_in.role == "operator"
        assert (await named(workspace, "bob")).sign_in.role == "observer"
        trust = workspace.hub.people.needed()
        assert trust.options.observers == ("bob", "osg/monitoring")
        assert problems(workspace) == []


async def test_nobody_is_let_in_without_settings(tmp_path: Path) -> None:
    async with Workspace.open(here(tmp_path)) as workspace:
        with pytest.raises(NoSignInError):
            workspace.hub.people.needed()
        assert problems(workspace) == []


async def test_a_shorter_list_acts_within_seconds(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    async with Workspace.open(here(tmp_path)) as workspace:
        ada, bob = await named(workspace, "ada"), await named(workspace, "bob")
        file.write_text(SETTINGS.replace('"bob", ', ""))
        async with asyncio.timeout(60):
            while workspace.hub.people.good(bob.key.kid):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert workspace.hub.people.good(ada.key.kid)


async def test_a_mistake_is_said_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(SETTINGS)
    async with Workspace.open(here(tmp_path)) as workspace:
        assert workspace.sign_in is not None
        bob = await named(workspace, "bob")
        for text, said in (
            (
                SETTINGS.replace("osg/monitoring", "osg monitoring"),
                "signin.observers: Expected a GitHub login or ORG/TEAM",
            ),
            (
                SETTINGS.replace('"github"', '"gihub"'),
                "signin.provider: Expected github, or the address of an OIDC issuer",
            ),
            (SETTINGS.replace("client_id", "clientid"), "did you mean 'signin.client_id'?"),
            ("[signin", "cannot be read"),
        ):
            file.write_text(text)
            await workspace.sign_in.read()
            assert said in problems(workspace)[0]
            assert workspace.hub.people.good(bob.key.kid)
        file.write_text(SETTINGS)
        await workspace.sign_in.read()
        assert problems(workspace) == []


async def test_sign_ins_outlive_the_program(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS)
    async with Workspace.open(here(tmp_path)) as workspace:
        bob, ada = await named(workspace, "bob"), await named(workspace, "ada")
    (tmp_path / "settings.toml").write_text(SETTINGS.replace('["ada"]', "[]"))
    async with Workspace.open(here(tmp_path)) as workspace:
        assert workspace.hub.people.good(bob.key.kid)
        assert not workspace.hub.people.good(ada.key.kid)  # taken off the list meanwhile


def test_options_of_the_settings(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    assert sign_in_options(MachineSettings({}), secrets, {}) is None
    options = sign_in_options(GOOD, secrets, {})
    assert options is not None
    assert (options.observers, options.client_secret, options.lasts) == (("x1", "y", "z"), "", 7 * 86400)


def test_where_the_clients_secret_comes_from(tmp_path: Path) -> None:
    secrets, file = Secrets(tmp_path), tmp_path / "secret"
    secrets.write(sign_in_account(GOOD), "kept")
    file.write_text("of the file\n")

    def secret(settings: MachineSettings, **environ: str) -> str:
        options = sign_in_options(settings, secrets, environ)
        assert options is not None
        return options.client_secret

    assert secret(GOOD) == "kept"
    assert secret(GOOD.replaced(signin__client_id="c2")) == ""  # it was given for another client
    assert secret(GOOD.replaced(signin__secret_file=str(file))) == "of the file"
    assert secret(GOOD.replaced(signin__secret_file=str(file)), TALLY_SIGNIN_SECRET="given") == "given"
    with pytest.raises(SettingsError, match=r"signin\.secret_file: .* cannot be read"):
        secret(GOOD.replaced(signin__secret_file=str(tmp_path / "none")))
