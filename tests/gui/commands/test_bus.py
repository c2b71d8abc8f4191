"""`tally bus`, and the bus that other commands take from the settings."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from gui.cli import build_parser, main
from gui.commands.run import workspace_options
from gui.runner.settings import FILE, MachineSettings, write_settings


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALLY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("TALLY_BUS", raising=False)
    return tmp_path / "data"


def options(*words: str) -> argparse.Namespace:
    return build_parser().parse_args(["hub", *words])


def test_the_bus_of_the_settings_is_tested(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bus"]) == 2
    assert "name one in Settings > Bus" in capsys.readouterr().err
    write_settings(data / FILE, MachineSettings({"bus.kind": "folder", "bus.folder": str(data / "bus")}))
    assert main(["bus"]) == 0
    said = capsys.readouterr().out
    assert "CHECK       Folder" in said
    assert said.endswith("The bus: works; 2 things to look at.\n")
    assert main(["bus", "--bus", "amqp://127.0.0.1:1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["state"] == "failed"


def test_an_option_comes_before_the_environment_and_that_before_the_settings(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workspace_options(options()).bus == ""
    settings = MachineSettings({"bus.address": "amqp://mq.example.org", "bus.user": "ada", "hub.port": "9000"})
    write_settings(data / FILE, settings)
    kept = workspace_options(options())
    assert (kept.bus, kept.hub.port, kept.hub.host) == ("amqp://ada:@mq.example.org:5672/", 9000, "0.0.0.0")
    assert workspace_options(options("--listen", "127.0.0.1:0")).hub.port == 0
    monkeypatch.setenv("TALLY_BUS", "/from/environment")
    assert workspace_options(options()).bus == "/from/environment"
    assert workspace_options(options("--bus", "/from/option")).bus == "/from/option"


def test_a_lab_takes_the_place_of_the_bus_and_a_bus_that_of_the_lab(data: Path) -> None:
    write_settings(data / FILE, MachineSettings({"bus.kind": "lab", "bus.lab": "/run/lab"}))
    assert workspace_options(options()).lab == Path("/run/lab")
    other = workspace_options(options("--bus", "/b"))
    assert (other.bus, other.lab) == ("/b", None)
    write_settings(data / FILE, MachineSettings({"bus.address": "amqp://mq.example.org"}))
    lab = workspace_options(options("--lab", "/run/lab"))
    assert (lab.bus, lab.lab) == ("", Path("/run/lab"))
