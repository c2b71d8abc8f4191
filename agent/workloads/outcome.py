"""What became of a request, whichever client made it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.messages import Phases


@dataclass(slots=True)
class Outcome:
    """What became of a request so far; see `agent.messages.Done`, whose fields these are."""

    t_open: float
    t_close: float = 0.0
    ok: bool = False
    read_asked: int = 0
    read_got: int = 0
    readv_asked: int = 0
    readv_got: int = 0
    written: int = 0
    read_ops: int = 0
    readv_ops: int = 0
    write_ops: int = 0
    server: str = ""
    status: int = 0
    error: str = ""
    interrupted: bool = False
    phases: Phases = field(default_factory=Phases)


class FailedError(Exception):
    """A request cannot go on: the text of its done line, and the server's status code. Never leaves a client."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class StoppedError(Exception):
    """The job was stopped in the middle of a request. Never leaves a client."""

    def __init__(self) -> None:
        super().__init__("The job was stopped.")
