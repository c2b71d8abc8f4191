"""When waiting for monitoring is over: every request has its final record and all is quiet, or the limit came."""

from __future__ import annotations

from dataclasses import dataclass

MINIMUM_QUIET = 3.0


def quiet_time(fstat: float, flush: float) -> float:
    """Seconds without a new record that count as quiet, from a server's ``fstat`` interval and buffer flush time."""
    return max(2 * (fstat + flush), MINIMUM_QUIET)


@dataclass(frozen=True, slots=True)
class SettleView:
    """What is known at `now` while a repeat settles. Counts that cannot be known are None and do not hold it up."""

    now: float
    began: float
    """When the last request was done."""
    limit: float
    """Seconds to wait at most (the plan's ``settle``)."""
    quiet: float
    unrecorded: int
    """Requests that did not fail and have no final record yet, those that nobody has reported included."""
    last_record: float | None
    """When the last record was loaded, None when none was."""
    spooled: int | None = None
    queued: int | None = None


@dataclass(frozen=True, slots=True)
class Settling:
    """Keep waiting; `reason` says for what, `again` when to look again at the latest."""

    reason: str
    again: float


@dataclass(frozen=True, slots=True)
class Settled:
    """Waiting is over. `complete`: everything came and it is quiet; else the limit was reached."""

    complete: bool
    seconds: float
    reason: str


def judge(view: SettleView) -> Settling | Settled:
    """Whether to wait on."""
    seconds = max(0.0, view.now - view.began)
    deadline = view.began + view.limit
    quiet_from = max(view.began, view.last_record or view.began) + view.quiet
    if view.unrecorded:
        reason = f"{view.unrecorded:,} request{'s' if view.unrecorded > 1 else ''} without a record"
    elif view.spooled:
        reason = f"{view.spooled:,} datagrams in shoveler spools"
    elif view.queued:
        reason = f"{view.queued:,} messages in queues"
    elif view.now < quiet_from:
        reason = "all recorded; making sure that nothing more comes"
        if view.now < deadline:
            return Settling(reason, min(quiet_from, deadline))
    else:
        return Settled(True, seconds, "every request has its record and the pipeline is quiet")
    if view.now >= deadline:
        return Settled(False, seconds, f"the limit of {view.limit:g} s was reached: {reason}")
    return Settling(reason, min(view.now + 0.5, deadline))
