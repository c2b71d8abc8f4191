"""What the imports of other programs' settings have in common: their environment files, and writing ours.

A settings file of a service is read by the user `SERVICE_USER` and may contain a password: root writes it as 0640,
root:tally, anybody else as 0600. One that is there keeps its owner and mode, and is replaced only if that is asked for.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from shoveler.service.settings import Mistake

SERVICE_USER = "tally"


class WriteError(Exception):
    """The settings cannot be written; one sentence."""


def environment_file(text: str) -> dict[str, str]:
    """The variables of a file for systemd's ``EnvironmentFile=``: NAME=VALUE, quotes as in a shell, # for remarks."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith(("#", ";")):
            continue
        with contextlib.suppress(ValueError):  # an unclosed quote: systemd takes the text as it is, too
            value = " ".join(shlex.split(value))
        found[name.strip()] = value
    return found


def write_settings(path: Path, text: str, *, force: bool) -> None:
    """Write a settings file whole or not at all. Raises WriteError."""
    before = path.stat() if path.exists() else None
    if before is not None and not force:
        raise WriteError(f"{path} is there already; --force replaces it")
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            if before is not None:
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
            elif os.geteuid() == 0 and (group := _group()) is not None:
                os.fchown(file.fileno(), 0, group)
                os.fchmod(file.fileno(), 0o640)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise WriteError(f"{path}: cannot be written: {error.strerror}") from None


def _group() -> int | None:
    try:
        return grp.getgrnam(SERVICE_USER).gr_gid
    except KeyError:
        return None


def as_service_user(look: Callable[[], Sequence[Mistake]]) -> tuple[list[Mistake], bool]:
    """(what `look` finds, whether it looked as the user that services run as): for root, who can read everything, where
    that user exists. `look` runs in a process of its own then, and must not print."""
    if os.geteuid() != 0:
        return list(look()), False
    try:
        user = pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return list(look()), False
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the parent may run in here: neither its cleaning-up nor its handlers.
        code = 1
        try:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            os.write(write, json.dumps([list(mistake) for mistake in look()]).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read()
    _pid, status = os.waitpid(child, 0)
    if status != 0:
        return list(look()), False
    return [Mistake(*each) for each in json.loads(found)], True


def cannot_read(path: Path) -> list[Mistake]:
    """A mistake, if the user of services cannot read a file that root sees."""

    def look() -> list[Mistake]:
        return [] if os.access(path, os.R_OK) else [Mistake(str(path), "cannot be read")]

    found, as_user = as_service_user(look)
    return found if as_user and path.exists() else []
