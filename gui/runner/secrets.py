"""Passwords of this machine: in the keyring of the desktop, or in a file that only its owner can read.

A password belongs to one *account* (``bus guest@mq.example.org:5672/tally``): one that was given for a broker is never
sent to another. Where no keyring is running (a server, a session without a desktop), passwords are in
``secrets.json`` of the data directory, mode 0600. Everything here may block.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gui.hub.certificate import write_whole

SERVICE = "tally"
FILE = "secrets.json"
MAX_BYTES = 2**20


class SecretsError(Exception):
    """A password cannot be read or kept; one sentence for the user, which never contains it."""


class Secrets:
    """See the module. Thread-safe as far as the keyring is."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / FILE

    def place(self) -> str:
        """Where a password that is given now is kept: ``keyring``, or the path of the file."""
        return "keyring" if _backend() is not None else str(self.file)

    def read(self, account: str) -> str:
        """The password of an account; empty if there is none. Raises SecretsError."""
        backend = _backend()
        if backend is not None:
            try:
                kept = backend.get_password(SERVICE, account)
            except Exception as error:
                raise SecretsError(f"The keyring does not give the password of {account}: {_why(error)}.") from error
            if kept is not None:
                return str(kept)
        return self._read_file().get(account, "")  # given when no keyring was running

    def write(self, account: str, password: str) -> None:
        """Keep a password. Raises SecretsError."""
        backend = _backend()
        if backend is None:
            self._write_file({**self._read_file(), account: password})
            return
        try:
            backend.set_password(SERVICE, account, password)
        except Exception as error:
            raise SecretsError(f"The keyring does not keep the password of {account}: {_why(error)}.") from error
        self._forget_in_file(account)

    def forget(self, account: str) -> None:
        """Remove a password, wherever it is. Raises SecretsError."""
        backend = _backend()
        if backend is not None:
            try:
                if backend.get_password(SERVICE, account) is not None:
                    backend.delete_password(SERVICE, account)
            except Exception as error:
                raise SecretsError(f"The keyring does not forget the password of {account}: {_why(error)}.") from error
        self._forget_in_file(account)

    def _forget_in_file(self, account: str) -> None:
        kept = self._read_file()
        if kept.pop(account, None) is not None:
            self._write_file(kept)

    def _read_file(self) -> dict[str, str]:
        try:
            with self.file.open("rb") as source:
                if os.fstat(source.fileno()).st_mode & 0o077:
                    os.fchmod(source.fileno(), 0o600)
                content: Any = json.loads(source.read(MAX_BYTES))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretsError(f"The passwords in {self.file} cannot be read: {error.strerror}.") from error
        except ValueError:
            raise SecretsError(f"{self.file} does not hold passwords; remove it, and give them again.") from None
        if not isinstance(content, dict):
            raise SecretsError(f"{self.file} does not hold passwords; remove it, and give them again.")
        return {str(account): str(password) for account, password in content.items()}

    def _write_file(self, kept: dict[str, str]) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(self.file, json.dumps(kept, indent=1).encode(), 0o600)
        except OSError as error:
            raise SecretsError(f"The password cannot be kept in {self.file}: {error.strerror}.") from error


def _backend() -> Any | None:
    """The keyring that is running; None if there is none, or one that keeps nothing."""
    import keyring  # looks at the desktop's services when it is imported

    found: Any = keyring.get_keyring()
    module = type(found).__module__
    if module in ("keyring.backends.fail", "keyring.backends.null"):
        return None
    if module == "keyring.backends.chainer" and not found.backends:
        return None
    return found


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
