"""`tally vacuum`, as typed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from gui.cli import main
from gui.commands.vacuum import over_size
from gui.runner.retention import limits_of
from gui.store import NewRequest, Store, TestSpec

DAY = 86_400.0


def add_run(store: Store, ended: float, requests: int = 0) -> int:
    run = store.create_run(name="r", plan_text="", settle=1.0, tests=[TestSpec(1, 1, 1)], now=ended - 10)
    store.set_run(run, state="passed", ended=ended)
    repeat = store.start_repeat(run, 1, 1, ended - 10)
    (tag,) = store.allocate_tags(1)
    store.add_requests(
        repeat,
        [NewRequest(tag, f"/store/{'x' * 200}/{number}", "root://s:1094", "k/c", 0, 1) for number in range(requests)],
        ended,
    )
    return run


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four runs, 40, 30, 20 and 10 days old; the second one is the baseline."""
    path = tmp_path / "w.db"
    with Store(path) as store:
        for days in (40, 30, 20, 10):
            add_run(store, time.time() - days * DAY, requests=2000)
        store.set_baseline(2)
    monkeypatch.setenv("TALLY_DB", str(path))
    return path


def left(path: Path) -> list[int]:
    with Store(path) as store:
        return sorted(run.id for run in store.runs())


def test_without_options_no_run_goes_and_room_comes_back(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(workspace) as store:
        store.delete_run(4)
    before = workspace.stat().st_size
    assert main(["vacuum"]) == 0
    assert left(workspace) == [1, 2, 3]
    assert workspace.stat().st_size < 0.9 * before
    assert str(workspace) in capsys.readouterr().out


def test_by_age_the_old_ones_go_and_the_baseline_stays(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vacuum", "--older-than", "15d", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "run 1 would be deleted (2,000 requests and records)\nrun 3 would be deleted (2,000 requests and records)\n"
    )
    assert left(workspace) == [1, 2, 3, 4]
    assert main(["vacuum", "--older-than", "15d"]) == 0
    assert left(workspace) == [2, 4]


def test_by_size_the_oldest_go_until_it_is_small_enough(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(workspace) as store:
        limit = store.database.used_bytes() - 100_000
    assert main(["vacuum", "--max-size", str(limit), "--dry-run"]) == 0
    assert capsys.readouterr().out == "run 1 would be deleted (2,000 requests and records)\n"
    assert main(["vacuum", "--max-size", str(limit)]) == 0
    assert left(workspace) == [2, 3, 4]
    assert main(["vacuum", "--max-size", "1k"]) == 1
    assert "was not reached" in capsys.readouterr().out
    assert left(workspace) == [2]


def test_limits_are_kept_every_day_until_they_are_taken_back(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vacuum", "--older-than", "15d", "--daily"]) == 0
    assert capsys.readouterr().out.startswith(
        "Removed every day from now on: runs older than 15d.\nrun 1 was deleted\n"
    )
    assert left(workspace) == [2, 4]
    assert main(["vacuum", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["daily"], told["would_remove"], told["last_turn"]) == (
        {"older_than": 15 * DAY, "max_size": None},
        [],
        None,
    )
    assert main(["vacuum", "--dry-run"]) == 0
    assert "Removed every day: runs older than 15d.\n" in capsys.readouterr().out
    assert main(["vacuum", "--no-daily"]) == 0
    with Store(workspace) as store:
        assert not limits_of(store).any


def test_what_cannot_be_is_one_sentence(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--dry-run"], ["--older-than", "long"], ["--max-size", "big"], ["--daily"], ["--json"],
                  ["--dry-run", "--older-than", "9d", "--daily"]):  # fmt: skip
        assert main(["vacuum", *words]) == 2
        said = capsys.readouterr()
        assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert left(workspace) == [1, 2, 3, 4]


def test_the_estimate_takes_the_oldest_until_their_share_is_enough(workspace: Path) -> None:
    with Store(workspace) as store:
        runs = sorted(store.runs(), key=lambda run: run.id)
    weights = {1: 10, 2: 40, 3: 40, 4: 10}
    for limit, count in ((1000, 0), (950, 1), (899, 2), (500, 2), (100, 3), (0, 4)):
        assert [run.id for run in over_size(runs, weights, 1000, limit)] == [1, 2, 3, 4][:count]
