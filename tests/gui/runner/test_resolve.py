"""From a plan to its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.messages import CatalogueFile, Probe, Probed, Workload
from gui.campaign.catalogue import CatalogueError
from gui.campaign.plan import File, Files, Test
from gui.campaign.selection import Client, Server
from gui.runner.credentials import Credentials
from gui.runner.probes import ProbeError
from gui.runner.refusal import RunRefusedError
from gui.runner.resolve import Catalogues, reached_twice

SERVER, CLIENT = Server("s1", "root://s1:1094"), Client("c1", "i1")


class Answers:
    """Probes that answer with these parts."""

    def __init__(self, *parts: Probed | Exception) -> None:
        self.parts = parts

    async def ask(self, client: Client, question: Probe) -> AsyncIterator[Probed]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


def plan(**changes: Any) -> Test:
    return Test(servers=1, files_per_server=1, per_round=1, **changes)


def catalogues(*parts: Probed | Exception, text: str | None = None, directory: Path = Path()) -> Catalogues:
    return Catalogues(Answers(*parts), None, Credentials(None), text=text, directory=directory)  # type: ignore[arg-type]


async def test_a_list_beside_the_plan_or_brought_with_it(tmp_path: Path) -> None:
    (tmp_path / "files.txt").write_text("/a 1\n")
    listed = plan(files=Files(list="files.txt"))
    assert await catalogues(directory=tmp_path).find(listed, SERVER, None) == (File("/a", 1),)
    assert await catalogues(text="/b 2", directory=tmp_path).find(listed, SERVER, None) == (File("/b", 2),)
    with pytest.raises(CatalogueError, match="cannot be read: No such file"):
        await catalogues(directory=tmp_path / "x").find(listed, SERVER, None)
    (tmp_path / "files.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueError, match="not UTF-8 text"):
        await catalogues(directory=tmp_path).find(listed, SERVER, None)


def part(*files: tuple[str, int | None], **changes: Any) -> Probed:
    return Probed(1, SERVER.url, True, files=[CatalogueFile(path, size) for path, size in files], **changes)


async def test_a_directory_in_parts() -> None:
    test = plan(files=Files(dir="/d"))
    found = catalogues(part(("/d/b", 2), ("/d/gone", None), more=True), part(("/d/a", 1), truncated=True))
    assert await found.find(test, SERVER, CLIENT) == (File("/d/a", 1), File("/d/b", 2))
    assert found.remarks == ["/d has more files than are used: 2."]


async def test_names_that_cannot_be_asked_for_are_left_out_with_a_remark() -> None:
    found = catalogues(part(("/d/a", 1), ("/d/b?authz=SECRET", 2), ("/d/" + "x" * 1024, 3)))
    assert await found.find(plan(files=Files(dir="/d")), SERVER, CLIENT) == (File("/d/a", 1),)
    (remark,) = found.remarks
    assert remark.startswith("2 files are left out of /d on s1: the path '/d/b' goes on with a '?'")
    assert "SECRET" not in remark


async def test_a_list_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "files.txt").write_bytes(b"\xef\xbb\xbf/a\x85b 1\r\n".replace(b"\x85", "\x85".encode()))
    listed = plan(files=Files(list="files.txt"))
    assert await catalogues(directory=tmp_path).find(listed, SERVER, None) == (File("/a\x85b", 1),)


async def test_a_server_under_two_names() -> None:
    one, two = Server("localhost:1", "root://localhost:1"), Server("127.0.0.1:1", "root://127.0.0.1:1")
    other = Server("127.0.0.1:2", "root://127.0.0.1:2")
    (sentence,) = await reached_twice([one, two, other])
    assert sentence == "localhost:1 and 127.0.0.1:1 are one server (127.0.0.1); it is asked twice as often."
    assert await reached_twice([Server("a", "root://a.invalid:1"), Server("b", "root://b.invalid:1")]) == []


async def test_a_name_with_an_address_of_each_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` may be ::1 first: it is the server at 127.0.0.1 all the same."""

    async def both(host: str, *_: object, **__: Any) -> list[tuple[Any, ...]]:
        known = {"localhost": ["::1", "127.0.0.1"], "mapped": ["::ffff:127.0.0.1"]}
        return [(0, 0, 0, "", (address, 0)) for address in known.get(host, [host])]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    servers = [Server(host, f"root://{host}:1") for host in ("localhost", "127.0.0.1", "mapped", "127.0.0.2")]
    assert await reached_twice(servers) == [
        f"localhost and {host} are one server (127.0.0.1); it is asked twice as often."
        for host in ("127.0.0.1", "mapped")
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (part(error="permission denied"), "cannot be listed: permission denied"),
        (part(), "contains no files"),
        (ProbeError("c1 is no longer connected."), "cannot be listed: c1 is no longer"),
    ],
)
async def test_a_directory_that_cannot_be_used(answer: Probed | Exception, says: str) -> None:
    with pytest.raises(RunRefusedError, match=says):
        await catalogues(answer).find(plan(files=Files(dir="/d")), SERVER, CLIENT)


async def test_writing_needs_no_files_and_reading_does() -> None:
    assert await catalogues().find(plan(workload=Workload("write")), SERVER, CLIENT) == ()
    with pytest.raises(RunRefusedError, match="names no files"):
        await catalogues().find(plan(), SERVER, CLIENT)
    with pytest.raises(RunRefusedError, match="No client is connected"):
        await catalogues().find(plan(files=Files(dir="/d")), SERVER, None)
