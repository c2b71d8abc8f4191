"""The short form of tests/soak/campaign_intervals.py: fewer pairs, the cells that are hardest; the seed is fixed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOAK = Path(__file__).parents[2] / "soak"


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    """The campaign, whose neighbours are found while it is loaded."""
    sys.path.insert(0, str(SOAK))
    try:
        spec = importlib.util.spec_from_file_location("tally_campaign_intervals", SOAK / "campaign_intervals.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SOAK))
    return module


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
@pytest.mark.parametrize(
    "loss", ["each datagram by itself", "bursts of one server", "one bad server, the same in both runs"]
)
def test_alarms_are_rare_and_intervals_hold_the_truth(campaign: ModuleType, loss: str, rate: float) -> None:
    for size in campaign.SIZES[2:4]:
        if campaign.possible(loss, size, rate):
            alarms, covered = campaign.calibrate(loss, size, rate, 200, 7)
            assert (alarms <= campaign.MOST_ALARMS, covered >= campaign.LEAST_COVERED) == (True, True), (
                f"{size}: {alarms} % false alarms, {covered} % covered"
            )


def test_a_tenfold_loss_is_found_in_a_test_that_is_large_enough(campaign: ModuleType) -> None:
    found = [campaign.found("each datagram by itself", size, 100, 7) for size in campaign.WORSE]
    assert found == sorted(found)
    assert found[-2] >= 95, campaign.WORSE[-2]
