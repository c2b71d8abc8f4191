"""Preflight: does a server answer, are the files there, what is in a directory."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from agent.messages import Auth, CatalogueFile, Probe, Probed, Protocol
from agent.workloads import probe as probe_module
from agent.workloads.probe import probe
from tests.agent.workloads.webserver import reply, serving


async def answers(question: Probe) -> list[Probed]:
    async with asyncio.timeout(60):
        parts = [part async for part in probe(question)]
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert {part.id for part in parts} == {question.id}
    return parts


@pytest.mark.xrootd
async def test_files_and_what_is_missing(xrootd: Any) -> None:
    xrootd.add("/store/probe/a", 1000)
    xrootd.add("/store/probe/empty", 0)
    (part,) = await answers(Probe(7, xrootd.url, ["/store/probe/a", "/store/probe/empty", "/none", "/store/probe"]))
    assert part.answering
    assert part.xrootd.startswith("v")
    assert part.files[:2] == [CatalogueFile("/store/probe/a", 1000), CatalogueFile("/store/probe/empty", 0)]
    assert (part.files[2].path, part.files[2].size) == ("/none", None)
    assert "no such file" in part.files[2].error
    assert part.files[3] == CatalogueFile("/store/probe", None, "This is a directory.")


@pytest.mark.xrootd
async def test_a_directory_with_all_below_it(xrootd: Any) -> None:
    for path, size in {
        "/store/tree/b": 2,
        "/store/tree/a": 1,
        "/store/tree/sub/deep/c": 3,
        "/store/tree/sub/d": 4,
    }.items():
        xrootd.add(path, size)
    (part,) = await answers(Probe(1, xrootd.url, directory="/store/tree/"))
    assert [(file.path, file.size) for file in part.files] == [
        ("/store/tree/a", 1),
        ("/store/tree/b", 2),
        ("/store/tree/sub/d", 4),
        ("/store/tree/sub/deep/c", 3),
    ]
    assert not part.truncated
    (part,) = await answers(Probe(1, xrootd.url, directory="/store/tree", limit=3))
    assert part.truncated
    assert len(part.files) == 3
    (part,) = await answers(Probe(1, xrootd.url, directory="/store/none"))
    assert part.answering
    assert part.files == []
    assert part.error.startswith("/store/none: ")


@pytest.mark.xrootd
async def test_many_files_come_in_parts(xrootd: Any) -> None:
    xrootd.add("/store/many", 10)
    parts = await answers(Probe(1, xrootd.url, ["/store/many"] * (2 * probe_module.PART + 1), directory="/store/none"))
    assert [len(part.files) for part in parts] == [probe_module.PART, probe_module.PART, 1, 0]
    assert {file.size for part in parts for file in part.files} == {10}


async def test_a_server_that_is_away() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"root://127.0.0.1:{s.getsockname()[1]}"
    (part,) = await answers(Probe(1, url, ["/a"], timeout=2))
    assert not part.answering
    assert part.error.startswith(f"{url} does not answer: ")


async def test_a_probe_that_dies_is_an_answer_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "XRootD").mkdir()
    (tmp_path / "XRootD" / "__init__.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (part,) = await answers(Probe(1, "root://s", ["/a"]))
    assert part.error == "The probing process ended before it had an answer; its last messages are in the log."


async def test_without_the_xrootd_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "XRootD").mkdir()
    (tmp_path / "XRootD" / "__init__.py").write_text("raise ImportError('no such package')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (part,) = await answers(Probe(1, "root://s", ["/a"]))
    assert 'pip install "xrootd-tally[xrootd]"' in part.error


async def test_a_probe_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "LIMIT_SECONDS", 0.5)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        url = f"root://127.0.0.1:{s.getsockname()[1]}"
        (part,) = await answers(Probe(1, url, ["/a"], timeout=30))
    assert part.error == f"{url} did not answer everything within 0 s."


@pytest.mark.xrootd
@pytest.mark.parametrize("protocol", ["http", "https", "roots"])
async def test_the_same_over_other_protocols(xrootd: Any, protocol: Protocol) -> None:
    for path, size in {"/store/web/b": 2, "/store/web/a": 1, "/store/web/sub/deep c/d": 3}.items():
        xrootd.add(path, size)
    question = Probe(
        7, xrootd.url, ["/store/web/a", "/none"], directory="/store/web", protocol=protocol, auth=Auth(xrootd.ca),
        write="/store/probe-write",
    )  # fmt: skip
    first, last = await answers(question)
    assert (first.answering, first.unwritable) == (True, "")
    assert first.xrootd.startswith("v")
    assert (first.files[0], first.files[1].size) == (CatalogueFile("/store/web/a", 1), None)
    assert "no such file" in first.files[1].error or first.files[1].error == "404 Not Found"
    assert [(file.path, file.size) for file in last.files] == [
        ("/store/web/a", 1), ("/store/web/b", 2), ("/store/web/sub/deep c/d", 3),
    ]  # fmt: skip
    assert list((xrootd.root / "store/probe-write").iterdir()) == []


@pytest.mark.xrootd
@pytest.mark.parametrize("protocol", ["root", "http"])
async def test_where_nothing_may_be_written(xrootd: Any, protocol: Protocol) -> None:
    (xrootd.root / "locked").mkdir(mode=0o555)
    try:
        (part,) = await answers(Probe(7, xrootd.url, protocol=protocol, write="/locked"))
    finally:
        (xrootd.root / "locked").rmdir()
    assert part.answering
    assert "permission denied" in part.unwritable


async def test_a_web_server_that_is_away_or_speaks_nonsense() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
    (part,) = await answers(Probe(1, url, ["/a"], timeout=2))
    assert not part.answering
    assert part.error.startswith(f"{url} does not answer: OPTIONS: ")

    def odd(connection: socket.socket, first: str, headers: dict[str, str]) -> None:
        body = b"" if first.startswith("HEAD") else b"nonsense"
        connection.sendall(reply("200 OK", body, server="Apache/9") if body else b"HTTP/1.1 200 OK\r\n\r\n")

    with serving(odd) as server:
        (part, last) = await answers(Probe(1, server.url, ["/a"], directory="/d", timeout=2))
    assert (part.xrootd, part.files[0].error) == ("Apache/9", "The server reports no size for it.")
    assert last.error.startswith("/d: the listing cannot be read: it is not XML")
