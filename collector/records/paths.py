"""Facts from a path: its first directories, its logical directory, and which prefixes it is under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.records.text import put_text


def under(path: str, prefix: str) -> bool:
    """Whether `path` is `prefix` or below it by whole components: ``/store`` contains ``/store/x``, not ``/storex``."""
    bare = prefix.rstrip("/")
    return path == bare or path.startswith(bare + "/")


class Directories:
    """The table of logical directories: prefix → components kept; the longest matching prefix decides."""

    def __init__(self, table: Mapping[str, int]) -> None:
        self._table = sorted(table.items(), key=lambda row: len(row[0].rstrip("/")), reverse=True)
        self.depth = max([2, *table.values()])
        """Paths that share this many leading components have the same directory fields…"""
        self.prefixes = tuple(prefix for prefix, _ in self._table)

    def kept(self, path: str) -> int | None:
        """Number of components of this path that are its logical directory; None: it has none."""
        return next((count for prefix, count in self._table if under(path, prefix)), None)


def path_fields(path: str | None, directories: Directories) -> dict[str, Any]:
    """``filename``, ``dirname1``, ``dirname2``, ``logical_dirname`` of a path; {} when it is not known."""
    fields: dict[str, Any] = {}
    if not path:
        return fields
    put_text(fields, "filename", path)
    root = "/" if path.startswith("/") else ""
    parts = [part for part in path.split("/") if part]
    if parts:
        put_text(fields, "dirname1", root + parts[0])
    if len(parts) > 1:
        put_text(fields, "dirname2", root + "/".join(parts[:2]))
    kept = directories.kept(path)
    if kept is not None:
        put_text(fields, "logical_dirname", root + "/".join(parts[:kept]))
    return fields


def under_any(path: str | None, prefixes: Iterable[str]) -> bool:
    """Whether a path is under one of the prefixes."""
    return path is not None and any(under(path, prefix) for prefix in prefixes)
