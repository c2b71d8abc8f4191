"""`tally compare`, as typed."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.cli import main
from gui.reconcile import score
from gui.store import Store, TestSpec


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Runs 1 to 3 of the plan ``nightly``, the first the baseline, the third with all of its records lost; run 4 of
    another plan, and run 5 that was never begun."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "store"))
    try:
        helper = importlib.import_module("world")
    finally:
        sys.path.pop(0)
    file = tmp_path / "w.db"
    with Store(file) as store:
        world = helper.World(store)
        for name, files, lost in (("nightly", 40, 0), ("nightly", 40, 0), ("nightly", 40, 40), ("other", 8, 0)):
            world.begin(TestSpec(1, files, 20, name="reads"), name=name)
            asked = world.ask(files)
            world.read(*asked)
            world.record(*asked[lost:])
            score(store, world.repeat, "settle", world.tick())
            store.set_run(world.run, state="failed" if lost else "passed", ended=world.tick())
        store.create_run(
            name="nightly", plan_text="", settle=1.0, tests=(TestSpec(1, 40, 20, name="reads"),), now=world.tick(),
            environment={}, versions={},
        )  # fmt: skip
        store.set_baseline(1)
    return file


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["1", "2"], 0, "No regression: nothing in run 2 is worse than in run 1 by more than chance."),
        (["1", "3"], 1, "REGRESSION: 1 test of run 3 worse than in run 1 by more than chance (reads)."),
        (["3", "1"], 0, "✓ better"),
        (["2"], 0, "Run 2 (nightly) compared with run 1 (nightly)"),
        (["3"], 1, "REGRESSION"),
        (["--trend", "nightly"], 1, "Plan nightly: 3 runs, compared with run 1 (the baseline)"),
        (["--trend", "nightly", "--last", "1"], 1, "Plan nightly: 2 runs, compared with run 1 (the baseline)"),
        (["--trend", "other"], 0, "1 run, compared with run 4 (the first, since none was made the baseline)"),
    ],
)
def test_the_exit_code_says_whether_something_became_worse(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    assert main(["compare", *arguments, "--db", str(workspace)]) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["1", "4"], "Run 1 (nightly: 1×40) and run 4 (other: 1×8) asked for different things and cannot be compared"),
        (["1", "5"], "Run 5 has counted nothing, so it cannot be compared with another one."),
        (["1"], "Run 1 would be compared with itself; name another run."),
        (["1", "77"], "There is no run 77"),
        (["--trend", "nightl"], "No run of a plan 'nightl' has ended; plans that were run: nightly"),
        (["1", "--trend", "nightly"], "leave out either the run numbers or --trend"),
        (["1", "2", "--last", "3"], "--last needs --trend"),
        (["--trend", "nightly", "--last", "0"], "a number of at least 1"),
        (["1", "2", "--json", "--format", "csv"], "cannot be combined"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["compare", *arguments, "--db", str(workspace)]) == 2
    told = capsys.readouterr()
    assert (told.out, said in told.err, len(told.err.splitlines())) == ("", True, 1), told.err


def test_a_trend_has_the_latencies_of_each_run(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "--trend", "nightly", "--format", "csv", "--db", str(workspace)])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["run"], float(row["p50"]), float(row["p99"])) for row in rows] == [(n, 1.0, 1.0) for n in "123"]


def test_without_a_baseline_it_says_how_to_choose_one(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(workspace) as store:
        store.set_baseline(None)
    assert main(["compare", "2", "--db", str(workspace)]) == 2
    assert "choose one with `tally runs baseline RUN`" in capsys.readouterr().err


@pytest.mark.parametrize(("wanted", "begins"), [("csv", b"test,"), ("json", b"{"), ("html", b"<!DOCTYPE html>")])
@pytest.mark.parametrize("arguments", [["1", "3"], ["--trend", "nightly"]])
def test_a_comparison_is_written_to_a_file(workspace: Path, arguments: list[str], wanted: str, begins: bytes) -> None:
    file = workspace.with_suffix(f".{wanted}")
    command = ["compare", *arguments, "--format", wanted, "--out", str(file), "--db", str(workspace)]
    assert main(command) == 1
    assert file.read_bytes().startswith(begins)


def test_a_locale_without_unicode_gets_plain_characters(workspace: Path) -> None:
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "gui.cli", "compare", "1", "3", "--db", str(workspace)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stdout.isascii()
    assert b"x WORSE" in done.stdout


def test_a_hyphen_is_standard_output(workspace: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["compare", "1", "2", "--json", "--out", "-", "--db", str(workspace)]) == 0
    assert json.loads(capsysbinary.readouterr().out)["regression"] is False
    assert main(["results", "1", "--requests", "--verdict", "all", "--json", "--out", "-", "--db", str(workspace)]) == 0
    assert len(capsysbinary.readouterr().out.splitlines()) == 40
