"""Who asks for what: fair, always alike, and no tag ever asks twice for the same path."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gui.campaign.assign import Assigned, Assigner
from gui.campaign.draw import Draw, draw_round
from gui.campaign.plan import File


def run(
    *, agents: list[int], servers: int, slots: int, per_round: int, files: int
) -> tuple[list[list[Assigned]], list[tuple[str, Assigned]]]:
    """The rounds of a repeat, and all its requests with their tags. `agents`: how many are there in each round."""
    catalogue = [File(f"/f{number}", number) for number in range(files)]
    assigner, fresh = Assigner(slots), count()
    rounds, tagged = [], []
    for number, present in enumerate(agents, 1):
        draws = {
            f"root://s{place}": draw_round(catalogue, per_round, seed=1, test=1, repeat=1, server=place, number=number)
            for place in range(servers)
        }
        assigned = assigner.round(draws, [f"c{agent}" for agent in range(present)])
        uses = assigner.missing_tags(assigned)
        assigner.supply(uses, [f"tag{next(fresh)}" for _ in uses])
        rounds.append(assigned)
        tagged += [(assigner.tag(request), request) for request in assigned]
    return rounds, tagged


shapes = st.fixed_dictionaries(
    {
        "agents": st.lists(st.integers(1, 7), min_size=1, max_size=5),
        "servers": st.integers(1, 9),
        "slots": st.integers(1, 8),
        "per_round": st.integers(1, 30),
        "files": st.integers(1, 20),
    }
)


@settings(max_examples=100, deadline=None)
@given(shapes)
def test_tag_and_path_are_the_whole_key(shape: dict) -> None:
    _, tagged = run(**shape)
    keys = [(tag, request.path) for tag, request in tagged]
    assert len(set(keys)) == len(keys)
    owners: dict[str, set] = {}
    for tag, request in tagged:
        owners.setdefault(tag, set()).add((request.use.agent, request.use.slot, request.use.server))
    assert all(len(owner) == 1 for owner in owners.values()), "a tag belongs to one agent, slot and server"


@settings(max_examples=100, deadline=None)
@given(shapes)
def test_no_more_tags_than_repetitions_need(shape: dict) -> None:
    _, tagged = run(**shape)
    asked = Counter((request.use.agent, request.use.slot, request.use.server, request.path) for _, request in tagged)
    needed = Counter()
    for (*owner, _), times in asked.items():
        needed[tuple(owner)] = max(needed[tuple(owner)], times)
    assert len({tag for tag, _ in tagged}) == sum(needed.values())


@settings(max_examples=100, deadline=None)
@given(shapes, st.integers(1, 7))
def test_agents_and_slots_share_the_work_evenly(shape: dict, present: int) -> None:
    rounds, tagged = run(**{**shape, "agents": [present] * len(shape["agents"])})
    assert all(len(assigned) == shape["servers"] * shape["per_round"] for assigned in rounds)
    each = Counter(request.use.agent for _, request in tagged)
    counts = [each[f"c{agent}"] for agent in range(present)]
    assert max(counts) - min(counts) <= shape["servers"]
    for server in {request.use.server for _, request in tagged}:
        here = Counter(request.use.agent for _, request in tagged if request.use.server == server)
        counts = [here[f"c{agent}"] for agent in range(present)]
        assert max(counts) - min(counts) <= 1, "every client meets every server"
    for agent in range(present):
        own = Counter(request.use.slot for _, request in tagged if request.use.agent == f"c{agent}")
        counts = [own[slot] for slot in range(shape["slots"])]
        assert max(counts) - min(counts) <= 1


def test_the_same_again() -> None:
    shape: dict[str, Any] = {"agents": [2, 2, 1], "servers": 3, "slots": 4, "per_round": 5, "files": 7}
    assert run(**shape) == run(**shape)


def test_who_is_missing_changes_who_asks_and_not_what_is_asked() -> None:
    shape = {"servers": 3, "slots": 4, "per_round": 5, "files": 50}
    all_there, _ = run(agents=[3, 3, 3], **shape)
    one_missing, _ = run(agents=[3, 2, 3], **shape)
    for one, other in zip(all_there, one_missing, strict=True):
        assert sorted((r.use.server, r.path, r.seed) for r in one) == sorted(
            (r.use.server, r.path, r.seed) for r in other
        )
    assert {request.use.agent for request in one_missing[1]} == {"c0", "c1"}
    assert [request.use.agent for request in one_missing[0]] == [request.use.agent for request in all_there[0]]


def test_a_clients_own_files_are_told_apart_by_their_names() -> None:
    """Below a tag they lie side by side, whatever directories the catalogue has them in."""
    assigner = Assigner(1)
    draws = [Draw(File(path, 1), 1, 0, own=True) for path in ("/a/f", "/b/f", "/a/g", "/c/f")]
    assigned = assigner.round({"root://s": [*draws, Draw(File("/a/f", 1), 1)]}, ["c1"])
    assert [request.use.ordinal for request in assigned] == [0, 1, 0, 2, 0]
    assert [request.own for request in assigned] == [True] * 4 + [False]
