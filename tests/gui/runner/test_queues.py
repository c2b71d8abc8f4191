"""What a workspace's queue is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from gui.runner.queues import KnownQueue, forget_queue, known_queues, queue_of, remember_queue, workspace_label
from gui.store import Store


@pytest.mark.parametrize(
    ("database", "name", "label"),
    [
        ("/data/scale test.db", "", "scale-test"),
        ("x.db", "mine", "mine"),
        ("postgresql://h/tally", "", "tally"),
        ("/x/§.db", "", "-"),
    ],
)
def test_the_label(database: str, name: str, label: str) -> None:
    assert workspace_label(database, name) == label


def test_two_workspaces_of_one_file_name_have_two_queues(tmp_path: Path) -> None:
    names = []
    for home in ("one", "two", "one"):
        (tmp_path / home).mkdir(exist_ok=True)
        with Store(str(tmp_path / home / "default.db")) as store:
            names.append(queue_of(store, "default"))
    assert names[0] == names[2] != names[1]
    assert all(name.startswith("tally.default-") for name in names)


def test_queues_are_remembered_without_passwords_and_once(tmp_path: Path) -> None:
    with Store(str(tmp_path / "w.db")) as store:
        for bus in ("amqp://u:SECRET@h/", "/bus", "amqp://u:SECRET@h/"):
            remember_queue(store, "tally.w-1", "xrd-records", bus)
        known = known_queues(store)
        assert [queue.bus for queue in known] == ["amqp://u:***@h/", "/bus"]
        forget_queue(store, known[0])
        assert [type(queue) for queue in known_queues(store)] == [KnownQueue]
