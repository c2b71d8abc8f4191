"""Log lines on standard error, as text or JSON, without secrets at any level.

What comes from outside cannot forge a line: a message is one line, in which control characters are shown as ``·``, and
a traceback is indented. Secrets are protected twice: a setting marked secret is never printed, and every line passes
through `redact`, which hides passwords in URLs, bearer tokens and JWTs, whoever logged them (even a library at debug
level).
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from typing import IO, Any

# user:password@ in a URL; the password ends at the last @ before a slash, blank or quote, since passwords may have an
# @.
_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s:@/'\"]*):[^\s/'\"]*@", re.IGNORECASE)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+")
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*")

HIDDEN = "***"


def redact(text: str) -> str:
    """The text with passwords in URLs, bearer tokens and JWTs replaced by ``***``."""
    if "://" in text:
        text = _URL.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    if "earer" in text or "EARER" in text:
        text = _BEARER.sub(rf"\g<1>{HIDDEN}", text)
    return text


class LineFormatter(logging.Formatter):
    """Each message in one line, see the module. Without a format it is the message alone."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        record.message = _shown(record.getMessage())
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        text = self.formatMessage(record)
        if record.exc_info:
            lines = self.formatException(record.exc_info).splitlines()
            text = "\n".join([text, *(f"    {_shown(line)}" for line in lines)])
        return redact(text)


def _shown(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


class _TextFormatter(LineFormatter):
    def __init__(self, *, bare: bool = False) -> None:
        """`bare`: without what the journal keeps itself."""
        head = "" if bare else "%(asctime)s %(levelname)-7s "
        super().__init__(head + "%(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        return time.gmtime(seconds)


class _JournalFormatter(logging.Formatter):
    """For systemd's journal, which has the time and wants the priority (sd-daemon(3)) in front of each line."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(priority + line for line in self._inner.format(record).splitlines())


_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def _is_journal(stream: IO[str]) -> bool:
    """Whether the stream goes to the journal: systemd says which file that is, since a shell may redirect it."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file at all
        return False
    return named == f"{found.st_dev}:{found.st_ino}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # Redacted before it becomes JSON: afterwards, escaped quotes would hide where a password ends.
        text = json.dumps({key: redact(value) for key, value in entry.items()}, ensure_ascii=False)
        return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def setup_logging(form: str = "text", level: str = "info", *, stream: IO[str] | None = None) -> logging.Handler:
    """Send all logging to standard error (or `stream`) as ``text`` or ``json``; levels debug, info, warning, error.

    Lines for systemd's journal begin with their priority, and as text they have no time: the journal has it. Replaces
    existing handlers, so calling it again (reload) changes level and format. Returns the handler.
    """
    if form not in ("text", "json"):
        raise ValueError(f"log form {form!r} is neither text nor json")
    handler = logging.StreamHandler(stream or sys.stderr)
    journal = _is_journal(handler.stream)
    formatter = _JsonFormatter() if form == "json" else _TextFormatter(bare=journal)
    handler.setFormatter(_JournalFormatter(formatter) if journal else formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # pika logs every socket event, and a warning for every passive declaration of something that does not exist yet.
    # What matters reaches us as an exception, which we log in one line.
    logging.getLogger("pika").setLevel(logging.DEBUG if root.level <= logging.DEBUG else logging.CRITICAL)
    return handler


class RateLimited:
    """Logs a repeating warning at most once per `interval` seconds and key, saying how many were suppressed.

    The keys are a few fixed names of situations, chosen by the callers; never use an address from the wire as a key.
    """

    def __init__(
        self, logger: logging.Logger, interval: float = 30.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._interval = interval
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}

    def warning(self, key: str, message: str, *args: object) -> None:
        """Log `message % args` as a warning, unless `key` was logged less than the interval ago."""
        self.log(logging.WARNING, key, message, *args)

    def log(self, level: int, key: str, message: str, *args: object) -> None:
        """As `warning`, at any level."""
        now = self._clock()
        last, suppressed = self._last.get(key, (-1e18, 0))
        if now - last < self._interval:
            self._last[key] = (last, suppressed + 1)
            return
        self._last[key] = (now, 0)
        if suppressed:
            message += f" ({suppressed} more like this in the last {now - last:.0f} s)"
        self._logger.log(level, message, *args)

    def forget(self, key: str) -> None:
        """The situation is over: the next one is logged at once."""
        self._last.pop(key, None)
