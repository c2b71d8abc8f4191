"""Reading a list of test files: one ``PATH SIZE`` per line, ``#`` begins a comment."""

from __future__ import annotations

from gui.campaign.durations import parse_size
from gui.campaign.plan import File

MAX_PROBLEMS = 20


class CatalogueError(ValueError):
    """A list of files cannot be used; the text names every problem with its line."""


def parse_list(text: str, *, name: str = "file list") -> tuple[File, ...]:
    """The files of a list, in its order. Sizes are bytes or text such as ``1MiB``. Raises CatalogueError."""
    files: dict[str, int] = {}
    problems: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        path, _, size_text = content.rpartition(" ")
        path = path.rstrip()
        try:
            if not path:
                raise ValueError('expected "PATH SIZE"')
            if not path.startswith("/"):
                raise ValueError(f"a path begins with '/', not {path[:40]!r}")
            size = parse_size(int(size_text) if size_text.isdecimal() else size_text)
            if files.setdefault(path, size) != size:
                raise ValueError(f"{path} is listed twice with different sizes")
        except ValueError as error:
            problems.append(f"{name}, line {number}: {error}.")
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"… and {len(problems) - MAX_PROBLEMS:,} more."]
    if problems:
        raise CatalogueError("\n".join(problems))
    if not files:
        raise CatalogueError(f"{name} holds no files; write one PATH SIZE on each line.")
    return tuple(File(path, size) for path, size in files.items())
