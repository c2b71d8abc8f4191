"""Where the key comes from, and where a personal key is kept."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from agent import keys
from agent.messages import CredentialError, PersonalKey
from tests.promises import within

KEY = "a key that is long enough to be used"
OTHER = "another key that is long enough, too"


def secret_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_wins_then_the_file_then_the_option(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "key", f"\n{OTHER}\n")
    assert keys.given_key(key_file=file, key="x" * 40, environ={"TALLY_KEY": KEY}) == KEY
    assert keys.given_key(key_file=file, key="x" * 40, environ={"TALLY_KEY": " "}) == OTHER
    assert keys.given_key(key="x" * 40, environ={}) == "x" * 40
    assert keys.given_key(environ={}) == ""


def test_what_cannot_be_used_is_said_with_its_origin_and_without_its_text(tmp_path: Path) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "TALLY_KEY": {"environ": {"TALLY_KEY": "short-secret"}},
        str(tmp_path / "key"): {"key_file": secret_file(tmp_path / "key", "short-secret"), "environ": {}},
        "--key": {"key": "short-secret", "environ": {}},
    }
    for origin, arguments in wrong.items():
        with pytest.raises(CredentialError) as caught:
            keys.given_key(**arguments)
        assert "12 bytes" in str(caught.value)
        assert f"It came from {origin}." in str(caught.value)
        assert "short-secret" not in str(caught.value)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "key", KEY, 0o644)
    with pytest.raises(CredentialError, match=f"can be read by others; protect it with: chmod 600 {file}"):
        keys.given_key(key_file=file, environ={})


def test_a_key_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="cannot be read: No such file"):
        keys.given_key(key_file=tmp_path / "none", environ={})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff" * 40)
    binary.chmod(0o600)
    with pytest.raises(CredentialError, match="is not UTF-8 text"):
        keys.given_key(key_file=binary, environ={})


def test_the_keyring_then_the_file(tmp_path: Path) -> None:
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert keys.kept_key(environ=env, keyring_lookup=lambda: None) == ""
    secret_file(tmp_path / "tally" / "shared.key", OTHER)
    assert keys.kept_key(environ=env, keyring_lookup=lambda: None) == OTHER
    assert keys.kept_key(environ=env, keyring_lookup=lambda: KEY) == KEY


def test_a_keyring_that_waits_for_somebody_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEYRING_SECONDS", 0.1)
    secret_file(tmp_path / "tally" / "shared.key", OTHER)
    asked = threading.Event()
    began = time.monotonic()
    found = keys.kept_key(environ={"XDG_CONFIG_HOME": str(tmp_path)}, keyring_lookup=lambda: str(asked.wait(30)))
    asked.set()
    assert found == OTHER
    assert time.monotonic() - began < within(10)


def test_tokens_are_signed_with_the_key_and_the_invitation_is_used_without_one() -> None:
    credentials = keys.Credentials("c1", "client", invitation="the.invitation.itself")
    assert credentials.token() == "the.invitation.itself"
    credentials.adopt(PersonalKey("k1", KEY))
    token = credentials.token()
    assert jwt.get_unverified_header(token)["kid"] == "k1"
    claims = jwt.decode(token, KEY.encode(), algorithms=["HS256"], audience="xrootd-tally")
    assert (claims["sub"], claims["scope"]) == ("c1", "agent:client")


PERSONAL = keys.PersonalFile(1, "wss://hub:1", "sha256:" + "0" * 64, "c1", "client", "k1", KEY)


def test_a_personal_key_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    assert keys.load_personal(tmp_path) is None
    before = os.umask(0)
    try:
        keys.save_personal(tmp_path, PERSONAL)
    finally:
        os.umask(before)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.load_personal(tmp_path) == PERSONAL
    keys.save_personal(tmp_path, PERSONAL)
    assert keys.load_personal(tmp_path) == PERSONAL


def test_a_personal_key_that_cannot_be_used(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "personal-key.json", "{")
    with pytest.raises(CredentialError, match=r"is damaged .*; delete it and join with a new invitation"):
        keys.load_personal(tmp_path)
    keys.save_personal(tmp_path, PERSONAL)
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CredentialError, match="newer tally-agent"):
        keys.load_personal(tmp_path)
