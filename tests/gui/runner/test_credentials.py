"""Tokens and certificates are read where the run is, checked, and read again when their files change."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gui.campaign.plan import Means
from gui.runner.credentials import Credentials, TokenFacts, ended, token_facts
from gui.runner.refusal import RunRefusedError

CERT = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"


def token(**said: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.c2lnbmF0dXJl"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(token(sub="a") + "\n")
    (tmp_path / "cert.pem").write_text(CERT)
    (tmp_path / "key.pem").write_text(KEY)
    (tmp_path / "proxy.pem").write_text(CERT + KEY)
    return tmp_path


async def test_files_are_beside_the_plan(files: Path) -> None:
    read = Credentials(None, files).read
    auth = await read([], Means(token_file="token", cert="cert.pem", key="key.pem"))
    assert (auth.token, auth.cert, auth.key) == (token(sub="a"), CERT, KEY)
    auth = await read([], Means(token_file=str(files / "token"), cert="proxy.pem"))
    assert (auth.token, auth.cert, auth.key) == (token(sub="a"), CERT + KEY, "")
    auth = await read([], Means())
    assert (auth.token, auth.cert) == ("", "")


async def test_a_token_from_the_environment(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_TOKEN", f" {token(sub='e')} ")
    means = Means(token="env:OUR_TOKEN")
    assert (await Credentials(None, files).read([], means)).token == token(sub="e")
    monkeypatch.delenv("OUR_TOKEN")
    with pytest.raises(RunRefusedError, match="The variable OUR_TOKEN of the environment has no token"):
        await Credentials(None, files).read([], means)


@pytest.mark.parametrize(
    ("means", "says"),
    [
        (Means(token_file="none"), "The token .*none cannot be read: No such file or directory"),
        (Means(token_file="cert.pem"), "The file cert.pem has no bearer token"),
        (Means(token_file="large"), "large is no token: it is too large, or no text"),
        (Means(token_file="binary"), "binary is no token"),
        (Means(cert="token"), "token has no certificate in PEM form"),
        (Means(cert="cert.pem"), "cert.pem has no private key"),
        (Means(cert="cert.pem", key="token"), "token has no key in PEM form"),
    ],
)
async def test_what_cannot_be_used_is_named_and_not_shown(files: Path, means: Means, says: str) -> None:
    (files / "large").write_text("x" * 20_000)
    (files / "binary").write_bytes(b"\xff\xfe.\x00")
    with pytest.raises(RunRefusedError, match=says) as caught:
        await Credentials(None, files).read([], means)
    assert token(sub="a") not in str(caught.value)


async def test_a_file_that_changes_is_noticed_once(files: Path) -> None:
    credentials, means = Credentials(None, files), Means(token_file="token")
    assert not await credentials.changed(Means())
    await credentials.read([], means)
    assert not await credentials.changed(means)
    (files / "new").write_text(token(sub="b"))
    (files / "new").replace(files / "token")
    assert await credentials.changed(means)
    assert (await credentials.read([], means)).token == token(sub="b")
    assert not await credentials.changed(means)
    (files / "token").unlink()
    assert await credentials.changed(means)


def test_what_a_token_says() -> None:
    said = token_facts(token(sub="alice", aud=["a", "b"], scope="storage.read:/", exp=100))
    assert said == TokenFacts("alice", "a, b", "storage.read:/", 100.0)
    assert said.remaining(40) == 60
    assert ended(said, 40) == ""
    assert ended(said, 160) == "The token ended at 1970-01-01 00:01 UTC, 60 s ago."
    assert token_facts(token(sub=5, exp="soon")) == TokenFacts() == token_facts("nothing")
    assert ended(TokenFacts(), 1e9) == ""
