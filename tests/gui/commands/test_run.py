"""`tally hub` as people and systemd run it: a real process, real signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hub_shows_its_whole_pin_and_stopping_it_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [sys.executable, "-m", "gui.cli", "hub", "--listen", "127.0.0.1:0", "--db", str(tmp_path / "w.db")]
    with subprocess.Popen(
        command, env=clean | {"TALLY_DATA": str(tmp_path / "data")}, stderr=subprocess.PIPE, text=True
    ) as hub:
        assert hub.stderr is not None
        try:
            first = hub.stderr.readline()
            assert re.match(r"Hub at wss://127\.0\.0\.1:\d+, pin sha256:[0-9a-f]{64}; workspace ", first), first
            hub.send_signal(number)
            _, said = hub.communicate(timeout=60)
            assert hub.returncode == 0
        finally:
            hub.kill()  # or a failure above would wait for it for ever
    assert "Traceback" not in said
    assert "Agents reconnect by themselves" in said
