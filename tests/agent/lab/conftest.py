"""A lab of real XRootD servers with stand-ins for our daemons; whatever a test does to it, nothing stays behind."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.lab import cli
from agent.lab.options import LabOptions
from agent.lab.pids import alive
from agent.lab.state import read_state
from agent.messages import LabProcess, LabState

_spec = importlib.util.spec_from_file_location("lab_stand_in", Path(__file__).with_name("stand_in.py"))
assert _spec is not None
assert _spec.loader is not None
stand_in = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stand_in)


class Lab:
    """One lab directory below `place`; remembers every state that it saw, to look for leftovers."""

    def __init__(self, place: Path) -> None:
        self.directory = place / "lab"
        self.bus = place / "bus"
        self._seen: list[LabState] = []

    def options(self, **wishes: Any) -> LabOptions:
        plain = {"directory": str(self.directory), "bus": str(self.bus), "files": 10, "large_files": 1, "servers": 2}
        return msgspec.convert({"programs": stand_in.programs()} | plain | wishes, LabOptions)

    def up(self, **wishes: Any) -> int:
        return cli.bring_up(self.options(**wishes))

    def down(self) -> int:
        if self.directory.exists() and (state := read_state(self.directory)):
            self._seen.append(state)
        return cli.take_down(self.directory)

    @property
    def state(self) -> LabState:
        state = read_state(self.directory)
        assert state is not None
        self._seen.append(state)
        return state

    def process(self, name: str) -> LabProcess:
        (found,) = [p for p in self.state.processes if p.name == name]
        return found

    def leftovers(self) -> list[str]:
        """Processes and directories of any state seen; a process that is just ending gets two seconds."""
        processes = [p for state in self._seen for p in state.processes]
        deadline = time.monotonic() + 2.0
        while any(alive(p) for p in processes) and time.monotonic() < deadline:
            time.sleep(0.02)
        places = {self.directory, self.bus, *(Path(s.work_directory) for s in self._seen if s.work_directory)}
        return [p.name for p in processes if alive(p)] + [str(place) for place in places if place.exists()]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.down()
    assert lab.leftovers() == []
