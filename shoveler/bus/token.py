"""The broker token in a file: trimmed, read on every connect, and noticed when it changes."""

from __future__ import annotations

from pathlib import Path

from shoveler.bus.messages import BusRefusedError


class TokenFile:
    """A password in a file that another program renews (for example an OAuth 2 agent)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used = ""
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> str:
        """The token, from now on the one in use. Raises BusRefusedError with one sentence when there is none."""
        self._seen = self._signature()
        try:
            token = self._path.read_text().strip()
        except OSError as error:
            raise BusRefusedError(f"the token file {self._path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BusRefusedError(f"the token file {self._path} is not text") from None
        if not token:
            raise BusRefusedError(f"the token file {self._path} is empty")
        self._used = token
        return token

    def changed(self) -> bool:
        """Whether the file holds another token than the one in use. Costs one ``stat`` while the file is unchanged.

        A file that is missing, empty or unreadable at the moment is no change: the current token stays in use.
        """
        signature = self._signature()
        if signature is None or signature == self._seen:
            return False
        self._seen = signature
        try:
            token = self._path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            self._seen = None  # look again
            return False
        if token and token != self._used:
            self._seen = None  # and report it each time, until it is read
            return True
        return False

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
