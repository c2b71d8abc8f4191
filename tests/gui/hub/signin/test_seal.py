"""Tokens of a provider, as they lie in the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.hub.signin.provider import Tokens
from gui.hub.signin.seal import KEY, Seal, SealError

TOKENS = Tokens("gho_secret", "refresh-secret", 1000.0)


def test_only_this_hub_reads_them(tmp_path: Path) -> None:
    sealed = Seal(tmp_path / "a").close(TOKENS)
    assert "secret" not in sealed
    assert Seal(tmp_path / "a").open(sealed) == TOKENS
    assert Seal(tmp_path / "b").open(sealed) is None
    assert (tmp_path / "a" / KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "no token at all", "gAAAA"])
def test_what_is_none(tmp_path: Path, text: str) -> None:
    assert Seal(tmp_path).open(text) is None


def test_a_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / KEY).write_text("short")
    with pytest.raises(SealError, match="remove it to have a new one made"):
        Seal(tmp_path)


def test_a_log_does_not_have_them() -> None:
    assert "secret" not in repr(TOKENS)
