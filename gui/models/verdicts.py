"""Icon, word and colour of verdicts. No toolkit."""

from __future__ import annotations

from gui.store import VerdictKind

VERDICTS = {
    VerdictKind.MATCHED: ("ok", "matched", "ok"),
    VerdictKind.WRONG_BYTES: ("wrong", "wrong bytes", "bad"),
    VerdictKind.MISSING: ("miss", "missing", "bad"),
    VerdictKind.DUPLICATE: ("dup", "duplicate", "dup"),
    VerdictKind.CLIENT_FAILED: ("cfail", "client failed", "mute"),
    VerdictKind.LATE: ("clock", "late", "late"),
    VerdictKind.NOT_WAITED: ("ring", "not waited", "mute"),
}


UNREQUESTED = ("unreq", "unrequested", "mute")
"""Of a record with a tag of ours and a path that this tag never asked for: no verdict on a request."""


def verdict_state(verdict: VerdictKind | None) -> tuple[str, str, str]:
    """Icon, word and colour of a verdict; None before the first scoring."""
    return VERDICTS[verdict] if verdict is not None else ("ring", "not scored", "mute")
