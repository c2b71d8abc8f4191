"""What took the datagrams of a gap: drops of a socket, refusals, a queue that lost them, or the wire. Pure.

Losses are known by socket or shoveler, not by sender; gaps are known by server process. They are matched by time and
count: a loss of at least as many datagrams as are missing in all gaps that overlap it explains them; a smaller one does
not, and something else took the rest. An answer is *certain* only when it is the only one: one kind of loss, large
enough, and no unexplained gap nearby.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gui.reconcile.facts import Loss, LossKind, LostAt, Path, Process, SequenceGap, Span

NEARBY = 60.0
"""Seconds around a gap in which an unexplained gap of the same path makes the answer uncertain."""
ORDER: tuple[LossKind, ...] = ("refused", "rejected", "kernel", "fragments", "unseen", "restart")
"""The most exact kinds first: refusals are counted by sender."""
PLACE: Mapping[LossKind, LostAt] = {
    "refused": "spool",
    "rejected": "collector",
    "kernel": "kernel",
    "fragments": "fragmentation",
    "unseen": "queue",
    "restart": "spool",
}


GapKey: TypeAlias = tuple[tuple[str, int, str], SequenceGap]


@dataclass(frozen=True, slots=True)
class Taken:
    """What took a gap's datagrams. `why`: a clause to show."""

    lost_at: LostAt
    why: str
    certain: bool


@dataclass(slots=True)
class _Group:
    """Losses of one kind and the gaps that overlap them, directly or through one another."""

    lost: int = 0
    uncounted: bool = False
    missing: int = 0

    @property
    def enough(self) -> bool:
        return self.uncounted or self.lost >= self.missing


def explain(path: Path | None, processes: Sequence[Process]) -> dict[GapKey, Taken]:
    """What took the datagrams of each gap of these processes, which all send over `path`.

    `path` None: no shoveler has reported them."""
    gaps = [(process, gap) for process in processes for gap in process.gaps]
    if path is None:
        unknown = Taken("unknown", "lost before the collector, and no shoveler told what it took", False)
        return {(process.key, gap): unknown for process, gap in gaps}
    windows = [gap.window for _, gap in gaps]
    meeting = [
        [loss for loss in path.losses if loss.span.meets(window) and _concerns(loss, path, process, gap)]
        for (process, gap), window in zip(gaps, windows, strict=True)
    ]
    groups = {kind: _groups(kind, gaps, meeting) for kind in ORDER}
    unexplained = [window for window, losses in zip(windows, meeting, strict=True) if not losses]
    found = {}
    for place, (process, gap) in enumerate(gaps):
        doubt = _near(windows[place], unexplained)
        if meeting[place]:
            found[process.key, gap] = _by_loss(place, path, process, gap, meeting[place], groups, doubt)
        else:
            found[process.key, gap] = _by_nothing(path, process, gap)
    return found


def _concerns(loss: Loss, path: Path, process: Process, gap: SequenceGap) -> bool:
    """Whether this loss can have taken datagrams of this kind and sender."""
    if loss.kind == "fragments":
        return "F" in gap.kind and process.sender in path.oversize
    return loss.sender in ("", process.sender)


def _near(window: Span, others: Iterable[Span]) -> bool:
    wide = Span(window.begin - NEARBY, window.end + NEARBY)
    return any(other.meets(wide) for other in others)


def _by_loss(
    place: int,
    path: Path,
    process: Process,
    gap: SequenceGap,
    losses: Sequence[Loss],
    groups: Mapping[LossKind, Mapping[int, _Group]],
    doubt: bool,
) -> Taken:
    kinds = [kind for kind in ORDER if any(loss.kind == kind for loss in losses)]
    fitting = [kind for kind in kinds if groups[kind][place].enough]
    kind = fitting[0] if fitting else max(kinds, key=lambda each: groups[each][place].lost)
    group = groups[kind][place]
    if not fitting and 2 * group.lost < group.missing:
        other = _by_nothing(path, process, gap)
        drops = "fewer datagrams were lost at the shoveler then than are missing"
        return Taken(other.lost_at, f"{other.why} ({drops})", False)
    mine = [loss for loss in losses if loss.kind == kind]
    certain = (
        kinds == [kind] and bool(fitting) and not doubt and not group.uncounted and all(loss.sure for loss in mine)
    )
    return Taken(PLACE[kind], _words(kind, mine), certain)


def _by_nothing(path: Path, process: Process, gap: SequenceGap) -> Taken:
    """Not counted anywhere: it was lost before the shoveler's socket, whole or one fragment of it."""
    # A login is sent at once, alone, in at most 1,292 bytes: it needs no fragments (format reference, section 5).
    share = path.oversize.get(process.sender, 0.0) if "F" in gap.kind else 0.0
    if share >= 0.5:
        return Taken(
            "fragmentation", f"a fragment was lost, as {share:.0%} of its datagrams are above the path MTU", False
        )
    told = path.told.begin <= gap.window.begin + 2 and gap.window.end <= path.told.end + 2
    why = "lost between server and shoveler, and no drop was counted then"
    return Taken("wire", why, told and not share)


def _words(kind: LossKind, losses: Sequence[Loss]) -> str:
    counted = sum(loss.count or 0 for loss in losses)
    reasons = ", ".join(dict.fromkeys(loss.words for loss in losses if loss.words))
    match kind:
        case "kernel":
            return f"dropped by the kernel at the shoveler ({counted:,} drop{'s' if counted != 1 else ''} then)"
        case "fragments":
            return f"a fragment was lost: the kernel gave up {counted:,} datagrams that were not whole then"
        case "refused":
            return f"refused by the shoveler ({reasons} ×{counted:,})"
        case "rejected":
            return f"rejected by the collector ({reasons} ×{counted:,})"
        case "unseen":
            return f"lost between broker and collector: {counted:,} datagrams of then were confirmed and never seen"
        case "restart":
            return "the shoveler was started anew then; what it had read and not yet written down was lost"


def _groups(
    kind: LossKind, gaps: Sequence[tuple[Process, SequenceGap]], meeting: Sequence[Sequence[Loss]]
) -> dict[int, _Group]:
    """For each gap (by index) that overlaps losses of this kind: the group that they all belong to."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    losses: dict[Loss, int] = {}
    for place, some in enumerate(meeting):
        for loss in some:
            if loss.kind != kind:
                continue
            node = losses.setdefault(loss, -1 - len(losses))
            parent.setdefault(node, node)
            parent.setdefault(place, place)
            parent[root(place)] = root(node)
    groups: dict[int, _Group] = {}
    for loss, node in losses.items():
        group = groups.setdefault(root(node), _Group())
        group.lost += loss.count or 0
        group.uncounted = group.uncounted or loss.count is None
    found = {}
    for place, (_, gap) in enumerate(gaps):
        if place in parent:
            found[place] = group = groups[root(place)]
            group.missing += gap.missing if gap.sure else 0
    return found
