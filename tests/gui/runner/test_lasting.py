"""Faults that are still on in the lab: whose they are, when they end, and what ends them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.messages import LabFault, LabState
from gui.reconcile import ForeignFault
from gui.runner import lasting
from gui.runner.lab import LabMissingError
from gui.store import MarkerRow
from tests.gui.runner.test_lab import STATE, write
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures

NOW = 1_760_000_000.0


def lab_of(directory: Path, *faults: LabFault) -> LabState:
    state = msgspec.structs.replace(STATE, directory=str(directory), active=list(faults))
    write(directory, state)
    return state


async def test_a_fault_of_a_run_is_known_by_what_the_lab_has_said_of_it(make_workspace, world, tmp_path) -> None:  # noqa: F811
    now = time.time()
    run = world.begin()
    world.store.add_marker(run, MarkerRow(now - 5, "fault", "udp-loss for 60 s (2 % of all)"))
    world.store.add_marker(run, MarkerRow(now - 4.5, "fault", "2 % of all datagrams are lost for 60 s"))
    lab = lab_of(
        tmp_path,
        LabFault("udp-loss", now - 4.5, now + 55.5, percent=2.0, text="2 % of all datagrams are lost for 60 s"),
        LabFault("wire-loss", now - 4.5, now + 90, "s07", text="by hand"),
        LabFault("kill-shoveler", now - 60, now - 1, text="over, whatever stands there"),
    )
    workspace = make_workspace(store=world.store, lab=lab)
    one, other = await lasting.lasting_faults(workspace)
    assert (one.do, one.run, one.percent) == ("udp-loss", run, 2.0)
    assert (other.do, other.run, other.server) == ("wire-loss", 0, "s07")
    said = lasting.sentence((one, other))
    assert f"udp-loss of run {run} is still on, until " in said
    assert "wire-loss that no run here began (s07) is still on" in said
    assert lasting.remedy(lab, (one, other)) == (
        f"End it: tally-agent lab fault udp-loss --percent 0 --dir {tmp_path} && "
        f"tally-agent lab fault wire-loss --percent 0 --dir {tmp_path}."
    )


async def test_without_a_lab_nothing_is_on_and_one_that_is_gone_is_said(make_workspace, tmp_path) -> None:
    assert await lasting.lasting_faults(make_workspace(store=None, lab=None)) == ()
    gone = make_workspace(store=None, lab=msgspec.structs.replace(STATE, directory=str(tmp_path)))
    with pytest.raises(LabMissingError):
        await lasting.lasting_faults(gone)
    assert await lasting.faults_at_start(gone) == (), "a run that begins has other ways to notice that"


def test_what_ends_by_itself_only_is_waited_for(tmp_path: Path) -> None:
    held: Any = ForeignFault("kill-collector", NOW, NOW + 9, run=3)
    down = ForeignFault("broker-down", NOW, run=3)
    assert not lasting.can_be_ended(held)
    assert lasting.remedy(STATE, (held,)) == "Wait until it is over."
    assert (
        lasting.remedy(STATE, (down, held)) == "End it: tally-agent lab fault broker-up --dir /d. Wait for the others."
    )
    assert lasting.sentence(()) == ""
