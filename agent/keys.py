"""The key with which this agent signs, where it comes from, and where a personal key is stored.

Order: a new invitation, ``TALLY_KEY`` (wins), ``--key-file``, ``--key``, the personal key that an invitation brought,
the OS keyring (2 s limit), the key file in the user's configuration directory. No text of a key ever appears in a
message or a log line.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.messages import KEYRING_SERVICE, KEYRING_SHARED, CredentialError, PersonalKey, key_bytes, sign_token

KEYRING_SECONDS: Final = 2.0
FORMAT: Final = 1


class PersonalFile(Struct, frozen=True, rename={"format_": "format"}):
    """``STATE/personal-key.json``: what an invitation brought, so that the agent needs no other settings afterwards."""

    format_: int
    hub: str
    pin: str
    name: str
    role: str
    kid: str
    secret: str
    invitation: str = ""
    """Fingerprint of the invitation that brought it; "" in files from before it was kept."""


def fingerprint(invitation: str) -> str:
    """Recognizes an invitation's token without revealing it."""
    return hashlib.sha256(invitation.encode()).hexdigest()


_decode_personal = msgspec.json.Decoder(PersonalFile).decode


@dataclass
class Credentials:
    """The agent's identity at the hub, and what proves it. `invitation` is used as long as there is no key."""

    name: str
    role: str
    key: str = ""
    kid: str = ""
    invitation: str = ""

    def token(self) -> str:
        """The bearer token of the next registration: a new token, or the invitation. Raises CredentialError (short
        key)."""
        if not self.key:
            return self.invitation
        return sign_token(self.key, sub=self.name, scope=f"agent:{self.role}", kid=self.kid)

    def adopt(self, personal: PersonalKey) -> None:
        """Sign with this key from now on."""
        self.key, self.kid, self.invitation = personal.secret, personal.kid, ""


def given_key(*, key_file: Path | None = None, key: str = "", environ: Mapping[str, str] | None = None) -> str:
    """The key that was given to this program: ``TALLY_KEY``, the file, the option; "" when none was.

    Raises CredentialError when the first one found cannot be used."""
    env = os.environ if environ is None else environ
    if env.get("TALLY_KEY", "").strip():
        return _usable(env["TALLY_KEY"], "TALLY_KEY")
    if key_file is not None:
        return _usable(read_secret(key_file), str(key_file))
    return _usable(key, "--key") if key else ""


def kept_key(
    *, environ: Mapping[str, str] | None = None, keyring_lookup: Callable[[], str | None] | None = None
) -> str:
    """The shared key stored on this machine: in the OS keyring, else in the key file; "" when there is none.

    Raises CredentialError when there is one that cannot be used."""
    found = _within(keyring_lookup or _keyring, KEYRING_SECONDS)
    if found:
        return _usable(found, "the OS keyring")
    fallback = fallback_file(os.environ if environ is None else environ)
    return _usable(read_secret(fallback), str(fallback)) if fallback.exists() else ""


def fallback_file(environ: Mapping[str, str]) -> Path:
    """The file of the shared key when there is no OS keyring: ``$XDG_CONFIG_HOME/tally/shared.key``."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    return Path(home) / "tally" / "shared.key"


def read_secret(path: Path) -> str:
    """The text of a file that only its owner may read. Raises CredentialError with one sentence."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except OSError as error:
        raise CredentialError(f"The key file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CredentialError(f"The key file {path} is not UTF-8 text.") from error
    if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        raise CredentialError(f"The key file {path} can be read by others; protect it with: chmod 600 {path}")
    return text


def _usable(text: str, origin: str) -> str:
    try:
        key_bytes(text)
    except CredentialError as error:
        raise CredentialError(f"{error} (It came from {origin}.)") from error
    return text.strip()


def _keyring() -> str | None:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        found = keyring.get_password(KEYRING_SERVICE, KEYRING_SHARED)
    except (keyring.errors.KeyringError, RuntimeError, OSError):
        return None  # locked, or no desktop session: use the file
    return None if found is None else str(found)


def _within(lookup: Callable[[], str | None], seconds: float) -> str | None:
    """A keyring may prompt for a password on a machine where nobody sits: do not wait for that."""
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(lookup()), name="keyring", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


# ---------------------------------------------------------------- the personal key


def load_personal(state: Path) -> PersonalFile | None:
    """The personal key stored in this state directory, None when there is none. Raises CredentialError when
    unusable."""
    path = _personal_path(state)
    if not path.exists():
        return None
    try:
        personal = _decode_personal(read_secret(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CredentialError(f"{path} is damaged ({error}); delete it and join with a new invitation.") from error
    if personal.format_ > FORMAT:
        raise CredentialError(f"{path} was written by a newer tally-agent; update this one.")
    return personal


def save_personal(state: Path, personal: PersonalFile) -> None:
    """Store the key, readable only by its owner; it is safe on disk when this returns. Raises OSError."""
    path = _personal_path(state)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(json.loads(msgspec.json.encode(personal)), indent=1).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _personal_path(state: Path) -> Path:
    return state / "personal-key.json"
