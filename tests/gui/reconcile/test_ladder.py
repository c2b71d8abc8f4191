from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.reconcile import Counted, Miss, SequenceGap, climb
from gui.reconcile.ladder import STAGES, overlapping_gap

T = 1_760_000_000.0
MISS = Miss(opened=T, closed=T + 0.1, delay=6.0)
QUIET = Counted(own_path=True, received=100, confirmed=100, seen=100, records=50, loaded=50)
"""A path on which everything that was sent has arrived."""
GAP = SequenceGap("F", 41, 1, T + 1, T + 6)


@pytest.mark.parametrize(
    ("miss", "counted", "lost_at", "certain", "words"),
    [
        (replace(MISS, client_cause="[3011] no such file"), QUIET, "client", True, "no such file"),
        (MISS, QUIET, "server", False, "the server sent nothing"),
        (MISS, replace(QUIET, restarted=True), "server", False, "stops drops what it has buffered"),
        (MISS, replace(QUIET, gaps=(GAP,), kernel_drops=1), "kernel", True, "after number 41"),
        (MISS, replace(QUIET, gaps=(GAP,), kernel_drops=1, own_path=False), "kernel", False, "dropped by the kernel"),
        (MISS, replace(QUIET, gaps=(replace(GAP, missing=3),), kernel_drops=1), "kernel", False, "3 datagrams"),
        (MISS, replace(QUIET, gaps=(GAP,), oversize=4), "fragmentation", False, "above the path MTU"),
        (MISS, replace(QUIET, gaps=(GAP,), refused={"spool_full": 9}), "spool", False, "spool_full ×9"),
        (MISS, replace(QUIET, gaps=(GAP,)), "wire", True, "lost between server and shoveler"),
        (MISS, replace(QUIET, gaps=(GAP,), own_path=False), "wire", False, "lost between server and shoveler"),
        (MISS, replace(QUIET, waiting=7, confirmed=93, seen=93), "spool", False, "7 datagrams read and not confirmed"),
        (MISS, replace(QUIET, waiting=7, confirmed=93, returned=3), "spool", False, "had no queue for them"),
        (MISS, replace(QUIET, seen=90), "queue", False, "10 datagrams confirmed and not consumed"),
        (MISS, replace(QUIET, seen=90, gaps=(GAP,)), "queue", False, "not consumed"),
        (MISS, replace(QUIET, waiting=2, gaps=(GAP,)), "spool", False, "not confirmed"),
        (replace(MISS, provisional=True, reasons=("no_close",)), QUIET, "collector", True, "no_close"),
        (replace(MISS, provisional=True, reasons=("server_restarted",)), QUIET, "server", True, "server ended"),
        (MISS, replace(QUIET, rejected={"length": 2}), "collector", False, "rejected datagrams (length ×2)"),
        (MISS, replace(QUIET, incomplete={"no_user": 1}), "collector", False, "no_user ×1"),
        (MISS, replace(QUIET, loaded=48), "load", False, "2 records were published and not loaded"),
        (MISS, Counted(), "unknown", True, "sent a status"),
    ],
)
def test_the_first_rule_that_applies(miss: Miss, counted: Counted, lost_at: str, certain: bool, words: str) -> None:
    ladder = climb(miss, counted)
    assert (ladder.lost_at, ladder.certain) == (lost_at, certain), ladder.cause
    assert words in ladder.cause
    assert ladder.answer.startswith("probably ") is not certain


def test_the_rungs_below_are_passed_and_those_above_not_reached() -> None:
    ladder = climb(MISS, replace(QUIET, seen=90))
    assert [rung.stage for rung in ladder.rungs] == list(STAGES)
    assert [rung.state for rung in ladder.rungs] == [
        "passed", "passed", "passed", "passed", "lost", "not reached", "not reached",
    ]  # fmt: skip
    assert ladder.rungs[2].evidence == "100 datagrams taken"
    assert ladder.rungs[4].evidence == ladder.cause


@pytest.mark.parametrize(
    ("gap", "applies"),
    [
        (GAP, True),
        (replace(GAP, t_min=T - 60, t_max=T - 50), False),
        (replace(GAP, t_min=T + 8, t_max=T + 9), False),
        (replace(GAP, t_min=T - 60, t_max=T + 60), True),
        (replace(GAP, kind="G C"), False),
        (replace(GAP, kind="M", t_min=T - 900, t_max=T - 800), True),
        (replace(GAP, kind="M", t_min=T + 8, t_max=T + 9), False),
    ],
)
def test_a_gap_matters_when_it_can_have_swallowed_the_user_the_open_or_the_close(
    gap: SequenceGap, applies: bool
) -> None:
    assert (overlapping_gap(MISS, (gap,)) is not None) is applies


def test_a_request_that_was_never_opened_has_no_gap() -> None:
    assert overlapping_gap(Miss(), (GAP,)) is None


counts = st.none() | st.integers(0, 50)
reasons = st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 5), max_size=2)


@given(
    st.builds(
        Counted, own_path=st.booleans(), received=counts, confirmed=counts, waiting=st.integers(0, 3),
        returned=st.integers(0, 3), oversize=st.integers(0, 3), kernel_drops=st.integers(0, 3), refused=reasons,
        seen=counts, rejected=reasons, gaps=st.just(()) | st.just((GAP,)), records=counts, incomplete=reasons,
        loaded=counts, restarted=st.booleans(),
    ),
    st.builds(Miss, opened=st.none() | st.just(T), closed=st.none() | st.just(T + 1), provisional=st.booleans()),
)  # fmt: skip
def test_any_evidence_gives_one_answer_with_all_rungs(counted: Counted, miss: Miss) -> None:
    ladder = climb(miss, counted)
    assert ladder.cause
    assert [rung.stage for rung in ladder.rungs] == list(STAGES)
    assert sum(rung.state == "lost" for rung in ladder.rungs) == (ladder.lost_at != "unknown")
