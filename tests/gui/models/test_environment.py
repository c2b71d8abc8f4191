"""What was there when a run began, one value a row, whoever wrote it down."""

from __future__ import annotations

from gui.models.environment import read_environment
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


def test_each_value_has_its_row_and_says_whose_it_is(world) -> None:  # noqa: F811
    run = run_with_losses(world)
    rows = {(f.group, f.of, f.name): f.value for f in read_environment(world.store, run)}
    assert rows["version", "", "tally"] == "0.1.0"
    assert rows["intervals", "", "fstat interval, s"] == "5"
    assert rows["client", "c1", "host"] == "wn17.example.org"
    assert rows["client", "c1", "clock offset"] == "+3 ms"
    assert rows["shoveler", "sh-b", "host"] == "mon2.example.org"
    assert rows["collector", "k1", "version"] == "1.2"


def test_odd_values_are_shown_as_they_are(world) -> None:  # noqa: F811
    deep: object = "end"
    for _ in range(20):
        deep = {"a": deep}
    world.begin(kernel={"net.core.rmem_max": "212992"}, odd=deep, none=None, on=True, many=[1, 2000], text="<b>x</b>")
    rows = {(f.group, f.name): f.value for f in read_environment(world.store, world.run)}
    assert rows["kernel of this machine", "net.core.rmem_max"] == "212992"
    assert rows["settings", "on"] == "yes"
    assert rows["settings", "none"] == "–"
    assert rows["settings", "many"] == "1, 2,000"
    assert rows["settings", "text"] == "<b>x</b>"
    assert any(value.startswith("{") for (group, _), value in rows.items() if group == "odd")
