"""Opening, moving between and leaving workspaces; what goes wrong stands in Problems; what is set survives."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtGui import QGuiApplication

import gui.pages.result.presenter as result_module
from gui.app import make_window
from gui.app.actions import set_theme
from gui.app.window import Window
from gui.hub import HubOptions
from gui.models.plans import NEW_PLAN
from gui.runner.options import WorkspaceOptions
from gui.store import Store
from gui.widgets.add_agent import AddAgentSheet
from gui.widgets.theme import theme
from tests.gui.parts import page, part


def options(tmp_path, name: str = "work.db") -> WorkspaceOptions:
    hub = HubOptions(directory=tmp_path / "hub", host="127.0.0.1", port=0, insecure=True)
    return WorkspaceOptions(database=tmp_path / name, hub=hub, bus=str(tmp_path / "bus"))


def problems(window: Window) -> list[str]:
    return [problem.text for problem in window.problems.table.model.rows.all]


async def close(window: Window) -> None:
    window.frame.close()
    await asyncio.wait_for(window.done.wait(), 120)


def opened(tmp_path) -> Window:
    window = make_window(tmp_path / "data")
    window.frame.show()
    return window


def test_a_file_that_is_no_database_is_named_with_what_to_do_and_another_one_opens(qapp, drive, tmp_path) -> None:
    (tmp_path / "letter.db").write_text(
        "Dear operator, this is no database at all, however long you look at it.\n" * 99
    )

    async def story() -> None:
        window = opened(tmp_path)
        assert not await window.open(options(tmp_path, "letter.db"))
        (text,) = problems(window)
        assert "letter.db" in text
        assert "Traceback" not in text
        assert window.problems.isVisible()
        assert "Problems" in window.frame.problems_button.text()
        assert await window.open(options(tmp_path))
        assert window.frame.windowTitle() == "Tally – work"
        await close(window)

    drive(story())


def test_a_database_of_a_newer_version_is_declined_politely(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        window.leave()
        await until(lambda: window.workspace is None)
        assert window.frame.workspace_button.text() == "No workspace"
        await asyncio.wait({window.home.task})  # type: ignore[type-var]
        with closing(sqlite3.connect(tmp_path / "work.db")) as connection, connection:
            connection.execute("update alembic_version set version_num = '9999'")
        connection.close()
        assert not await window.open(options(tmp_path))
        (text,) = problems(window)
        assert "newer" in text
        await close(window)

    drive(story())


def test_a_bad_or_newer_database_never_closes_the_one_that_is_open(qapp, drive, tmp_path) -> None:
    (tmp_path / "letter.db").write_text("Dear operator, this is no database at all.\n" * 99)
    with Store(tmp_path / "newer.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "newer.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = '9999'")

    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        before = window.workspace
        assert before is not None
        for name, said in (("letter.db", "letter.db"), ("newer.db", "newer"), ("no/such/folder.db", "folder.db")):
            assert not await window.open(options(tmp_path, name))
            assert window.workspace is before
            newest = window.problems.table.model.rows.all[0]
            assert said in newest.text
            assert newest.remedy.startswith("work stays open.")
            assert window.frame.workspace_button.text() == "work"
        assert await window.workspace.blocking(window.workspace.store.runs) == []  # and it works
        assert await window.open(options(tmp_path, "two.db"))
        assert window.workspace is not before
        assert window.frame.workspace_button.text() == "two"
        await close(window)

    drive(story())


def test_of_two_that_are_asked_for_while_one_is_open_the_last_one_is_opened(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        loop = asyncio.get_running_loop()
        first = loop.create_task(window.open(options(tmp_path, "one.db")))
        await asyncio.sleep(0)
        second = loop.create_task(window.open(options(tmp_path, "two.db")))
        assert await first is False
        assert await second is True
        assert window.frame.workspace_button.text() == "two"
        await close(window)

    drive(story())


def test_two_moves_at_once_end_in_the_last_one_and_only_that_is_open(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        first = asyncio.get_running_loop().create_task(window.open(options(tmp_path, "one.db")))
        await asyncio.sleep(0)
        second = asyncio.get_running_loop().create_task(window.open(options(tmp_path, "two.db")))
        assert await first is False
        assert await second is True
        assert window.frame.workspace_button.text() == "two"
        assert problems(window) == []
        await close(window)

    drive(story())


def test_closing_while_a_workspace_is_being_opened_and_while_a_dialog_is_open(qapp, drive, tmp_path) -> None:
    async def opening() -> None:
        window = opened(tmp_path)
        attempt = asyncio.get_running_loop().create_task(window.open(options(tmp_path)))
        await asyncio.sleep(0)
        await close(window)
        assert await attempt is False

    async def dialog() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        part(window, "fleet").add_agent()
        window.opening.ask()
        await asyncio.sleep(0.1)
        await close(window)

    drive(opening())
    drive(dialog())


def test_a_preset_that_was_changed_is_kept_when_the_window_is_closed(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        page(window, "plans").form.repeats.setValue(7)
        await close(window)

    drive(story())
    (kept,) = (tmp_path / "data" / "plans").glob("*.toml")
    assert "repeats = 7" in kept.read_text()


def test_a_run_without_a_workspace_says_so(qapp, drive, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        window.frame.run_button.click()
        assert problems(window) == ["No workspace is open."]
        await close(window)

    drive(story())


def test_a_report_that_cannot_be_written_and_a_fault_of_our_own_are_sentences(
    qapp, drive, until, tmp_path, caplog
) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        monkey = pytest.MonkeyPatch()
        monkey.setattr(result_module, "write_report", refuse)
        await part(window, "result").presenter.write_report(1, tmp_path / "report.html")
        monkey.undo()
        assert problems(window) == [f"The report cannot be written to {tmp_path / 'report.html'}: Permission denied."]
        window.background(broken(), "read a test")
        await until(lambda: len(problems(window)) == 2)
        (text,) = (text for text in problems(window) if "report.html" not in text)
        assert text == "Internal error (KeyError); nothing else is affected."
        await close(window)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    async def broken() -> None:
        raise KeyError("requests")

    drive(story())
    assert "read a test failed" in caplog.text


def test_a_run_that_cannot_begin_is_a_problem_and_the_buttons_come_back(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        window.run_plan(NEW_PLAN)
        await until(lambda: problems(window))
        await until(lambda: window.frame.run_button.isEnabled() and window.frame.run_button.isVisible())
        assert not window.frame.stop_button.isEnabled()
        assert "server" in problems(window)[0]
        await close(window)

    drive(story())


def test_run_names_its_plan_and_leads_to_what_keeps_it_from_running(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        plans = page(window, "plans")
        plans.new_plan()
        await until(lambda: "Cannot run “new plan”" in window.frame.run_button.toolTip())
        assert window.frame.run_button.text() == "Run new plan"
        assert window.frame.actions_by_name["run"].text() == "Run new plan"
        window.frame.go("fleet")
        window.frame.run_button.click()
        assert window.frame.current_page() == "plans"
        assert "but there is no server here" in plans.form.message("servers")
        assert not problems(window)
        await close(window)

    drive(story())


def test_preflight_of_the_open_plan_is_in_the_menu(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        window.frame.actions_by_name["preflight"].trigger()
        assert page(window, "preflight").why.text().startswith("No workspace is open")
        assert await window.open(options(tmp_path))
        await until(lambda: window.workspace.records_state.connected)
        page(window, "plans").new_plan()
        window.frame.actions_by_name["preflight"].trigger()
        shown = page(window, "preflight")
        await until(lambda: shown.rows and shown.badge._word.text().endswith("failed"))
        assert shown.rows["bus"].word.text() == "ok"
        assert shown.rows["clients"].word.text() == "failed"
        assert shown.rows["answers"].word.text() == "not checked"
        assert shown.crumbs.links[0].text() == "new plan"
        window.leave()
        await until(lambda: shown.why.text().startswith("No workspace is open"))
        await close(window)

    drive(story())


def test_adding_an_agent_makes_a_command_that_stays_plain_text(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        part(window, "fleet").add_agent()
        sheet = part(window, "fleet").presenter.sheet
        assert isinstance(sheet, AddAgentSheet)
        sheet.make.click()
        await until(lambda: sheet.command.text() or sheet.error.text())
        assert sheet.command.text().startswith("tally-agent join "), sheet.error.text()
        assert sheet.command.text().endswith(" --insecure"), "this hub is without TLS: as pasted, it must work"
        sheet.copy.click()
        assert QGuiApplication.clipboard().text() == sheet.command.text()
        sheet.close()
        await close(window)

    drive(story())


def test_a_sheet_that_is_closed_before_its_invitation_is_made_troubles_nobody(qapp, drive, until, tmp_path) -> None:
    async def story() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path))
        assert window.workspace is not None
        part(window, "fleet").add_agent()
        sheet = part(window, "fleet").presenter.sheet
        assert isinstance(sheet, AddAgentSheet)
        sheet.make.click()
        sheet.close()
        store = window.workspace.store
        await until(store.invitations)
        await until(lambda: not [task for task in window.tasks.tasks if task.get_name() == "invite"])
        assert problems(window) == []
        await close(window)

    drive(story())


def test_page_theme_filter_widths_and_recent_survive_a_restart(qapp, drive, tmp_path) -> None:
    async def first() -> None:
        window = opened(tmp_path)
        assert await window.open(options(tmp_path, "<b>odd & name.db"))
        window.frame.go("runs")
        set_theme("dark")
        page(window, "fleet").servers.filter_box.setText("config:xfr")
        page(window, "fleet").clients.view.setColumnWidth(1, 234)
        window.frame.resize(1300, 800)
        await close(window)

    async def second() -> None:
        window = opened(tmp_path)
        assert window.frame.current_page() == "welcome"
        (recent,) = window.welcome.recent.model.rows.all
        assert recent.where.endswith("<b>odd & name.db")
        assert page(window, "fleet").servers.filter_box.text() == "config:xfr"
        assert page(window, "fleet").clients.view.columnWidth(1) == 234
        assert (window.frame.width(), window.frame.height()) == (1300, 800)
        assert await window.open(options(tmp_path, "<b>odd & name.db"))
        assert window.frame.current_page() == "runs"
        await close(window)

    drive(first())
    assert str(QSettings().value("theme")) == "dark"
    assert theme().dark
    drive(second())
