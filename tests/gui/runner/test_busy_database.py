"""A run beside others that write to its database: nothing that was asked is lost, and what is waited for is said.

Small here. As measured in docs/measurements:

    TALLY_TEST_LOCK=60 TALLY_TEST_IMPORT=300000 pytest tests/gui/runner/test_busy_database.py -n 0 -s --timeout 1800
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gui.reconcile import score
from gui.report import export_bundle
from gui.store import Store, engine

LOCK_SECONDS = float(os.environ.get("TALLY_TEST_LOCK", "0"))
IMPORTED = int(os.environ.get("TALLY_TEST_IMPORT", "3000"))
REPEATS = 3 if IMPORTED < 100_000 else 40
BENCH = Path(__file__).parents[2] / "bench" / "bench_reconcile.py"
COMMAND = "import sys; from gui.cli import main; sys.exit(main())"


def plan(stage: Any, repeats: int) -> str:
    text: str = stage.plan_text
    return text.replace("repeats = 1", f"repeats = {repeats}").replace('settle = "10s"', 'settle = "600s"')


async def test_a_run_outlives_a_lock_and_says_what_it_waits_for(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TALLY_TEST_LOCK the lock lasts so many seconds and limits are those of every day, else all are short."""
    if not LOCK_SECONDS:
        monkeypatch.setattr(engine, "_BUSY_SECONDS", 0.2)
        monkeypatch.setattr(engine, "PRAGMAS", ("PRAGMA busy_timeout=200", *engine.PRAGMAS[1:]))

    def told() -> list[str]:
        return [problem.text for problem in stage.now.problems if problem.where == "locked"]

    async with stage.open() as workspace:
        (agent,) = await stage.join("c1")
        running = stage.start(plan(stage, 3))
        await stage.until(lambda: agent.requested)
        with contextlib.closing(sqlite3.connect(stage.directory / "w.db", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            begun = time.monotonic()
            await stage.until(told)
            await stage.until(lambda: time.monotonic() - begun >= LOCK_SECONDS, LOCK_SECONDS + 60)
            assert not running.done()
            assert "Another program has locked" in told()[0]
            other.execute("ROLLBACK")
        result = await running
        await stage.until(lambda: not told())
        assert (result.outcome, [test.total for test in result.tests]) == ("passed", [36])
        assert [test.matched for test in result.tests] == [36]
        with workspace.store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT SUM(strays) FROM journal").scalar_one() == 0


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A run of another machine with IMPORTED requests."""
    spec = importlib.util.spec_from_file_location("tally_bench_reconcile", BENCH)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    path = tmp_path / "afar.tally.zip"
    with Store(tmp_path / "afar.db") as store:
        repeat, tags = bench.fill(store, IMPORTED)
        for batch in bench.bodies(tags, IMPORTED):
            store.load(batch, 20.0)
        score(store, repeat, "settle", 30.0)
        store.set_run(1, state="failed", ended=30.0)
        export_bundle(store, 1, path)
    return path


async def test_a_run_goes_on_while_a_bundle_is_imported(stage: Any, bundle: Path) -> None:
    async with stage.open() as workspace:
        (agent,) = await stage.join("c1")
        running = stage.start(plan(stage, REPEATS))
        await stage.until(lambda: agent.requested)
        importing = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COMMAND, "load", "--from", str(bundle), "--db", str(stage.directory / "w.db"),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        begun, first = time.monotonic(), stage.now.repeat
        # Its last repeat is not over before the import is.
        agent.hold = lambda request: stage.now.repeat == REPEATS and importing.returncode is None
        said, _ = await importing.communicate()
        seconds, last = time.monotonic() - begun, stage.now.repeat
        print(f"import of {IMPORTED:,} requests: {seconds:.1f} s, repeats {first} to {last} meanwhile")
        agent.hold = lambda _: False
        while not running.done():
            if agent.held:
                await agent.release()
            await asyncio.wait({running}, timeout=0.1)
        result = await running
        assert importing.returncode == 0
        assert f"{IMPORTED:,} requests".encode() in said
        assert (result.outcome, [test.matched for test in result.tests]) == ("passed", [12 * REPEATS])
        own, other = sorted(workspace.store.runs(), key=lambda run: run.id)
        assert (own.state, other.state, other.name) == ("passed", "failed", "bench")
