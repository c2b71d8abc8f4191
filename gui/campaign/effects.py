"""What a fault of a plan does to a test, estimated before the run: in words, and as requests that lose their record.

Estimates are lower bounds where they have a number: a request is lost at least when the datagram with its close is.
What cannot be told has no number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gui.campaign.plan import LOSS_KINDS, Fault, Test
from gui.campaign.preview import Preview


@dataclass(frozen=True, slots=True)
class Effect:
    """What one fault does. `text` is part of a line beside it; `lost`: requests of a repeat that lose their record,
    None if that cannot be told."""

    text: str
    lost: float | None = 0.0


def work_seconds(preview: Preview) -> float:
    """Estimated seconds from the first request of a repeat to the last."""
    return preview.seconds / preview.repeats


def closes_between(preview: Preview, begin: float, end: float) -> float:
    """Expected requests of a repeat that are made between two times, in seconds since the first."""
    whole = work_seconds(preview)
    if whole <= 0:
        return float(preview.files) if begin <= 0 < end else 0.0
    return preview.files * max(0.0, min(end, whole) - max(begin, 0.0)) / whole


def effect(fault: Fault, test: Test, preview: Preview, *, settle: float) -> Effect:
    """What a fault does to one repeat of a test."""
    whole = work_seconds(preview)
    if fault.at > whole + settle:
        return Effect("after the repeat is over: it is never injected")
    end = fault.at + fault.lasts
    hit = closes_between(preview, fault.at, end)
    if fault.do in LOSS_KINDS:
        if fault.server and preview.servers:
            hit /= preview.servers
        lost = hit * fault.percent / 100
        if fault.do == "fragment-loss":
            return Effect(f"at most about {_count(lost)} requests lost: only large datagrams", None)
        if fault.at > whole:
            return Effect("after the last request: only what comes late is lost", None)
        return Effect(f"about {_count(lost)} of {_count(hit)} requests lost", lost)
    match fault.do:
        case "broker-down" | "broker-restart":
            if end > whole + settle:
                return Effect("back only after settling: what waits counts as missing", None)
            return Effect(f"nothing lost: shovelers spool about {_count(hit)} requests")
        case "kill-collector":
            return Effect("nothing lost: it goes on where it was")
        case "kill-shoveler":
            if not fault.lasts:
                return Effect("back at once; datagrams wait in the socket")
            return Effect(
                f"about {_count(hit)} requests end meanwhile; lost is what the socket cannot hold",
                None,
            )
        case "kill-agent":
            return Effect(f"up to {test.who.slots} requests interrupted (client failed)", 0.0)
        case "kill-server":
            down = f"; about {_count(hit / max(1, preview.servers))} requests fail meanwhile"
            return Effect(f"lost is what it has not sent yet{down if fault.lasts else ''}", None)
        case "stop-server":
            return Effect("lost is what it does not send at its end", None)
        case "cut-transfer":
            return Effect("nothing lost: clients reopen their files")
    raise AssertionError(fault.do)


def threshold_warning(test: Test, preview: Preview, *, settle: float) -> str:
    """Why a test cannot pass with its faults, as far as that can be told; else empty."""
    if not preview.files:
        return ""
    effects = [(fault, effect(fault, test, preview, settle=settle)) for fault in test.faults]
    lost = min(float(preview.files), sum(one.lost or 0.0 for _, one in effects))
    expected = 100 * (1 - lost / preview.files)
    if lost < 0.5 or expected >= test.pass_at:
        return ""
    causes = _causes([fault for fault, one in effects if one.lost])
    return f"With {causes}, success ≥ {test.pass_at:g} % cannot be expected: about {_success(expected)} % at most."


def _causes(faults: Sequence[Fault]) -> str:
    words = [f"{fault.percent:g} % {fault.do}" for fault in faults]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")


def _success(value: float) -> str:
    """Two decimals, but never 100.00 when something is lost."""
    return f"{min(value, 99.99):.2f}"


def _count(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 1 else f"{value:,.0f}"
