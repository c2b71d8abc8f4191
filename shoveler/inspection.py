"""``tally-shoveler status``: the status of a shoveler and its spool, from outside, without disturbing either.

Each *check* is ok or says what is wrong. The command succeeds only if every check does: a check that could not be made
has failed.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shoveler.config import ShovelerSettings
from shoveler.expiry import token_expiry
from shoveler.locks import holder_of
from shoveler.service import Address
from shoveler.spool.errors import SpoolError
from shoveler.spool.reader import SpoolReader

_TIMEOUT = 5.0
_SOON = 3600.0
_LATE = 300.0
"""Seconds that a datagram may wait for the bus; without a health page, this shows that the bus is away."""

_LATELY = 300.0
_OURS = {"disk_full", "spool_full"}
_REASONS = {
    "disk_full": "the disk was full",
    "spool_full": "the spool was at its cap",
    "empty": "no bytes",
    "short": "too short for a header",
    "length": "not as long as its header says",
}


@dataclass(slots=True)
class Check:
    """One check. `text` is for people, `facts` for programs."""

    name: str
    ok: bool
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


def checks(settings: ShovelerSettings, *, now: float | None = None) -> Iterator[Check]:
    """All checks for the shoveler with these settings."""
    now = time.time() if now is None else now
    directory = settings.spool_dir
    yield _running(directory)
    address = settings.metrics
    if address is not None:
        yield _health(address)
    try:
        reader = SpoolReader(directory)
    except SpoolError as error:
        yield Check("spool", False, str(error))
    else:
        try:
            yield _spool(reader, settings.spool_max_bytes, now)
            yield _losses(reader, now)
        except SpoolError as error:
            yield Check("spool", False, str(error))
        finally:
            reader.close()
        yield _disk(directory, settings.spool_reserve)
    token = settings.bus_token_file
    if token is not None:
        yield _token(token, now)


def as_text(found: list[Check]) -> str:
    """For people."""
    lines = [f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.text}" for check in found]
    failed = [check.name for check in found if not check.ok]
    lines.append(f"failed: {', '.join(failed)}" if failed else "all is well")
    return "\n".join(lines)


def as_json(found: list[Check]) -> str:
    """For programs: ``{"ok": …, "checks": {name: {"ok": …, "text": …, "facts": {…}}}}``."""
    table = {check.name: {key: value for key, value in asdict(check).items() if key != "name"} for check in found}
    return json.dumps({"ok": all(check.ok for check in found), "checks": table}, indent=2)


def _running(directory: Path) -> Check:
    path = directory / "lock"
    try:
        holder = holder_of(path)
    except FileNotFoundError:
        return Check("process", False, f"no shoveler has ever used the spool directory {directory}", {"running": False})
    except OSError as error:
        return Check("process", False, f"cannot read {path}: {error.strerror}")
    if holder is not None:
        return Check("process", True, f"running as {holder}", {"running": True, "pid": str(holder.pid or "")})
    return Check("process", False, f"no shoveler is running on the spool {directory}", {"running": False})


def _health(address: Address) -> Check:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - where it listens
    connection = http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        body = connection.getresponse().read(1 << 20)
        report = json.loads(body)
        problems = dict(report["problems"])
        ok = report["ok"] is True and not problems
    except (OSError, http.client.HTTPException) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        return Check("health", False, f"no answer at {address}: {why}")
    except (ValueError, KeyError, TypeError):
        return Check("health", False, f"the program at {address} is not a shoveler")
    finally:
        connection.close()
    if ok:
        return Check("health", True, f"ok, according to {address}", report)
    return Check("health", False, "; ".join(f"{part}: {text}" for part, text in problems.items()), report)


def _spool(reader: SpoolReader, max_bytes: int, now: float) -> Check:
    with reader.at_once():
        totals, size = reader.totals()
        oldest = reader.oldest()
        audit = reader.audit()
    age = None if oldest is None else max(0.0, now - oldest)
    facts = {
        "id": reader.id, "received": audit.received, "confirmed": audit.confirmed, "spooled": audit.spooled,
        "exact": audit.exact, "rejected": totals.rejected, "returned": totals.returned,
        "kernel_drops": totals.kernel_drops, "bytes": size, "oldest_seconds": age,
    }  # fmt: skip
    text = f"{audit.received} received = {audit.confirmed} confirmed + {audit.spooled} in the spool ({_bytes(size)})"
    if age is not None:
        text += f", the oldest {age:.0f} s old"
    for name, number in (("rejected", totals.rejected), ("dropped by the kernel", totals.kernel_drops)):
        if number:
            text += f"; {number} {name}"
    if not audit.exact:
        return Check("spool", False, "the books do not balance: " + text.replace("=", "≠"), facts)
    if size >= max_bytes:
        return Check("spool", False, "full, new datagrams are dropped: " + text, facts)
    if age is not None and age > _LATE:
        return Check("spool", False, "the bus is behind, or accepts nothing: " + text, facts)
    return Check("spool", True, text, facts)


def _losses(reader: SpoolReader, now: float) -> Check:
    """Recent losses. Invalid datagrams (header check) are listed but are not a failure of the shoveler."""
    since = now - _LATELY
    dropped = sum(drop.count for drop in reader.drops() if drop.t_to > since)
    refused: dict[str, int] = {}
    newest = 0.0
    for refusal in reader.refusals():
        if refusal.t_to > since:
            refused[refusal.reason] = refused.get(refusal.reason, 0) + refusal.count
            newest = max(newest, refusal.t_to)
    facts = {"within_seconds": _LATELY, "kernel_drops": dropped, "refused": refused}
    said = [f"{count} refused ({_REASONS.get(reason, reason)})" for reason, count in sorted(refused.items())]
    if said:
        said[-1] += f", the newest {max(0.0, now - newest):.0f} s ago"
    if dropped:
        said.append(f"{dropped} dropped by the kernel: the receive buffer was full")
    text = "; ".join(said) or "none"
    ok = not dropped and not refused.keys() & _OURS
    return Check("losses", ok, f"in the last {_LATELY / 60:.0f} minutes: {text}", facts)


def _disk(directory: Path, reserve: int) -> Check:
    """Whether there is room: on a full disk a shoveler gives up its reserve, and creates it again afterwards."""
    try:
        disk = os.statvfs(directory)
        free = disk.f_bavail * disk.f_frsize
        path = directory / "reserve"
        kept = path.stat().st_blocks * 512 if path.exists() else 0
    except OSError as error:
        return Check("disk", False, f"cannot read {directory}: {error.strerror}")
    facts = {"free": free, "reserve": kept}
    if kept < reserve and free < 2 * reserve:
        return Check(
            "disk", False,
            f"full, or nearly: {_bytes(free)} are free for {directory}, and the reserve of {_bytes(reserve)} is "
            "missing; free some space",
            facts,
        )  # fmt: skip
    if not free and not reserve:
        return Check("disk", False, f"full: nothing is free for {directory}; free some space", facts)
    return Check("disk", True, f"{_bytes(free)} free", facts)


def _token(path: Path, now: float) -> Check:
    try:
        empty = not path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        return Check("token", False, f"cannot read {path}: {(isinstance(error, OSError) and error.strerror) or error}")
    if empty:
        return Check("token", False, f"{path} is empty")
    expires = token_expiry(path)
    if expires is None:
        return Check("token", True, f"{path} exists; it does not say when it expires")
    left = expires - now
    facts = {"expires_seconds": left}
    if left <= 0:
        return Check("token", False, f"{path} expired {-left:.0f} s ago", facts)
    note = ", which is soon" if left < _SOON else ""
    return Check("token", True, f"{path} expires in {left:.0f} s{note}", facts)


def _bytes(size: int) -> str:
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
