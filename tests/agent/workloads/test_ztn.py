"""Tokens with a real server that asks for one at the login (ztn)."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.lab import issuer
from agent.messages import Auth
from tests.agent.conftest import running_xrootd
from tests.agent.workloads.asked import answers

pytestmark = pytest.mark.xrootd


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the server knows of its issuer; the issuer's key."""
    with tempfile.TemporaryDirectory(prefix="tally-agent-test-") as name:
        at = Path(name)
        at.chmod(0o755)
        issuer.make_issuer(at / "issuer.key", at / "issuers")
        (at / "tokens.cfg").write_text(issuer.settings())
        if os.getuid() == 0:
            for one in (at / "issuers", *(at / "issuers").rglob("*")):
                shutil.chown(one, "xrootd")
        monkeypatch.setenv("XDG_CACHE_HOME", str(at / "issuers"))
        yield at


def test_a_login_with_a_token_without_and_after_its_end(place: Path) -> None:
    mint = partial(issuer.mint, place / "issuer.key", subject="a", scope="storage.read:/", audience=issuer.AUDIENCE)
    lines = (
        f"ofs.authorize 1\nofs.authlib libXrdAccSciTokens.so config={place}/tokens.cfg\n"
        "xrootd.seclib libXrdSec.so\nsec.protocol ztn -tokenlib libXrdAccSciTokens.so\nsec.protbind * only ztn\n"
    )
    with running_xrootd("t", lines) as server:
        server.add("/store/f", 1000)
        good, old, again = (Auth(server.ca, mint(seconds=seconds)) for seconds in (600, -60, 900))
        first, second, third = answers(server, "roots", good, old, again)
        assert first == third == (True, "")
        assert not second[0]
        assert second[1].startswith("token expired: it was valid until ")
        ((ok, error),) = answers(server, "roots", Auth(server.ca))
    assert not ok
    assert "Auth failed" in error
