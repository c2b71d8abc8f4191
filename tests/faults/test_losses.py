"""Why a record is missing, in short (tests/soak/campaign_losses.py has every kind of loss, on 50 servers).

The injector writes down what it took. An answer that is called certain must be right, and of all answers 98 %.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from losses.play import play
from losses.rounds import rounds

pytestmark = [pytest.mark.broker, pytest.mark.xrootd]

SERVERS = 8
SHORT = ("kernel-and-wire", "fragment", "purged", "server-stopped")


@pytest.mark.parametrize("name", SHORT)
def test_the_right_stage_is_named(name: str) -> None:
    (this,) = [one for one in rounds() if one.name == name]
    result = play(this, SERVERS)
    assert result["faults"] == [], result["examples"]
    right = result["certain right"] + result["probably right"]
    assert right >= 0.98 * result["misses"], result["examples"]
