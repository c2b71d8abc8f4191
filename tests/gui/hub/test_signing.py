"""The hub's signing key, and whose keys are known."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gui.hub.signing import KEY, KNOWN, OWN, SigningError, distrust, is_signed, known_signers, own_signer, trust

OTHER = f"ed25519:{'A' * 43}"


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    made = own_signer(tmp_path / "hub", "a hub")
    assert own_signer(tmp_path / "hub").public == made.public
    assert stat.S_IMODE((tmp_path / "hub" / KEY).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "hub").iterdir()] == [KEY]
    assert "PrivateKey" not in repr(made)


def test_what_is_signed_is_known_by_key_and_content(tmp_path: Path) -> None:
    mine, other = own_signer(tmp_path / "a"), own_signer(tmp_path / "b")
    signature = mine.sign(b"said")
    assert is_signed(mine.public, b"said", signature)
    assert not is_signed(mine.public, b"said otherwise", signature)
    assert not is_signed(other.public, b"said", signature)
    for nonsense in ("", "ed25519:", "ed25519:x", "é" * 43, OTHER):
        assert not is_signed(nonsense, b"said", signature)
    for nonsense in ("", "x", "é" * 86, "A" * 86):
        assert not is_signed(mine.public, b"said", nonsense)


def test_a_key_is_known_when_a_person_says_whose_it_is(tmp_path: Path) -> None:
    mine = own_signer(tmp_path)
    assert known_signers(tmp_path) == {mine.public: OWN}
    trust(tmp_path, OTHER, "anna's laptop")
    assert known_signers(tmp_path) == {OTHER: "anna's laptop", mine.public: OWN}
    trust(tmp_path, OTHER, "anna")
    assert known_signers(tmp_path)[OTHER] == "anna", "under its new name only"
    assert distrust(tmp_path, "anna") == OTHER
    assert known_signers(tmp_path) == {mine.public: OWN}


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    trust(tmp_path, OTHER, "anna")
    with pytest.raises(SigningError, match="is the name of another key"):
        trust(tmp_path, f"ed25519:{'B' * 43}", "anna")
    with pytest.raises(SigningError, match="ed25519: and 43 characters"):
        trust(tmp_path, "ssh-ed25519 AAAA", "bob")
    for name in ("", " ", "two\nlines", "x" * 65, OWN):
        with pytest.raises(SigningError, match="is not a valid name"):
            trust(tmp_path, OTHER, name)
    with pytest.raises(SigningError, match="No key is known as 'bob'"):
        distrust(tmp_path, "bob")
    (tmp_path / KNOWN).write_text("what is this\n")
    with pytest.raises(SigningError, match="line 1: expected a key and its name"):
        known_signers(tmp_path)
    (tmp_path / KEY).write_text("not a key")
    with pytest.raises(SigningError, match="holds no private key"):
        own_signer(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SigningError, match="cannot be kept"):
        own_signer(tmp_path / "file" / "hub")
