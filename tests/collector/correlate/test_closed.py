from __future__ import annotations

import random

from collector.correlate.closed import BITS, MAX_PAGES, ClosedIds


def test_it_is_a_set() -> None:
    rng = random.Random(1)
    ids, model = ClosedIds(), set()
    for _ in range(3000):
        number = rng.randrange(5000)
        if rng.random() < 0.5:
            ids.append(number)
            model.add(number)
        assert (number in ids) == (number in model)


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    ids = ClosedIds()
    for number in range(0, (MAX_PAGES + 10) * BITS, BITS // 2):
        ids.append(number)
    assert len(ids.pages()) == MAX_PAGES
    assert 0 not in ids
    assert (MAX_PAGES + 9) * BITS in ids
    assert ids.dropped == set(range(10))
    assert not ids.dropped & ids.dirty


def test_pages_tell_what_changed() -> None:
    ids, other = ClosedIds(), ClosedIds()
    ids.append(5)
    ids.append(2**32 - 1)
    for page, bits in ids.pages().items():
        other.load(page, bits)
    assert ids.dirty == {0, (2**32 - 1) // BITS}
    assert 5 in other
    assert 2**32 - 1 in other
    assert other.dirty == set()
    merged = ClosedIds()
    merged.append(6)
    merged.merge(ids)
    assert 5 in merged
    assert 6 in merged
