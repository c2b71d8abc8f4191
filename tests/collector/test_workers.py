"""How shards are dealt out, and which exit code comes of it. The processes themselves: tests/faults."""

from __future__ import annotations

import pytest

from collector.engine import Part
from collector.serving import Ending
from collector.workers import deal, worst


@pytest.mark.parametrize(("shards", "workers", "sizes"), [(8, 3, [3, 3, 2]), (8, 8, [1] * 8), (2, 1, [2])])
def test_every_shard_has_one_worker_and_none_has_much_more(shards: int, workers: int, sizes: list[int]) -> None:
    parts = [Part(f"shard-{number}-of-{shards}", number) for number in range(shards)]
    dealt = deal(parts, workers)
    assert [len(mine) for mine in dealt] == sizes
    assert sorted((part for mine in dealt for part in mine), key=lambda part: part.shard or 0) == parts


@pytest.mark.parametrize(
    ("endings", "code"),
    [
        ([], 0),
        ([Ending.SAFE, Ending.LEFT], 0),
        ([Ending.SAFE, Ending.FAILED], 1),
        ([Ending.FAILED, Ending.UNUSABLE, Ending.SAFE], 2),
    ],
)
def test_exit_codes(endings: list[Ending], code: int) -> None:
    assert worst(endings) == code
