"""What `verify` cannot compare, because nobody knows what it should be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gui.campaign.doors import doors_of
from gui.campaign.plan import File, Test
from gui.campaign.selection import Server

_IN_PART = ("range", "vector", "long", "past_end")
_CONTENT = "content:"


def unverified(test: Test, servers: Iterable[Server], files: Sequence[File]) -> list[str]:
    """A sentence for each thing that is read and not compared; none if all is, or nothing was to be."""
    if not test.verify or not test.reads:
        return []
    said = []
    bare = sum(not file.check for file in files)
    if bare:
        over = {door.over_http for server in servers for door in doors_of(test, server.url)}
        known = _files(bare) if bare == len(files) else f"{bare:,} of {len(files):,} files"
        what = [] if False not in over else ["over root they are not compared"]
        what += ["over HTTP only whole files are, where the server offers a checksum"] if True in over else []
        said.append(f"Of {known} no checksum is known: {', '.join(what)}.")
    kinds = sorted({one.kind for one in test.workloads if one.kind in _IN_PART})
    if kinds and any(file.check and not file.check.startswith(_CONTENT) for file in files):
        said.append(f"What {' and '.join(kinds)} read is not compared: the list has checksums of whole files only.")
    return said


def _files(count: int) -> str:
    return f"{count:,} file{'s' if count != 1 else ''}"
