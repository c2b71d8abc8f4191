"""Tells the operator what is wrong with a server: it sends no closes, no f-stream, or nothing any more.

Such a server does not harm the collector, so it does not affect the collector's own health: it is logged once when it
shows, and once when it is over. Status messages have the same by name (``warnings``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from shoveler.service import RateLimited

SENTENCES = {
    "no_closes": "sends opens and disconnects, but never a close, so that no bytes are recorded: its `fstat` needs "
    "`xfr` (such as `fstat 10s lfn ops xfr 3`)",
    "no_fstat": "has sessions, but sends no f-stream, so that no access is recorded: its `xrootd.monitor` needs "
    "`fstat 10s lfn ops xfr 3` and the word `fstat` after `dest`",
    "silent": "has sent nothing for far longer than usual: it or its monitoring has stopped",
}
"""What a warning of `Correlator.warnings` means; follows the name of a server."""

_log = logging.getLogger(__name__)


class Advice:
    """Logs new warnings about servers, and those that are over."""

    def __init__(self, warnings: Callable[[], Mapping[tuple[str, str], str]]) -> None:
        self._warnings = warnings
        self._told: dict[tuple[str, str], str] = {}
        self._limited = RateLimited(_log)

    def look(self) -> None:
        """Compare with the current warnings. Of very many at once (a network was cut) only some are logged."""
        now = dict(self._warnings())
        for (sender, name), server in now.items():
            if (sender, name) not in self._told:
                self._limited.warning(name, "%s %s", server, SENTENCES[name])
        for (sender, name), server in self._told.items():
            if (sender, name) not in now:
                self._limited.log(logging.INFO, f"{name} over", "%s: %s is over", server, name)
        self._told = now
