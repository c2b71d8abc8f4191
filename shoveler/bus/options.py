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
    """AMQPS: who may have signed the broker's certificate; None: the system's authorities."""
    cert_file: Path | None = None
    """AMQPS: our own certificate, for brokers that want one."""
    key_file: Path | None = None
    """AMQPS: the key of `cert_file`; None: it is in the same file."""
    connect_timeout: float = 10.0
    heartbeat: int = 60
    """AMQP: the broker drops a program that was silent for twice this time."""
    window: int = 4096
    """Messages that may be on their way without an outcome; `send` waits for outcomes beyond it."""
    prefetch: int = 4096
    """Messages that a consumer may hold without acknowledging them."""
    max_bytes: int = 1 << 30
    """Local bus: size of a writer's file at which messages are refused."""


DEFAULT_OPTIONS = BusOptions()
