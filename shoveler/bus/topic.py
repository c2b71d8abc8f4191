"""Topic bindings as in AMQP: words between dots, ``*`` is one word, ``#`` any number of words."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=256)
def _compiled(binding: str) -> re.Pattern[str]:
    # Each word is matched together with the dot before it, so that "#" can stand for no word and no dot at all.
    words = {"#": r"(?:\.[^.]*)*", "*": r"\.[^.]*"}
    return re.compile("".join(words.get(word, re.escape("." + word)) for word in _words(binding)))


@lru_cache(maxsize=4096)
def matches(binding: str, routing_key: str) -> bool:
    """Whether a queue with this binding gets messages with this routing key."""
    return (
        binding == "#" or _compiled(binding).fullmatch("".join("." + word for word in _words(routing_key))) is not None
    )


def _words(text: str) -> list[str]:
    return text.split(".") if text else []  # RabbitMQ's view: an empty key has no word, where "." has two
