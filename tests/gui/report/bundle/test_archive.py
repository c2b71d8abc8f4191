"""A zip file of a stranger as streams; most of what can be wrong with one is in `hostile`."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from gui.report.bundle import format as limits
from gui.report.bundle.archive import open_archive
from gui.report.bundle.format import PARTS, BundleError, PartSum


def made(tmp_path: Path, **parts: bytes) -> Path:
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in PARTS:
            archive.writestr(name, parts.get(name.partition(".")[0], b""))
    return path


@pytest.mark.parametrize(
    ("content", "lines"),
    [(b"", 0), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2), (b"x" * 300_000 + b"\n" + b"y" * 300_000 + b"\nz\n", 3)],
)
def test_lines_are_those_of_the_text_wherever_a_chunk_ends(tmp_path: Path, content: bytes, lines: int) -> None:
    with open_archive(made(tmp_path, records=content)) as archive:
        assert list(archive.lines("records.ndjson")) == content.splitlines()
        digest = hashlib.sha256(content).hexdigest()
        assert archive.sums["records.ndjson"] == PartSum(lines, len(content), digest)


def test_sums_are_known_when_all_of_a_part_was_read(tmp_path: Path) -> None:
    with open_archive(made(tmp_path, run=b"{}")) as archive:
        assert archive.sums == {}
        assert archive.whole("run.json", 2) == b"{}"
        assert archive.sums["run.json"].bytes == 2
        with pytest.raises(BundleError, match=r"run\.json in made\.zip is larger than 1 bytes"):
            archive.whole("run.json", 1)


@pytest.mark.parametrize(
    ("limit", "words"),
    [("MAX_LINE", "has a line of more than 5 bytes"), ("MAX_UNPACKED", "claims to unpack to 10 bytes"),
     ("MAX_FILE", "is larger than 5 bytes; no bundle is")],
)  # fmt: skip
def test_limits_of_size_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    path = made(tmp_path, records=b"0123456789")
    monkeypatch.setattr(limits, limit, 5)
    with pytest.raises(BundleError, match=words), open_archive(path) as archive:
        list(archive.lines("records.ndjson"))


def test_a_file_that_is_not_there_or_whose_name_steers_a_terminal(tmp_path: Path) -> None:
    absent = tmp_path / "absent\x1b[2J.zip"
    with pytest.raises(BundleError, match=r"absent·\[2J\.zip cannot be read: No such file"), open_archive(absent):
        pass
    with pytest.raises(BundleError, match="is no file"), open_archive(tmp_path):
        pass
