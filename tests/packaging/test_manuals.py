"""Manual pages and completion: made from what the parsers accept, and accepted by man and by the shells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.config import SCHEMA as COLLECTOR
from shoveler.config import SCHEMA as SHOVELER

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("tally", "tally-agent", "tally-shoveler", "tally-collector")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("manuals")
    subprocess.run([sys.executable, ROOT / "packaging/manuals.py", place], check=True, cwd=ROOT)
    return place


def test_each_page_is_read_without_a_warning(made: Path) -> None:
    pages = sorted((made / "man").iterdir())
    assert len(pages) == len(PROGRAMS) + 2
    for page in pages:
        done = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
            env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
            capture_output=True,
            check=True,
        )
        assert done.stderr == b"", f"{page.name}: {done.stderr.decode()}"


def test_every_setting_has_its_place_in_the_page_of_the_file(made: Path) -> None:
    for schema in (SHOVELER, COLLECTOR):
        page = (made / f"man/{schema.program}.toml.5").read_text()
        assert [s.name for s in schema.settings if f"\\fB{s.name}\\fR" not in page] == []


def test_every_command_has_its_place_in_the_page_of_the_program(made: Path) -> None:
    page = (made / "man/tally.1").read_text()
    assert '.SH "COMMAND KEY ROTATE"' in page
    assert "\\-\\-format" in page
    assert '.SH "COMMAND LAB UP"' in (made / "man/tally-agent.1").read_text()


def complete(made: Path, *words: str) -> list[str]:
    script = f"""
    source {made}/bash/{words[0]}
    COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
    _{words[0].replace("-", "_")}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split()


def test_bash_completes_commands_options_and_values(made: Path) -> None:
    assert complete(made, "tally", "key", "ro") == ["rotate"]
    assert complete(made, "tally-shoveler", "stat") == ["status"]
    assert complete(made, "tally-shoveler", "--spool-sy") == ["--spool-synchronous"]
    assert complete(made, "tally-shoveler", "--framing", "") == ["single", "batch"]
    assert "json" in complete(made, "tally", "results", "--format", "")
    assert complete(made, "tally-collector", "status", "--js") == ["--json"]


def test_zsh_and_fish_have_every_option(made: Path) -> None:
    zsh = (made / "zsh/_tally-collector").read_text()
    fish = (made / "fish/tally-collector.fish").read_text()
    for setting in COLLECTOR.settings:
        for flag in setting.option_flags():
            assert f"{flag}[" in zsh
            assert f" -l {flag[2:]} " in fish
