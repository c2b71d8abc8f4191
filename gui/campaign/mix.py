"""Which workload of a mix a request belongs to. Pure, and always the same for equal seeds.

As in `gui.campaign.draw`, only ``Random.random()`` is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import gcd
from random import Random
from typing import Any

from agent.messages import HTTP, Workload

_NOT_OVER_HTTP = {
    "long": "'long' needs root or roots; an HTTP request leaves no file open",
    "past_end": "'past_end' needs root or roots; over HTTP servers announce more bytes than they then send",
}


def kind_objection(kind: str, protocol: Any) -> str:
    """Why a workload of this kind does not exist over this protocol, as part of a sentence; empty if it does."""
    if protocol in HTTP:
        return _NOT_OVER_HTTP.get(kind, "")
    return ""


def workload_words(workload: Workload) -> str:
    """What is done with each file, in a few words: ``vector read over https``."""
    kind = {
        "full": "full file",
        "range": "one range",
        "vector": "vector read",
        "long": "long reading",
        "past_end": "past the end",
        "write": "write",
    }[workload.kind]
    return f"{kind} over {workload.protocol}" if workload.protocol else kind


class Mix:
    """Shares out the requests to one server, which are numbered from 0. In each cycle every workload comes as often as
    its weight says, in an order drawn from `key`: so the shares are exact, and nobody can tell what comes next."""

    def __init__(self, weights: Sequence[int], key: str) -> None:
        """`weights` are positive."""
        divisor = gcd(*weights)
        self._cycle = [place for place, weight in enumerate(weights) for _ in range(weight // divisor)]
        self._key = key
        self._drawn: tuple[int, list[int]] = (-1, [])
        """The number of a cycle, and its order."""

    def share(self, number: int) -> int:
        """The place of the workload, in the order of the weights."""
        cycle, place = divmod(number, len(self._cycle))
        if self._drawn[0] != cycle:
            self._drawn = (cycle, self._order(cycle))
        return self._drawn[1][place]

    def _order(self, cycle: int) -> list[int]:
        order = list(self._cycle)
        random = Random(int.from_bytes(blake2b(f"{self._key}/mix/{cycle}".encode(), digest_size=16).digest())).random
        for place in range(len(order) - 1):
            other = place + int(random() * (len(order) - place))
            order[place], order[other] = order[other], order[place]
        return order
