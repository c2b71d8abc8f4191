"""The whole story, by clicks and keys alone: from the first start to what has changed between two runs."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QDoubleSpinBox, QLineEdit, QSpinBox

from gui.app import make_window
from shoveler.service.programs import program_command
from tests.gui.app.person import Person

LOST = "wire-loss"
REQUESTS = 8 * 40


def reached(person: Person, step: str) -> None:
    """A step of the story is done; pictures of the story are taken here."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    """A lab of 8 servers with small files, a RabbitMQ of its own, and a relay that can lose datagrams."""
    place = tmp_path / "lab"
    orders = [*program_command("tally-agent"), "lab"]
    sizes = ["--files", "40", "--file-size", "4KiB", "--large-files", "0"]
    subprocess.run([*orders, "up", "--dir", str(place), "--servers", "8", "--relay", *sizes], check=True, timeout=300)
    try:
        yield place
    finally:
        subprocess.run([*orders, "down", "--dir", str(place)], check=True, timeout=120)


@pytest.fixture
def other_account(own_places: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Run a command of the form ``tally-agent …`` as somebody else does: as root under another account, else with
    another home at least.

    Our interpreter may be in a home directory that nobody else may enter: reading is allowed for that account."""
    home = own_places / "home"
    home.mkdir()
    started: list[subprocess.Popen[bytes]] = []

    def run(command: str) -> subprocess.Popen[bytes]:
        program, *arguments = shlex.split(command)
        as_other: list[str] = []
        if os.getuid() == 0:
            account = pwd.getpwnam("nobody")
            os.chown(home, account.pw_uid, account.pw_gid)
            may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
            ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
            as_other = ["setpriv", *ids, *may_read]
        environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        with (home.parent / "agent.log").open("ab") as log:
            started.append(
                subprocess.Popen(
                    [*as_other, *program_command(program), *arguments],
                    env=environment, cwd=home, stdout=log, stderr=log,
                )
            )  # fmt: skip
        return started[-1]

    yield run
    for process in started:
        process.terminate()
        process.wait(30)


@pytest.mark.broker
def test_from_the_first_start_to_what_changed_between_two_runs(
    qapp, drive, tmp_path: Path, monkeypatch, window_manager, lab: Path, other_account
) -> None:
    monkeypatch.delenv("TALLY_BUS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    report = tmp_path / "why-they-are-missing"
    failed: list[Exception] = []

    async def story() -> None:
        window = make_window(tmp_path / "data")
        window.frame.show()
        person = Person(window.frame)
        try:
            await person.until(window.frame.isActiveWindow, "the window in front")
            await set_up(person)
            await plan_with_a_fault(person)
            await look_before_and_run(person)
            await find_why(person)
            await write_report(person)
            await run_without_the_fault(person)
            await compare(person)
            await person.press("Ctrl+Q")
            await person.until(window.done.is_set, "the end of the window")
        except Exception as error:  # the window is closed in order first
            failed.append(error)
            window.frame.close_at_once()
            await asyncio.wait_for(window.done.wait(), 60)

    async def set_up(person: Person) -> None:
        await person.sees("Set up a real test")
        reached(person, "first-start")
        # Bus.
        await person.click("Bus: Set up…")
        await person.click("Lab on this machine")
        await person.write("Lab", str(lab), QLineEdit)
        await person.click("Test")
        await person.sees("works; ", " to look at")
        reached(person, "bus")
        await person.click("Apply")
        await person.sees("Kept; it is used when a workspace is opened.")
        # Hub, at any free port.
        await person.click("Hub and TLS")
        await person.write("Port", "0", QLineEdit)
        await person.write("Listens on", "127.0.0.1", QLineEdit)
        await person.click("Apply")
        await person.sees("Kept; it is used when a workspace is opened.")
        reached(person, "hub-settings")
        await person.click("Set-up")
        await person.click("Hub: Start the hub")
        await person.sees("agents join wss://127.0.0.1:")
        await person.sees("records come from amqp://")
        await person.sees("8 servers: s01, s02, s03 and 5 more")
        reached(person, "hub")
        # An agent on another account.
        await person.press("Ctrl+I")
        await person.sees("no invitation yet")
        await person.click("Make invitation")
        await person.sees("waiting for the agent")
        reached(person, "invitation")
        await person.click("Copy")
        other_account(QGuiApplication.clipboard().text())
        await person.sees("connected as ")
        reached(person, "agent")
        await person.press("Return")  # Done
        await person.sees("3 clients up: ")
        reached(person, "set-up")

    async def plan_with_a_fault(person: Person) -> None:
        await person.click("First plan: Choose plan…")
        await person.click("New plan")
        await person.write("Name", "some are lost", QLineEdit)
        await person.write("Servers", "all", QLineEdit)
        await person.write("Requests", "10", QSpinBox)
        await person.write("Files", "40", QSpinBox)
        await person.write("Settle at most", "30", QDoubleSpinBox)
        await person.choose("Add fault", LOST)
        await person.write("Share of the datagrams", "40", QDoubleSpinBox)
        await person.write("Begin of the fault", "00:00", QDoubleSpinBox)
        await person.write("Duration of the fault", "8", QDoubleSpinBox)
        await person.click("Save")
        await person.sees("320 requests")
        reached(person, "plan")

    async def look_before_and_run(person: Person) -> None:
        await person.click("Preflight")
        await person.sees("A run that is started now keeps this with it.")
        reached(person, "preflight")
        await person.click("Run some are lost")
        await person.sees("Progress of this repeat")
        reached(person, "live")

    async def find_why(person: Person) -> None:
        await person.find("Report…", QAbstractButton)
        await person.sees("Run 1")
        reached(person, "result")
        shown = await person.until(
            lambda: next((text for text in person.texts() if re.fullmatch(r"Show the \d+ missing", text)), ""),
            "the button that shows what is missing",
        )
        missing = int(shown.split()[2])
        assert 0 < missing < REQUESTS, f"{missing} of {REQUESTS} requests are missing; the fault loses 40 %"
        await person.click(shown)
        await person.sees(f"{missing} of {REQUESTS}")
        reached(person, "missing")
        await person.open_row("Requests", "missing")
        await person.sees("shoveler read: lost here")
        await person.sees(LOST)
        reached(person, "evidence")
        await person.press("Esc")

    async def write_report(person: Person) -> None:
        await person.click("Report…")
        await person.find("Preview of the report")
        reached(person, "report")
        await person.click("Save…")
        await person.write("File name:", str(report), QLineEdit)
        await person.click("Save")
        await person.sees(f"Written: {report}.html")
        await person.find("Open", QAbstractButton)
        text = Path(f"{report}.html").read_text()
        assert "some are lost" in text
        reached(person, "written")

    async def run_without_the_fault(person: Person) -> None:
        await person.click("Plans")
        await person.click("Remove")
        await person.sees("No fault. The pipeline is tested as it is.")
        reached(person, "plan-without")
        await person.click("Run some are lost")
        await person.sees("Progress of this repeat")
        await person.until(lambda: {"Run 2", "Report…"} <= set(person.texts()), "the result of run 2")
        await person.sees("1 of 1 test reached 100 %")
        reached(person, "second-result")

    async def compare(person: Person) -> None:
        await person.click("Compare…")
        await person.row("Results", "Success", "100.00 %")
        await person.row("Plan and environment", "faults", LOST, "none")
        reached(person, "compare")

    drive(story())
    if failed:
        raise failed[0]
