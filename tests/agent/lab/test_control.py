from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from agent.lab import control
from agent.lab.errors import LabError


def test_an_order_and_its_answer_in_a_directory_with_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)
    directory.mkdir()
    seen = []

    def supervisor(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            seen.append(control.decode_order(lines.readline()))
            connection.sendall(control.encode(control.Answer(True, "done")) + b"\n")

    with control.listen(directory) as listener:
        listener.setblocking(True)
        thread = threading.Thread(target=supervisor, args=[listener])
        thread.start()
        answer = control.ask(directory, control.Fault("kill-shoveler", 2.5), timeout=5)
        thread.join()
    assert answer == control.Answer(True, "done")
    assert seen == [control.Fault("kill-shoveler", 2.5)]


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no supervisor answers in"):
        control.ask(tmp_path, control.Status(), timeout=1)
    with pytest.raises(LabError, match="no supervisor answers in"):
        control.ask(tmp_path / "absent", control.Status(), timeout=1)


def test_somebody_who_hangs(tmp_path: Path) -> None:
    with control.listen(tmp_path), pytest.raises(LabError, match="did not answer within"):
        control.ask(tmp_path, control.Status(), timeout=0.2)
