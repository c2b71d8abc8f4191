"""From datagrams to records: joins the datagrams that belong together.

In: datagrams with their sender and arrival time, in the order in which they came
(`Correlator.feed`), and the passing of time (`Correlator.advance`). Out: records (`Correlator.take`), and the state
rows that changed (`Correlator.changes`), so that the shell can commit both in one transaction. No I/O and no clock:
the time is always an argument, Unix seconds as a float, and never runs backwards inside.

Terms, used in this sense only:

*sender*        the socket a datagram came from, ``IP:PORT`` (``[IPv6]:PORT``)
*server*        an XRootD instance, known by its *sid*, a 48-bit number that survives restarts
*incarnation*   one process of a server: (sid, stod, sender address); state belongs to it and dies with it
*session*       one client connection, known by its dictid
*access*        one open-to-close of a file, known by (sid, stod, file id, tBeg)
*window*        [tBeg, tEnd] of a time record: records of an f-stream datagram have no other time
*orphan*        a close or progress record whose open is not (yet) known
*grace*         how long we wait for a datagram that may only be late
"""

from __future__ import annotations

from collector.correlate.correlator import Correlator
from collector.correlate.options import Options, Record

__all__ = ["Correlator", "Options", "Record"]
