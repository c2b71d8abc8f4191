"""Scoring a run again says what changed, and leaves alone what another program is carrying out."""

from __future__ import annotations

import pytest

import gui.runner.rechecking as module
from gui.reconcile import score
from gui.runner.rechecking import UnderWayError, changes, recheck
from gui.store import TestSpec
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


@pytest.fixture
def asked(world):  # noqa: F811
    world.begin(TestSpec(1, 4, 4))
    made = world.ask(4)
    world.read(*made)
    world.record(*made[1:])
    world.store.set_repeat(world.repeat, state="settled", ended=world.now, settled=world.tick(), complete=True)
    return made


def test_it_says_what_changed(world, asked) -> None:  # noqa: F811
    assert changes(recheck(world.store, world.run, world.tick())) == (
        "It was never scored; there is nothing to compare with."
    )
    score(world.store, world.repeat, "settle", world.tick())
    told: list[tuple[int, int]] = []
    again = recheck(world.store, world.run, world.tick(), lambda done, count: told.append((done, count)))
    assert changes(again) == "Scored again, 1 repeat: nothing changed."
    assert told == [(0, 1)]
    world.record(asked[0])
    assert changes(recheck(world.store, world.run, world.tick())) == (
        "Scored again, 1 repeat: late 0 → 1, missing 1 → 0."
    )


def test_a_run_of_another_program_is_left_alone(world, asked, monkeypatch) -> None:  # noqa: F811
    score(world.store, world.repeat, "settle", world.tick())
    monkeypatch.setattr(module, "holder", lambda *_: "Another Tally (process 7 on desk)")
    before = world.store.scorings(world.repeat)
    with pytest.raises(UnderWayError, match=r"Another Tally .* so it cannot be scored again now"):
        recheck(world.store, world.run, world.tick())
    assert world.store.scorings(world.repeat) == before
