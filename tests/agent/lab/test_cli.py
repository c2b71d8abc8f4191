from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.lab import cli
from agent.lab.errors import LabError
from agent.lab.options import LabOptions


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="tally-agent")
    cli.add_parser(parser.add_subparsers())
    return cli.run(parser.parse_args(["lab", *words]))


def test_a_wish_that_cannot_be_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("up", "--dir", str(tmp_path / "lab"), "--servers", "501") == 2
    assert capsys.readouterr().err == "tally-agent lab: --servers is 501; it must be from 1 to 500\n"
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("up", "--file-size", "huge"), 'expected a size such as "64MiB"'),
        (("fault", "kill-shoveler", "--for", "soon"), 'expected a duration such as "90s"'),
        (("fault", "earthquake"), "invalid choice: 'earthquake'"),
        ((), "required: up|down|status|fault"),
    ],
)
def test_what_cannot_be_read_is_bad_usage(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_where_there_is_no_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = str(tmp_path / "lab")
    assert run("status", "--dir", directory) == 1
    assert run("status", "--json", "--dir", directory) == 1
    assert run("down", "--dir", directory) == 0
    assert run("fault", "udp-loss", "--dir", directory) == 1
    said = capsys.readouterr()
    up = f"there is no lab in {directory}; `tally-agent lab up --dir {directory}` starts one\n"
    assert said.out == f"{up}null\nthere is no lab in {directory}\n"
    assert said.err == f"tally-agent lab: {up}"


def test_a_share_above_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fault", "udp-loss", "--percent", "101", "--dir", str(tmp_path)) == 2
    assert capsys.readouterr().err == "tally-agent lab: --percent is 101; it must be from 0 to 100\n"


def test_a_supervisor_that_dies_before_it_has_read_its_orders_is_a_sentence(tmp_path: Path) -> None:
    much = ["x" * 2**20]  # more than a pipe holds: we are still writing when it ends
    options = LabOptions(str(tmp_path / "lab"), programs={"tally-agent": ["true"], "other": much})
    with pytest.raises(LabError, match=r"the supervisor died; `tally-agent lab down --dir .*` removes what it left"):
        cli.bring_up(options)


def test_who_reads_the_status_may_stop_at_any_line(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "agent.cli", "lab", "status", "--dir", str(tmp_path / "none")]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=buffered, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")  # 1: there is no lab
