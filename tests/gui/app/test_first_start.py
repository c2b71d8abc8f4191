"""From the first start to a running hub and bus, by clicks and keys alone, with a real RabbitMQ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget

from agent.lab.broker import PrivateBroker
from gui.app import make_window
from gui.app.window import Window
from gui.runner.secrets import Secrets
from gui.runner.settings import FILE, MachineSettings, read_settings, write_settings
from gui.widgets.add_agent import AddAgentSheet
from gui.widgets.add_servers import AddServersSheet
from tests.gui.parts import page

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory where only the hub's place is set, so that tests do not meet at one port."""
    monkeypatch.delenv("TALLY_BUS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    place = tmp_path / "data"
    write_settings(place / FILE, MachineSettings({"hub.host": "127.0.0.1", "hub.port": "0"}))
    return place


def click(widget: QWidget) -> None:
    assert widget.isVisible(), widget
    assert widget.isEnabled(), widget
    QTest.mouseClick(widget, LEFT)


def press(parent: QWidget, text: str) -> None:
    click(next(b for b in parent.findChildren(QPushButton) if b.text() == text and b.isVisible()))


def step(window: Window, name: str) -> Any:
    return window.welcome.steps[name]


def sheet(window: Window, kind: type[Any]) -> Any:
    return next(found for found in window.frame.findChildren(kind) if found.isVisible())


def done(window: Window) -> list[str]:
    """The steps that the page calls done."""
    return [name for name, row in window.welcome.steps.items() if ": done." in row.accessibleName()]


@pytest.mark.broker
def test_from_the_first_start_to_a_running_hub_and_bus(qapp, drive, until, data, broker: PrivateBroker) -> None:
    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        settings = page(window, "settings")
        assert window.frame.current_page() == "welcome"
        assert done(window) == []

        click(step(window, "bus").button)
        assert (window.frame.current_page(), settings.section()) == ("settings", "bus")
        box = settings.bus.address.box
        QGuiApplication.clipboard().setText(broker.url)
        box.setFocus()
        QTest.keySequence(box, QKeySequence.StandardKey.Paste)
        assert box.text() == f"amqp://127.0.0.1:{broker.port}/"
        assert settings.bus.user.box.text() == broker.user
        click(settings.bus.test)
        await until(lambda: settings.bus.testing._word.text().startswith(("works", "all is well")))
        lines = settings.bus.found.texts()
        assert lines[0].startswith(f"Broker: 127.0.0.1:{broker.port} (127.0.0.1) answers")
        assert any("may be" in line or "Declare, " in line for line in lines)
        assert any("AMQP does not show policies" in line for line in lines)
        click(settings.apply)
        await until(lambda: settings.outcome.text() == "Kept; it is used when a workspace is opened.")
        assert broker.password not in (data / FILE).read_text()
        assert Secrets(data).file.stat().st_mode & 0o777 == 0o600
        press(settings, "Set-up")
        assert window.frame.current_page() == "welcome"
        await until(lambda: done(window) == ["bus"])

        click(step(window, "hub").button)
        await until(lambda: window.workspace is not None)
        assert window.frame.current_page() == "welcome", "the steps stay in front"
        await until(lambda: window.workspace is not None and window.workspace.records_state.connected)
        await until(lambda: done(window) == ["bus", "hub"])
        assert (
            step(window, "bus").words.text() == f"records come from amqp://{broker.user}:***@127.0.0.1:{broker.port}/"
        )

        click(step(window, "agent").button)
        invitation = sheet(window, AddAgentSheet)
        click(invitation.make)
        await until(lambda: invitation.command.text().startswith("tally-agent join "))
        invitation.close()
        click(step(window, "servers").button)
        servers = sheet(window, AddServersSheet)
        QGuiApplication.clipboard().setText("s1 root://xrd1.example.org\nroot://ada@xrd2.example.org\n")
        servers.box.setFocus()
        QTest.keySequence(servers.box, QKeySequence.StandardKey.Paste)
        await until(lambda: servers.add_button.isEnabled())
        assert servers.wrong.text().startswith("Line 2: ")
        click(servers.add_button)
        await until(lambda: [server.name for server in servers.listed.model.rows.all] == ["s1"])
        servers.close()
        await until(lambda: "servers" in done(window))
        assert window.frame.current_page() == "welcome"
        click(step(window, "plan").button)
        assert window.frame.current_page() == "plans"
        assert window.problems.table.model.rows.all == []
        window.frame.close()
        await window.done.wait()

    drive(story())


@pytest.mark.broker
def test_another_bus_is_used_without_a_restart(qapp, drive, until, data, tmp_path, broker: PrivateBroker) -> None:
    values = {"bus.address": f"amqp://127.0.0.1:{broker.port}", "bus.user": broker.user}
    write_settings(data / FILE, read_settings(data / FILE)[0].with_values(values))
    Secrets(data).write(f"bus {broker.user}@127.0.0.1:{broker.port}/", broker.password)

    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        assert await window.open_default()
        workspace = window.workspace
        assert workspace is not None
        await until(lambda: workspace.records_state.connected)
        window.go("settings", section="bus")
        settings = page(window, "settings")
        click(settings.bus.kind.buttons["folder"])
        QTest.keyClicks(settings.bus.folder.box, str(tmp_path / "bus"))
        click(settings.apply)
        await until(lambda: settings.outcome.text() == "Kept; the workspace connects to it now.")
        await until(lambda: workspace.records_state.connected)
        assert window.workspace is workspace, "nothing was closed"
        assert (tmp_path / "bus").is_dir()

        # A wrong password is a problem of the bus, in one sentence without it; the right one mends it.
        click(settings.bus.kind.buttons["rabbitmq"])
        QTest.keyClicks(settings.bus.secret.box, "mistaken")
        click(settings.apply)
        await until(lambda: "refuses the user" in workspace.records_state.trouble, 180)
        assert "mistaken" not in workspace.records_state.trouble
        await until(lambda: not settings.bus.secret.box.text())
        QTest.keyClicks(settings.bus.secret.box, broker.password)
        click(settings.apply)
        await until(lambda: workspace.records_state.connected)
        window.frame.close()
        await window.done.wait()

    drive(story())


def test_a_hub_that_moves_is_opened_again_by_a_click(qapp, drive, until, data) -> None:
    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        assert await window.open_default()
        before = window.workspace
        window.go("settings", section="hub")
        settings = page(window, "settings")
        public = settings.hub.rows["hub.public"].field()
        QTest.keyClicks(public, "hub.example.org")
        click(settings.apply)
        await until(lambda: settings.hub.reopen.isVisible())
        click(settings.hub.reopen)
        await until(lambda: window.workspace is not None and window.workspace is not before)
        assert window.workspace is not None
        assert window.workspace.hub.address.startswith("wss://hub.example.org:")
        await until(lambda: not settings.hub.reopen.isVisible())
        assert settings.hub.pin.text() == window.workspace.hub.pin
        window.frame.close()
        await window.done.wait()

    drive(story())


def test_a_run_without_a_bus_leads_to_the_settings(qapp, drive, until, data) -> None:
    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        assert await window.open_default()
        from gui.campaign.plan import Plan, Test

        window.run_plan(Plan("p", (Test(servers=("root://s1:1094",), files_per_server=1, per_round=1, seed=1),)))
        await until(lambda: window.problems.table.model.rows.all)
        (problem,) = window.problems.table.model.rows.all
        assert problem.text.startswith("There is no bus to take records from: name one in Settings > Bus")
        window.frame.close()
        await window.done.wait()

    drive(story())


def test_the_password_of_a_database_is_not_among_the_recent_workspaces(qapp, drive, until, data) -> None:
    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        assert await window.open_default()
        workspace = window.workspace
        assert workspace is not None
        workspace.options = replace(workspace.options, database="postgresql://ada:geheim@db.example.org/tally")
        window.runs_seen(workspace, ())
        kept = str(QSettings().value("recent"))
        assert "postgresql://ada@db.example.org/tally" in kept
        assert "geheim" not in kept
        window.frame.close()
        await window.done.wait()

    drive(story())


def test_a_lab_that_is_down_is_a_problem_and_the_workspace_opens(qapp, drive, until, data, tmp_path) -> None:
    lab = {"bus.kind": "lab", "bus.lab": str(tmp_path / "gone")}
    write_settings(data / FILE, read_settings(data / FILE)[0].with_values(lab))

    async def story() -> None:
        window = make_window(data)
        window.frame.show()
        click(step(window, "hub").button)
        await until(lambda: window.workspace is not None)
        await until(lambda: window.problems.table.model.rows.all)
        (problem,) = window.problems.table.model.rows.all
        assert "There is no lab in" in problem.text
        assert problem.remedy == "Start it, or name another bus in Settings > Bus."
        assert step(window, "bus").words.text() == "none is named yet, so no record can be loaded"
        assert window.workspace is not None
        assert window.workspace.local_clients is None
        window.frame.close()
        await window.done.wait()

    drive(story())
