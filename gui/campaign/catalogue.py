"""Reads a list of test files, one ``PATH SIZE`` per line (``#`` begins a comment), and checks which paths are valid.

A checksum of the file's bytes may follow: ``PATH SIZE adler32:1A2B3C4D``."""

from __future__ import annotations

import re

from gui.campaign.plan import File
from shoveler.values.quantities import parse_size

MAX_PROBLEMS = 20
MAX_PATH = 1023
"""Maximum bytes of a path in XRootD; servers of 5.5 abort when they monitor the open of a longer one."""

MAX_SIZE = 2**63 - 1
"""Bytes of a file: XRootD and the database keep them in 63 bits."""

_CHECKSUM = re.compile(r"(?P<rest>.*?)[ \t]+adler32:(?P<sum>[0-9A-Fa-f]{8})[ \t]*", re.DOTALL)
_LINE = re.compile(r"(?P<path>.*[^ \t]|)(?P<gap>[ \t]*[ \t])(?P<size>[^ \t]+)[ \t]*", re.DOTALL)


class CatalogueError(ValueError):
    """A file list cannot be used; the text names every problem with its line."""


def path_objection(path: str) -> str:
    """Why a path cannot be requested, as part of a sentence; empty if it can.

    A request is recognised by its path, so it must be exactly the text that the server reports: servers merge repeated
    slashes and resolve dots, and what follows a ``?`` is not part of the path (it may be a token, so it is not shown).
    """
    bare, mark, _ = path.partition("?")
    shown = bare if len(bare) <= 60 else f"{bare[:60]}…"
    if not path.startswith("/"):
        return f"a path begins with '/', not {shown[:40]!r}"
    if mark:
        return f"the path {shown!r} goes on with a '?': what follows it is not part of the path; leave it out"
    if "\n" in path or "\r" in path or "\0" in path:
        return f"the path {shown!r} holds a line break or NUL, which XRootD cannot be asked for"
    if "//" in path:
        return f"the path {shown!r} has repeated slashes, which the server merges; write one"
    if "." in path and {".", ".."} & set(path.split("/")):
        return f"the path {shown!r} has a component '.' or '..', which the server resolves; write it without"
    if path.endswith("/"):
        return f"the path {shown!r} ends in '/': that is a directory"
    if len(path) * 4 > MAX_PATH and (size := len(path.encode("utf-8", "surrogatepass"))) > MAX_PATH:
        return f"the path {shown!r} has {size:,} bytes; XRootD keeps {MAX_PATH:,}"
    return ""


def parse_list(text: str, *, name: str = "file list") -> tuple[File, ...]:
    """The files of a list, in its order. Sizes are bytes or text such as ``1MiB``. Raises CatalogueError.

    Lines end only at LF or CRLF: names may contain every other character. Path and size are separated by one blank or
    one tab.
    """
    files: dict[str, File] = {}
    problems: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        content = line.removesuffix("\r").lstrip(" \t")
        if not content.strip(" \t") or content.startswith("#"):
            continue
        try:
            summed = _CHECKSUM.fullmatch(content)
            check = f"adler32:{summed['sum'].lower()}" if summed else ""
            found = _LINE.fullmatch(summed["rest"] if summed else content)
            if found is None or not found["path"]:
                raise ValueError('expected "PATH SIZE"')
            path, size_text = found["path"], found["size"]
            if len(found["gap"]) > 1:
                raise ValueError(
                    f"{len(found['gap'])} blanks or tabs stand between {path[:60]!r} and its size; write one, so that "
                    "it is clear where the name ends"
                )
            if objection := path_objection(path):
                raise ValueError(objection)
            size = parse_size(int(size_text) if size_text.isascii() and size_text.isdecimal() else size_text)
            if size > MAX_SIZE:
                raise ValueError(f"{size_text} bytes are more than a file can have")
            known = files.setdefault(path, File(path, size, check))
            if known.size != size:
                raise ValueError(f"{path} is listed twice with different sizes")
            if known.check != check:
                raise ValueError(f"{path} is listed twice with different checksums")
        except ValueError as error:
            problems.append(f"{name}, line {number}: {error}.")
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"… and {len(problems) - MAX_PROBLEMS:,} more."]
    if problems:
        raise CatalogueError("\n".join(problems))
    if not files:
        raise CatalogueError(f"{name} contains no files; write one PATH SIZE per line.")
    return tuple(files.values())
