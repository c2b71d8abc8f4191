"""Icon, word and colour of what a run came to. No toolkit, and no imports: the first page that is painted needs it."""

from __future__ import annotations

OUTCOMES = {
    "running": ("run", "running", "info"),
    "passed": ("ok", "pass", "ok"),
    "failed": ("bad", "FAIL", "bad"),
    "inconclusive": ("warn", "inconclusive", "warn"),
    "stopped": ("stop", "stopped", "mute"),
    "aborted": ("stop", "aborted", "mute"),
    "error": ("bad", "failed", "bad"),
}


def outcome_state(outcome: str) -> tuple[str, str, str]:
    """Icon, word and colour of an outcome; one that this version does not know is shown as it came."""
    return OUTCOMES.get(outcome, ("ring", outcome or "waiting", "mute"))
