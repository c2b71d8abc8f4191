"""The issuer of a lab: its tokens can be checked with the key that its servers have."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest

from agent.lab import issuer
from agent.lab.errors import LabError, WishError
from agent.lab.options import LabOptions


@pytest.fixture
def key(tmp_path: Path) -> Path:
    issuer.make_issuer(tmp_path / "issuer.key", tmp_path / "cache")
    return tmp_path / "issuer.key"


def public(key: Path) -> Any:
    """As libSciTokens finds it."""
    with closing(sqlite3.connect(key.parent / "cache" / "scitokens" / "scitokens_cpp.sqllite")) as database:
        ((name, text),) = database.execute("SELECT issuer, keys FROM keycache").fetchall()
    kept = json.loads(text)
    assert name == issuer.ISSUER
    assert min(kept["expires"], kept["next_update"]) > time.time() + 86400 * 365
    return jwt.PyJWK(kept["jwks"]["keys"][0]).key


def test_its_tokens_are_good_for_whom_they_are_for(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o400
    token = issuer.mint(key, subject="alice", scope="storage.read:/", audience="https://a", seconds=60)
    said = jwt.decode(token, public(key), algorithms=["ES256"], audience="https://a", issuer=issuer.ISSUER)
    assert (said["sub"], said["scope"], said["wlcg.ver"]) == ("alice", "storage.read:/", "1.0")
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, public(key), algorithms=["ES256"], audience="https://b")


def test_a_negative_time_makes_one_that_has_ended(key: Path) -> None:
    token = issuer.mint(key, subject="alice", scope="", audience="https://a", seconds=-60)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, public(key), algorithms=["ES256"], audience="https://a")
    said = jwt.decode(token, options={"verify_signature": False})
    assert said["nbf"] < said["exp"] < time.time()


def test_without_an_issuer_there_are_no_tokens(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="start one with `tally-agent lab up --tokens`"):
        issuer.mint(tmp_path / "none", subject="a", scope="", audience="", seconds=1)


def test_caches_have_no_token() -> None:
    with pytest.raises(WishError, match="a cache has no token for its origin"):
        LabOptions("/x", tokens=True, caches=1).check()
