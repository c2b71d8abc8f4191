"""Which files a round asks for: random, fair, and the same for the same seed always."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gui.campaign.draw import SEEDS, draw_round
from gui.campaign.plan import File

FILES = [File(f"/f{number:04d}", number) for number in range(1000)]
PINNED = [("/f0518", 1451272660638274), ("/f0318", 408434323514919)]
PINNED_HASH = "12e43168bcba80d4"


def test_the_same_seed_draws_the_same_for_ever() -> None:
    """These very bytes were drawn when this was written; another version of Python must draw them too."""
    drawn = draw_round(FILES, 100, seed=42, test=1, repeat=1, server=0, number=1)
    assert [(draw.file.path, draw.seed) for draw in drawn[:2]] == PINNED
    text = "\n".join(f"{draw.file.path} {draw.seed}" for draw in drawn)
    assert sha256(text.encode()).hexdigest()[:16] == PINNED_HASH


@pytest.mark.parametrize("other", ["seed", "test", "repeat", "server", "number"])
def test_everything_that_names_a_round_changes_it(other: str) -> None:
    place = {"seed": 42, "test": 1, "repeat": 1, "server": 1, "number": 1}
    first = draw_round(FILES, 50, **place)
    assert draw_round(FILES, 50, **place) == first
    assert draw_round(FILES, 50, **{**place, other: place[other] + 1}) != first


@given(st.integers(1, 60), st.integers(0, 300), st.integers(0, 2**53))
def test_no_file_twice_before_all_were_drawn(many: int, count: int, seed: int) -> None:
    drawn = draw_round(FILES[:many], count, seed=seed, test=1, repeat=1, server=0, number=1)
    assert len(drawn) == count
    assert all(0 <= draw.seed < SEEDS for draw in drawn)
    often = Counter(draw.file for draw in drawn)
    assert max(often.values(), default=0) - min((often[file] for file in FILES[:many]), default=0) <= 1


def test_all_files_are_equally_likely_in_every_place() -> None:
    """10,000 draws of 3 from 10: each file about 3,000 times, and about 1,000 times in first place."""
    drawn = [draw_round(FILES[:10], 3, seed=seed, test=1, repeat=1, server=0, number=1) for seed in range(10_000)]
    anywhere = Counter(draw.file for draws in drawn for draw in draws)
    first = Counter(draws[0].file for draws in drawn)
    assert all(2800 < anywhere[file] < 3200 for file in FILES[:10])
    assert all(880 < first[file] < 1120 for file in FILES[:10])


def test_nothing_to_choose_from() -> None:
    with pytest.raises(ValueError, match="no files"):
        draw_round([], 1, seed=1, test=1, repeat=1, server=0, number=1)
