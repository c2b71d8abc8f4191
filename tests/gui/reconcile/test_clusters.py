from __future__ import annotations

from typing import Any

from gui.reconcile import by_server, places, score
from gui.store import TestSpec


def test_losses_are_told_by_server_and_round(any_world: Any) -> None:
    world = any_world
    world.begin(TestSpec(2, 20, 10))
    servers = ["root://s01.example.org:1094", "root://s02.example.org:1094"]
    asked = []
    for number in (1, 2):
        paths = [f"/store/test/{number}-{place}" for place in range(10)]
        asked += [world.ask(server=server, number=number, paths=paths) for server in servers]
    for requests in asked:
        world.read(*requests)
    world.record(*asked[0][3:], *asked[1], *asked[2], *asked[3][:9])
    entry = score(world.store, world.repeat, "settle", world.tick())
    ids = {server.url: server.server_id for server in by_server(world.store, [entry.id])}
    assert places(world.store, [entry]) == {entry.id: {(ids[servers[0]], 0): 3, (ids[servers[1]], 1): 1}}


def test_nothing_is_read_where_nothing_was_lost(world: Any) -> None:
    world.begin(TestSpec(1, 4, 4))
    asked = world.ask(4)
    world.read(*asked)
    world.record(*asked)
    assert places(world.store, [score(world.store, world.repeat, "settle", world.tick())]) == {}
