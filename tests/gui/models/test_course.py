"""The course of a request in words: what each verdict says, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from gui.models.course import CourseView, elapsed, numbers_of, view_of
from gui.reconcile import Courses
from gui.store import VerdictKind
from tests.gui.reconcile.losses import run_with_losses
from tests.gui.workspaces import store, world  # noqa: F401 - fixtures


def view(world: Any, run: int, verdict: VerdictKind) -> CourseView:  # noqa: F811
    return view_of(Courses(world.store, run).of(world.store.requests(world.repeat, verdict=verdict)[0].id))


def facts(shown: CourseView) -> dict[str, str]:
    return {fact.name: fact.value for fact in shown.facts}


def stages(shown: CourseView) -> dict[str, tuple[str, str]]:
    return {stage.name: (stage.state, stage.text) for stage in shown.stages}


def test_a_lost_close_says_which_datagram_and_what_to_do(world) -> None:  # noqa: F811
    shown = view(world, run_with_losses(world), VerdictKind.MISSING)
    told = stages(shown)
    assert told["server sent"] == (
        "passed", "its close falls in the window of datagram 79; 78 and 80 of the same id were read, so 79 was sent"
    )  # fmt: skip
    assert told["shoveler read"][0] == "lost"
    assert told["loaded"][1].startswith("looked for until ")
    assert told["loaded"][1].endswith(", the pipeline was quiet")
    assert facts(shown)["How sure"] == "proven, by numbers and a counter"
    assert facts(shown)["Told apart from 1 other by"].startswith("server id …a13f, started ")
    assert shown.advice.bold == "What to do on the host of sh-b."
    assert [command.text for command in shown.advice.commands] == [
        "sysctl -w net.core.rmem_max=67108864", 'receive_buffer = "64MiB"'
    ]  # fmt: skip
    assert shown.strips_title == ("2 servers send from 192.0.2.1", "f-stream numbers, one row each")
    assert [span.row for span in shown.axis.spans] == ["datagram 78", "79, lost", "datagram 80"]
    assert shown.axis.drops[-1][1] == 1
    assert {"79", "lost here", "sysctl"} <= set(shown.text.replace(";", " ").replace(",", " ").split()) | {"lost here"}
    assert "lost here" in shown.text


def test_a_matched_request_tells_its_stages_too(world) -> None:  # noqa: F811
    shown = view(world, run_with_losses(world), VerdictKind.MATCHED)
    told = stages(shown)
    assert told["client"][1].startswith("asked 1,048,576 B, read 1,048,576 B, 1 operation, closed ")
    assert told["shoveler read"] == ("passed", "131 datagrams of this server taken during the run")
    assert told["collector consumed"] == ("passed", "130 of its datagrams seen during the run")
    assert told["recorded"] == ("passed", "1,048,576 B read")
    assert (shown.advice.bold, shown.advice.text) == ("Matched.", "Asked, read and recorded agree: 1,048,576 B.")
    assert "How sure" not in facts(shown)
    assert [span.row for span in shown.axis.spans] == ["request", "loaded"]


@pytest.mark.parametrize(
    ("verdict", "bold", "text"),
    [
        (VerdictKind.WRONG_BYTES, "Wrong bytes.", "Asked 1,048,576 B, recorded 100 B."),
        (VerdictKind.DUPLICATE, "Duplicate.", "2 records of one request, 2,097,152 B in all."),
        (VerdictKind.CLIENT_FAILED, "The client failed.", "[3011] no such file or directory"),
    ],
)
def test_every_verdict_has_its_sentence(world, verdict, bold, text) -> None:  # noqa: F811
    shown = view(world, run_with_losses(world), verdict)
    assert (shown.advice.bold, shown.advice.text) == (bold, text)


def test_what_the_plan_injected_needs_no_repair(world) -> None:  # noqa: F811
    shown = view(world, run_with_losses(world, fault="udp-loss for 30 s (2 % of all)"), VerdictKind.MISSING)
    assert shown.injected == "the plan asked for this loss"
    assert shown.advice.injected
    assert shown.advice.bold == "Injected by the plan, certain."
    assert shown.advice.text.startswith("udp-loss was on from 00:")
    assert shown.advice.more.startswith("Nothing to repair.")
    assert facts(shown)["How sure"] == "certain, injected by the plan"
    assert [span.kind for span in shown.axis.spans if span.row == "plan"] == ["fault"]


def test_stages_that_nobody_watched_say_so(world) -> None:  # noqa: F811
    run = run_with_losses(world, statuses=False)
    told = stages(view(world, run, VerdictKind.MATCHED))
    assert told["shoveler read"] == ("not watched", "no shoveler reported on this server during the run")
    assert told["collector consumed"] == ("not watched", "no collector reported on this server during the run")
    lost = view(world, run, VerdictKind.MISSING)
    assert facts(lost)["How sure"] == "unknown, no report decides it"
    assert lost.advice.bold == "Nothing decides where it was lost."


def test_numbers_of_one_byte_begin_again_after_255() -> None:
    assert [numbers_of(78, 1), numbers_of(78, 3), numbers_of(254, 2), numbers_of(255, 1)] == [
        "79", "79 to 81", "255 to 0", "0"
    ]  # fmt: skip
    assert [elapsed(18.2), elapsed(-3), elapsed(3605), elapsed(-0.2)] == ["00:18", "−00:03", "60:05", "00:00"]
