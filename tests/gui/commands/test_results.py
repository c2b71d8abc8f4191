"""`tally results`, `compare` and `federation`, as typed."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gui import report
from gui.cli import main
from gui.commands.results import write_reports
from gui.pages.result.presenter import write_report
from gui.reconcile import score
from gui.store import Store, TestSpec, VerdictKind
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.store.world import World


@pytest.mark.parametrize("command", [["results"], ["results", "--list"], ["compare", "1", "2"], ["federation"]])
def test_a_workspace_that_is_named_and_not_there_is_not_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "mispelt.db"
    assert main([*command, "--db", str(missing)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"There is no workspace {missing}" in said.err
    assert not missing.exists()


def test_an_empty_one_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    assert main(["results", "--list"]) == 0
    assert "try: tally demo" in capsys.readouterr().out
    Store(tmp_path / "w.db").close()
    assert main(["results", "--db", str(tmp_path / "w.db")]) == 2
    assert "There are no runs in" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path / "w.db").close()
    assert main(["results", "77", "--db", str(tmp_path / "w.db")]) == 2
    said = capsys.readouterr().err
    assert "77" in said
    assert len(said.strip().splitlines()) == 1


def test_a_listing_whose_reader_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    buffered["TALLY_DATA"] = str(tmp_path / "data")
    command = [sys.executable, "-m", "gui.cli", "key", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=buffered, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


class TestRequests:
    """`tally results --requests`: each request, as many as there are."""

    @pytest.fixture
    def db(self, tmp_path: Path) -> Path:
        path = tmp_path / "w.db"
        with Store(path) as store:
            world = World(store)
            world.begin(TestSpec(2, 3, 3), TestSpec(1, 1, 1))
            first = world.ask(3, server="root://s01:1094")
            second = world.ask(3, server="root://s02:1094", paths=["=1+1", "/b\x1b[2J", "/c"])
            world.read(*first, *second)
            world.record(first[0], second[2])
            world.record(first[1], read=5, known_issue=["http_put_zero"])
            score(store, world.repeat, "settle", world.tick())
            world.next_repeat(2, 1)
            world.read(*world.ask(1), ok=False, error="[ERROR] no")
            score(store, world.repeat, "settle", world.tick())
        return path

    def listed(self, db: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, str]]:
        assert main(["results", "--requests", *words, "--db", str(db)]) == 0
        return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    def test_every_one_that_did_not_match_is_there(self, db: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = self.listed(db, capsys)
        assert [(r["test"], r["server"], r["path"], r["verdict"]) for r in rows] == [
            ("1", "root://s01:1094", "/store/test/f0002.root", "wrong_bytes"),
            ("1", "root://s01:1094", "/store/test/f0003.root", "missing"),
            ("1", "root://s02:1094", "'=1+1", "missing"),
            ("1", "root://s02:1094", "/b·[2J", "missing"),
            ("2", "root://s01.example.org:1094", "/store/test/f0001.root", "client_failed"),
        ]
        assert (rows[0]["read_asked"], rows[0]["recorded_read"], rows[0]["behaviours"]) == (
            "1048576",
            "5",
            "http_put_zero",
        )
        assert rows[1]["answer"].startswith("unknown: neither shoveler nor collector")
        assert rows[4]["error"] == "[ERROR] no"

    @pytest.mark.parametrize(
        ("words", "count"),
        [
            (["--verdict", "missing"], 3),
            (["--verdict", "missing", "--verdict", "client_failed"], 4),
            (["--verdict", "all"], 7),
            (["--verdict", "matched"], 2),
            (["--test", "2"], 1),
            (["--server", "root://s02:1094", "--verdict", "all"], 3),
        ],
    )
    def test_it_can_be_narrowed(
        self, db: Path, capsys: pytest.CaptureFixture[str], words: list[str], count: int
    ) -> None:
        assert len(self.listed(db, capsys, *words)) == count

    def test_as_lines_of_json_they_are_those_of_the_report(
        self, db: Path, capsysbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        assert main(["results", "--requests", "--json", "--db", str(db)]) == 0
        lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
        assert main(["results", "--json", "--db", str(db)]) == 0
        report = json.loads(capsysbinary.readouterr().out)
        assert sorted(lines, key=lambda q: q["id"]) == sorted(report["odd_requests"], key=lambda q: q["id"])
        assert "/b\x1b[2J" in [line["path"] for line in lines]

    def test_pages_do_not_show_in_the_list(
        self, db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = self.listed(db, capsys, "--verdict", "all")
        monkeypatch.setattr("gui.report.listing.PAGE", 2)
        assert self.listed(db, capsys, "--verdict", "all") == whole

    def test_names_can_be_taken_out(self, db: Path, capsys: pytest.CaptureFixture[str]) -> None:
        rows = self.listed(db, capsys, "--redact")
        assert len(rows) == 5
        assert [
            row for row in rows if "s01" in row["server"] or "s02" in row["server_url"] or row["agent"] == "c1"
        ] == []

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--requests", "--test", "9"], "Run 1 has no test 9; it has 1, 2."),
            (["--requests", "--server", "nobody"], "There is no server 'nobody'"),
            (["--requests", "--list"], "--list and --requests cannot be combined"),
            (["--verdict", "missing"], "--verdict needs --requests"),
            (["--list", "--redact"], "--list accepts neither a run nor --redact"),
            (["--json", "--format", "pdf"], "--json and --format pdf cannot be combined"),
            (["--requests", "--format", "pdf"], "--requests can be written as csv or json, not as pdf."),
        ],
    )
    def test_what_cannot_be_meant_is_one_sentence(
        self, db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
    ) -> None:
        out = tmp_path / "out"
        assert main(["results", *words, "--out", str(out), "--db", str(db)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert len(error.strip().splitlines()) == 1
        assert not out.exists()


def test_all_formats_are_written_and_a_file_name_tells_its_format(tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        world = World(store)
        world.begin(TestSpec(1, 1, 1))
        world.read(*world.ask(1))
        score(store, world.repeat, "settle", world.tick())
        made = report.build(store, world.run)
        written = write_reports(store, made, tmp_path / "out")
        for wanted, ending in report.ENDINGS.items():
            file = tmp_path / f"saved.{ending}"
            assert report.format_of(file.name.upper()) == wanted
            write_report(store, world.run, file)
            assert file.read_bytes()
        with pytest.raises(ValueError, match=r"no report format for a file 'report\.doc'; give its name one of these"):
            write_report(store, world.run, tmp_path / "report.doc")
    endings = [*report.ENDINGS.values(), "tally.zip"]
    assert [path.name for path in written] == [f"run-1.{ending}" for ending in endings]


def test_the_course_of_a_request_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(tmp_path / "w.db") as store:
        world = World(store)
        run = run_with_losses(world)
        lost = store.requests(world.repeat, verdict=VerdictKind.MISSING)[0].id
        matched = store.requests(world.repeat, verdict=VerdictKind.MATCHED)[0].id
    db = ["--db", str(tmp_path / "w.db")]
    assert main(["results", str(run), "--evidence", str(lost), *db]) == 0
    said = capsys.readouterr().out
    assert "its close falls in the window of datagram 79" in said
    assert "sysctl -w net.core.rmem_max=67108864" in said
    assert main(["results", "--evidence", str(matched), "--redact", *db]) == 0
    said = capsys.readouterr().out
    assert "131 datagrams of this server taken during the run" in said
    assert "example.org" not in said
    assert main(["results", str(run), "--evidence", "99999", *db]) == 2
    assert f"Run {run} has no request 99999." in capsys.readouterr().err
    assert main(["results", "--evidence", "1", "--json", *db]) == 2
    assert main(["results", "--evidence", "1", "--requests", *db]) == 2


def test_records_that_nobody_requested_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.db"
    with Store(path) as store:
        world = World(store)
        world.begin(TestSpec(1, 1, 1))
        (asked,) = world.ask(1)
        world.read(asked)
        world.record(asked)
        world.record(replace(asked, path="=never/asked"), read=70)
        score(store, world.repeat, "settle", world.tick())
    assert main(["results", "--unrequested", "--db", str(path)]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["test"], row["repeat"], row["tag"], row["path"]) == ("1", "1", asked.tag, "'=never/asked")
    assert (row["read"], row["readv"]) == ("70", "0")
    assert main(["results", "--unrequested", "--json", "--db", str(path)]) == 0
    assert "=never/asked" in json.loads(capsys.readouterr().out).values()
    assert main(["results", "--unrequested", "--test", "1", "--db", str(path)]) == 2


def test_a_pdf_is_not_written_to_a_terminal(tmp_path: Path) -> None:
    with Store(tmp_path / "w.db") as store:
        run_with_losses(World(store))
    reader, writer = os.openpty()
    command = [sys.executable, "-m", "gui.cli", "results", "--format", "pdf", "--db", str(tmp_path / "w.db")]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    os.close(writer)
    os.close(reader)
    assert (done.returncode, done.stderr) == (2, "tally: A PDF is nothing for a terminal; name a file with --out.\n")
