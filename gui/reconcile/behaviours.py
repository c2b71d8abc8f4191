"""Ways in which XRootD servers are known to count other bytes than the client asked for (format reference, 6.7).

The collector names those that it can see in the datagrams (``known_issue``); some show only beside what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable

PAGE = 4096
CHECKSUM = 4

SENTENCES = {
    "http_put_zero": "HTTP uploads are recorded with 0 bytes before XRootD 5.7.3.",
    "pgread_forced": "When a connection breaks, the server forgets what was read or written by pages (xrdcp, caches).",
    "page_checksums": "Writes by pages (xrdcp) are charged with 4 checksum bytes for each page of 4,096.",
    "tpc_zero": "The destination of a third-party copy records 0 bytes; the helper writes straight to storage.",
    "fstat_no_xfr": "A server whose monitoring line lacks xfr sends opens and never a close.",
    "sigterm": "A server that stops drops what it has buffered, up to a whole fstat interval of closes.",
}
"""Name → sentence. Names are those of the records' ``known_issue``."""


def sentence(name: str) -> str:
    """What a behaviour means; an unknown name, from a newer collector, stands for itself."""
    return SENTENCES.get(name, name)


def explain(
    asked: tuple[int, int, int], recorded: tuple[int, int, int], issues: Iterable[str], accesses: int
) -> tuple[str, ...]:
    """Names of behaviours behind a difference of (read, readv, write) bytes, those of the records first."""
    names = dict.fromkeys(issues)
    written, charged = asked[2], recorded[2]
    if accesses == 1 and written and charged - written == CHECKSUM * -(-written // PAGE):
        names["page_checksums"] = None
    return tuple(names)
