"""A stand-in for our daemons, to test the lab without them: ``python stand_in.py shoveler|collector|broken``.

It understands the settings by which the lab starts a daemon, answers /healthz and /metrics, and as a shoveler takes
datagrams from the socket that it is handed. What it took is in its spool directory, in the file ``taken``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from shoveler.service import Counts, Health, MonitorServer, Signals, listen_fds, new_registry, parse_address


def main(kind: str) -> int:
    if kind == "broken":
        print("this daemon cannot start today", file=sys.stderr)
        return 2
    signals, registry, health = Signals.install(), new_registry(), Health()
    taken = Counts(registry, "shoveler_packets_received", "Datagrams taken.")
    variable = "TALLY_SHOVELER_METRICS" if kind == "shoveler" else "TALLY_COLLECTOR_METRICS"
    with MonitorServer(parse_address(os.environ[variable]), registry, health):
        if kind == "collector":
            signals.stopping.wait()
            return 0
        spool = Path(os.environ["TALLY_SHOVELER_SPOOL_DIR"])
        spool.mkdir(parents=True, exist_ok=True)
        (socket,) = listen_fds()
        socket.settimeout(0.2)
        with (spool / "taken").open("ab", buffering=0) as out:
            while not signals.stopping.is_set():
                try:
                    datagram = socket.recv(65536)
                except TimeoutError:
                    continue
                out.write(datagram[:100].replace(b"\n", b" ") + b"\n")
                taken.add()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
