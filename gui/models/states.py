"""Icon, word and colour of a run's outcome. No toolkit and no imports, since the first painted page needs it."""

from __future__ import annotations

OUTCOMES = {
    "running": ("run", "running", "info"),
    "passed": ("ok", "pass", "ok"),
    "failed": ("bad", "FAIL", "bad"),
    "inconclusive": ("warn", "inconclusive", "warn"),
    "stopped": ("stop", "stopped", "mute"),
    "aborted": ("stop", "aborted", "mute"),
    "interrupted": ("warn", "interrupted", "warn"),
    "error": ("bad", "failed", "bad"),
}


def outcome_state(outcome: str) -> tuple[str, str, str]:
    """Icon, word and colour of an outcome; an unknown one is shown as it is."""
    return OUTCOMES.get(outcome, ("ring", outcome or "waiting", "mute"))
