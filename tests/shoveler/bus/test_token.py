"""A token file: trimmed, and noticed when it changes and not otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoveler.bus import BusRefusedError
from shoveler.bus.token import TokenFile


def test_a_new_token_is_noticed_until_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(" one \n")
    token = TokenFile(path)
    assert token.read() == "one"
    assert not token.changed()
    path.write_text("two!")
    assert token.changed()
    assert token.changed()
    assert token.read() == "two!"
    assert not token.changed()


def test_a_token_that_was_replaced_by_a_rename_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path)
    token.read()
    stat = path.stat()
    (tmp_path / "new").write_text("two")
    os.utime(tmp_path / "new", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (tmp_path / "new").replace(path)
    assert token.changed()


def test_the_same_token_written_again_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path)
    token.read()
    path.write_text("one\n")
    assert not token.changed()


def test_a_file_that_is_gone_or_half_written_is_no_change_yet(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    token = TokenFile(path)
    token.read()
    path.unlink()
    assert not token.changed()
    path.write_text("")
    assert not token.changed()
    path.write_bytes(b"\xff")
    assert not token.changed()
    path.write_text("two")
    assert token.changed()


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BusRefusedError, match="cannot be read: No such file"):
        TokenFile(tmp_path / "token").read()


def test_a_secret_of_kubernetes_is_noticed_when_its_link_turns(tmp_path: Path) -> None:
    """A mounted Secret: token → ..data/token, ..data → a directory with a date, replaced by a rename."""
    for name, text in (("..1", "one"), ("..2", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(text)
        os.utime(tmp_path / name / "token", ns=(1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    token = TokenFile(tmp_path / "token")
    assert token.read() == "one"
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert token.changed()
    assert token.read() == "two"
