"""What is written down when a run begins: what can be read, and the agents of the chosen servers only."""

from __future__ import annotations

from pathlib import Path

from agent.messages import ServerReport
from gui.hub.roster import AgentView
from gui.runner.surroundings import kernel_values, server_facts


def test_kernel_values_are_those_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "net/core").mkdir(parents=True)
    (tmp_path / "net/core/rmem_max").write_text("212992\n")
    (tmp_path / "net/ipv4").mkdir(parents=True)
    (tmp_path / "net/ipv4/udp_mem").write_text("1\t2\t3\n")
    found = kernel_values(tmp_path)
    assert found.pop("release")
    assert found == {"net.core.rmem_max": "212992", "net.ipv4.udp_mem": "1 2 3"}


def test_agents_beside_the_chosen_servers_say_what_they_see() -> None:
    report = ServerReport(
        t=1.0, server="root://s1:1094", answering=True, xrootd="v5.7.3", site="SITE-A", mtu=1500,
        monitor_line="xrootd.monitor all dest fstat info user mon.example.org:9993",
    )  # fmt: skip
    views = [
        AgentView(
            "k/1", "k", "a1", "server", "up", host="h1", servers=("root://s1:1094",), reports={"root://s1:1094": report}
        ),
        AgentView("k/2", "k", "a2", "server", "up", host="h2", servers=("root://s2:1094",)),
        AgentView("k/3", "k", "c1", "client", "up", host="h3"),
    ]
    (one,) = server_facts(views, {"root://s1:1094"})
    assert (one["name"], one["site"], one["xrootd"], one["mtu"]) == ("a1", "SITE-A", "v5.7.3", 1500)
    assert one["monitoring"].endswith("mon.example.org:9993")
    assert [facts["name"] for facts in server_facts(views, {"root://s2:1094", "root://s1:1094"})] == ["a1", "a2"]
