from __future__ import annotations

from typing import Any

import pytest

from gui.report import build
from gui.report.sections import Grid, plain, sections


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"),
        (-0.0012448303368728375, "-0.00124"),
        ({"name": "c1", "clock_offset": -0.00124483, "rtt": 0.0037864}, "name: c1, clock offset: -1.2 ms, rtt: 3.8 ms"),
        ([200, "a"], "200, a"),
        (None, "None"),
    ],
)
def test_a_fact_is_shown_in_words(value: object, shown: str) -> None:
    assert plain(value) == shown


def test_each_client_has_a_row_of_its_own_in_the_environment(world: Any) -> None:
    world.begin(host="h", clients=[{"name": "c1"}, {"name": "c2"}], files=[20, 30])
    (grid,) = next(s for s in sections(build(world.store, world.run)) if s.title == "Environment").parts
    assert isinstance(grid, Grid)
    rows = [(name.text, value.text) for name, value in grid.rows]
    assert rows[-4:] == [("host", "h"), ("clients", "name: c1"), ("clients", "name: c2"), ("files", "20, 30")]
