"""How to connect: one set of options for both buses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BusOptions:
    """All times in seconds, all sizes in bytes."""

    token_file: Path | None = None
    """AMQP: a file whose trimmed content replaces the password; read again on every connect."""
    ca_file: Path | None = None
    """AMQPS: the CAs to trust for the broker's certificate; None: the system's."""
    cert_file: Path | None = None
    """AMQPS: our own certificate, for brokers that require one."""
    key_file: Path | None = None
    """AMQPS: the key of `cert_file`; None: it is in the same file."""
    connect_timeout: float = 10.0
    heartbeat: int = 60
    """AMQP: the broker drops a connection that was silent for twice this time."""
    window: int = 4096
    """Messages that may be in transit without an outcome; beyond that `send` waits for outcomes."""
    prefetch: int = 4096
    """Messages that a consumer may hold without acknowledging them."""
    max_bytes: int = 1 << 30
    """Local bus: size of a writer's file at which messages are refused."""


DEFAULT_OPTIONS = BusOptions()


def unpaired(cert_file: Path | None, key_file: Path | None) -> tuple[str, str] | None:
    """A certificate without its key, or a key without its certificate: the name of the setting, and the sentence."""
    if cert_file is None:
        return None if key_file is None else ("bus.key_file", "bus.key_file needs bus.cert_file")
    if key_file is not None:
        return None
    try:
        has_key = b"PRIVATE KEY-----" in cert_file.read_bytes()
    except OSError:
        return None  # the file itself is what is wrong, and others say so
    if has_key:
        return None
    return ("bus.cert_file", f"bus.cert_file: {cert_file} holds no private key, and bus.key_file names none")
