"""Assigns every request of a round to an agent, a slot and a session tag; fairly, and always in the same way.

Each server's requests go round all agents, and each agent's requests go round all its slots: every client uses every
server, and the counts of any two agents at one server, or of any two slots of one agent, differ by at most one.
Counting continues from round to round. An agent that is missing when a round is handed out is not in the list of that
round; what it was given before is never given to another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gui.campaign.draw import Draw
from gui.campaign.tags import TagBook, TagUse


class Assigned(NamedTuple):
    """A request with its owner; `use` identifies its tag."""

    use: TagUse
    path: str
    size: int
    seed: int
    share: int
    own: bool
    check: str = ""


class TagUser(NamedTuple):
    """Who asks which server: an agent's slot."""

    agent: str
    slot: int
    server: str


class Assigner:
    """Assigns the rounds of one repeat to agents and slots."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._book = TagBook()
        self._server_turn: Counter[str] = Counter()
        self._slot_turn: Counter[str] = Counter()

    def round(self, draws: Mapping[str, Sequence[Draw]], agents: Sequence[str]) -> list[Assigned]:
        """The requests of a round, in order. `draws` are by server URL, in the order of the servers."""
        assigned: list[Assigned] = []
        asked = [(offset, server, wanted) for offset, (server, wanted) in enumerate(draws.items()) if wanted]
        for place in range(max((len(wanted) for _, _, wanted in asked), default=0)):
            for offset, server, wanted in asked:
                if place >= len(wanted):
                    continue
                agent = agents[(self._server_turn[server] + offset) % len(agents)]
                self._server_turn[server] += 1
                slot = self._slot_turn[agent] % self._slots
                self._slot_turn[agent] += 1
                (path, size, check), seed, share, own = wanted[place]
                # A client's own file is made anew below its tag: there, only the name must not come twice.
                use = self._book.use(agent, slot, server, path.rpartition("/")[2] if own else path)
                assigned.append(Assigned(use, path, size, seed, share, own, check))
        return assigned

    def recall(self, made: Iterable[tuple[TagUser, str, str]]) -> None:
        """At the beginning: what was assigned before, in order, as (who and where, path, tag)."""
        for user, path, tag in made:
            self._server_turn[user.server] += 1
            self._slot_turn[user.agent] += 1
            self._book.supply([self._book.use(user.agent, user.slot, user.server, path)], [tag])

    def missing_tags(self, assigned: Sequence[Assigned]) -> list[TagUse]:
        """Tag uses of these requests that have no tag yet: allocate that many, then `supply` them."""
        return self._book.missing([request.use for request in assigned])

    def supply(self, uses: Sequence[TagUse], tags: Sequence[str]) -> None:
        """Set the tags for these uses."""
        self._book.supply(uses, tags)

    def tag(self, request: Assigned) -> str:
        """The session tag of a request. Raises KeyError if it was not supplied."""
        return self._book.tag(request.use)
