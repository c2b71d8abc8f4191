"""Counters: per sender for the status message, and totals for metrics."""

from __future__ import annotations

from collections import Counter
from typing import Any

from collector.wire.userid import split_remote

MAX_SENDERS = 10_000


class Sender:
    """Counters of the datagrams of one socket, cumulative."""

    __slots__ = (
        *("address", "decoded", "duplicate", "heard", "incomplete"),
        *("late", "provisional", "records", "rejected", "remote", "seen"),
    )

    def __init__(self, remote: str) -> None:
        self.remote = remote
        """``IP:PORT``."""
        self.address = split_remote(remote)[0]
        """The IP part in its canonical form."""
        self.seen = 0
        self.heard = 0.0
        """When it was heard last."""
        self.decoded = 0
        self.duplicate = 0
        self.late = 0
        self.rejected: Counter[str] = Counter()
        self.records = 0
        self.provisional = 0
        self.incomplete: Counter[str] = Counter()

    def status(self) -> dict[str, Any]:
        """As plain values for the status message."""
        return {
            "seen": self.seen,
            "duplicate": self.duplicate,
            "late": self.late,
            "decoded": self.decoded,
            "rejected": dict(self.rejected),
            "records": self.records,
            "provisional": self.provisional,
            "incomplete": dict(self.incomplete),
        }


class Senders:
    """All senders heard, at most `MAX_SENDERS`: beyond it the counters of the one silent for longest are forgotten."""

    def __init__(self, totals: Totals) -> None:
        self.known: dict[str, Sender] = {}
        self._totals = totals

    def get(self, remote: str) -> Sender:
        """The sender `remote` (``IP:PORT``), known or new."""
        sender = self.known.get(remote)
        if sender is None:
            if len(self.known) >= MAX_SENDERS:
                self._forget()
            sender = self.known[remote] = Sender(remote)
        return sender

    def _forget(self) -> None:
        quiet = sorted(self.known, key=lambda remote: self.known[remote].heard)
        for remote in quiet[: MAX_SENDERS // 10]:
            del self.known[remote]
            self._totals.forgotten_senders += 1


class Totals:
    """Totals, for metrics; everything counted per sender is also counted here."""

    def __init__(self) -> None:
        self.seen = 0
        self.decoded = 0
        self.duplicate = 0
        self.late = 0
        self.stale = 0
        """Records inside datagrams that repeated what was already reported."""
        self.records: Counter[str] = Counter()
        self.provisional = 0
        self.expired = 0
        self.evicted = 0
        self.forgotten_senders = 0
        self.rejected: Counter[str] = Counter()
        self.incomplete: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def flat(self) -> dict[str, int]:
        """``name`` or ``name{label}`` → count."""
        counts = {
            "datagrams": self.seen,
            "decoded": self.decoded,
            "duplicates": self.duplicate,
            "late": self.late,
            "stale": self.stale,
            "provisional": self.provisional,
            "expired": self.expired,
            "evicted": self.evicted,
            "senders_forgotten": self.forgotten_senders,
        }
        for name in ("records", "rejected", "incomplete", "missing", "dropped"):
            counter: Counter[str] = getattr(self, name)
            counts |= {f"{name}{{{label}}}": count for label, count in counter.items()}
        return counts
