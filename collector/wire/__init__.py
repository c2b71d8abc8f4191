"""Datagrams decoded: bytes in, named values out. No state, no I/O.

Every datagram an XRootD server can send has one parser here, and every fact (a user id, a length, a time) has one parser
in the whole program. Lengths are checked before reading. What cannot be decoded is a `Reject` with a named reason, never
an exception that escapes, and a bad record loses only itself.
"""
