"""Publishing over AMQP: persistent, mandatory, confirms pipelined, in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from pika import spec

from shoveler.bus.address import BusAddress
from shoveler.bus.amqp_link import Link
from shoveler.bus.messages import Outcome, Outgoing
from shoveler.bus.options import BusOptions
from shoveler.bus.publish_frames import PublishFrames

_UNSENT_LIMIT = 4 << 20  # bytes that may wait for the socket: enough to keep it busy, little to hold in memory
_PIECE = 256 << 10  # bytes written at once: pika copies what the socket does not take of a piece


class AmqpPublisher:
    """A `Publisher` on one connection of its own. Declares the exchange when there is none."""

    def __init__(self, address: BusAddress, *, exchange: str, writer: str, options: BusOptions) -> None:
        self._window = options.window
        self._unconfirmed: dict[int, str] = {}  # delivery tag to message id, oldest first
        self._last_tag = 0
        self._returned: dict[str, list[str]] = {}
        self._outcomes: list[Outcome] = []
        self._link = Link(address, options, writer)
        try:
            self._link.declare_exchange(exchange)
            channel = self._link.channel
            channel.add_on_return_callback(self._on_return)
            self._link.request(channel.confirm_delivery, ack_nack_callback=self._on_confirm)
        except BaseException:
            self._link.close()
            raise
        self._frames = PublishFrames(exchange, channel.channel_number, self._link.frame_max)

    @property
    def pending(self) -> int:
        return len(self._unconfirmed) + len(self._outcomes)

    @property
    def room(self) -> int:
        return 0 if self._link.unsent > _UNSENT_LIMIT else max(0, self._window - len(self._unconfirmed))

    @property
    def blocked(self) -> str | None:
        return self._link.blocked

    def token_changed(self) -> bool:
        return self._link.token_changed()

    def send(self, messages: Sequence[Outgoing]) -> None:
        start, promised = 0, self.room
        while start < len(messages):
            stop = max(promised, start + self.room)
            if stop == start:
                self._link.serve(self._has_room, None)
                continue
            start = self._write(messages, start, min(len(messages), stop))
            self._link.serve(_at_once, 0.0)

    def outcomes(self, timeout: float) -> list[Outcome]:
        if not self._outcomes or self._link.failure is None:  # what arrived before a failure is still true
            self._link.serve(self._has_outcomes, timeout)
        arrived, self._outcomes = self._outcomes, []
        return arrived

    def close(self) -> None:
        self._link.close()

    # -- how ---------------------------------------------------------------------------------------------------------

    def _write(self, messages: Sequence[Outgoing], start: int, stop: int) -> int:
        """Write messages from `start` up to `stop`, at most one piece; returns the index of the next one."""
        frames: list[bytes] = []
        size = 0
        self._link.check()
        try:
            while start < stop and size < _PIECE:
                message = messages[start]
                size += self._frames.append(message, frames)
                self._last_tag += 1
                self._unconfirmed[self._last_tag] = message.id
                start += 1
        finally:  # a message that cannot be marshalled must not take those before it along: they have their tags
            if frames:
                self._link.write(b"".join(frames))
        return start

    def _has_room(self) -> bool:
        return self.room > 0

    def _has_outcomes(self) -> bool:
        return bool(self._outcomes)

    def _on_return(self, _channel: object, method: Any, properties: Any, _body: bytes) -> None:
        """An unroutable message comes back *before* it is acknowledged, and without a delivery tag: its id identifies
        it."""
        self._returned.setdefault(properties.message_id, []).append(
            f"{method.reply_text} ({method.reply_code}): no queue is bound to {method.exchange!r} for this message"
        )

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        refused = isinstance(method, spec.Basic.Nack)
        tag = method.delivery_tag
        if method.multiple:
            tags = list(takewhile(lambda known: known <= tag, self._unconfirmed))
        else:
            tags = [tag] if tag in self._unconfirmed else []
        for known in tags:
            self._outcomes.append(self._outcome(self._unconfirmed.pop(known), refused))

    def _outcome(self, identifier: str, refused: bool) -> Outcome:
        if self._returned and identifier in self._returned:
            reasons = self._returned[identifier]
            reason = reasons.pop()
            if not reasons:
                del self._returned[identifier]
            return Outcome(identifier, "returned", reason)
        if refused:
            return Outcome(
                identifier, "refused", "the broker refused the message (nack): a queue is full or unavailable"
            )
        return Outcome(identifier, "confirmed")


def _at_once() -> bool:
    """Never true: only the timeout ends the wait. A broker that does not read shows in `room`."""
    return True
