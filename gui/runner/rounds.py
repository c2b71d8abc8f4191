"""The rounds of a repeat: drawn, assigned to clients and slots, stored, and split into messages."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence

from agent.messages import Request, Round
from gui.campaign.assign import Assigned
from gui.campaign.doors import door_of
from gui.campaign.draw import Draw, draw_round
from gui.campaign.mix import Mix
from gui.campaign.plan import File
from gui.campaign.preview import DEFAULT_BYTES
from gui.hub import Roster
from gui.runner.current import CurrentRepeat
from gui.store import NewRequest, Store

ROUND_REQUESTS = 5000
ROUND_BYTES = 2 * 2**20
"""Limits of one Round message, well below what an agent takes."""


class Rounds:
    """Of one run."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store = store
        self._roster = roster
        self._token = secrets.token_hex(4)
        """Makes the names of written files unique."""

    def prepare(
        self, repeat: CurrentRepeat, number: int, clients: Sequence[str], parts: Mapping[str, int]
    ) -> dict[str, list[Round]]:
        """The messages of a handout by client; its requests are in the database when it returns. Blocking."""
        one, assigner = repeat.resolved, repeat.assigner
        # A server without a part keeps its place, which determines how requests go round the clients.
        draws = {
            server.url: self._draw(repeat, place, parts[server.url]) if server.url in parts else []
            for place, server in enumerate(one.servers)
        }
        assigned = assigner.round(draws, clients)
        uses = assigner.missing_tags(assigned)
        assigner.supply(uses, self._store.allocate_tags(len(uses)))
        identities = {client: self._identity(client) for client in clients}
        new: list[NewRequest] = []
        requests: dict[str, list[Request]] = {}
        for request in assigned:
            use, share, own = request.use, request.share, request.own
            tag, size, seed = assigner.tag(request), request.size, request.seed
            path = _own_path(request, tag, one.test.write_directory) if own else request.path
            new.append(
                NewRequest(
                    tag, path, use.server, identities[use.agent], use.slot, size, seed, share, round=parts[use.server]
                )
            )
            written = one.test.workloads[share].kind == "write"
            requests.setdefault(use.agent, []).append(
                Request(tag, use.slot, use.server, path, size, seed, share, own and not written, request.check)
            )
        self._store.add_requests(repeat.id, new, time.time())
        return {client: list(split(repeat.job, number, own)) for client, own in requests.items()}

    def _draw(self, repeat: CurrentRepeat, place: int, number: int) -> list[Draw]:
        """Part `number` of the requests to the server at this place: the same in whichever round it is asked for."""
        one, test = repeat.resolved, repeat.resolved.test
        workloads = test.workloads
        count = test.round_size(number)
        stem = f"{test.write_directory}/{self._token}-{one.number}-{repeat.number}-{place + 1}-{number}"
        new = [File(f"{stem}-{file}", 0) for file in range(1, count + 1)]
        drawn = draw_round(
            one.files or new, count, seed=test.seed, test=one.number, repeat=repeat.number, server=place, number=number
        )
        key = f"{test.seed}/{one.number}/{repeat.number}/{place}"
        mix = Mix([workload.weight for workload in workloads], key)
        first = (number - 1) * test.per_round
        server = one.servers[place].url
        draws = []
        for turn, (draw, file) in enumerate(zip(drawn, new, strict=True)):
            share = mix.share(first + turn)
            workload = workloads[share]
            if workload.kind == "write":
                draw = draw._replace(file=File(file.path, workload.bytes or DEFAULT_BYTES))
            own = server in one.own and door_of(server, workload).over_http
            draws.append(draw._replace(share=share, own=own))
        return draws

    def _identity(self, client: str) -> str:
        view = self._roster.find(client)
        assert view is not None
        return f"{view.kid}/{view.name}"


def again(repeat: CurrentRepeat, client: str) -> Iterator[Round]:
    """What a client was handed and has not reported as done, to be sent again."""
    by_number: dict[int, list[Request]] = {}
    for handed in repeat.undone.get(client, {}).values():
        by_number.setdefault(handed.number, []).append(handed.request)
    for number, requests in by_number.items():
        yield from split(repeat.job, number, requests)


def _own_path(request: Assigned, tag: str, directory: str) -> str:
    """The path of a client's own file, which has the tag in it. Below it, a tag has each name once (`Assigner`)."""
    return f"{directory}/{tag}/{request.path.rpartition('/')[2]}"


def split(job: str, number: int, requests: Sequence[Request]) -> Iterator[Round]:
    """The messages of a client's part of a round."""
    part: list[Request] = []
    size = 0
    for request in requests:
        part.append(request)
        size += 120 + len(request.path.encode()) + len(request.server)
        if len(part) == ROUND_REQUESTS or size >= ROUND_BYTES:
            yield Round(job=job, round=number, requests=part)
            part, size = [], 0
    if part:
        yield Round(job=job, round=number, requests=part)
