"""A desk without a window: presenters are tested without Qt and without a screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def own_settings() -> None:
    """Instead of the window's fixture of this name: no Qt and no X server here."""


class FakeDesk:
    """Keeps what presenters ask of it. `workspace` and `page` are what the test says."""

    def __init__(self) -> None:
        self.workspace: Any = None
        self.closing = False
        self.page = "welcome"
        self.said: list[tuple[str, str, str]] = []
        self._tasks: list[asyncio.Task[Any]] = []

    def background(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    async def settle(self) -> list[str]:
        """Wait for all that was started; the names of it."""
        await asyncio.gather(*self._tasks)
        names = [task.get_name() for task in self._tasks]
        self._tasks.clear()
        return names

    def complain(self, where: str, text: str, remedy: str = "") -> None:
        self.said.append((where, text, remedy))

    def current_page(self) -> str:
        return self.page

    def go(self, page: str) -> None:
        self.page = page


class Recorder:
    """A page: every call is kept as (name, arguments)."""

    def __init__(self, **attributes: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.__dict__.update(attributes)

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **named: Any) -> None:
            self.calls.append((name, *arguments, *named.values()))

        return call


class FakeWorkspace(SimpleNamespace):
    """As much of a workspace as presenters use; what blocks is called at once."""

    async def blocking(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def page() -> Recorder:
    return Recorder()


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def make_workspace() -> type[FakeWorkspace]:
    return FakeWorkspace
