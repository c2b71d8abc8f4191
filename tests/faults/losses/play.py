"""A round from nothing to its row of the table."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from losses.rig import Rig, Round
from losses.truth import Truth, row

EXAMPLES = 8
"""Wrong attributions that a result shows with their evidence."""


def play(this: Round, servers: int) -> dict[str, Any]:
    """Play it: its row, what really happened, and as ``faults`` what is not as it must be. Raises RigError.

    What must be right is the stage. Which datagram is named is counted: windows have whole seconds, and where a login
    and another close were lost in the same second the wrong one of the two can be named."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tally-losses-", ignore_cleanup_errors=True) as directory:
        rig = Rig(Path(directory), this, servers)
        try:
            told, report, entries, after = rig.play()
        finally:
            rig.close()
    truth = Truth(entries, after)
    judged = [truth.judge(one) for one in told]
    found = row(judged)
    faults = []
    if found["certain wrong"]:
        faults.append(f"{found['certain wrong']} answers are called certain and are wrong")
    if found["misses"] < this.least:
        faults.append(f"only {found['misses']} requests are missing, so that nothing was shown")
    failed = report["tests"][0]["repeats"][0]["scorings"][-1]["client_failed"]
    if failed < this.least_failed:
        faults.append(f"only {failed} requests failed at the client, so that nothing was shown")
    stray = {stage for one in judged for stage in one.stages} - this.known
    if stray or found["unexplained"]:
        faults.append(
            f"the log proves nothing of {found['unexplained']} misses, and tells of {sorted(stray)}, not meant"
        )
    if truth.overruns:
        faults.append(f"the relay lost {truth.overruns} datagrams by itself")
    wrong = [one for one in judged if not one.right or (one.datagram is False and not one.doubtful)]
    newest = report["tests"][0]["repeats"][0]
    scoring = newest["scorings"][-1]
    return found | {
        "requests": scoring["total"],
        "matched": scoring["matched"],
        "missing": scoring["missing"],
        "client failed": scoring["client_failed"],
        "wrong bytes": scoring["wrong_bytes"],
        "datagrams lost": dict(truth.lost),
        "settled": newest["repeat"].get("settle_reason", ""),
        "examples": [
            {
                "server": one.told.server, "tag": one.told.tag, "path": one.told.path, "told": one.told.lost_at,
                "certain": one.told.certain, "cause": one.told.cause, "datagram": one.told.datagram,
                "true": sorted(one.stages),
            }
            for one in wrong[:EXAMPLES]
        ],
        "faults": faults,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
