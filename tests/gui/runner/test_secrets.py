"""Passwords: in the keyring where one runs, else in a file that only its owner can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from gui.runner.machine import bus_password, database_address
from gui.runner.secrets import Secrets, SecretsError
from shoveler.bus import parse_bus_address

BROKER = parse_bus_address("amqp://ada@mq.example.org/tally")


class Desktop(keyring.backend.KeyringBackend):
    """A keyring of a desktop, that can be locked."""

    priority = 5

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _look(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("Failed to unlock the collection!")

    def get_password(self, service: str, username: str) -> str | None:
        self._look()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._look()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._look()
        del self.kept[service, username]


@pytest.fixture
def chosen() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def desktop(chosen: None) -> Desktop:
    made = Desktop()
    keyring.set_keyring(made)
    return made


@pytest.fixture
def bare(chosen: None) -> None:
    """A machine without a keyring."""
    keyring.set_keyring(keyring.backends.fail.Keyring())


def test_without_a_keyring_it_is_a_file_for_its_owner_alone(tmp_path: Path, bare: None) -> None:
    secrets = Secrets(tmp_path / "data")
    assert secrets.place() == str(tmp_path / "data" / "secrets.json")
    assert secrets.read("bus a") == ""
    secrets.write("bus a", "pässword")
    secrets.write("bus b", "other")
    assert secrets.file.stat().st_mode & 0o777 == 0o600
    secrets.file.chmod(0o644)  # by a copy, or a backup
    assert secrets.read("bus a") == "pässword"
    assert secrets.file.stat().st_mode & 0o777 == 0o600
    secrets.forget("bus a")
    assert (secrets.read("bus a"), secrets.read("bus b")) == ("", "other")


def test_with_a_keyring_nothing_is_on_disk_not_even_what_was_there(tmp_path: Path, bare: None, request) -> None:
    secrets = Secrets(tmp_path)
    secrets.write("bus a", "old")
    desktop = request.getfixturevalue("desktop")
    assert secrets.place() == "keyring"
    assert secrets.read("bus a") == "old", "it was given when no keyring was running"
    secrets.write("bus a", "new")
    assert desktop.kept == {("tally", "bus a"): "new"}
    assert "old" not in secrets.file.read_text()
    secrets.forget("bus a")
    assert secrets.read("bus a") == ""


def test_a_locked_keyring_is_one_sentence_without_the_password(tmp_path: Path, desktop: Desktop) -> None:
    secrets = Secrets(tmp_path)
    desktop.locked = True
    for call in (lambda: secrets.read("bus a"), lambda: secrets.write("bus a", "hidden"), lambda: secrets.forget("a")):
        with pytest.raises(SecretsError, match="Failed to unlock") as caught:
            call()
        assert "hidden" not in str(caught.value)


def test_a_file_that_is_something_else_is_said(tmp_path: Path, bare: None) -> None:
    secrets = Secrets(tmp_path)
    for content in ("[1]", "{", "\x00"):
        secrets.file.write_text(content)
        with pytest.raises(SecretsError, match="does not hold passwords"):
            secrets.read("bus a")


def test_a_password_is_for_one_broker_and_one_user(tmp_path: Path, bare: None) -> None:
    secrets = Secrets(tmp_path)
    secrets.write("bus ada@mq.example.org:5672/tally", "s3")
    assert bus_password(secrets, BROKER) == "s3"
    for other in (
        "amqp://ada@other.example.org/tally",
        "amqp://bob@mq.example.org/tally",
        "amqp://ada@mq.example.org/",
    ):
        assert bus_password(secrets, parse_bus_address(other)) == ""
    assert bus_password(secrets, parse_bus_address("amqp://guest:@localhost")) == "guest"


def test_a_database_gets_the_password_that_was_kept_for_it(tmp_path: Path, bare: None) -> None:
    secrets = Secrets(tmp_path)
    secrets.write("database ada@db.example.org:5432/tally", "p@ss")
    url = "postgresql://ada@db.example.org/tally"
    assert database_address(secrets, url) == "postgresql://ada:p%40ss@db.example.org/tally"
    assert database_address(secrets, "postgresql://bob@db.example.org/tally") == "postgresql://bob@db.example.org/tally"
    assert database_address(secrets, str(tmp_path / "w.db")) == str(tmp_path / "w.db")
