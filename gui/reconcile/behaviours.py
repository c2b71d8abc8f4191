"""Known ways in which XRootD servers count other bytes than the client asked for (format reference, 6.7).

The collector names those that it can see in the datagrams (``known_issue``); some show only in comparison with the
request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

PAGE = 4096
CHECKSUM = 4
UNCOUNTED = 98_304
"""Plain reads of at least this size are not counted by proxies and caches with the default ``xrootd.async``."""
READ_SIZE = 1024 * 1024
"""Whole files are read in plain reads of this size, and the rest."""

SENTENCES = {
    "http_put_zero": "HTTP uploads are recorded with 0 bytes before XRootD 5.7.3.",
    "pgread_forced": "When a connection breaks, the server forgets what was read or written by pages (xrdcp, caches).",
    "page_checksums": "Writes by pages (xrdcp) are charged with 4 checksum bytes for each page of 4,096.",
    "tpc_zero": "The destination of a third-party copy records 0 bytes; the helper writes straight to storage.",
    "async_reads": "A proxy or cache counts no plain read of 98,304 bytes or more unless it has xrootd.async off.",
    "fstat_no_xfr": "A server whose monitoring line lacks xfr sends opens and never a close.",
    "sigterm": "A server that stops drops what it has buffered, up to a whole fstat interval of closes.",
}
"""Name → sentence. Names are those of the records' ``known_issue``."""


def sentence(name: str) -> str:
    """What a behaviour means; an unknown name, from a newer collector, is returned unchanged."""
    return SENTENCES.get(name, name)


def explain(
    asked: tuple[int, int, int], recorded: tuple[int, int, int], issues: Iterable[str], accesses: int
) -> tuple[str, ...]:
    """Names of behaviours that explain a difference of (read, readv, write) bytes, those of the records first."""
    names = dict.fromkeys(issues)
    written, charged = asked[2], recorded[2]
    names |= dict.fromkeys(["async_reads"] if accesses == 1 and lacks_large_reads(asked, recorded, names) else [])
    if accesses == 1 and written and charged - written == CHECKSUM * -(-written // PAGE):
        names["page_checksums"] = None
    return tuple(names)


def lacks_large_reads(asked: tuple[int, int, int], recorded: tuple[int, int, int], issues: Collection[str]) -> bool:
    """Whether exactly the plain reads that a proxy or cache does not count are missing: all but a smaller rest.

    A broken connection loses reads too, for another reason, which is then named.
    """
    rest = asked[0] % READ_SIZE
    counted = rest if rest < UNCOUNTED else 0
    return recorded == (counted, *asked[1:]) and asked[0] - counted >= UNCOUNTED and "pgread_forced" not in issues
