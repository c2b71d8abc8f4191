"""Who is not let in: counted by reason, written into the audit log, and told to the hub's owner."""

from __future__ import annotations

import logging
from collections import Counter

from gui.hub.audit import AuditLog
from gui.hub.listener import HubListener
from gui.hub.tokens import AdmissionError, Reason

log = logging.getLogger("tally.hub")

UNREMARKABLE: frozenset[Reason] = frozenset({"path", "stopping"})
"""Reasons that are only counted: whoever asks for a page that is not there did not want to join."""


class Refusals:
    """`counts` is by reason, since the hub was started."""

    def __init__(self, audit: AuditLog, listener: HubListener) -> None:
        self.counts: Counter[str] = Counter()
        self._audit = audit
        self._listener = listener

    def note(self, address: str, refusal: AdmissionError) -> None:
        """Somebody at this address was refused."""
        self.counts[refusal.reason] += 1
        key = f" (key {refusal.key})" if refusal.key else ""
        log.info("! %s refused (%s): %s%s", address, refusal.reason, refusal.text, key)
        if refusal.reason not in UNREMARKABLE:
            self._audit.add("refused", address, f"{refusal.text}{key}")
            self._listener.refused(address, f"{refusal.text}{key}")
