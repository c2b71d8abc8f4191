"""Map messages: ``= d i u U T p x``, each a user id and a text after an id (format reference, section 5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from collector.wire.header import RejectedError, parse_header, text_of
from collector.wire.userid import UserId, parse_userid

MAX_INFO = 4096
"""Servers send at most 1280 bytes of text."""

_DICTID = Struct(">I")


class Map(NamedTuple):
    """One map message. `detail` is the text after the user id's line, None when there was no second line."""

    code: str
    dictid: int
    userid: UserId
    detail: str | None


class Ident(NamedTuple):
    """Second line of ``=``: what a server says about itself. None: absent or empty."""

    site: str | None
    port: int | None
    instance: str | None
    program: str | None
    version: str | None


class Login(NamedTuple):
    """Second line of ``u``. Keys as in the format reference, section 5.3; None: absent or empty."""

    auth: str | None = None
    name: str | None = None
    host: str | None = None
    vo: str | None = None
    role: str | None = None
    groups: str | None = None
    info: str | None = None
    release: str | None = None
    executable: str | None = None
    moninfo: str | None = None
    ip: str | None = None


class Token(NamedTuple):
    """``T``: the identity in a token; `session` is the dictid of the ``u`` it belongs to."""

    session: int
    subject: str | None
    username: str | None
    org: str | None
    role: str | None
    groups: str | None


class Flow(NamedTuple):
    """``U``: the SciTags experiment and activity numbers of a session."""

    session: int
    experiment: str | None
    activity: str | None


class Purged(NamedTuple):
    """``p``: a file was removed by ``frm_purged``."""

    path: str
    removed: int | None
    size: int | None
    atime: int | None
    ctime: int | None
    mtime: int | None
    name_is: str | None


class Transferred(NamedTuple):
    """``x``: a file was staged or migrated by ``frm_xfrd``. Durations in seconds."""

    path: str
    ended: int | None
    size: int | None
    queued: int | None
    took: int | None
    operation: str | None
    code: int | None
    program: str | None


def parse_map(data: bytes) -> Map:
    """Any map message. Text is cut at the first NUL: servers send stray memory after it (section 5).

    Raises RejectedError: short, length, map_text, userid.
    """
    header = parse_header(data)
    if header.end < 12:
        raise RejectedError("short", f"a map message of {header.end} bytes has no dictid")
    info = data[12 : header.end].partition(b"\0")[0]
    if len(info) > MAX_INFO:
        raise RejectedError("map_text", f"{len(info)} bytes of text; servers send at most 1280")
    (dictid,) = _DICTID.unpack_from(data, 8)
    first, newline, detail = text_of(info).partition("\n")
    try:
        userid = parse_userid(first)
    except RejectedError:
        if header.code != "=" or "&pgm=" not in detail:
            raise
        userid = UserId("=", "", 0, 0, "", first)  # dCache's plug-in sends the words themselves: user.pid:sid@host
    return Map(header.code, dictid, userid, detail if newline else None)


_LATER = "[A-Za-z][A-Za-z0-9_.-]{0,31}(?!=[^&/][^&]*/[A-Za-z]+=)"
"""A key that a later version may add: it ends the value before it, except where a DN continues (``/O=A&b=c/CN=d``)."""


def _splitter(keys: str, *, last: str | None = None) -> Callable[[str | None], dict[str, str]]:
    """A parser of ``&key=value…`` that splits only before a key: values are not escaped and may have ``&``. The first
    of two equal keys wins: the server's own security layer comes before the client. All that follows the key `last` is
    its value.
    """
    pattern = re.compile(f"&({keys})=")

    def split(text: str | None) -> dict[str, str]:
        if not text:
            return {}
        text = text if text.startswith("&") else "&" + text
        before, mark, rest = text.partition(f"&{last}=") if last else (text, "", "")
        parts = pattern.split(before)
        found: dict[str, str] = {}
        for key, value in zip(parts[1::2], parts[2::2], strict=True):
            found.setdefault(key, value)
        if last and mark:
            found.setdefault(last, rest)
        return found

    return split


_ident_keys = _splitter(f"site|port|inst|pgm|ver|{_LATER}")
_login_keys = _splitter(f"[pnhorgmRxyI]|{_LATER}")
_token_keys = _splitter(f"Uc|s|un|n|o|r|g|{_LATER}")
_flow_keys = _splitter(f"Uc|Ec|Ac|{_LATER}")
_purge_keys = _splitter(f"tod|sz|at|ct|mt|fn|{_LATER}")
_transfer_keys = _splitter(f"tod|sz|qt|tm|op|rc|{_LATER}", last="pd")


def number_of(text: str | None) -> int | None:
    """A decimal number (with a sign) of at most 63 bits, or None."""
    if not text or len(text) > 20:
        return None
    digits = text[1:] if text[0] == "-" else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if -(1 << 63) < number < 1 << 63 else None


def port_of(number: int | None) -> int | None:
    """A port number, or None when it cannot be one (0 stands for none)."""
    return number if number is not None and 0 < number < 1 << 16 else None


def parse_ident(detail: str | None) -> Ident:
    """Second line of ``=``. Values are not URL-escaped and may be empty."""
    keys = _ident_keys(detail)
    return Ident(
        keys.get("site") or None,
        port_of(number_of(keys.get("port"))),
        keys.get("inst") or None,
        keys.get("pgm") or None,
        keys.get("ver") or None,
    )


def parse_login(detail: str | None) -> Login:
    """Second line of ``u``, which may be missing altogether."""
    keys = _login_keys(detail)
    return Login(*(keys.get(key) or None for key in "pnhorgmRxyI"))


def parse_token(detail: str | None) -> Token:
    """Second line of ``T``. Raises RejectedError: map_text, when it does not name its session."""
    keys = _token_keys(detail)
    username = keys.get("n") or keys.get("un")
    values = (keys.get("s"), username, *map(keys.get, "org"))
    return Token(_session(keys), *((value or "").strip() or None for value in values))


def parse_flow(detail: str | None) -> Flow:
    """Second line of ``U``; 0 stands for an invalid flow (section 5.3). Raises RejectedError: map_text."""
    keys = _flow_keys(detail)
    session = _session(keys)
    experiment, activity = keys.get("Ec") or None, keys.get("Ac") or None
    if experiment == "0" and activity == "0":
        experiment = activity = None
    return Flow(session, experiment, activity)


def _session(keys: dict[str, str]) -> int:
    """The dictid in ``Uc``; servers from before March 2026 print it as a signed number of 32 bits."""
    session = number_of(keys.get("Uc"))
    if session is not None and -(1 << 31) <= session < 0:
        session += 1 << 32
    if session is None or not 0 < session < 1 << 32:
        raise RejectedError("map_text", f"Uc={keys.get('Uc', '')[:20]!r} is not a session")
    return session


def parse_purged(detail: str | None) -> Purged:
    """Text of ``p`` after the user id: path, then its keys. Raises RejectedError: map_text."""
    path, keys = _path_and_keys(detail, _purge_keys)
    removed, size, atime, ctime, mtime = (number_of(keys.get(key)) for key in ("tod", "sz", "at", "ct", "mt"))
    return Purged(path, removed, size, atime, ctime, mtime, keys.get("fn") or None)


def parse_transferred(detail: str | None) -> Transferred:
    """Text of ``x`` after the user id: path, then its keys. Raises RejectedError: map_text."""
    path, keys = _path_and_keys(detail, _transfer_keys)
    ended, size, queued, took, code = (number_of(keys.get(key)) for key in ("tod", "sz", "qt", "tm", "rc"))
    return Transferred(path, ended, size, queued, took, keys.get("op") or None, code, keys.get("pd") or None)


def _path_and_keys(detail: str | None, split: Callable[[str | None], dict[str, str]]) -> tuple[str, dict[str, str]]:
    path, newline, rest = (detail or "").partition("\n")
    if not path or not newline:
        raise RejectedError("map_text", "expected a line with the path and a line with the keys")
    return path, split(rest)
