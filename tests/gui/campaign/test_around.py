"""What stands in the way of a plan here, by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.messages import Workload
from gui.campaign.around import NO_FILES, Around, Listing, mistakes
from gui.campaign.plan import Fault, File, Files, Labelled, Test, Who
from gui.campaign.selection import Client, Server

HERE = Around(
    servers=(Server("s1", "root://s1:1094"), Server("s2", "root://s2:1094", ("EU",))),
    clients=(Client("c1", "1"), Client("c2", "2", ready=False)),
    lab_files=(File("/a", 7),),
)
TEST = Test(servers=2, files_per_server=10, per_round=5)


def test_nothing_stands_in_the_way() -> None:
    assert mistakes(TEST, HERE) == {}
    assert HERE.files_of(TEST) == (File("/a", 7),)


@pytest.mark.parametrize(
    ("test", "field", "said"),
    [
        (replace(TEST, servers=3), "servers", "The plan asks for 3 servers, but there are 2 servers here."),
        (replace(TEST, servers=("s3",)), "servers", "There is no server 's3' (the nearest is 's2')."),
        (replace(TEST, servers=Labelled("US")), "servers", "No server has the label 'US'; the labels are EU."),
        (replace(TEST, who=Who(("c3",))), "clients", "There is no client 'c3' (the nearest is 'c2')."),
        (replace(TEST, who=Who(("x", "c1", "yy"))), "clients", "There are no clients 'x', 'yy'."),
        (replace(TEST, files=Files(list="gone.txt")), "files", "It cannot be read."),
    ],
)
def test_each_mistake_is_said_at_its_field(test: Test, field: str, said: str) -> None:
    around = replace(HERE, lists={"gone.txt": Listing(error="It cannot be read.")})
    assert mistakes(test, around) == {field: said}


@pytest.mark.parametrize("who", [Who(5), Who(("c2",)), Who("all"), Who(Labelled("night"))])
def test_a_run_waits_for_clients_that_are_known_or_only_counted(who: Who) -> None:
    assert mistakes(replace(TEST, who=who), HERE) == {}


def test_files_are_needed_to_read_and_not_to_write() -> None:
    alone = replace(HERE, lab_files=None)
    assert mistakes(TEST, alone) == {"files": NO_FILES}
    assert mistakes(TEST, replace(HERE, lab_files=())) == {"files": "The lab has no files."}
    assert mistakes(replace(TEST, workload=Workload("write")), alone) == {}
    assert mistakes(replace(TEST, files=Files(dir="/store")), alone) == {}
    assert mistakes(replace(TEST, files=Files(list="being-read.txt")), alone) == {}


def test_faults_that_cannot_be_injected_are_named() -> None:
    around = replace(HERE, cannot=lambda faults: [f"No {fault.do} here." for fault in faults])
    faults = (Fault(1, "kill-agent"), Fault(2, "broker-restart"))
    assert mistakes(replace(TEST, faults=faults), around) == {"faults": "No kill-agent here. No broker-restart here."}
