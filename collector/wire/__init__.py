"""Datagrams decoded: bytes in, named values out. No state, no I/O.

Every datagram that an XRootD server can send has one parser here, and every fact (a user id, a length, a time) has one
parser in the whole program. Lengths are checked before reading. What cannot be decoded raises `RejectedError` with a
reason of `REASONS`, and a bad record inside a good datagram loses only itself: it is named in the list of problems
beside the good ones.

``header``   the 8 bytes that most datagrams begin with, and what a first byte means
``userid``   ``prot/user.pid:sid@host`` and host names
``maps``     ``= d i u U T p x``: one text each
``fstream``  ``f``: opens, closes, progress, disconnects, with their time windows
``trace``    ``t``: single operations
``redirect`` ``r``: redirections
``gstream``  ``g`` and its two text forms: events of plug-ins
``summary``  XML and JSON summary reports
``tree``     any of them as nested names and values, for people to read
``fields``   the same with the bytes that each field is in

Text is decoded as UTF-8 with ``surrogateescape``: nothing is lost, and the writer decides what to do with bytes that
are not text.
"""

from __future__ import annotations

from collector.wire.header import REASONS, Header, Kind, RejectedError, classify, parse_header
from collector.wire.tree import tree

__all__ = ["REASONS", "Header", "Kind", "RejectedError", "classify", "parse_header", "tree"]
