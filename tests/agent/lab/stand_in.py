"""Stand-ins for our daemons, to test the lab without them, each a program: ``python stand_in.py KIND``.

``shoveler`` and ``collector`` understand the settings by which the lab starts a daemon and answer /healthz and
/metrics. A shoveler takes datagrams from the socket that it is handed and writes their first bytes, a line each, to the
file ``taken`` in its spool directory; what is in the file ``complaint`` there, it says of its health. ``broken`` ends
at once. ``agent`` is ``tally-agent lab supervise``, ``up`` is ``tally-agent lab up`` with the options, as JSON, in the
next argument.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from agent.lab.options import LabOptions
from shoveler.service import Counts, Health, MonitorServer, Signals, listen_fds, new_registry, parse_address


def programs(**instead: str) -> dict[str, list[str]]:
    """For `LabOptions.programs`: every program is a stand-in; ``shoveler="broken"`` takes another kind."""
    kinds = {"agent": "agent", "shoveler": "shoveler", "collector": "collector"} | instead
    return {f"tally-{program}": [sys.executable, __file__, kind] for program, kind in kinds.items()}


def main(kind: str) -> int:
    if kind == "broken":
        print("this daemon cannot start today", file=sys.stderr)
        return 2
    if kind == "agent":
        from agent.lab import supervisor

        return supervisor.main()
    if kind == "up":
        from agent.lab import cli

        return cli.bring_up(msgspec.json.decode(sys.argv[2], type=LabOptions), foreground="--foreground" in sys.argv)
    return daemon(kind)


def daemon(kind: str) -> int:
    signals, registry, health = Signals.install(), new_registry(), Health()
    taken = Counts(registry, "shoveler_packets_received", "Datagrams taken.")
    variable = "TALLY_SHOVELER_METRICS" if kind == "shoveler" else "TALLY_COLLECTOR_METRICS_LISTEN"
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
                    if (spool / "complaint").exists():
                        health.problem("test", (spool / "complaint").read_text())
                    continue
                out.write(datagram[:100].replace(b"\n", b" ") + b"\n")
                taken.add()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
