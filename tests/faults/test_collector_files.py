"""File to file: killed at any moment and started again, each record is in the file once, for who keys on nothing."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from agent.lab.pids import start_ticks

SERVERS, FILES = 20, 600


@pytest.fixture(scope="module")
def capture(collector_rig: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "packets.jsonl"
    _, sent = collector_rig.traffic.day(SERVERS, FILES)
    with path.open("w") as file:
        for number, (remote, data) in enumerate(sent):
            line = {"t": 1_795_000_000 + number / 1000, "remote": remote, "data": base64.b64encode(data).decode()}
            file.write(json.dumps(line) + "\n")
    return path


def collector(capture: Path, records: Path, *more: str) -> subprocess.Popen[bytes]:
    arguments = ["--from", f"file:{capture}", "--to", f"file:{records}", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "collector.cli", *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def to_the_end(capture: Path, records: Path, *more: str) -> None:
    process = collector(capture, records, *more)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()


def lines(records: Path) -> list[bytes]:
    return sorted(records.read_bytes().splitlines())


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_killed_again_and_again_each_record_is_there_once(
    capture: Path, tmp_path: Path, workers: Sequence[str]
) -> None:
    whole, records = tmp_path / "whole.jsonl", tmp_path / "records.jsonl"
    to_the_end(capture, whole)
    assert len(lines(whole)) == SERVERS * FILES
    rng = random.Random(5)
    arguments = [*workers, "--state", str(tmp_path / "state")]
    killed = 0
    for _ in range(8):
        process = collector(capture, records, *arguments)
        size, deadline = size_of(tmp_path), time.monotonic() + 30
        while process.poll() is None and size_of(tmp_path) == size and time.monotonic() < deadline:
            time.sleep(0.005)  # until something is written; not to let time pass
        for _ in range(rng.randrange(4)):
            size = size_of(tmp_path)
            while process.poll() is None and size_of(tmp_path) == size and time.monotonic() < deadline:
                time.sleep(0.001)
        below = children(process.pid)
        killed += process.poll() is None
        for pid in (process.pid, *below):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.communicate()
        wait_gone(below)
    to_the_end(capture, records, *arguments)
    assert killed
    assert lines(records) == lines(whole)
    assert [p.name for p in tmp_path.iterdir() if "share" in p.name or "gathering" in p.name] == []
    to_the_end(capture, records, *arguments)  # nothing new in it
    assert lines(records) == lines(whole)


def wait_gone(pids: Sequence[int]) -> None:
    deadline = time.monotonic() + 60
    while any(start_ticks(pid) is not None for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def size_of(directory: Path) -> int:
    """Bytes of records in all files, and of the state's logs."""
    return sum(p.stat().st_size for p in directory.rglob("*") if p.is_file() and p.name != "whole.jsonl")


def test_several_workers_write_the_same_records(capture: Path, tmp_path: Path) -> None:
    one, three = tmp_path / "one.jsonl", tmp_path / "three.jsonl"
    to_the_end(capture, one)
    to_the_end(capture, three, "--workers", "3")
    assert lines(one) == lines(three)
    again = tmp_path / "again.jsonl"
    to_the_end(capture, again, "--workers", "3")
    assert again.read_bytes() == three.read_bytes()
