"""What took the datagrams of a gap, by time and by arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gui.reconcile.facts import Loss, LossKind, Path, Process, SequenceGap, Span
from gui.reconcile.took import NEARBY, Taken, explain

T = 1_760_000_000.0
S1 = Process("11", 1, "127.0.0.1:5001")
S2 = Process("12", 1, "127.0.0.1:5002")
PATH = Path("sp", Span(T - 100, T + 1000))


def gap(at: float = 0.0, missing: int = 1, kind: str = "F", after: int = 44) -> SequenceGap:
    """A gap whose window is the five seconds from T + `at` on."""
    return SequenceGap(kind, after, missing, T + at, T + at + 6, T + at, T + at + 5)


def loss(kind: LossKind, at: float, count: int | None, sender: str = "", *, sure: bool = True) -> Loss:
    return Loss(kind, Span(T + at, T + at + 1), count, sender, "spool_full" if kind == "refused" else "", sure)


def took(path: Path | None, *gaps: tuple[Process, SequenceGap]) -> list[tuple[str, bool]]:
    """What took each of these gaps, and whether that is certain."""
    processes = {
        process.key: replace(process, gaps=tuple(g for other, g in gaps if other.key == process.key))
        for process, _ in gaps
    }
    found = explain(path, list(processes.values()))
    return [(found[process.key, each].lost_at, found[process.key, each].certain) for process, each in gaps]


def with_losses(*losses: Loss, **oversize: float) -> Path:
    return replace(PATH, losses=losses, oversize={S1.sender: oversize["oversize"]} if oversize else {})


@pytest.mark.parametrize(
    ("path", "lost_at", "certain"),
    [
        (PATH, "wire", True),
        (replace(PATH, told=Span(T + 100, T + 200)), "wire", False),
        (with_losses(loss("kernel", 2, 1)), "kernel", True),
        (with_losses(loss("kernel", 900, 1)), "wire", True),
        (with_losses(loss("refused", 2, 1, S1.sender)), "spool", True),
        (with_losses(loss("refused", 2, 1, S2.sender)), "wire", True),
        (with_losses(loss("rejected", 2, 1, S1.sender)), "collector", True),
        (with_losses(loss("unseen", 2, 40)), "queue", True),
        (with_losses(loss("unseen", 2, 40, sure=False)), "queue", False),
        (with_losses(loss("restart", 2, None)), "spool", False),
        (with_losses(loss("kernel", 2, 1), loss("unseen", 2, 1)), "kernel", False),
        (with_losses(loss("kernel", 2, 1), loss("refused", 3, 1, S1.sender)), "spool", False),
        (with_losses(oversize=0.9), "fragmentation", False),
        (with_losses(oversize=0.1), "wire", False),
        (with_losses(loss("kernel", 2, 1), oversize=0.9), "kernel", True),
        (None, "unknown", False),
    ],
)
def test_one_gap(path: Path | None, lost_at: str, certain: bool) -> None:
    assert took(path, (S1, gap())) == [(lost_at, certain)]


def test_a_drop_is_shared_by_all_servers_of_the_socket_and_not_counted_for_each() -> None:
    both = ((S1, gap()), (S2, gap(1)))
    assert took(with_losses(loss("kernel", 2, 2)), *both) == [("kernel", True)] * 2
    assert took(with_losses(loss("kernel", 2, 1)), *both) == [("kernel", False)] * 2, "one drop is not two datagrams"
    three = (*both, (S2, gap(2, after=99)))
    assert took(with_losses(loss("kernel", 2, 1)), *three) == [("wire", False)] * 3, "most of them was lost elsewhere"


def test_drops_that_follow_one_another_are_counted_together() -> None:
    wide = ((S1, gap(missing=2)), (S2, gap(3, missing=1)))
    assert took(with_losses(loss("kernel", 1, 1), loss("kernel", 4, 2)), *wide) == [("kernel", True)] * 2


def test_a_gap_nearby_that_nothing_explains_makes_one_doubt() -> None:
    dropped, lost = (S1, gap()), (S2, gap(NEARBY))
    assert took(with_losses(loss("kernel", 2, 1)), dropped, lost) == [("kernel", False), ("wire", True)]
    far = (S2, gap(NEARBY + 20))
    assert took(with_losses(loss("kernel", 2, 1)), dropped, far) == [("kernel", True), ("wire", True)]


def test_a_login_needs_no_fragments() -> None:
    assert took(with_losses(oversize=1.0), (S1, gap(kind="M"))) == [("wire", True)]


def test_where_packets_tell_no_time_arrival_does() -> None:
    untimed = SequenceGap("F", 44, 1, T, T + 6)
    assert took(with_losses(loss("kernel", 6, 1)), (S1, untimed)) == [("kernel", True)]
    assert took(with_losses(loss("kernel", 9, 1)), (S1, untimed)) == [("wire", True)]


def test_what_is_said() -> None:
    path = with_losses(loss("kernel", 2, 1), loss("kernel", 3, 2))
    process = replace(S1, gaps=(gap(),))
    assert explain(path, [process]) == {
        (process.key, gap()): Taken("kernel", "dropped by the kernel at the shoveler (3 drops then)", True)
    }
