"""Why a run is not begun."""

from __future__ import annotations


class RunRefusedError(Exception):
    """A run cannot start; one sentence says why and what to do."""
