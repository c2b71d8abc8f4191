from __future__ import annotations

import pytest

from gui.reconcile import Asked, Recorded, judge, sentence
from gui.reconcile.behaviours import SENTENCES
from gui.store import RequestState, VerdictKind

DONE = Asked(RequestState.DONE, True, 1000, 0, 0)


def final(access: int, read: int, *, file_id: int = 0, stod: int = 1, write: int = 0, issues: tuple[str, ...] = ()):
    return Recorded(access, True, ("server", stod, file_id or access), read, 0, write, issues)


def provisional(access: int, read: int) -> Recorded:
    return Recorded(access, False, ("server", 1, access), read, 0, 0)


@pytest.mark.parametrize(
    ("records", "verdict", "accesses"),
    [
        ([final(1, 1000)], VerdictKind.MATCHED, 1),
        ([final(1, 600), final(2, 400)], VerdictKind.MATCHED, 2),
        ([final(1, 0), final(2, 0), final(3, 1000)], VerdictKind.MATCHED, 3),
        ([provisional(1, 600), final(2, 400)], VerdictKind.MATCHED, 2),
        ([provisional(1, 999), final(1, 1000)], VerdictKind.MATCHED, 1),
        ([], VerdictKind.MISSING, 0),
        ([provisional(1, 1000)], VerdictKind.MISSING, 1),
        ([final(1, 999)], VerdictKind.WRONG_BYTES, 1),
        ([final(1, 1001)], VerdictKind.WRONG_BYTES, 1),
        ([final(1, 0)], VerdictKind.WRONG_BYTES, 1),
        ([final(1, 300), final(2, 300)], VerdictKind.WRONG_BYTES, 2),
        ([final(1, 1000), final(2, 1000)], VerdictKind.DUPLICATE, 2),
        ([final(1, 1000), final(2, 1)], VerdictKind.DUPLICATE, 2),
        ([final(1, 500, file_id=9), final(2, 500, file_id=9)], VerdictKind.DUPLICATE, 2),
        ([final(1, 500, file_id=9), final(2, 500, file_id=9, stod=2)], VerdictKind.MATCHED, 2),
    ],
)
def test_verdicts_on_what_a_client_read_whole(records: list[Recorded], verdict: VerdictKind, accesses: int) -> None:
    judged = judge(DONE, records)
    assert (judged.verdict, judged.accesses) == (verdict, accesses)
    assert judged.recorded == any(record.final for record in records)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(RequestState.DONE, False, 0, 0, 0),
        Asked(RequestState.INTERRUPTED, False, 0, 0, 0),
        Asked(RequestState.STARTED, False, 0, 0, 0),
        Asked(RequestState.PENDING, False, 0, 0, 0),
    ],
)
@pytest.mark.parametrize("records", [[], [final(1, 5)], [final(1, 5), final(1, 5)]])
def test_what_the_client_did_not_do_is_never_held_against_monitoring(asked: Asked, records: list[Recorded]) -> None:
    assert judge(asked, records).verdict is VerdictKind.CLIENT_FAILED


def test_each_kind_of_bytes_is_compared_for_itself() -> None:
    mixed = Asked(RequestState.DONE, True, 10, 20, 30)
    right = Recorded(1, True, ("s", 1, 1), 10, 20, 30)
    swapped = right._replace(read=20, readv=10)
    assert judge(mixed, [right]).verdict is VerdictKind.MATCHED
    assert judge(mixed, [swapped]).verdict is VerdictKind.WRONG_BYTES


def test_known_behaviours_are_named_on_the_row() -> None:
    upload = Asked(RequestState.DONE, True, 0, 0, 1_635_042)
    pages = judge(upload, [Recorded(1, True, ("s", 1, 1), 0, 0, 1_636_642)])
    assert (pages.verdict, pages.behaviours) == (VerdictKind.WRONG_BYTES, ("page_checksums",))
    put = judge(upload, [Recorded(1, True, ("s", 1, 1), 0, 0, 0, ("http_put_zero",))])
    assert put.behaviours == ("http_put_zero",)
    cached = judge(upload, [Recorded(1, True, ("s", 1, 1), 0, 0, 5, ("async_reads",))])
    assert cached.behaviours == ("async_reads",)
    assert "5.7.3" in sentence("http_put_zero")
    assert sentence("something_newer") == "something_newer"


@pytest.mark.parametrize(
    ("read", "recorded", "named"),
    [
        (20_000_000, 77_056, True),  # 19 reads of 1 MiB, and a rest that is small enough to be counted [C: pss-async]
        (98_304, 0, True),
        (2 * 1_048_576, 0, True),
        (1_048_576 + 98_303, 98_303, True),
        (1_048_576 + 98_303, 0, False),  # the rest would have been counted
        (98_303, 0, False),
        (20_000_000, 77_055, False),
        (20_000_000, 1_125_632, False),  # some of the large ones were counted
    ],
)
def test_reads_that_a_proxy_does_not_count(read: int, recorded: int, named: bool) -> None:
    asked = Asked(RequestState.DONE, True, read, 0, 0)
    one = judge(asked, [Recorded(1, True, ("s", 1, 1), recorded, 0, 0)])
    assert (one.verdict, one.behaviours) == (VerdictKind.WRONG_BYTES, ("async_reads",) if named else ())
    broken = judge(asked, [Recorded(1, True, ("s", 1, 1), recorded, 0, 0, ("pgread_forced",))])
    assert broken.behaviours == ("pgread_forced",)
    two = [Recorded(1, True, ("s", 1, 1), recorded, 0, 0), Recorded(2, True, ("s", 1, 2), 0, 0, 0)]
    assert judge(asked, two).behaviours == ()


def test_every_sentence_is_one() -> None:
    assert all(text.endswith(".") for text in SENTENCES.values())
