"""What each client of a run makes of what is offered to it, in words. No toolkit."""

from __future__ import annotations

from collections.abc import Sequence

from gui.models import figures
from gui.models.rows import UNKNOWN
from gui.runner.progress import ClientRow

MOST = 12


def made_words(client: ClientRow) -> str:
    """``480 of 600 per s``."""
    made = UNKNOWN if client.achieved is None else figures.rate(client.achieved)
    return f"{made} of {figures.rate(client.offered)} per s" if client.offered is not None else f"{made} per s"


def clients_words(clients: Sequence[ClientRow]) -> str:
    """A line for each client, those at their limit first."""
    shown = sorted(clients, key=lambda client: not client.busy)
    lines = [
        f"{client.name}: {made_words(client)}, CPU {figures.per_cent(client.cpu)}"
        + (": at its limit, it may be what is measured" if client.busy else "")
        for client in shown[:MOST]
    ]
    if len(shown) > MOST:
        lines.append(f"and {len(shown) - MOST} more clients")
    return "\n".join(lines)
