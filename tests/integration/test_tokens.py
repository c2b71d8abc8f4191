"""Tokens with real servers: who is let in, who is not and under which name, renewal, and where no token is."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

pytestmark = pytest.mark.xrootd

TALLY = [sys.executable, "-m", "gui.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
HTTP = '[[test.mix]]\nprotocol = "https"\n'
HEAD = 'name = "with tokens"\nsettle = "{settle}"\n'
TEST = """
[[test]]
name = "{name}"
servers = 1
files_per_server = {files}
per_round = {per_round}
wait = "{wait}"
verify = true
[test.who]
slots = 4
[test.auth]
token_file = "{name}"
[[test.mix]]
protocol = "roots"
[[test.mix]]
kind = "vector"
chunks = 3
bytes = 100
protocol = "roots"
"""
HTTP = '[[test.mix]]\nprotocol = "https"\n'
REFUSED = (
    ("expired", ["--expired"], "token expired: it was valid"),
    ("audience", ["--audience", "https://elsewhere"], ""),
    ("scope", ["--scope", "storage.read:/elsewhere storage.modify:/write"], ""),
)
"""Name of the test and of its file, words for `lab token`, how errors begin."""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("TALLY_KEY", "TALLY_DB", "TALLY_BUS", "TMPDIR", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    directory = tmp_path / "lab"
    up = [*AGENT, "lab", "up", "--servers", "1", "--tokens", "--bus", str(tmp_path / "bus"), "--dir", str(directory)]
    subprocess.run([*up, "--files", "15"], check=True, timeout=300, capture_output=True)
    try:
        yield directory
    finally:
        subprocess.run([*AGENT, "lab", "down", "--dir", str(directory)], check=True, timeout=120, capture_output=True)


def mint(lab: Path, to: Path, *words: str) -> str:
    subprocess.run([*AGENT, "lab", "token", "--dir", str(lab), "--out", str(to), *words], check=True, timeout=60)
    return to.read_text().strip()


def plan(name: str, **said: Any) -> str:
    return TEST.format(**{"name": name, "files": 12, "per_round": 12, "wait": "0s"} | said)


def begin(place: Path, lab: Path, text: str, settle: str = "60s") -> subprocess.Popen[bytes]:
    (place / "plan.toml").write_text(HEAD.format(settle=settle) + text)
    at = ["--db", str(place / "w.db"), "--headless", "--lab", str(lab), "--listen", "127.0.0.1:0"]
    run = [*TALLY, "run", str(place / "plan.toml"), *at]
    return subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(run: subprocess.Popen[bytes], place: Path) -> list[dict[str, Any]]:
    """The tests of its report."""
    _, said = run.communicate(timeout=400)
    assert run.returncode in (0, 1), said.decode()
    at = ["--db", str(place / "w.db"), "--format", "json"]
    report = subprocess.run([*TALLY, "results", *at], timeout=100, capture_output=True, check=True)
    return list(json.loads(report.stdout)["tests"])


def errors(test: dict[str, Any]) -> set[str]:
    return {error["error"].split(";")[0].split(" until ")[0] for error in test["not_matched"]["errors"]}


def test_allowed_denied_expired_and_for_others(tmp_path: Path, lab: Path) -> None:
    good = mint(lab, tmp_path / "good")
    # Over https, servers before 5.6.3 let nobody write the files that a run needs there; see the other test.
    text = plan("good") + HTTP
    for name, words, _ in REFUSED:
        mint(lab, tmp_path / name, *words)
        text += plan(name)
    first, *others = end(begin(tmp_path, lab, text), tmp_path)
    assert first["figures"]["client_failed"] == 0, first["not_matched"]
    for share in first["workloads"]:
        assert share["matched"] == share["requested"] == 4
        assert share["bytes_asked"] == share["bytes_recorded"] > 0
    for test, (name, _, says) in zip(others, REFUSED, strict=True):
        assert [share["client_failed"] for share in test["workloads"]] == [6, 6], name
        found = errors(test)
        assert found
        assert all(error.startswith(says) for error in found), (name, found)
        assert says or not any("token expired" in error for error in found), (name, found)

    # Neither in the database nor in the agents' journals and logs, nor in the lab's.
    secret = good.rpartition(".")[2].encode()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != tmp_path / "good" and not path.is_relative_to(lab / "servers"):
            assert secret not in path.read_bytes(), path


def test_a_token_ends_in_the_middle_under_its_name_and_is_renewed(tmp_path: Path, lab: Path) -> None:
    def wait_for(where: str, count: int) -> None:
        def there() -> bool:
            assert run.poll() is None
            return known(where) >= count

        until(there, 240)

    def known(where: str) -> int:
        database = tmp_path / "w.db"
        if not database.exists():
            return 0
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as read:
                return int(read.execute(f"SELECT count(*) FROM request WHERE {where}").fetchone()[0])
        except sqlite3.OperationalError:  # not made yet, or being written
            return 0

    ok, ended = "ok = 1", "error LIKE 'token expired%'"
    mint(lab, tmp_path / "token")
    run = begin(tmp_path, lab, plan("token", files=600, per_round=3, wait="1s") + HTTP, settle="5s")
    wait_for(ok, 3)
    mint(lab, tmp_path / "token", "--for", "1s")
    wait_for(ended, 3)
    mint(lab, tmp_path / "token", "--subject", "another")
    wait_for(ok, known(ok) + 6)
    run.send_signal(signal.SIGINT)
    (test,) = end(run, tmp_path)
    assert errors(test) == {"token expired: it was valid"}
