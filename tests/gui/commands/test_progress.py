"""What a run shows in a terminal."""

from __future__ import annotations

import io

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
