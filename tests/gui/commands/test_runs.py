"""`tally runs`, as typed."""

from __future__ import annotations

import contextlib
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gui.cli import main
from gui.commands.runs import origin_word
from gui.hub.signing import own_signer
from gui.reconcile import score
from gui.runner import ownership
from gui.store import Seal, Store, TestSpec
from gui.store.programs import Program, this_program
from tests.gui.store.world import World


def add_run(world: Any, name: str, *, missing: int = 0) -> int:
    world.begin(TestSpec(1, 4, 4), name=name)
    asked = world.ask(4)
    world.read(*asked)
    world.record(*asked[missing:])
    world.store.set_repeat(world.repeat, state="settled", settled=world.tick(), complete=True)
    score(world.store, world.repeat, "settle", world.tick())
    world.store.set_run(world.run, state="failed" if missing else "passed", ended=world.tick())
    return int(world.run)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs: one that passed, and one that lost a record."""
    path = tmp_path / "w.db"
    with Store(path) as store:
        world = World(store)
        add_run(world, "first")
        add_run(world, "second", missing=1)
    monkeypatch.setenv("TALLY_DB", str(path))
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return path


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_listing_has_a_header_and_every_run(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(capsys, "runs", "list") == (
        0,
        "  RUN  STARTED               STATE           SUCCESS   REQUESTS  FROM          NAME\n"
        "    2  2025-10-09T08:53:36Z  failed          75.00 %          4  here          second\n"
        "    1  2025-10-09T08:53:21Z  passed         100.00 %          4  here          first\n",
        "",
    )
    assert typed(capsys, "results", "--list") == typed(capsys, "runs", "list")
    assert typed(capsys, "runs", "list", "--limit", "1")[1].splitlines()[2:] == ["Older runs not listed: 1"]
    assert [row["run"] for row in json.loads(typed(capsys, "runs", "list", "--json")[1])] == [2, 1]


def test_there_is_no_silent_end_at_a_thousand(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(workspace) as store, store.database.write() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) INSERT INTO run (uid, name,"
            " plan_text, settle, state, created, environment, versions, message, baseline, origin)"
            " SELECT i, 'many', '', 1, 'stopped', 1, '{}', '{}', '', 0, '' FROM n"
        )
    assert len(typed(capsys, "runs", "list")[1].splitlines()) == 1 + 1200 + 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE scoring SET matched = 9223372036854775807 WHERE id = 1",
        "UPDATE run SET environment = '{' WHERE id = 1",
        "UPDATE run SET seal = '[1]' WHERE id = 1",
        "UPDATE run SET started = 1e300 WHERE id = 1",
        "UPDATE test SET workload = 'x' WHERE run_id = 1",
        "UPDATE test SET per_round = 'many' WHERE run_id = 1",
    ],
)
def test_one_bad_run_hides_no_other(workspace: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(workspace) as store, store.database.write() as connection:
        connection.exec_driver_sql(damage)
    code, out, _ = typed(capsys, "runs", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["RUN", "2", "1"]
    assert "75.00 %" in out
    assert [row["run"] for row in json.loads(typed(capsys, "runs", "list", "--json")[1])] == [2, 1]
    assert typed(capsys, "runs", "delete", "1") == (0, "run 1 was deleted\n", "")


def test_one_run_is_shown_with_where_it_is_from(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "runs", "note", "2", "a note", "--author", "ada")
    out = typed(capsys, "runs", "show", "2")[1]
    assert "From:      here\n" in out
    assert "75.00 %, 3 of 4 matched, 1 missing" in out
    assert "ada: a note" in out
    shown = json.loads(typed(capsys, "runs", "show", "2", "--json")[1])
    assert (shown["state"], shown["tests"][0]["missing"], shown["notes"][0]["author"]) == ("failed", 1, "ada")
    assert shown["notes"][0]["note"] == 1
    assert typed(capsys, "runs", "show", "9")[0] == 2


def test_notes_are_changed_and_deleted_by_their_number(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(capsys, "runs", "note", "2", "first") == (0, "added note 1 to run 2\n", "")
    typed(capsys, "runs", "note", "2", "second", "--author", "ada")
    assert typed(capsys, "runs", "note", "2", "better", "--edit", "2", "--author", "bob") == (
        0, "changed note 2 of run 2\n", ""
    )  # fmt: skip
    assert "Note 2, 20" in (shown := typed(capsys, "runs", "show", "2")[1])
    assert "ada, changed by bob: better\n" in shown
    code, out, _ = typed(capsys, "runs", "note", "2", "--delete", "2")
    assert (code, out.startswith("deleted note 2 of run 2, 20"), out.endswith(": better\n")) == (0, True, True)
    assert "better" not in typed(capsys, "runs", "show", "2")[1]
    for words, says in (
        (["2", "x", "--edit", "2"], "Run 2 has no note 2; it has 1."),
        (["2", "--delete", "1", "--edit", "1"], "not allowed with argument"),
        (["2", "x", "--delete", "1"], "Give TEXT for a note, or --delete NOTE without it."),
        (["2", "--edit", "1"], "Give TEXT for a note"),
        (["1", "x", "--edit", "1"], "Run 1 has no note 1; it has none."),
    ):
        with contextlib.suppress(SystemExit):
            assert main(["runs", "note", *words]) == 2
        assert says in capsys.readouterr().err


def test_scored_again_a_run_keeps_its_earlier_figures(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = typed(capsys, "runs", "recheck", "--all")
    assert (code, out) == (
        0,
        "run 2, test 1, repeat 1: 3 of 4 matched (as before)\nrun 1, test 1, repeat 1: 4 of 4 matched (as before)\n",
    )
    with Store(workspace) as store:
        assert [scoring.kind for scoring in store.scorings_of_run(1)] == ["settle", "recheck"]
    assert typed(capsys, "runs", "recheck")[0] == 2
    assert typed(capsys, "runs", "recheck", "1", "--all")[0] == 2


def test_runs_are_deleted_all_of_them_or_none(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = typed(capsys, "runs", "delete", "1", "9")
    assert (code, out, "There is no run 9" in err) == (2, "", True)
    assert typed(capsys, "runs", "delete", "1", "2", "1")[:2] == (0, "run 1 was deleted\nrun 2 was deleted\n")
    assert "There are no runs" in typed(capsys, "runs", "list")[1]


def test_a_run_that_another_program_goes_on_with_is_left_alone(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(workspace) as store:
        store.set_run(2, state="running")
        ownership.hold(store, 0.0)
    me = this_program(0.0)
    monkeypatch.setattr(ownership, "this_program", lambda now: Program(me.host, me.pid + 1, me.began, now))
    code, out, err = typed(capsys, "runs", "delete", "2")
    assert (code, out) == (1, "")
    assert f"Run 2 is under way. Another Tally (process {me.pid} on {me.host}) is carrying it out" in err
    assert typed(capsys, "runs", "recheck", "2")[0] == 1
    assert typed(capsys, "vacuum")[0] == 1
    assert typed(capsys, "runs", "delete", "1")[0] == 0


def test_the_baseline_is_one_run_or_none(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no baseline" in typed(capsys, "runs", "baseline")[1]
    for run in ("1", "2"):
        assert typed(capsys, "runs", "baseline", run)[0] == 0
    assert typed(capsys, "runs", "baseline")[1] == "run 2\n"
    assert json.loads(typed(capsys, "runs", "baseline", "--json")[1]) == {"run": 2}
    assert typed(capsys, "runs", "baseline", "--clear", "--json")[0] == 2
    assert "second (baseline)\n" in typed(capsys, "runs", "list")[1]
    assert typed(capsys, "runs", "baseline", "2", "--clear")[0] == 2
    assert typed(capsys, "runs", "baseline", "9")[0] == 2
    assert typed(capsys, "runs", "baseline")[1] == "run 2\n", "a run that is not there changes nothing"
    typed(capsys, "runs", "baseline", "--clear")
    assert "there is no baseline" in typed(capsys, "runs", "baseline")[1]
    assert json.loads(typed(capsys, "runs", "baseline", "--json")[1]) == {"run": None}


@pytest.mark.parametrize("words", [["note", "1", " "], ["note", "1", "x", "--author", "tally"],
                                   ["note", "1", "x", "--author", "a\nb"], ["list", "--limit", "0"],
                                   ["note", "9", "x"], ["export", "9"]])  # fmt: skip
def test_what_cannot_be_is_one_sentence(words: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["runs", *words])
    except SystemExit as end:  # argparse's own way to say so
        code = int(end.code or 0)
    assert code == 2
    assert capsys.readouterr().out == ""


def test_a_run_goes_out_and_comes_in_and_says_whose_it_is(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(capsys, "runs", "export", "2") == (0, "", "written: run-2.tally.zip\n")
    code, out, _ = typed(capsys, "runs", "check", "run-2.tally.zip")
    assert (code, out.splitlines()[0]) == (0, "run-2.tally.zip: Intact, signed with the key of this hub.")
    there = ["--db", str(tmp_path / "there.db")]
    code, out, _ = typed(capsys, "runs", "import", "run-2.tally.zip", *there)
    assert (code, out.splitlines()) == (
        0,
        [
            "run 1: 4 requests and 3 records imported from run-2.tally.zip",
            "Intact, signed with the key of this hub.",
        ],
    )
    assert " this hub  " in typed(capsys, "runs", "list", *there)[1]
    assert typed(capsys, "load", "run-2.tally.zip", *there)[0] == 2, "it is there already"


def test_a_changed_bundle_comes_in_with_exit_code_1(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(capsys, "runs", "export", "2")
    with zipfile.ZipFile("run-2.tally.zip") as old, zipfile.ZipFile("changed.tally.zip", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(
                name, content.replace(b'"name":"second"', b'"name":"other"') if name == "run.json" else content
            )
    there = ["--db", str(tmp_path / "there.db")]
    code, out, _ = typed(capsys, "load", "changed.tally.zip", *there)
    assert code == 1
    assert "Changed after it was signed with the key of this hub: run.json is not what was signed." in out
    assert " CHANGED  " in typed(capsys, "runs", "list", *there)[1]
    assert "Changed after it was signed" in typed(capsys, "results", *there)[1], "every report says so"


def test_an_unknown_key_can_be_made_known(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(capsys, "runs", "export", "1")
    key = own_signer(tmp_path / "data" / "hub").public
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "elsewhere"))
    code, out, err = typed(capsys, "runs", "check", "run-1.tally.zip")
    assert (code, f"Intact, signed with an unknown key, {key}" in out) == (0, True)
    assert f"tally key trust {key} NAME" in err
    assert typed(capsys, "key", "trust", key, "anna")[0] == 0
    assert "signed with the key known as anna." in typed(capsys, "runs", "check", "run-1.tally.zip")[1]
    known = json.loads(typed(capsys, "key", "signer", "--json")[1])
    assert {row["name"] for row in known} == {"anna", "this hub"}
    assert typed(capsys, "key", "distrust", "anna")[0] == 0
    assert typed(capsys, "key", "distrust", "anna")[0] == 2


def test_a_bundle_can_be_made_without_a_signature(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "runs", "export", "1", "--out", "plain.zip", "--unsigned")
    assert "Not signed" in typed(capsys, "runs", "check", "plain.zip")[1]
    code, out, _ = typed(capsys, "runs", "check", "plain.zip", "--json")
    told = json.loads(out)
    assert (code, told["key"], told["changed"], len(told["checksum"])) == (0, "", [], 71)


def test_where_a_run_is_from_is_told_in_a_word(workspace: Path) -> None:
    with Store(workspace) as store:
        run = replace(store.run(1), origin="x.zip")
    words = [
        origin_word(replace(run, seal=seal))
        for seal in (None, Seal(), Seal(key="k"), Seal(key="k", known="anna"), Seal(changed=["a"]), Seal(differs=["b"]))
    ]
    assert words == ["not signed", "not signed", "unknown key", "anna", "CHANGED", "DIFFERS"]
