"""The hub's signing key, which proves to others that something was made by it, and the known keys of others.

An Ed25519 key, separate from the one for TLS: what it has signed is kept for years, a certificate is not. The public
key is short enough to be its own name, ``ed25519:`` and 43 characters. Only the user who adds a key (`trust`) says
who owns it, with a name that this user chooses.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gui.hub.certificate import write_whole

KEY = "hub-signing-key.pem"
KNOWN = "known-signers"
OWN = "this hub"
"""The name of the hub's own key among the known ones."""
_PREFIX = "ed25519:"
_is_key = re.compile(r"ed25519:[A-Za-z0-9_-]{43}").fullmatch
_is_name = re.compile(r"[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]{0,62}[^\s\x00-\x1f\x7f-\x9f])?").fullmatch


class SigningError(Exception):
    """A key cannot be used, stored or added; one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A hub that signs. `name` is what it calls itself, `public` its public key as text."""

    name: str
    public: str
    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.name!r}, {self.public!r})"

    def sign(self, content: bytes) -> str:
        """The signature of `content`, as text."""
        return _text(self.private.sign(content))


def own_signer(directory: Path, name: str = "") -> Signer:
    """The signer whose key is kept in `directory`; the key is created if there is none yet.

    Raises SigningError."""
    path = directory / KEY
    try:
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(path)
        content = path.read_bytes()
    except OSError as error:
        raise SigningError(f"The hub's signing key cannot be kept in {directory}: {error.strerror}.") from error
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise SigningError(f"{path} holds no private key; remove it to have a new one made.") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningError(f"{path} holds no Ed25519 key; remove it to have a new one made.")
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Signer(name or socket.gethostname(), f"{_PREFIX}{_text(public)}", private)


def is_signed(public: str, content: bytes, signature: str) -> bool:
    """Whether the owner of the key `public` signed `content`. Also False for an invalid key or signature."""
    try:
        key = Ed25519PublicKey.from_public_bytes(_bytes(public.removeprefix(_PREFIX)))
        key.verify(_bytes(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def known_signers(directory: Path) -> dict[str, str]:
    """The names of known keys by key, including the hub's own. Raises SigningError."""
    known = {public: name for name, public in _read(directory).items()}
    if (directory / KEY).exists():
        known[own_signer(directory).public] = OWN
    return known


def trust(directory: Path, public: str, name: str) -> None:
    """Add a key under a name. Raises SigningError if either is invalid, or the name belongs to another key."""
    if not _is_key(public):
        raise SigningError(
            f"A signing key is ed25519: and 43 characters, as shown by `tally key signer`, not {public!r}."
        )
    if not _is_name(name) or name == OWN:
        raise SigningError(f"{name!r} is not a valid name for a key; choose up to 64 characters in one line.")
    known = _read(directory)
    if known.get(name, public) != public:
        raise SigningError(f"{name} is the name of another key; remove that first: tally key distrust {name!r}")
    others = {other: key for other, key in known.items() if key != public}
    _write(directory, {**others, name: public})


def distrust(directory: Path, name: str) -> str:
    """Remove a known key and return it. Raises SigningError if there is none with this name."""
    known = _read(directory)
    if name not in known:
        raise SigningError(f"No key is known as {name!r}; `tally key signer` shows which are.")
    public = known.pop(name)
    _write(directory, known)
    return public


def _make(path: Path) -> None:
    """Create a key, unless another program has just done so."""
    private = Ed25519PrivateKey.generate()
    fresh = path.with_name(f"{path.name}.{os.getpid()}.made")
    write_whole(fresh, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # then use that key
    finally:
        fresh.unlink()


def _read(directory: Path) -> dict[str, str]:
    """Keys by name: a line of the file is a key, a space and its name."""
    path = directory / KNOWN
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SigningError(f"The known signing keys cannot be read from {path}: {error}.") from error
    known = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        public, _, name = line.strip().partition(" ")
        if not _is_key(public) or not name:
            raise SigningError(f"{path}, line {number}: expected a key and its name, ed25519:… NAME.")
        known[name] = public
    return known


def _write(directory: Path, known: dict[str, str]) -> None:
    content = "".join(f"{public} {name}\n" for name, public in sorted(known.items()))
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(directory / KNOWN, content.encode(), 0o600)
    except OSError as error:
        raise SigningError(f"Known signing keys cannot be kept in {directory}: {error.strerror}.") from error


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
