"""The provider's tokens as they are kept: encrypted, so that a copy of the database is no use at the provider.

The key is in the hub's directory, beside that of its certificate. Where it is lost, or the database is used by a hub
elsewhere, nobody can be confirmed any more: people sign in again.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from gui.hub.certificate import write_whole
from gui.hub.signin.provider import Tokens

KEY = "hub-signin-key"


class SealError(Exception):
    """The key cannot be used or kept; one sentence for the user."""


class Seal:
    """Encrypts and decrypts. Blocking when made; raises SealError."""

    def __init__(self, directory: Path) -> None:
        path = directory / KEY
        try:
            if not path.exists():
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_whole(path, Fernet.generate_key(), 0o600)
            self._fernet = Fernet(path.read_bytes().strip())
        except OSError as error:
            raise SealError(f"The key for sign-ins cannot be kept in {directory}: {error.strerror}.") from error
        except ValueError as error:
            raise SealError(f"{path} holds no key; remove it to have a new one made.") from error

    def close(self, tokens: Tokens) -> str:
        """Tokens as text that only this hub can read."""
        return self._fernet.encrypt(msgspec.json.encode(tokens)).decode()

    def open(self, sealed: str) -> Tokens | None:
        """The tokens in such a text; None if there are none, or it is from another hub."""
        try:
            return msgspec.json.decode(self._fernet.decrypt(sealed.encode()), type=Tokens) if sealed else None
        except (InvalidToken, msgspec.DecodeError):
            return None
