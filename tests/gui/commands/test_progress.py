"""What a run shows in a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from gui.commands.progress import TerminalProgress
from gui.runner.progress import RunProgress


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("live", [True, False])
def test_a_terminal_that_is_gone_stops_nobody_from_clearing_up(live: bool) -> None:
    stream = Gone()
    stream.isatty = lambda: live  # type: ignore[method-assign]
    progress = TerminalProgress(stream)
    progress.stage("taking the federation down")
    progress(RunProgress(t=0.0, phase="round", total=10, requested=5))
    progress.close()


def test_a_result_that_nobody_reads_changes_neither_the_work_nor_the_exit_code() -> None:
    """As in `tally run PLAN --headless | head`: Python itself must not complain at the end, either."""
    program = (
        "import sys\n"
        "from gui.commands import tell\n"
        "from gui.commands.progress import TerminalProgress\n"
        "for stream in (None, sys.stderr):\n"
        "    tell('a result', stream)\n"
        "TerminalProgress().stage('taking the federation down')\n"
        "tell('another', sys.stderr)\n"
        "sys.exit(1)\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=writer, stderr=writer, env=buffered, check=False, timeout=60)
    os.close(writer)
    assert done.returncode == 1
