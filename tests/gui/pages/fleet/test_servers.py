"""The list of servers without a screen, in a real workspace's database."""

from __future__ import annotations

from typing import Any

import pytest

from gui.campaign.selection import Server
from gui.pages.fleet.servers import ServersPresenter
from gui.runner.directory import Directory
from gui.store import Store


@pytest.fixture
async def workspace(tmp_path, make_workspace) -> Any:
    with Store(tmp_path / "w.db") as store:
        made = make_workspace(store=store)
        made.directory = Directory(store, made.blocking)
        agents = [Server("a1", "root://a1.example.org:1094")]
        made.agent_servers = lambda: agents
        lab = [Server("lab1", "root://127.0.0.1:2001")]
        made.servers = lambda: [*lab, *made.directory.listed, *agents]
        yield made


def last(page: Any, name: str) -> Any:
    return next(call[1] for call in reversed(page.calls) if call[0] == name)


async def test_lines_are_checked_added_and_taken_off(desk, page, workspace) -> None:
    desk.workspace = workspace
    presenter = ServersPresenter(desk, page, workspace)
    await desk.settle()
    assert [one.server.name for one in last(page, "show_suggestions")] == ["a1"]
    presenter.check("x1.example.org")
    presenter.check("x1.example.org\nlab1 root://x2.example.org\nx3.example.org/store")
    await desk.settle()
    assert len([call for call in page.calls if call[0] == "show_checked"]) == 1, "only the last is answered"
    found = last(page, "show_checked")
    assert [server.name for server in found.servers] == ["x1.example.org"]
    assert [wrong.line for wrong in found.wrong] == [2, 3]
    presenter.add("x1.example.org\na1 root://a1.example.org")
    await desk.settle()
    assert [server.name for server in last(page, "show_listed")] == ["a1", "x1.example.org"]
    assert last(page, "show_suggestions") == []
    presenter.remove(["root://a1.example.org:1094"])
    await desk.settle()
    assert [server.name for server in last(page, "show_listed")] == ["x1.example.org"]
    assert last(page, "show_remark") == "The server is off the list; Add puts it back."


async def test_two_names_of_one_server_are_told(desk, page, workspace) -> None:
    desk.workspace = workspace
    presenter = ServersPresenter(desk, page, workspace)
    presenter.add("one root://127.0.0.1:1094\ntwo root://localhost:1094")
    await desk.settle()
    assert "one and two are one server (127.0.0.1); it is asked twice as often." in last(page, "show_remark")


async def test_a_file_is_read_or_it_is_said_why_not(desk, page, workspace, tmp_path) -> None:
    desk.workspace = workspace
    presenter = ServersPresenter(desk, page, workspace)
    (tmp_path / "good.txt").write_bytes("\ufeffx1.example.org\n".encode())
    (tmp_path / "bad.bin").write_bytes(b"\xff\xfe\x00x")
    for name in ("good.txt", "bad.bin", "gone.txt"):
        presenter.read_file(tmp_path / name)
        await desk.settle()
    assert last(page, "show_file") == "x1.example.org\n"
    said = [call[1] for call in page.calls if call[0] == "show_remark"]
    assert any("bad.bin cannot be read: it is not text in UTF-8." in text for text in said)
    assert any("gone.txt cannot be read: No such file or directory." in text for text in said)


async def test_a_sheet_that_was_closed_is_left_alone(desk, page, workspace) -> None:
    desk.workspace = workspace
    presenter = ServersPresenter(desk, page, workspace)
    presenter.add("x1.example.org")
    presenter.close()
    before = len(page.calls)
    await desk.settle()
    assert len(page.calls) == before
    assert [server.name for server in workspace.directory.listed] == ["x1.example.org"], "but what was asked is done"
