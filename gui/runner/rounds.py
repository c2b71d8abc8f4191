"""The rounds of a repeat: drawn, assigned to clients and slots, stored, and split into messages."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence

from agent.messages import Request, Round
from gui.campaign.draw import Draw, draw_round
from gui.campaign.plan import File
from gui.campaign.preview import DEFAULT_BYTES
from gui.hub import Roster
from gui.runner.current import CurrentRepeat
from gui.store import NewRequest, Store

ROUND_REQUESTS = 5000
ROUND_BYTES = 2 * 2**20
"""Limits of one Round message, well below what an agent takes."""
WRITE_DIRECTORY = "/store/write"


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
            use, tag = request.use, assigner.tag(request)
            new.append(
                NewRequest(
                    tag,
                    request.path,
                    use.server,
                    identities[use.agent],
                    use.slot,
                    request.size,
                    request.seed,
                    round=parts[use.server],
                )
            )
            requests.setdefault(use.agent, []).append(
                Request(tag, use.slot, use.server, request.path, request.size, request.seed)
            )
        self._store.add_requests(repeat.id, new, time.time())
        return {client: list(split(repeat.job, number, own)) for client, own in requests.items()}

    def _draw(self, repeat: CurrentRepeat, place: int, number: int) -> list[Draw]:
        """Part `number` of the requests to the server at this place: the same in whichever round it is asked for."""
        one, test = repeat.resolved, repeat.resolved.test
        files: Sequence[File] = one.files
        count = test.round_size(number)
        if test.workload.kind == "write":
            directory = (test.files.dir or WRITE_DIRECTORY).rstrip("/")
            size = test.workload.bytes or DEFAULT_BYTES
            stem = f"{directory}/{self._token}-{one.number}-{repeat.number}-{place + 1}-{number}"
            files = [File(f"{stem}-{file}", size) for file in range(1, count + 1)]
        return draw_round(
            files, count, seed=test.seed, test=one.number, repeat=repeat.number, server=place, number=number
        )

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
