"""Every kind of loss, each a round of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from losses.rig import Rig, Round

from shoveler.values.quantities import parse_size

_SMALL_SPOOL = {
    "tally-shoveler": [
        "env", "TALLY_SHOVELER_SPOOL_MAX_BYTES=1MiB", "TALLY_SHOVELER_SPOOL_RESERVE=0",
        sys.executable, "-m", "shoveler.cli",
    ],
}  # fmt: skip
_BURSTS: dict[str, Any] = {"files_per_server": 120, "per_round": 40}
_STEADY: dict[str, Any] = {
    "workload": 'kind = "long"\nreads = 2\npause = "100ms"\nbytes = "4KiB"',
    "wait": "0s",
}
"""Closes at every moment, so that a server that ends has some that it did not send yet."""


def _fault(do: str, at: float = 1, **keys: Any) -> str:
    lines = [f'[[test.fault]]\nat = "{at:g}s"\ndo = "{do}"']
    for key, value in keys.items():
        name = {"seconds": "for"}.get(key, key)
        lines.append(f'{name} = "{value:g}s"' if key == "seconds" else f"{name} = {value!r}".replace("'", '"'))
    return "\n".join(lines) + "\n"


def _ends(do: str) -> str:
    return "".join(_fault(do, at=1 + n / 2, seconds=2, server=f"s{n + 1:02d}") for n in range(4))


def _do(*words: str) -> Callable[[Rig], None]:
    return lambda rig: rig.fault(*words)


def _keep_spooled(rig: Rig) -> None:
    """The broker comes again for the tap, and the shoveler does not: what it holds stays in its spool."""
    rig.fault("kill-shoveler", "--for", "600s")
    rig.fault("broker-up")


def rounds() -> list[Round]:
    """All of them."""
    return [
        Round("kernel", _fault("udp-loss", percent=10, seconds=6), known=frozenset({"kernel"})),
        Round("wire", _fault("wire-loss", percent=10, seconds=6), known=frozenset({"wire"})),
        Round(
            "fragment",
            _fault("fragment-loss", percent=40, seconds=15),
            lab={"fbuff": parse_size("8KiB")},
            known=frozenset({"fragmentation"}),
            **_BURSTS,
        ),
        Round(
            "kernel-and-wire",
            _fault("udp-loss", percent=60, seconds=6, server="s03")
            + _fault("wire-loss", percent=60, seconds=6, server="s05"),
            known=frozenset({"kernel", "wire"}),
        ),
        Round("neighbour", _fault("wire-loss", percent=60, seconds=6, server="s07"), known=frozenset({"wire"})),
        Round(
            "refused",
            _fault("broker-down", at=0, seconds=25),
            lab={"programs": _SMALL_SPOOL},
            files_per_server=240,
            per_round=40,
            settle="60s",
            known=frozenset({"spool"}),
        ),
        Round(
            "unconfirmed",
            _fault("broker-down", at=1.5, seconds=600),
            at_end=_keep_spooled,
            settle="15s",
            later=frozenset({"queue", "load"}),
            known=frozenset({"spool", "queue", "load"}),
        ),
        Round(
            "collector-away",
            _fault("wire-loss", at=0, percent=3, seconds=600) + _fault("kill-collector", at=1.5, seconds=600),
            settle="40s",
            later=frozenset({"queue", "load"}),
            known=frozenset({"wire", "queue", "load"}),
        ),
        Round(
            "purged",
            deeds=((1, _do("kill-collector", "--for", "9s")), (5, Rig.purge)),
            known=frozenset({"queue"}),
        ),
        Round(
            "state-gone",
            deeds=((3, _do("kill-collector", "--for", "4s")), (5, Rig.forget_state)),
            workload='kind = "long"\nreads = 2\npause = "4s"\nbytes = "4KiB"',
            files_per_server=12,
            per_round=4,
            later=frozenset({"collector"}),
            known=frozenset({"collector"}),
        ),
        Round("server-killed", _ends("kill-server"), **_STEADY, known=frozenset({"server"})),
        Round("server-stopped", _ends("stop-server"), **_STEADY, known=frozenset({"server"})),
        Round(
            "login-lost",
            # until a while after the first open, however long a busy machine takes to get there
            before=_do("wire-loss", "--codes", "u", "--percent", "6"),
            deeds=((8, _do("wire-loss", "--codes", "u", "--percent", "0")),),
            files_per_server=120,
            wait="3s",
            known=frozenset({"wire"}),
        ),
        Round("cut-transfer", _fault("cut-transfer", at=1.2, server="s02"), **_STEADY, least=0),
        Round("client-killed", _fault("kill-agent", at=1.5, seconds=2), **_STEADY, least=0, least_failed=1),
    ]
