"""The judgement of peers' records, and the clocks of the shoveler's benchmark: they decide what a figure says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = str(Path(__file__).resolve().parent)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The benchmark's module, imported as when it runs as a script."""
    monkeypatch.syspath_prepend(HERE)
    import bench_shoveler

    yield bench_shoveler
    for name in ("bench_shoveler", "bench_bus", "peers", "traffic"):
        sys.modules.pop(name, None)


def test_a_peers_records_are_right_wrong_missing_or_double(bench: ModuleType) -> None:
    import traffic

    server = traffic.Server(1)
    list(server.reads(1, 4))
    first, second, third, _ = (
        {"filename": access.path, "read": access.read, "user": "u1"} for access in server.accesses
    )
    found = [first, first, second | {"read": 1}, third | {"user": ""}]
    assert bench.peers.verdict(found, [server]) == {"right": 1, "wrong": 2, "missing": 1, "double": 1}


def test_a_missing_peer_is_said_once_and_not_measured(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("TALLY_BENCH_PEERS", raising=False)
    assert bench.peers.find("shoveler") is None
    assert bench.peers.find("collector") is None
    assert capsys.readouterr().err.count("\n") == 1
    bench.peers._directory.cache_clear()
    bench.peers.find.cache_clear()
    monkeypatch.setenv("TALLY_BENCH_PEERS", str(tmp_path))
    (tmp_path / "collector").touch()
    assert bench.peers.find("collector") == tmp_path / "collector"
    assert bench.peers.find("shoveler") is None
    assert "there is no shoveler in" in capsys.readouterr().err


def test_a_rate_runs_from_the_first_growth_to_the_last(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    counts = iter([0, 0, 0, 10, 30, 30, 50, *[50] * 400])
    seen = bench.follow(lambda: next(counts), lambda: 60, patience=10.0)
    assert (seen.first, seen.last) == (10, 50)
    assert seen.rate == pytest.approx(40 / (3 * 0.05))
    assert clock.now == pytest.approx(seen.last_time + 10.0, abs=0.1)


class Clock:
    """Moves when somebody sleeps."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
